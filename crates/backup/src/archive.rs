//! Archives and directories as what they would bring back: names of files and digests of their content. In comes a stream or a
//! path, out come names with digests. Nothing is written; links are named and not followed.

use crate::Error;
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    fs,
    io::Read,
    path::{Path, PathBuf},
};

/// Most files of one archive: a keystore has tens, a repository with its keystore some thousands.
const MOST_FILES: usize = 1_000_000;
/// Largest file whose content is digested whole; keys are small, and larger ones are counted by name.
const LARGEST: u64 = 1 << 20;

/// Files by path, each with the digest of its content, where it is small.
pub type Files = BTreeMap<PathBuf, Option<[u8; 32]>>;

/// Reads a tar to its end.
pub fn tar(from: impl Read) -> Result<Files, Error> {
    let mut out = Files::new();
    let mut archive = tar::Archive::new(from);
    for entry in archive.entries()? {
        let mut entry = entry.map_err(|e| Error::Broken(format!("the archive does not read: {e}")))?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let path = entry.path().map_err(|e| Error::Broken(format!("the archive does not read: {e}")))?.into_owned();
        let size = entry.size();
        let digest = digest(&mut entry, size).map_err(|e| Error::Broken(format!("the archive does not read: {e}")))?;
        out.insert(path, digest);
        if out.len() > MOST_FILES {
            return Err(Error::Broken(format!("more than {MOST_FILES} files")));
        }
    }
    // What follows the end of the archive is read, so that whoever unpacks it can say whether the rest is whole.
    std::io::copy(&mut archive.into_inner(), &mut std::io::sink())?;
    Ok(out)
}

/// The files below a directory.
pub fn directory(path: &Path) -> Result<Files, Error> {
    let mut out = Files::new();
    let mut left = vec![path.to_owned()];
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                left.push(entry.path());
            } else if kind.is_file() {
                let size = entry.metadata()?.len();
                let name = entry.path().strip_prefix(path).map_or_else(|_| entry.path(), Path::to_owned);
                let digest = digest(&mut fs::File::open(entry.path())?, size)?;
                out.insert(name, digest);
            }
            if out.len() > MOST_FILES {
                return Err(Error::Broken(format!("more than {MOST_FILES} files")));
            }
        }
    }
    Ok(out)
}

/// The digest of a small file.
pub fn digest(from: &mut impl Read, size: u64) -> std::io::Result<Option<[u8; 32]>> {
    if size > LARGEST {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    from.take(LARGEST + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= LARGEST).then(|| Sha256::digest(&bytes).into()))
}
