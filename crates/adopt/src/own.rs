//! Owners of a service's files: looked over, changed, given back. In come roots and owners, out come counts. What is changed is in the
//! journal before; an inode is known by device and number, through a file that was opened without following anything. Never: changes
//! an inode that was replaced, or one whose other name lies outside.

use crate::{
    Error,
    judge::{Kind, Owners, Seen, Verdict, judge},
    record::{Inode, Journal, Line, bytes, text},
    tree::{self, Item},
};
use rustix::{
    fs::{AtFlags, FileType, Gid, Mode, Uid, XattrFlags},
    io::Errno,
};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    os::{fd::AsRawFd, unix::ffi::OsStrExt},
    path::Path,
};

/// Inodes recorded with one flush, each with an open file.
const BATCH: usize = 256;
/// Most inodes with several names that are kept count of: chain stores have none, snapshots of repositories some thousands.
const MOST_LINKS: usize = 1_000_000;
/// Reasons that are told; the first ones say enough.
const TOLD: usize = 20;
/// Longest attribute: an access list of some hundred entries.
const MOST_XATTR: usize = 4096;
/// What is kept beside owner and mode.
const LISTS: [&str; 3] = ["system.posix_acl_access", "system.posix_acl_default", "security.capability"];
/// `NFS_SUPER_MAGIC` of statfs(2).
const NFS: i64 = 0x6969;

/// What a survey found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Survey {
    /// Inodes below the roots.
    pub inodes: u64,
    /// Those whose owner would change.
    pub change: u64,
    /// Those that are the new account's already.
    pub already: u64,
    /// Those of third accounts, which stay theirs.
    pub others: u64,
    /// Files that lose set-id bits or capabilities.
    pub bits: u64,
    /// How the repository gets to another place, where it does.
    pub way: Option<crate::relocate::Way>,
    #[serde(skip)]
    links: BTreeSet<(u64, u64)>,
}

pub(crate) fn kind(item: &Item) -> Kind {
    match FileType::from_raw_mode(item.stat.st_mode) {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Directory,
        FileType::Symlink => Kind::Link,
        FileType::CharacterDevice | FileType::BlockDevice => Kind::Device,
        _ => Kind::Other,
    }
}

pub(crate) fn id(item: &Item) -> (u64, u64) {
    (item.stat.st_dev, item.stat.st_ino)
}

fn seen(item: &Item, inside: bool) -> Seen {
    Seen { kind: kind(item), owner: (item.stat.st_uid, item.stat.st_gid), names: item.stat.st_nlink, inside }
}

/// Looks at every inode and changes nothing. Refuses what may not be moved, all of it in one answer.
pub fn survey(roots: &[String], owners: Owners) -> Result<Survey, Error> {
    let mut out = Survey::default();
    let mut reasons: Vec<String> = Vec::new();
    let mut links: BTreeMap<(u64, u64), (u64, u64, Vec<u8>)> = BTreeMap::new();
    for root in roots {
        if let Some(top) = tree::open(root.as_bytes())? {
            probe(&top)?;
        }
        tree::walk(root, &mut |item| {
            let owner = item.stat.st_uid;
            let names = item.stat.st_nlink;
            let several = kind(&item) != Kind::Directory && names > 1;
            if several && links.len() < MOST_LINKS {
                let link = links.entry(id(&item)).or_insert((names, 0, item.path.clone()));
                link.1 += 1;
                // Under its second name it is the same inode.
                if link.1 > 1 {
                    return Ok(());
                }
            }
            out.inodes += 1;
            out.already += u64::from(owner == owners.to.0);
            out.others += u64::from(owner != owners.to.0 && owner != owners.from.0);
            match judge(seen(&item, several), owners) {
                Verdict::Refuse(why) => reasons.push(format!("{}: {why}", text(&item.path))),
                Verdict::Give(..) => {
                    out.change += 1;
                    out.bits += u64::from(kind(&item) == Kind::File && item.stat.st_mode & 0o6000 != 0);
                }
                Verdict::Leave => {}
            }
            if kind(&item) == Kind::Link
                && let Some(to) = leads_out(&item.path, roots)
            {
                reasons.push(format!("{} leads to {to}, which is no declared store: add it to `stores`", text(&item.path)));
            }
            Ok(())
        })?;
    }
    for (which, (names, found, path)) in links {
        if names == found {
            out.links.insert(which);
        } else {
            reasons.push(format!("{}: {} of its {names} names are outside of the stores (hard links)", text(&path), names - found));
        }
    }
    if reasons.is_empty() {
        return Ok(out);
    }
    let more = reasons.len().saturating_sub(TOLD);
    reasons.truncate(TOLD);
    if more > 0 {
        reasons.push(format!("and {more} more"));
    }
    Err(Error::Refused(reasons))
}

/// Where a link to a directory leads, if that is in none of the roots.
fn leads_out(path: &[u8], roots: &[String]) -> Option<String> {
    let target = std::fs::canonicalize(OsStr::from_bytes(path)).ok().filter(|t| t.is_dir())?;
    (!roots.iter().any(|r| target.starts_with(r))).then(|| text(target.as_os_str().as_bytes()))
}

/// Whether owners can be changed here at all: a directory is given to whom it belongs already.
fn probe(top: &Item) -> Result<(), Error> {
    give(top, top.stat.st_uid, top.stat.st_gid)
}

fn give(item: &Item, uid: u32, gid: u32) -> Result<(), Error> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::SYMLINK_NOFOLLOW;
    rustix::fs::chownat(&item.fd, c"", Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)), flags).map_err(|e| {
        let magic = rustix::fs::fstatfs(&item.fd).map_or(0, |s| s.f_type);
        refusal(e, magic, &text(&item.path))
    })
}

/// What a refused change of owner means on such a file system.
fn refusal(e: Errno, magic: i64, path: &str) -> Error {
    match e {
        Errno::PERM | Errno::ACCESS if magic == NFS => Error::Squashed { path: path.to_owned() },
        e => sys::Error::call(format!("change the owner of {path}"), e).into(),
    }
}

/// Changes owners. `progress` is told how many inodes are done.
pub fn change(roots: &[String], owners: Owners, survey: &Survey, journal: &Journal, progress: &mut dyn FnMut(u64)) -> Result<u64, Error> {
    let mut done = 0;
    let mut batch: Vec<(Item, u32, u32)> = Vec::new();
    for root in roots {
        tree::walk(root, &mut |item| {
            let inside = survey.links.contains(&id(&item));
            match judge(seen(&item, inside), owners) {
                Verdict::Leave => {}
                Verdict::Refuse(why) => return Err(Error::Refused(vec![format!("{}: {why}", text(&item.path))])),
                Verdict::Give(uid, gid) => batch.push((item, uid, gid)),
            }
            if batch.len() >= BATCH {
                done += flush(&mut batch, journal)?;
                progress(done);
            }
            Ok(())
        })?;
    }
    done += flush(&mut batch, journal)?;
    progress(done);
    Ok(done)
}

fn flush(batch: &mut Vec<(Item, u32, u32)>, journal: &Journal) -> Result<u64, Error> {
    if batch.is_empty() {
        return Ok(0);
    }
    let lines: Vec<Line> = batch.iter().map(|(item, ..)| Line::Inode(recorded(item))).collect();
    journal.add(&lines)?;
    for (item, uid, gid) in batch.iter() {
        give(item, *uid, *gid)?;
    }
    let count = batch.len();
    batch.clear();
    Ok(u64::try_from(count).unwrap_or(0))
}

fn recorded(item: &Item) -> Inode {
    let link = kind(item) == Kind::Link;
    Inode {
        path: text(&item.path),
        id: id(item),
        owner: (item.stat.st_uid, item.stat.st_gid),
        mode: item.stat.st_mode & 0o7777,
        link,
        lists: if link { Default::default() } else { LISTS.map(|name| list(item, name)) },
    }
}

/// A path descriptor's own name: that inode and no other.
fn own_name(item: &Item) -> String {
    format!("/proc/self/fd/{}", item.fd.as_raw_fd())
}

fn list(item: &Item, name: &str) -> Option<Vec<u8>> {
    let mut buffer = vec![0; MOST_XATTR];
    let length = rustix::fs::getxattr(own_name(item), name, &mut buffer[..]).ok()?;
    buffer.truncate(length);
    Some(buffer)
}

/// What a way back did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Returned {
    /// Inodes as before.
    pub inodes: u64,
    /// Those that are gone, or were replaced by another one, by path.
    pub missed: Vec<String>,
}

/// Gives everything back as the journal has it, the last change first.
pub fn give_back(journal: &Journal) -> Result<Returned, Error> {
    let mut out = Returned::default();
    journal.backwards(|was| {
        let there = bytes(&was.path).map(|p| tree::open(&p)).transpose();
        match there {
            Ok(Some(Some(item))) if id(&item) == was.id => {
                restore(&item, &was)?;
                out.inodes += 1;
            }
            Ok(_) | Err(Error::Refused(_)) if out.missed.len() < TOLD => out.missed.push(was.path),
            Ok(_) | Err(Error::Refused(_)) => {}
            Err(e) => return Err(e),
        }
        Ok(())
    })?;
    Ok(out)
}

fn restore(item: &Item, was: &Inode) -> Result<(), Error> {
    let failed = |e: Errno| sys::Error::call(format!("give {} back", was.path), e);
    if (item.stat.st_uid, item.stat.st_gid) != was.owner {
        give(item, was.owner.0, was.owner.1)?;
    }
    if was.link {
        return Ok(());
    }
    let now = rustix::fs::fstat(&item.fd).map_err(failed)?.st_mode & 0o7777;
    if now != was.mode {
        rustix::fs::chmod(own_name(item), Mode::from_raw_mode(was.mode)).map_err(failed)?;
    }
    for (name, old) in LISTS.into_iter().zip(&was.lists) {
        match (old, list(item, name)) {
            (Some(old), is) if is.as_ref() != Some(old) => {
                rustix::fs::setxattr(own_name(item), name, old, XattrFlags::empty()).map_err(failed)?;
            }
            (None, Some(_)) => rustix::fs::removexattr(own_name(item), name).map_err(failed)?,
            _ => {}
        }
    }
    Ok(())
}

/// Directories on the way to the roots through which this account cannot go.
pub fn closed(roots: &[String], account: Option<(u32, u32)>) -> Result<Vec<String>, Error> {
    let mut out = BTreeSet::new();
    for root in roots {
        for above in Path::new(root).ancestors().skip(1) {
            let Ok(stat) = rustix::fs::stat(above) else { continue };
            // One that moves along is the account's afterwards.
            if roots.iter().any(|r| above.starts_with(r)) {
                continue;
            }
            let bit = match account {
                Some((uid, _)) if uid == stat.st_uid => 0o100,
                Some((_, gid)) if gid == stat.st_gid => 0o010,
                _ => 0o001,
            };
            if stat.st_mode & bit == 0 {
                out.insert(format!("{} ({:04o}): the account cannot go through it to {root}", above.display(), stat.st_mode & 0o7777));
            }
        }
    }
    Ok(out.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_squashed_root_is_told_from_other_refusals() {
        assert!(matches!(refusal(Errno::PERM, NFS, "/mnt"), Error::Squashed { .. }));
        assert!(matches!(refusal(Errno::PERM, 0xef53, "/mnt"), Error::Kernel(_)));
        assert!(matches!(refusal(Errno::IO, NFS, "/mnt"), Error::Kernel(_)));
    }
}
