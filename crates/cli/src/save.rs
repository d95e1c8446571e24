//! Writing files. In come a path and bytes, out comes the whole file or the old one, never half of it. Plans and reports are
//! maps for thieves: what is not meant for other programs is written 0600.

use crate::trouble::Trouble;
use std::{
    fs::{self, Permissions},
    io::Write,
    os::unix::fs::PermissionsExt,
    path::Path,
};

/// Owner only.
const PRIVATE: u32 = 0o600;

/// Writes for the owner alone.
pub fn private(path: &Path, bytes: &[u8]) -> Result<(), Trouble> {
    replace(path, bytes, PRIVATE)
}

/// Writes with the mode the file has already; owner only where it is new.
pub fn keep_mode(path: &Path, bytes: &[u8]) -> Result<(), Trouble> {
    let mode = fs::metadata(path).map_or(PRIVATE, |m| m.permissions().mode() & 0o7777);
    replace(path, bytes, mode)
}

fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Trouble> {
    let directory = match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p,
        _ => Path::new("."),
    };
    let failed = |e| Trouble::io(path, e);
    let mut file = tempfile::Builder::new().permissions(Permissions::from_mode(PRIVATE)).tempfile_in(directory).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.as_file().set_permissions(Permissions::from_mode(mode)).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|e| Trouble::io(path, e.error))?;
    Ok(())
}

/// Writes a new file that everybody may read: what stands in it is public. Never over another file.
pub fn new_public(path: &Path, bytes: &[u8]) -> Result<(), Trouble> {
    let made = fs::OpenOptions::new().write(true).create_new(true).open(path);
    let mut file = made.map_err(|e| match e.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Trouble::usage(format!("{} is there already", path.display()), "it is not overwritten: choose another name, or move it away")
        }
        _ => Trouble::io(path, e),
    })?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(|e| Trouble::io(path, e))
}
