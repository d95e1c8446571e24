//! Files of our own under `/etc`. In come a bundle's files and those of the one before, out come what was there, what differs and
//! whom to tell. What is there and does not begin with our mark is somebody else's: the change is refused, the file left alone.
//! Never: follows a link, leaves half a file, writes outside the places a bundle may have.

use crate::{Error, daemons, systemctl};
use bundle::{After, Bundle, Draft, OwnFile, Place, file::MARK};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use sys::beneath::{Directory, Found, split};

/// Mode of a directory we make for our files: systemd's own.
const DIRECTORY: u32 = 0o755;

/// Largest file that is kept: ours are bounded by the bundle.
const MOST: u64 = bundle::file::MAX_FILE as u64 + 1;

/// A file's place before a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Absolute path.
    pub path: String,
    /// What was there; `None` where nothing was.
    pub was: Option<Was>,
    /// Its directory was there.
    pub directory: bool,
}

/// A file that was there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Was {
    content: Content,
    mode: u32,
    uid: u32,
    gid: u32,
}

/// Text as text, so that people can read a snapshot; other bytes as they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Bytes(Vec<u8>),
}

impl From<Found> for Was {
    fn from(f: Found) -> Self {
        let content = String::from_utf8(f.content).map_or_else(|e| Content::Bytes(e.into_bytes()), Content::Text);
        Self { content, mode: f.mode, uid: f.uid, gid: f.gid }
    }
}

impl From<&Was> for Found {
    fn from(w: &Was) -> Self {
        let content = match &w.content {
            Content::Text(text) => text.clone().into_bytes(),
            Content::Bytes(bytes) => bytes.clone(),
        };
        Self { content, mode: w.mode, uid: w.uid, gid: w.gid }
    }
}

/// What a file of a bundle is on disk.
fn meant(file: &OwnFile) -> Found {
    Found { content: file.content.clone().into_bytes(), mode: file.mode, uid: 0, gid: 0 }
}

fn is_ours(found: &Found) -> bool {
    found.content.starts_with(MARK.as_bytes())
}

fn at(path: &str) -> Result<Option<Found>, Error> {
    let (directory, name) = split(path)?;
    Ok(match Directory::open(directory)? {
        Some(d) => d.read(name, MOST)?,
        None => None,
    })
}

/// What is there now in every place that this change writes or clears. Refuses places where somebody else's file is.
pub fn look(draft: &Draft, before: Option<&Bundle>) -> Result<Vec<Kept>, Error> {
    let mut out = Vec::new();
    for path in touched(draft, before) {
        let found = at(path)?;
        let written = draft.files().any(|f| f.path == path);
        if written && found.as_ref().is_some_and(|f| !is_ours(f)) {
            return Err(Error::Foreign { path: path.to_owned() });
        }
        let directory = Directory::open(split(path)?.0)?.is_some();
        out.push(Kept { path: path.to_owned(), was: found.map(Was::from), directory });
    }
    Ok(out)
}

/// The same for files that are put in place by themselves, outside of a generation.
pub fn look_at(files: &[OwnFile]) -> Result<Vec<Kept>, Error> {
    let mut out = Vec::new();
    for file in files {
        let found = at(&file.path)?;
        if found.as_ref().is_some_and(|f| !is_ours(f)) {
            return Err(Error::Foreign { path: file.path.clone() });
        }
        let directory = Directory::open(split(&file.path)?.0)?.is_some();
        out.push(Kept { path: file.path.clone(), was: found.map(Was::from), directory });
    }
    Ok(out)
}

/// Puts such files in place.
pub fn write_all(files: &[OwnFile]) -> Result<(), Error> {
    bundle::file::check(files).map_err(bundle::ReadError::File)?;
    files.iter().try_for_each(|f| write(&f.path, &meant(f)))
}

/// Places of this change and those of the generation before that it no longer has.
fn touched<'a>(draft: &'a Draft, before: Option<&'a Bundle>) -> BTreeSet<&'a str> {
    let old = before.into_iter().flat_map(|b| b.draft().files());
    draft.files().chain(old).map(|f| f.path.as_str()).collect()
}

/// Puts the bundle's files in place and clears those that only the generation before had. Out comes who must be told.
pub fn put(draft: &Draft, kept: &[Kept]) -> Result<BTreeSet<After>, Error> {
    let wanted: BTreeMap<&str, &OwnFile> = draft.files().map(|f| (f.path.as_str(), f)).collect();
    let mut told = BTreeSet::new();
    for k in kept {
        let is = k.was.as_ref().map(Found::from);
        let after = Place::of(&k.path).map(|p| p.after()).map_err(bundle::ReadError::File)?;
        match wanted.get(k.path.as_str()) {
            Some(file) if is.as_ref() != Some(&meant(file)) => write(&k.path, &meant(file))?,
            // What lost our mark is somebody's by now.
            None if is.as_ref().is_some_and(is_ours) => remove(&k.path, after)?,
            _ => continue,
        }
        told.insert(after);
    }
    Ok(told)
}

fn write(path: &str, file: &Found) -> Result<(), Error> {
    let (directory, name) = split(path)?;
    let (own, made) = Directory::make(directory, DIRECTORY)?;
    own.replace(name, file)?;
    label(if made { directory } else { path });
    Ok(())
}

/// Gives a file the SELinux label of its place. A file made by a unit of systemd gets a label of run time otherwise, which
/// systemd-sysusers may not read. Where it cannot be done the tools say so themselves.
fn label(path: &str) {
    if std::path::Path::new("/sys/fs/selinux/enforce").exists() {
        let _ = observe::run::output("restorecon", &["-R", "-F", path]);
    }
}

/// Removes a file, and the drop-in directory it leaves empty.
fn remove(path: &str, after: After) -> Result<(), Error> {
    let (directory, name) = split(path)?;
    if let Some(d) = Directory::open(directory)? {
        d.remove(name)?;
    }
    if after.is_unit() && directory.ends_with(".d") {
        remove_directory(directory)?;
    }
    Ok(())
}

fn remove_directory(directory: &str) -> Result<(), Error> {
    let (above, name) = split(directory)?;
    if let Some(above) = Directory::open(above)? {
        above.remove_empty(name)?;
    }
    Ok(())
}

/// Puts everything back as it was. Out comes who must be told.
pub fn put_back(kept: &[Kept]) -> Result<BTreeSet<After>, Error> {
    let mut told = BTreeSet::new();
    for k in kept {
        let after = Place::of(&k.path).map(|p| p.after()).map_err(bundle::ReadError::File)?;
        // A link or a directory in our place was put there meanwhile; it is not ours to remove.
        let is = at(&k.path)?;
        match (&k.was, is) {
            (None, None) => {}
            (Some(was), is) if is.as_ref() == Some(&was.into()) => {}
            (Some(was), _) => {
                write(&k.path, &was.into())?;
                told.insert(after);
            }
            (None, Some(_)) => {
                let (directory, name) = split(&k.path)?;
                if let Some(d) = Directory::open(directory)? {
                    d.remove(name)?;
                }
                told.insert(after);
            }
        }
        if !k.directory {
            let removed = remove_directory(split(&k.path)?.0);
            // A directory of the system that was made and stays empty says nothing; the boot unit may not remove it.
            if after.is_unit() {
                removed?;
            }
        }
    }
    Ok(told)
}

/// The files of one bundle in place of those of another: what is left where the snapshot cannot be read.
pub fn instead(confirmed: Option<&Bundle>, failed: &Bundle) -> Result<BTreeSet<After>, Error> {
    let mut told = BTreeSet::new();
    let stays = |path: &str| confirmed.is_some_and(|c| c.draft().files().any(|f| f.path == path));
    for file in failed.draft().files().filter(|f| !stays(&f.path)) {
        let after = Place::of(&file.path).map(|p| p.after()).map_err(bundle::ReadError::File)?;
        if at(&file.path)?.is_some_and(|f| is_ours(&f)) {
            remove(&file.path, after)?;
            told.insert(after);
        }
    }
    for file in confirmed.into_iter().flat_map(|c| c.draft().files()) {
        if at(&file.path)?.as_ref() != Some(&meant(file)) {
            write(&file.path, &meant(file))?;
            told.insert(Place::of(&file.path).map(|p| p.after()).map_err(bundle::ReadError::File)?);
        }
    }
    Ok(told)
}

/// Tells systemd's tools, accounts first: directories are made for them. Out come notes.
pub fn tell(who: &BTreeSet<After>) -> Result<Vec<String>, Error> {
    let mut notes = Vec::new();
    for after in who {
        match after {
            After::Sysusers if at(bundle::file::ACCOUNTS)?.is_some() => {
                observe::run::output("systemd-sysusers", &[bundle::file::ACCOUNTS])?;
            }
            // It complains about single paths and does the rest: a reason to look, none to take a change back.
            After::Tmpfiles if at(bundle::file::DIRECTORIES)?.is_some() => {
                let told = observe::run::output("systemd-tmpfiles", &["--create", bundle::file::DIRECTORIES]);
                notes.extend(told.err().map(|e| e.to_string()));
            }
            After::Sysusers | After::Tmpfiles => {}
            After::Reload => notes.extend(reload()?),
            // The unit says it as well.
            After::Pair(daemon) if who.contains(&After::PairUnit(*daemon)) => {}
            After::Pair(daemon) => notes.extend(daemons::follow(*daemon, false)?),
            After::PairUnit(daemon) => notes.extend(daemons::follow(*daemon, true)?),
        }
    }
    Ok(notes)
}

/// Whether a file is there.
pub fn is_there(path: &str) -> Result<bool, Error> {
    at(path).map(|found| found.is_some())
}

/// Makes systemd read its units again, where it runs this machine and not another one around us. What runs goes on as it is.
pub fn reload() -> Result<Option<String>, Error> {
    if !systemctl::listens() {
        return Ok(Some("systemd does not run here: units count from its next start".into()));
    }
    systemctl::call(&["daemon-reload"])?;
    Ok(None)
}

/// Files that are not as meant, in words.
pub fn differences<'a>(files: impl IntoIterator<Item = &'a OwnFile>) -> Vec<String> {
    let one = |file: &OwnFile| match at(&file.path) {
        Err(e) => Some(format!("{}: {}", file.path, e.chain())),
        Ok(None) => Some(format!("{} is not there", file.path)),
        Ok(Some(is)) if is.content != file.content.as_bytes() => {
            let place = line(&is.content, file.content.as_bytes());
            Some(format!("{} differs from what was meant, from line {place} on", file.path))
        }
        Ok(Some(is)) if (is.mode, is.uid, is.gid) != (file.mode, 0, 0) => {
            Some(format!("{} has mode {:04o} and owner {}:{}, should have {:04o} and root", file.path, is.mode, is.uid, is.gid, file.mode))
        }
        Ok(Some(_)) => None,
    };
    files.into_iter().filter_map(one).collect()
}

/// The first line that differs, from 1.
fn line(a: &[u8], b: &[u8]) -> usize {
    let lines = |t: &[u8]| t.split(|c| *c == b'\n').map(<[u8]>::to_vec).collect::<Vec<_>>();
    let (a, b) = (lines(a), lines(b));
    a.iter().zip(&b).take_while(|(a, b)| a == b).count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_keeps_text_readable_and_other_bytes_whole() {
        for content in [b"# Written by ravelin\n".to_vec(), vec![0xff, 0, 10]] {
            let found = Found { content, mode: 0o640, uid: 1, gid: 2 };
            let was = Was::from(found.clone());
            let text = serde_json::to_string(&was).expect("writes");
            let read: Was = serde_json::from_str(&text).expect("reads");
            assert_eq!(Found::from(&read), found, "{text}");
        }
    }

    #[test]
    fn the_first_line_that_differs_is_named() {
        assert_eq!(line(b"a\nb\nc\n", b"a\nx\nc\n"), 2);
        assert_eq!(line(b"a\n", b"a\nb\n"), 2);
    }
}
