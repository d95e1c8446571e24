//! What the standard library does not ask of the kernel. In come plain values, out come results with the kernel's own error. The
//! only unsafe code besides `sys`, and no part of any product binary. Never: keeps a pointer.
#![allow(unsafe_code, reason = "a stand-in does what daemons and attackers do, in the kernel's own words")]

use libc::{c_int, c_long, c_void};
use std::{ffi::CString, fs::File, io, os::fd::FromRawFd, ptr};

fn result(value: c_long) -> io::Result<c_long> {
    if value < 0 { Err(io::Error::last_os_error()) } else { Ok(value) }
}

fn text(value: &str) -> io::Result<CString> {
    CString::new(value).map_err(io::Error::other)
}

/// Size of a page.
const PAGE: usize = 4096;
/// Size of a huge page on this architecture.
const HUGE: usize = 2 << 20;

fn map(length: usize, protection: c_int, flags: c_int) -> io::Result<*mut c_void> {
    // SAFETY: an anonymous mapping at an address of the kernel's choice touches no memory of ours.
    let at = unsafe { libc::mmap(ptr::null_mut(), length, protection, flags | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0) };
    if at == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(at) }
}

/// Compiles as a just-in-time compiler does: writes machine code, makes it executable, runs it.
pub fn compile_and_run() -> io::Result<()> {
    let at = map(PAGE, libc::PROT_READ | libc::PROT_WRITE, 0)?;
    // SAFETY: the page is ours and writable; the bytes are a whole function (`mov eax, 42; ret`, or the same for ARM).
    unsafe {
        #[cfg(target_arch = "x86_64")]
        let code: &[u8] = &[0xb8, 42, 0, 0, 0, 0xc3];
        #[cfg(target_arch = "aarch64")]
        let code: &[u8] = &[0x40, 0x05, 0x80, 0x52, 0xc0, 0x03, 0x5f, 0xd6];
        ptr::copy_nonoverlapping(code.as_ptr(), at.cast::<u8>(), code.len());
        result(libc::mprotect(at, PAGE, libc::PROT_READ | libc::PROT_EXEC).into())?;
        #[cfg(target_arch = "x86_64")]
        {
            let function: extern "C" fn() -> c_int = std::mem::transmute(at);
            if function() != 42 {
                return Err(io::Error::other("the code it made did not run"));
            }
        }
        libc::munmap(at, PAGE);
    }
    Ok(())
}

/// Memory that is writable and executable at once.
pub fn writable_and_executable() -> io::Result<()> {
    let at = map(PAGE, libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC, 0)?;
    // SAFETY: the mapping is the one made above.
    unsafe { libc::munmap(at, PAGE) };
    Ok(())
}

/// A huge page.
pub fn huge_page() -> io::Result<()> {
    let at = map(HUGE, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_HUGETLB)?;
    // SAFETY: the mapping is the one made above, and writable.
    unsafe {
        ptr::write(at.cast::<u8>(), 1);
        libc::munmap(at, HUGE);
    }
    Ok(())
}

/// A huge page of a file below `/dev/hugepages`.
pub fn huge_file(file: &File) -> io::Result<()> {
    use std::os::fd::AsRawFd as _;
    file.set_len(HUGE as u64)?;
    // SAFETY: a shared mapping of a file at an address of the kernel's choice.
    unsafe {
        let at = libc::mmap(ptr::null_mut(), HUGE, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED, file.as_raw_fd(), 0);
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        ptr::write(at.cast::<u8>(), 1);
        libc::munmap(at, HUGE);
    }
    Ok(())
}

/// A file mapped for reading and writing, as databases do.
pub fn map_file(file: &File) -> io::Result<()> {
    use std::os::fd::AsRawFd as _;
    file.set_len(PAGE as u64)?;
    // SAFETY: a shared mapping of a file of one page.
    unsafe {
        let at = libc::mmap(ptr::null_mut(), PAGE, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED, file.as_raw_fd(), 0);
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        ptr::write(at.cast::<u8>(), 1);
        result(libc::msync(at, PAGE, libc::MS_SYNC).into())?;
        libc::madvise(at, PAGE, libc::MADV_DONTNEED);
        libc::munmap(at, PAGE);
    }
    Ok(())
}

/// Locks memory in place, more than the usual limit of 8 MiB.
pub fn lock_memory() -> io::Result<()> {
    const LENGTH: usize = 16 << 20;
    let at = map(LENGTH, libc::PROT_READ | libc::PROT_WRITE, 0)?;
    // SAFETY: the mapping is the one made above.
    unsafe {
        let locked = result(libc::mlock(at, LENGTH).into()).map(drop);
        libc::munmap(at, LENGTH);
        locked
    }
}

/// System V shared memory, as databases share it between processes.
pub fn shared_memory() -> io::Result<()> {
    // SAFETY: a segment of our own, attached, written and removed.
    unsafe {
        let id = libc::shmget(libc::IPC_PRIVATE, PAGE, libc::IPC_CREAT | 0o600);
        result(id.into())?;
        let at = libc::shmat(id, ptr::null(), 0);
        if at as isize == -1 {
            return Err(io::Error::last_os_error());
        }
        ptr::write(at.cast::<u8>(), 1);
        libc::shmdt(at);
        result(libc::shmctl(id, libc::IPC_RMID, ptr::null_mut()).into()).map(drop)
    }
}

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

/// A socket of any family, as a file.
pub fn socket(family: c_int, kind: c_int, protocol: c_int) -> io::Result<File> {
    // SAFETY: the descriptor is new and ours.
    unsafe {
        let fd = libc::socket(family, kind, protocol);
        result(fd.into())?;
        Ok(File::from_raw_fd(fd))
    }
}

/// Memory as a file.
pub fn memory_file() -> io::Result<File> {
    // SAFETY: the descriptor is new and ours.
    unsafe {
        let fd = libc::memfd_create(c"stub".as_ptr(), 0);
        result(fd.into())?;
        Ok(File::from_raw_fd(fd))
    }
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

/// Runs an action in a process of its own, whose end undoes what it did to itself; out come what it returned, and in words.
pub fn apart(action: impl FnOnce() -> io::Result<()>, seconds: u32) -> io::Result<()> {
    let (mut reader, mut writer) = io::pipe()?;
    // SAFETY: the child has one thread and ends without running anything of the parent's.
    let child = unsafe { libc::fork() };
    result(child.into())?;
    if child == 0 {
        drop(reader);
        // SAFETY: no memory is passed; the default action of the signal ends the child.
        unsafe { libc::alarm(seconds) };
        let answer = match action() {
            Ok(()) => "0 ".to_owned(),
            Err(e) => format!("{} {e}", e.raw_os_error().unwrap_or(-1)),
        };
        let _ = io::Write::write_all(&mut writer, answer.as_bytes());
        // SAFETY: ends at once.
        unsafe { libc::_exit(0) };
    }
    drop(writer);
    let mut answer = String::new();
    io::Read::read_to_string(&mut reader, &mut answer)?;
    // SAFETY: the status is not asked for.
    unsafe { libc::waitpid(child, ptr::null_mut(), 0) };
    match answer.split_once(' ') {
        Some(("0", _)) => Ok(()),
        Some(("-1", more)) => Err(io::Error::other(more.to_owned())),
        Some((number, _)) => Err(number.parse().map_or_else(io::Error::other, io::Error::from_raw_os_error)),
        None => Err(io::Error::other("it was killed")),
    }
}
