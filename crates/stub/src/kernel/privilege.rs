//! What only an administrator may, and what a taken-over service tries: tracing, modules, mounts, the clock, other accounts.

use super::{result, socket, text};
use libc::c_long;
use std::{fs::File, io, ptr};

/// Adds an address to loopback through netlink: what only an administrator may.
pub fn add_address() -> io::Result<()> {
    let mut socket = socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0)?;
    // nlmsghdr, ifaddrmsg, one attribute IFA_LOCAL with 127.99.0.1. NLM_F_REQUEST | ACK | CREATE | REPLACE.
    let mut request = [0u8; 32];
    request[0..4].copy_from_slice(&32u32.to_ne_bytes());
    request[4..6].copy_from_slice(&20u16.to_ne_bytes());
    request[6..8].copy_from_slice(&0x505u16.to_ne_bytes());
    request[16] = libc::AF_INET as u8;
    request[17] = 32;
    request[20..24].copy_from_slice(&1u32.to_ne_bytes());
    request[24..26].copy_from_slice(&8u16.to_ne_bytes());
    request[26..28].copy_from_slice(&2u16.to_ne_bytes());
    request[28..32].copy_from_slice(&[127, 99, 0, 1]);
    io::Write::write_all(&mut socket, &request)?;
    let mut answer = [0u8; 1024];
    io::Read::read(&mut socket, &mut answer)?;
    let error = i32::from_ne_bytes([answer[16], answer[17], answer[18], answer[19]]);
    if error == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(-error)) }
}

/// Seizes a process as a debugger does.
pub fn trace(process: i32) -> io::Result<()> {
    const SEIZE: c_long = 0x4206;
    // SAFETY: no memory is passed.
    unsafe {
        result(libc::syscall(libc::SYS_ptrace, SEIZE, c_long::from(process), 0, 0))?;
        libc::syscall(libc::SYS_ptrace, c_long::from(libc::PTRACE_DETACH), c_long::from(process), 0, 0);
    }
    Ok(())
}

/// Makes a BPF map.
pub fn bpf() -> io::Result<()> {
    // BPF_MAP_CREATE of a hash: type, key size, value size, entries; the rest is zero.
    let mut attributes = [0u32; 18];
    attributes[..4].copy_from_slice(&[1, 4, 4, 1]);
    // SAFETY: the attributes are ours and as long as said.
    result(unsafe { libc::syscall(libc::SYS_bpf, 0, attributes.as_ptr(), size_of_val(&attributes)) }).map(drop)
}

/// Opens a counter of the kernel's own work on every process.
pub fn counters() -> io::Result<()> {
    // perf_event_attr: type software, size 64, config 0; everything else is zero.
    let mut attributes = [0u32; 16];
    attributes[0] = 1;
    attributes[1] = 64;
    // SAFETY: the attributes are ours and as long as said.
    result(unsafe { libc::syscall(libc::SYS_perf_event_open, attributes.as_ptr(), -1, 0, -1, 0) }).map(drop)
}

/// Loads a module.
pub fn module(path: &str) -> io::Result<()> {
    use std::os::fd::AsRawFd as _;
    let file = File::open(path)?;
    // SAFETY: the descriptor is the file's, the parameters are an empty text.
    result(unsafe { libc::syscall(libc::SYS_finit_module, c_long::from(file.as_raw_fd()), c"".as_ptr(), 0) }).map(drop)
}

/// Mounts a file system in memory.
pub fn mount(path: &str) -> io::Result<()> {
    let path = text(path)?;
    // SAFETY: the texts end with a zero.
    result(unsafe { libc::mount(c"tmpfs".as_ptr(), path.as_ptr(), c"tmpfs".as_ptr(), 0, ptr::null()) }.into()).map(drop)
}

/// Becomes another account.
pub fn become_user(id: u32) -> io::Result<()> {
    // SAFETY: no memory is passed.
    result(unsafe { libc::setresuid(id, id, id) }.into()).map(drop)
}

/// Becomes root of a user namespace of its own, where further doors of the kernel open.
pub fn user_namespace() -> io::Result<()> {
    // SAFETY: no memory is passed.
    result(unsafe { libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS | libc::CLONE_NEWNET) }.into()).map(drop)
}

/// Sends no signal to a process, which asks whether it might.
pub fn signal(process: i32) -> io::Result<()> {
    // SAFETY: no memory is passed.
    result(unsafe { libc::kill(process, 0) }.into()).map(drop)
}

/// Gives a file to nobody.
pub fn give_away(path: &str) -> io::Result<()> {
    let path = text(path)?;
    // SAFETY: the path ends with a zero.
    result(unsafe { libc::chown(path.as_ptr(), 65534, 65534) }.into()).map(drop)
}

/// Sets the clock to what it is.
pub fn set_clock() -> io::Result<()> {
    // SAFETY: the structure is ours.
    unsafe {
        let mut now: libc::timespec = std::mem::zeroed();
        result(libc::clock_gettime(libc::CLOCK_REALTIME, &raw mut now).into())?;
        result(libc::clock_settime(libc::CLOCK_REALTIME, &raw const now).into()).map(drop)
    }
}

/// Makes a device node of the first disk.
pub fn disk_node(path: &str) -> io::Result<()> {
    let path = text(path)?;
    // SAFETY: the path ends with a zero.
    result(unsafe { libc::mknod(path.as_ptr(), libc::S_IFBLK | 0o600, libc::makedev(254, 0)) }.into()).map(drop)
}

/// Changes the SELinux label of a path.
pub fn relabel(path: &str, label: &str) -> io::Result<()> {
    let (path, label) = (text(path)?, text(label)?);
    let bytes = label.as_bytes_with_nul();
    // SAFETY: the texts end with a zero, the length is the value's.
    result(unsafe { libc::setxattr(path.as_ptr(), c"security.selinux".as_ptr(), bytes.as_ptr().cast(), bytes.len(), 0) }.into()).map(drop)
}
