//! What daemons ask of the kernel as they run: limits, processors, locks, interfaces, what Go's runtime does.

use super::{result, socket, text};
use libc::{c_long, c_void};
use std::{fs::File, io, ptr};

/// Raises its own limit of open files to the highest allowed, as Go's runtime and Lotus do.
pub fn raise_open_files() -> io::Result<()> {
    // SAFETY: the structure is ours.
    unsafe {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        result(libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit).into())?;
        limit.rlim_cur = limit.rlim_max;
        result(libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit).into()).map(drop)
    }
}

/// Reads which processors it may use.
pub fn read_processors() -> io::Result<libc::cpu_set_t> {
    // SAFETY: all zeros is a valid set, and the structure is ours.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        result(libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set).into())?;
        Ok(set)
    }
}

/// Pins itself to processors, and its memory to a node.
pub fn pin() -> io::Result<()> {
    let set = read_processors()?;
    // SAFETY: the set is one the kernel gave; the mask has one word.
    unsafe {
        result(libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set).into())?;
        const MPOL_DEFAULT: c_long = 0;
        result(libc::syscall(libc::SYS_set_mempolicy, MPOL_DEFAULT, ptr::null::<u64>(), 0)).map(drop)
    }
}

/// Lowers its own priority, as databases do for work in the background.
pub fn lower_priority() -> io::Result<()> {
    // SAFETY: no memory is passed.
    result(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 5) }.into()).map(drop)
}

/// Timers, events and signals to itself: what Go's runtime does all the time.
pub fn run_as_go_does() -> io::Result<()> {
    // SAFETY: descriptors are ours and closed; the signal is one that is ignored here.
    unsafe {
        let poll = libc::epoll_create1(libc::EPOLL_CLOEXEC);
        result(poll.into())?;
        let event = libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC);
        result(event.into())?;
        let mut interest = libc::epoll_event { events: libc::EPOLLIN as u32, u64: 0 };
        result(libc::epoll_ctl(poll, libc::EPOLL_CTL_ADD, event, &raw mut interest).into())?;
        result(libc::epoll_pwait(poll, &raw mut interest, 1, 0, ptr::null()).into())?;
        libc::close(event);
        libc::close(poll);
        libc::signal(libc::SIGURG, libc::SIG_IGN);
        let thread = libc::syscall(libc::SYS_gettid);
        result(libc::syscall(libc::SYS_tgkill, c_long::from(libc::getpid()), thread, c_long::from(libc::SIGURG)))?;
        let mut mask: libc::sigset_t = std::mem::zeroed();
        result(libc::pthread_sigmask(libc::SIG_SETMASK, ptr::null(), &raw mut mask).into())?;
        let mut stack: libc::stack_t = std::mem::zeroed();
        result(libc::sigaltstack(ptr::null(), &raw mut stack).into())?;
        let zero =
            libc::itimerval { it_interval: libc::timeval { tv_sec: 0, tv_usec: 0 }, it_value: libc::timeval { tv_sec: 0, tv_usec: 0 } };
        result(libc::syscall(libc::SYS_setitimer, c_long::from(libc::ITIMER_PROF), &raw const zero, ptr::null_mut::<c_void>())).map(drop)
    }
}

/// Free space of the file system that holds a path.
pub fn free_space(path: &str) -> io::Result<()> {
    let path = text(path)?;
    // SAFETY: the structure is ours, the path ends with a zero.
    unsafe {
        let mut space: libc::statfs = std::mem::zeroed();
        result(libc::statfs(path.as_ptr(), &raw mut space).into()).map(drop)
    }
}

/// A file's lock, held until it is closed; taken as Go's fslock and as bellman do.
pub fn lock(file: &File) -> io::Result<()> {
    use std::os::fd::AsRawFd as _;
    // SAFETY: the descriptor is the file's; the structure is ours.
    unsafe {
        let mut region: libc::flock = std::mem::zeroed();
        region.l_type = libc::F_WRLCK as _;
        result(libc::fcntl(file.as_raw_fd(), libc::F_SETLK, &raw const region).into())?;
        result(libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB).into()).map(drop)
    }
}

/// Lists interfaces and addresses through netlink, as Go's `net.Interfaces` does; out comes how many messages came.
pub fn interfaces() -> io::Result<usize> {
    let mut messages = 0;
    // RTM_GETLINK, RTM_GETADDR, RTM_GETROUTE: each a dump.
    for kind in [18u16, 22, 26] {
        let mut socket = socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0)?;
        let mut request = [0u8; 20];
        request[0..4].copy_from_slice(&20u32.to_ne_bytes());
        request[4..6].copy_from_slice(&kind.to_ne_bytes());
        request[6..8].copy_from_slice(&0x301u16.to_ne_bytes());
        io::Write::write_all(&mut socket, &request)?;
        let mut answer = [0u8; 16384];
        let length = io::Read::read(&mut socket, &mut answer)?;
        if length < 16 || answer[4..6] == 2u16.to_ne_bytes() {
            return Err(io::Error::other("netlink answered with an error"));
        }
        messages += 1;
    }
    Ok(messages)
}
