//! What every one of these programs does at its start: Go's or Rust's runtime, and the C library below. In comes a profile, out
//! come lines.

use super::temporary;
use crate::{
    act::{other, tell},
    kernel,
};
use std::{
    fs,
    io::{self, Read as _},
    net::UdpSocket,
};
use stub::Profile;

const GROUP: &str = "runtime";

/// Read where they exist: name lookup, time zone, limits, size of huge pages, certificates.
const READ: [&str; 13] = [
    "/etc/hosts",
    "/etc/resolv.conf",
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/etc/localtime",
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/mime.types",
    "/proc/self/status",
    "/proc/self/maps",
    "/proc/self/mountinfo",
    "/proc/self/cgroup",
    "/proc/sys/net/core/somaxconn",
    "/sys/kernel/mm/transparent_hugepage/hpage_pmd_size",
];

pub fn all(_: &Profile) {
    for path in READ {
        tell(GROUP, format!("read {path}"), read(path));
    }
    tell(GROUP, "its own file limit", kernel::raise_open_files());
    tell(GROUP, "which processors it may use", kernel::read_processors());
    tell(GROUP, "timers, events, signals to itself", kernel::run_as_go_does());
    tell(GROUP, "threads", threads());
    tell(GROUP, "random numbers", fs::File::open("/dev/urandom").and_then(|mut f| f.read_exact(&mut [0; 16])));
    let scratch = format!("{}/stub-{}", temporary(), std::process::id());
    tell(GROUP, format!("write and remove a file in {}", temporary()), fs::write(&scratch, "x").and_then(|()| fs::remove_file(&scratch)));
    // A resolver that is not there refuses; what matters is that the question leaves.
    tell(GROUP, "ask a name server", UdpSocket::bind("0.0.0.0:0").and_then(|s| s.send_to(&[0; 12], "127.0.0.1:53")));
    tell(GROUP, "a pair of local sockets", std::os::unix::net::UnixStream::pair());
    tell(GROUP, "its log through the journal", syslog());
}

fn read(path: &str) -> io::Result<()> {
    match fs::File::open(path).and_then(|mut f| f.read(&mut [0; 64])) {
        Err(e) if e.kind() == io::ErrorKind::NotFound && path.starts_with("/etc/") => Ok(()),
        // A machine may have been built without huge pages; Go does without the number where the kernel's settings are hidden.
        Err(e) if e.kind() == io::ErrorKind::NotFound && (path.starts_with("/sys/") || path.starts_with("/proc/sys/")) => Ok(()),
        other => other.map(drop),
    }
}

fn threads() -> io::Result<()> {
    let threads: Vec<_> = (0..4).map(|n| std::thread::Builder::new().spawn(move || n)).collect::<io::Result<_>>()?;
    let sum: i32 = threads.into_iter().map(|t| t.join().unwrap_or(-100)).sum();
    if sum == 6 { Ok(()) } else { Err(other("a thread did not run")) }
}

fn syslog() -> io::Result<()> {
    let socket = std::os::unix::net::UnixDatagram::unbound()?;
    match socket.send_to(b"<14>stub: started", "/dev/log") {
        // The journal may be busy or not there yet.
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused | io::ErrorKind::WouldBlock) => Ok(()),
        other => other.map(drop),
    }
}
