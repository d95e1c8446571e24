//! Disks of machines: overlays over the cached image, each in a directory that its owner holds. In comes an image, out comes a
//! disk; what owners left that were killed is swept. Never: touches a disk whose owner lives.

use crate::{Image, VmError};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

/// How directories of disks begin.
const PREFIX: &str = "run-";
/// Held by whoever makes a disk or sweeps.
const TURN: &str = "disks.lock";
/// Held as long as a disk has an owner; the kernel lets go of it when the owner dies.
const HELD: &str = "held";

/// A disk of its own over the cached image, which stays as it is. Several boots may use it, one after the other.
#[derive(Debug)]
pub struct Disk {
    directory: TempDir,
    path: PathBuf,
    _held: File,
}

impl Disk {
    /// A new one, as the image is.
    pub fn new(image: &Image) -> Result<Self, VmError> {
        let turn = image.directory().join(TURN);
        let taken = File::create(&turn).map_err(VmError::file(&turn))?;
        taken.lock().map_err(VmError::file(&turn))?;
        sweep(image.directory());
        let directory = tempfile::Builder::new().prefix(PREFIX).tempdir_in(image.directory()).map_err(VmError::file(image.directory()))?;
        let own = directory.path().join(HELD);
        let held = File::create(&own).map_err(VmError::file(&own))?;
        held.lock().map_err(VmError::file(&own))?;
        drop(taken);
        let path = directory.path().join("disk.qcow2");
        overlay(image, &path)?;
        Ok(Self { directory, path, _held: held })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }
}

/// Makes a disk over the cached image.
pub(crate) fn overlay(image: &Image, path: &Path) -> Result<(), VmError> {
    let mut command = Command::new("qemu-img");
    command.args(["create", "-q", "-f", "qcow2", "-F", "raw", "-b"]).arg(image.disk()).arg(path);
    crate::image::finished("qemu-img", &mut command)
}

/// Removes directories whose owners are gone. What cannot be removed is the next one's.
fn sweep(image: &Path) {
    for entry in fs::read_dir(image).into_iter().flatten().flatten() {
        let directory = entry.path();
        let ours = entry.file_name().to_string_lossy().starts_with(PREFIX) && directory.is_dir();
        // One without the file is from before it was made.
        let held = File::open(directory.join(HELD)).is_ok_and(|f| f.try_lock().is_err());
        if ours && !held {
            let _ = fs::remove_dir_all(&directory);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_dead_owners_left_is_swept_and_nothing_else() {
        let image = tempfile::tempdir().expect("a directory");
        let make = |name: &str| {
            let dir = image.path().join(name);
            fs::create_dir(&dir).expect("made");
            fs::write(dir.join("disk.qcow2"), "x").expect("written");
            dir
        };
        let (lives, dead, old, other) = (make("run-lives"), make("run-dead"), make("run-old"), make("other"));
        let held = File::create(lives.join(HELD)).expect("made");
        held.lock().expect("held");
        File::create(dead.join(HELD)).expect("made");
        sweep(image.path());
        assert_eq!([&lives, &dead, &old, &other].map(|d| d.exists()), [true, false, false, true]);
        drop(held);
        sweep(image.path());
        assert!(!lives.exists());
    }
}
