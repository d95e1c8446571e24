//! Extended attributes of a path, links not followed, or of an open file. In comes a path, out come access lists and file
//! capabilities as numbers; of an open file every attribute as it is. Never: follows a link, takes more bytes than an attribute has.

use crate::Error;
use rustix::{fd::AsFd, fs::XattrFlags, io::Errno};
use std::{os::fd::AsRawFd, path::Path};

/// Largest attribute that is read, in bytes: an access list of some hundred entries.
const MOST: usize = 4096;

/// One attribute; `None` where the path has none or the file system knows none.
fn get(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut buffer = vec![0u8; MOST];
    let length = rustix::fs::lgetxattr(path, name, &mut buffer[..]).ok()?;
    buffer.truncate(length);
    Some(buffer)
}

/// Entries of the POSIX access list as `(tag, bits, id)` (`include/uapi/linux/posix_acl_xattr.h`).
pub fn access_list(path: &Path) -> Vec<(u16, u16, u32)> {
    get(path, "system.posix_acl_access").map_or(Vec::new(), |b| entries(&b))
}

fn entries(bytes: &[u8]) -> Vec<(u16, u16, u32)> {
    let version = bytes.first_chunk::<4>().map(|v| u32::from_le_bytes(*v));
    if version != Some(2) {
        return Vec::new();
    }
    let one =
        |e: &[u8; 8]| (u16::from_le_bytes([e[0], e[1]]), u16::from_le_bytes([e[2], e[3]]), u32::from_le_bytes([e[4], e[5], e[6], e[7]]));
    bytes[4..].as_chunks::<8>().0.iter().map(one).collect()
}

/// Capabilities a program gains or keeps from its file, as a bit set (`include/uapi/linux/capability.h`, vfs_cap_data).
pub fn capabilities(path: &Path) -> u64 {
    get(path, "security.capability").map_or(0, |b| permitted(&b))
}

fn permitted(bytes: &[u8]) -> u64 {
    let word = |n: usize| bytes.get(n * 4..n * 4 + 4).and_then(|w| w.first_chunk::<4>()).map_or(0, |w| u64::from(u32::from_le_bytes(*w)));
    word(1) | word(2) | (word(3) << 32) | (word(4) << 32)
}

/// The attribute that holds a file's capabilities.
pub const CAPABILITY: &str = "security.capability";

/// Largest value of an attribute, and of a list of names, in bytes: the kernel's own limit (`XATTR_SIZE_MAX`).
const LARGEST: usize = 65_536;

/// The name under which the kernel knows an open file, whatever its path has become; works for files that were opened as a path alone.
fn own(file: &impl AsFd) -> String {
    format!("/proc/self/fd/{}", file.as_fd().as_raw_fd())
}

/// An attribute of an open file; `None` where it has none.
pub fn value(file: impl AsFd, name: &str) -> Result<Option<Vec<u8>>, Error> {
    let mut buffer = vec![0u8; LARGEST];
    match rustix::fs::getxattr(own(&file), name, &mut buffer[..]) {
        Ok(length) => {
            buffer.truncate(length);
            Ok(Some(buffer))
        }
        Err(Errno::NODATA | Errno::NOTSUP) => Ok(None),
        Err(e) => Err(Error::call(format!("read attribute {name}"), e)),
    }
}

/// Sets an attribute of an open file, or takes it off.
pub fn set(file: impl AsFd, name: &str, value: Option<&[u8]>) -> Result<(), Error> {
    let own = own(&file);
    let done = match value {
        Some(bytes) => rustix::fs::setxattr(own, name, bytes, XattrFlags::empty()),
        None => rustix::fs::removexattr(own, name),
    };
    done.map_err(|e| Error::call(format!("set attribute {name}"), e))
}

/// Every attribute of an open file that is not made up by the kernel, by name.
pub fn all(file: impl AsFd) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let mut names = vec![0u8; LARGEST];
    let length = match rustix::fs::listxattr(own(&file), &mut names[..]) {
        Ok(length) => length,
        Err(Errno::NOTSUP) => 0,
        Err(e) => return Err(Error::call("list attributes", e)),
    };
    let mut out = Vec::new();
    for name in names.get(..length).unwrap_or_default().split(|b| *b == 0).filter(|n| !n.is_empty()) {
        let name = String::from_utf8_lossy(name).into_owned();
        if let Some(bytes) = value(&file, &name)? {
            out.push((name, bytes));
        }
    }
    out.sort();
    Ok(out)
}

/// Capabilities of an attribute's bytes, as a bit set.
pub fn capability_bits(bytes: &[u8]) -> u64 {
    permitted(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_read_as_the_kernel_writes_them() {
        let setuid = [1, 0, 0, 2, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(permitted(&setuid), 1 << 7);
        assert_eq!(permitted(&setuid[..5]), 0);
        let list = [2, 0, 0, 0, 2, 0, 6, 0, 0xde, 3, 0, 0, 0x20];
        assert_eq!(entries(&list), [(2, 6, 990)]);
        assert!(entries(&[9]).is_empty());
    }
}
