//! Memory that is not ordinary: executable, huge, locked, shared, mapped from files.

use super::result;
use libc::{c_int, c_void};
use std::{fs::File, io, os::fd::FromRawFd, ptr};

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

/// Memory as a file.
pub fn memory_file() -> io::Result<File> {
    // SAFETY: the descriptor is new and ours.
    unsafe {
        let fd = libc::memfd_create(c"stub".as_ptr(), 0);
        result(fd.into())?;
        Ok(File::from_raw_fd(fd))
    }
}
