//! Stands for a service in the VM: does on command what a daemon does, and what a taken-over one would try. In comes one action per
//! argument, out comes a line per action. Compiled by the test alone, static; no part of the product.

#![allow(clippy::all, unsafe_code, missing_docs)]

use std::{env, ffi::CString, fs, io::Write, net::*, process::Command};
extern "C" {
    fn socket(d: i32, t: i32, p: i32) -> i32;
    fn bind(s: i32, a: *const u8, l: u32) -> i32;
    fn mmap(a: *mut u8, l: usize, p: i32, f: i32, fd: i32, o: i64) -> *mut u8;
    fn mprotect(a: *mut u8, l: usize, p: i32) -> i32;
    fn ptrace(r: i32, p: i32, a: usize, d: usize) -> i64;
    fn syscall(n: i64, ...) -> i64;
    fn sched_setaffinity(p: i32, l: usize, m: *const u8) -> i32;
    fn statfs(p: *const i8, b: *mut u8) -> i32;
    fn kill(p: i32, s: i32) -> i32;
    fn chown(p: *const i8, u: u32, g: u32) -> i32;
    fn memfd_create(p: *const i8, f: u32) -> i32;
}
fn say(what: &str, r: Result<(), String>) {
    match r {
        Ok(()) => println!("RESULT ok {what}"),
        Err(e) => println!("RESULT no {what} ({e})"),
    }
    std::io::stdout().flush().ok();
}
fn io<T>(r: std::io::Result<T>) -> Result<(), String> {
    r.map(|_| ()).map_err(|e| e.to_string())
}
fn rc(r: i64) -> Result<(), String> {
    if r >= 0 {
        Ok(())
    } else {
        Err(std::io::Error::last_os_error().to_string())
    }
}
fn run(p: &str, a: &[&str]) -> Result<(), String> {
    let o = Command::new(p).args(a).output().map_err(|e| e.to_string())?;
    if o.status.success() {
        Ok(())
    } else {
        Err(format!("{:?} {}", o.status.code(), String::from_utf8_lossy(&o.stderr).trim()))
    }
}
fn main() {
    let mut leaked: Vec<TcpListener> = vec![];
    for a in env::args().skip(1) {
        let (verb, x) = a.split_once('=').unwrap_or((&a, ""));
        let r = match verb {
            "mkdir" => io(fs::create_dir_all(x)),
            "write" => io(fs::write(x, "content\n")),
            "append" => io(fs::OpenOptions::new().append(true).create(true).open(x).and_then(|mut f| f.write_all(b"\n"))),
            "read" => io(fs::File::open(x).and_then(|mut f| {
                use std::io::Read;
                let mut b = [0u8; 16];
                f.read(&mut b)
            })),
            "list" => io(fs::read_dir(x).map(|d| d.count())),
            "remove" => io(fs::remove_file(x)),
            "rename" => {
                let (f, t) = x.split_once(',').unwrap();
                io(fs::rename(f, t))
            }
            "listen" => TcpListener::bind(("0.0.0.0", x.parse::<u16>().unwrap())).map(|l| leaked.push(l)).map_err(|e| e.to_string()),
            "udp" => io(UdpSocket::bind(("0.0.0.0", x.parse::<u16>().unwrap())).and_then(|u| u.send_to(b"x", "127.0.0.1:9"))),
            "connect" => match TcpStream::connect(x) {
                Ok(_) => Ok(()),
                Err(e) if e.kind() == std::io::ErrorKind::ConnectionRefused => Ok(()),
                Err(e) => Err(e.to_string()),
            },
            "jit" => unsafe {
                let p = mmap(std::ptr::null_mut(), 4096, 3, 0x22, -1, 0);
                rc(mprotect(p, 4096, 7) as i64)
            },
            "memfd" => unsafe {
                let n = CString::new("m").unwrap();
                rc(memfd_create(n.as_ptr(), 0) as i64)
            },
            "netlink" => unsafe {
                let s = socket(16, 3, 0);
                if s < 0 {
                    rc(-1)
                } else {
                    let mut b = [0u8; 12];
                    b[0] = 16;
                    rc(bind(s, b.as_ptr(), 12) as i64).and_then(|()| io(nl(s)))
                }
            },
            "raw" => rc(unsafe { socket(2, 3, 1) } as i64),
            "packet" => rc(unsafe { socket(17, 3, 0x300) } as i64),
            "affinity" => rc(unsafe {
                let m = [1u8; 128];
                sched_setaffinity(0, 128, m.as_ptr())
            } as i64),
            "statfs" => unsafe {
                let p = CString::new(x).unwrap();
                let mut b = [0u8; 512];
                rc(statfs(p.as_ptr(), b.as_mut_ptr()) as i64)
            },
            "run" => {
                let v: Vec<&str> = x.split(',').collect();
                run(v[0], &v[1..])
            }
            "ptrace" => unsafe {
                let r = rc(ptrace(0x4206, x.parse().unwrap_or(1), 0, 0));
                if r.is_ok() {
                    ptrace(17, x.parse().unwrap_or(1), 0, 0);
                }
                r
            },
            "bpf" => unsafe {
                let a = [1u32, 4, 4, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
                rc(syscall(321, 0i64, a.as_ptr(), 72i64))
            },
            "module" => unsafe {
                let n = CString::new("").unwrap();
                match fs::File::open(x) {
                    Ok(f) => {
                        use std::os::fd::AsRawFd;
                        rc(syscall(313, f.as_raw_fd() as i64, n.as_ptr(), 0i64))
                    }
                    Err(e) => Err(e.to_string()),
                }
            },
            "mount" => rc(unsafe {
                let t = CString::new("tmpfs").unwrap();
                let p = CString::new(x).unwrap();
                syscall(165, t.as_ptr(), p.as_ptr(), t.as_ptr(), 0i64, 0i64)
            }),
            "kill" => rc(unsafe { kill(x.parse().unwrap_or(1), 0) } as i64),
            "chown" => unsafe {
                let p = CString::new(x).unwrap();
                rc(chown(p.as_ptr(), 65534, 65534) as i64)
            },
            "context" => io(fs::OpenOptions::new().write(true).open("/proc/self/attr/exec").and_then(|mut f| f.write_all(x.as_bytes()))),
            "relabel" => unsafe {
                let (p, c) = x.split_once(',').unwrap();
                let p = CString::new(p).unwrap();
                let n = CString::new("security.selinux").unwrap();
                let v = CString::new(c).unwrap();
                rc(syscall(188, p.as_ptr(), n.as_ptr(), v.as_ptr(), c.len() as i64 + 1, 0i64))
            },
            "whoami" => {
                println!("RESULT context {}", fs::read_to_string("/proc/self/attr/current").unwrap_or_default().trim_end_matches('\0'));
                Ok(())
            }
            "setenforce" => io(fs::OpenOptions::new().write(true).open("/sys/fs/selinux/enforce").and_then(|mut f| f.write_all(b"1"))),
            "sleep" => {
                std::thread::sleep(std::time::Duration::from_secs(x.parse().unwrap()));
                Ok(())
            }
            _ => Err("what?".into()),
        };
        say(&a, r);
    }
}
fn nl(s: i32) -> std::io::Result<usize> {
    use std::{io::Read, os::fd::FromRawFd};
    let mut f = unsafe { fs::File::from_raw_fd(s) };
    let mut m = [0u8; 32];
    m[0] = 20;
    m[4] = 18;
    m[6] = 1;
    m[7] = 3;
    f.write_all(&m[..20])?;
    let mut b = [0u8; 4096];
    f.read(&mut b)
}
