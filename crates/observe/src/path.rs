//! Paths as they stand, with every directory above them and every link on the way. In come paths, out come modes, owners,
//! access lists, capabilities. Links are looked at and their targets walked on their own, each step bounded; content is
//! never read. Never: decides which paths matter.

use crate::Root;
use facts::{AclEntry, AclName, Failure, FileKind, PathFact, PathState, Source};
use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Component, Path, PathBuf},
};

/// Most links one path may lead over: the kernel's own limit.
const MOST_LINKS: u32 = 40;
/// Most paths that are looked at: ten times a well-filled machine.
const MOST_PATHS: usize = 200_000;
/// Most entries of one directory that a pattern takes.
const MOST_ENTRIES: usize = 20_000;

/// Looks at paths; one that ends in `/*` is every entry of a directory. Sorted by path, each once.
pub fn look(wanted: &[String], failed: &mut Vec<Failure>) -> Vec<PathFact> {
    look_in(&Root::machine(), wanted, failed)
}

/// The same below a root.
pub fn look_in(root: &Root, wanted: &[String], failed: &mut Vec<Failure>) -> Vec<PathFact> {
    let mut seen: BTreeMap<PathBuf, PathFact> = BTreeMap::new();
    for path in wanted {
        match path.strip_suffix("/*") {
            None => walk(root, Path::new(path), MOST_LINKS, &mut seen),
            Some(directory) => {
                walk(root, Path::new(directory), MOST_LINKS, &mut seen);
                let entries = match fs::read_dir(root.followed(directory)) {
                    Ok(entries) => Some(entries),
                    Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => {
                        failed.push(Failure { source: Source::Paths, reason: format!("list {directory}: {e}") });
                        None
                    }
                    Err(_) => None,
                };
                let mut names: Vec<PathBuf> =
                    entries.into_iter().flatten().flatten().take(MOST_ENTRIES).map(|e| Path::new(directory).join(e.file_name())).collect();
                names.sort();
                for name in names {
                    if name.to_str().is_none() {
                        failed.push(Failure { source: Source::Paths, reason: format!("{}: a name that is no UTF-8", name.display()) });
                        continue;
                    }
                    walk(root, &name, MOST_LINKS, &mut seen);
                }
            }
        }
        if seen.len() > MOST_PATHS {
            failed.push(Failure { source: Source::Paths, reason: format!("more than {MOST_PATHS} paths: the rest was not looked at") });
            break;
        }
    }
    seen.into_values().collect()
}

fn walk(root: &Root, path: &Path, links: u32, seen: &mut BTreeMap<PathBuf, PathFact>) {
    let mut current = PathBuf::from("/");
    let mut rest: Vec<&OsStr> = path
        .components()
        .rev()
        .filter_map(|c| match c {
            Component::Normal(name) => Some(name),
            Component::ParentDir => Some(OsStr::new("..")),
            _ => None,
        })
        .collect();
    seen.entry(current.clone()).or_insert_with(|| one(root, Path::new("/")));
    while let Some(name) = rest.pop() {
        if name == ".." {
            current.pop();
            continue;
        }
        let parent = current.clone();
        current.push(name);
        let fact = seen.entry(current.clone()).or_insert_with(|| one(root, &current));
        if fact.state != PathState::Seen {
            return;
        }
        if let Some(target) = fact.target.clone() {
            if links > 0 {
                let mut next = parent.join(target);
                next.extend(rest.iter().rev());
                walk(root, &next, links - 1, seen);
            }
            return;
        }
    }
}

/// One path, its link not followed.
pub(crate) fn one(root: &Root, path: &Path) -> PathFact {
    let mut fact = PathFact { path: path.display().to_string(), ..PathFact::default() };
    let path = &root.at(path);
    let m = match fs::symlink_metadata(path) {
        Ok(m) => m,
        Err(e) => {
            let missing = matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory);
            fact.state = if missing { PathState::Missing } else { PathState::Unread };
            return fact;
        }
    };
    let kind = m.file_type();
    fact.kind = match kind {
        t if t.is_file() => FileKind::File,
        t if t.is_dir() => FileKind::Directory,
        t if t.is_symlink() => FileKind::Symlink,
        t if t.is_socket() => FileKind::Socket,
        _ => FileKind::Other,
    };
    (fact.mode, fact.uid, fact.gid) = (m.mode() & 0o7777, m.uid(), m.gid());
    if kind.is_symlink() {
        fact.target = fs::read_link(path).ok().map(|t| t.display().to_string());
        return fact;
    }
    fact.acl = sys::xattr::access_list(path).into_iter().filter_map(entry).collect();
    if kind.is_file() && fact.mode & 0o111 != 0 {
        fact.capabilities = sys::xattr::capabilities(path);
    }
    fact
}

fn entry((tag, bits, id): (u16, u16, u32)) -> Option<AclEntry> {
    let name = match tag {
        0x01 => AclName::Owner,
        0x02 => AclName::User(id),
        0x04 => AclName::OwnGroup,
        0x08 => AclName::Group(id),
        0x10 => AclName::Mask,
        0x20 => AclName::Other,
        _ => return None,
    };
    Some(AclEntry { name, bits: u8::try_from(bits & 7).unwrap_or(0) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_are_walked_and_a_ring_of_them_ends() {
        let dir = std::env::temp_dir().join(format!("ravelin-paths-{}", std::process::id()));
        fs::create_dir_all(dir.join("real")).expect("makes");
        fs::write(dir.join("real/tool"), "").expect("writes");
        symlink("real", dir.join("link")).expect("links");
        symlink("ring", dir.join("ring")).expect("links");
        let at = |end: &str| format!("{}/{end}", dir.display());
        let mut failed = Vec::new();
        let found = look(&[at("link/tool"), at("ring/x"), at("none"), at("real/*")], &mut failed);
        fs::remove_dir_all(&dir).expect("removes");
        let state = |end: &str| found.iter().find(|f| f.path == at(end)).map(|f| f.state);
        assert_eq!(state("real/tool"), Some(PathState::Seen));
        assert_eq!(state("none"), Some(PathState::Missing));
        assert_eq!(found.iter().find(|f| f.path == at("link")).and_then(|f| f.target.as_deref()), Some("real"));
        assert!(found.iter().any(|f| f.path == "/") && failed.is_empty());
    }
}
