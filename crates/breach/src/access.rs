//! Who may do what with a path, as the kernel decides it: owner, then access list or group, then others; search permission on
//! every directory above; sticky directories; links. In come looked-at paths and an identity, out come answers with the
//! place that gives them. Exact over what was looked at; what was not is unknown. Read-only mounts and the immutable flag
//! are not counted.

use facts::{AclName, FileKind, PathFact, PathState};
use std::collections::{BTreeMap, BTreeSet};

/// An identity.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// User id.
    pub uid: u32,
    /// Groups.
    pub gids: BTreeSet<u32>,
}

/// A way to change what a path gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The file or directory that gives it.
    pub at: String,
    /// How, with mode and owner.
    pub how: String,
    /// Certain.
    pub certain: bool,
}

/// Most links one path may lead over, the kernel's own limit.
const MOST_LINKS: u32 = 40;

/// Looked-at paths.
#[derive(Debug, Default)]
pub struct Paths<'a> {
    by_path: BTreeMap<&'a str, &'a PathFact>,
}

/// A path taken apart: directories in which a name was looked up, and where it ends.
#[derive(Debug, Default)]
struct Walk<'a> {
    steps: Vec<(&'a PathFact, Option<&'a PathFact>)>,
    end: Option<&'a PathFact>,
    /// Something on the way was not looked at.
    dark: bool,
    /// Something on the way could not be looked at.
    closed: bool,
}

impl<'a> Paths<'a> {
    /// Of facts.
    pub fn new(all: &'a [PathFact]) -> Self {
        Self { by_path: all.iter().map(|f| (f.path.as_str(), f)).collect() }
    }
    /// The path as it was looked at.
    pub fn get(&self, path: &str) -> Option<&'a PathFact> {
        self.by_path.get(path).copied()
    }
    /// Looked-at entries of a directory.
    pub fn entries<'s>(&'s self, directory: &str) -> impl Iterator<Item = &'a PathFact> + use<'s, 'a> {
        let begin = format!("{}/", directory.trim_end_matches('/'));
        let all = self.by_path.values().copied();
        all.filter(move |f| f.state == PathState::Seen && f.path.strip_prefix(&begin).is_some_and(|n| !n.is_empty() && !n.contains('/')))
    }
    /// Where a path ends, links followed, and what it is.
    pub fn end(&self, path: &str) -> Option<&'a PathFact> {
        self.walk(path).end.filter(|e| e.state == PathState::Seen)
    }

    /// Whether everything a path leads over was asked for; else nothing can be said about it.
    pub fn asked(&self, path: &str) -> bool {
        let walk = self.walk(path);
        !walk.dark || walk.closed
    }

    fn walk(&self, path: &str) -> Walk<'a> {
        let mut out = Walk::default();
        let mut links = 0;
        let mut rest: Vec<String> = path.split('/').rev().filter(|p| !p.is_empty() && *p != ".").map(str::to_owned).collect();
        let Some(mut current) = self.get("/") else {
            out.dark = true;
            return out;
        };
        while let Some(name) = rest.pop() {
            if name == ".." {
                let parent = current.path.rsplit_once('/').map_or("/", |(p, _)| if p.is_empty() { "/" } else { p });
                match self.get(parent) {
                    Some(p) => current = p,
                    None => return Walk { dark: true, ..out },
                }
                continue;
            }
            let child = format!("{}/{name}", current.path.trim_end_matches('/'));
            let found = self.get(&child);
            let seen = found.filter(|f| f.state == PathState::Seen);
            out.steps.push((current, seen));
            match found {
                None => return Walk { dark: true, ..out },
                Some(f) if f.state == PathState::Unread => return Walk { dark: true, closed: true, ..out },
                Some(f) if f.state == PathState::Missing => {
                    // What is below a missing name is missing; the directory it would stand in decides.
                    return out;
                }
                Some(f) => match &f.target {
                    Some(target) if f.kind == FileKind::Symlink => {
                        links += 1;
                        if links > MOST_LINKS {
                            return out;
                        }
                        rest.extend(target.split('/').rev().filter(|p| !p.is_empty() && *p != ".").map(str::to_owned));
                        if target.starts_with('/')
                            && let Some(root) = self.get("/")
                        {
                            current = root;
                        }
                    }
                    _ => current = f,
                },
            }
        }
        out.end = Some(current);
        out
    }

    /// Whether the identity may do this (4 read, 2 write, 1 execute or search) with the end of a path; `None` unknown.
    pub fn may(&self, who: &Identity, path: &str, want: u8) -> Option<bool> {
        let walk = self.walk(path);
        let reachable = walk.steps.iter().all(|(directory, _)| bits(directory, who) & 1 != 0);
        match walk.end {
            Some(end) if reachable => Some(bits(end, who) & want == want),
            _ if !reachable => Some(false),
            _ if walk.dark => None,
            _ => Some(false),
        }
    }

    /// Every place that lets the identity decide what is found at a path.
    pub fn holds(&self, who: &Identity, path: &str, name: &dyn Fn(&PathFact) -> String) -> Vec<Hold> {
        let walk = self.walk(path);
        let mut out: Vec<Hold> = Vec::new();
        let mut reachable = true;
        for (directory, child) in &walk.steps {
            if !reachable {
                break;
            }
            let own = directory.uid == who.uid;
            let may = own || bits(directory, who) & 3 == 3;
            let sticky = directory.mode & 0o1000 != 0 && !own && child.is_some_and(|c| c.uid != who.uid);
            if may && !sticky {
                let what = if child.is_some() { "names in it can be replaced" } else { "what is missing in it can be made" };
                let how = if own { "is its own" } else { "can be written" };
                out.push(Hold { at: directory.path.clone(), how: format!("directory {how}: {what} ({})", name(directory)), certain: true });
            }
            reachable = own || bits(directory, who) & 1 != 0;
        }
        match walk.end {
            // Devices and sockets are other techniques; a masked unit is a link to `/dev/null`.
            Some(end) if matches!(end.kind, FileKind::Socket | FileKind::Other) => {}
            Some(end) if reachable && (end.uid == who.uid || bits(end, who) & 2 != 0) => {
                let how = if end.uid == who.uid { "is its own" } else { "can be written" };
                let kind = if end.kind == FileKind::Directory { "directory" } else { "file" };
                out.push(Hold { at: end.path.clone(), how: format!("{kind} {how} ({})", name(end)), certain: true });
            }
            None if walk.closed && reachable => {
                out.push(Hold { at: path.to_owned(), how: "could not be looked at".into(), certain: false });
            }
            _ => {}
        }
        out.sort_by(|a, b| a.at.cmp(&b.at));
        out.dedup_by(|a, b| a.at == b.at);
        out
    }
}

/// What the identity may do with one inode.
pub fn bits(file: &PathFact, who: &Identity) -> u8 {
    let part = |shift: u32| u8::try_from((file.mode >> shift) & 7).unwrap_or(0);
    if file.uid == who.uid {
        return part(6);
    }
    let entry = |wanted: AclName| file.acl.iter().find(|e| e.name == wanted).map(|e| e.bits);
    let mask = entry(AclName::Mask).unwrap_or(7);
    if let Some(own) = entry(AclName::User(who.uid)) {
        return own & mask;
    }
    let mut groups: Vec<u8> = file
        .acl
        .iter()
        .filter_map(|e| match e.name {
            AclName::Group(g) if who.gids.contains(&g) => Some(e.bits),
            AclName::OwnGroup if who.gids.contains(&file.gid) => Some(e.bits),
            _ => None,
        })
        .collect();
    if file.acl.is_empty() && who.gids.contains(&file.gid) {
        groups.push(part(3));
    }
    if groups.is_empty() {
        return part(0);
    }
    // The kernel grants what one matching entry has in full; the union over-reports combinations, which errs on the safe side.
    groups.into_iter().fold(0, |a, b| a | b) & mask
}

#[cfg(test)]
mod tests {
    use super::*;
    use facts::AclEntry;

    fn fact(path: &str, kind: FileKind, mode: u32, uid: u32, gid: u32) -> PathFact {
        PathFact { path: path.into(), kind, mode, uid, gid, ..PathFact::default() }
    }
    fn who(uid: u32, gids: &[u32]) -> Identity {
        Identity { uid, gids: gids.iter().copied().collect() }
    }
    const DIR: FileKind = FileKind::Directory;

    #[test]
    fn owner_group_others_in_this_order() {
        let f = fact("/f", FileKind::File, 0o274, 5, 7);
        assert_eq!(bits(&f, &who(5, &[7])), 2, "the owner gets the owner's bits, however much the group has");
        assert_eq!(bits(&f, &who(6, &[7])), 7);
        assert_eq!(bits(&f, &who(6, &[8])), 4);
    }

    #[test]
    fn access_lists_are_limited_by_their_mask() {
        let mut f = fact("/f", FileKind::File, 0o640, 0, 0);
        f.acl = [(AclName::Owner, 6), (AclName::User(990), 6), (AclName::OwnGroup, 4), (AclName::Mask, 4), (AclName::Other, 0)]
            .map(|(name, bits)| AclEntry { name, bits })
            .into();
        assert_eq!(bits(&f, &who(990, &[990])), 4);
        assert_eq!(bits(&f, &who(991, &[991])), 0);
    }

    #[test]
    fn a_writable_parent_a_link_and_a_sticky_directory() {
        let mut link = fact("/opt/bin", FileKind::Symlink, 0o777, 0, 0);
        link.target = Some("/data/bin".into());
        let all = [
            fact("/", DIR, 0o755, 0, 0),
            fact("/opt", DIR, 0o755, 0, 0),
            link,
            fact("/data", DIR, 0o775, 0, 990),
            fact("/data/bin", DIR, 0o755, 0, 0),
            fact("/data/bin/tool", FileKind::File, 0o755, 0, 0),
            fact("/tmp", DIR, 0o1777, 0, 0),
            fact("/tmp/x", FileKind::File, 0o644, 0, 0),
            fact("/closed", DIR, 0o700, 0, 0),
            fact("/closed/open", FileKind::File, 0o666, 0, 0),
            PathFact { path: "/tmp/new".into(), state: PathState::Missing, ..PathFact::default() },
        ];
        let paths = Paths::new(&all);
        let name = |f: &PathFact| format!("{:04o}", f.mode);
        let at = |who: &Identity, p: &str| paths.holds(who, p, &name).into_iter().map(|h| h.at).collect::<Vec<_>>();
        assert_eq!(at(&who(990, &[990]), "/opt/bin/tool"), ["/data"]);
        assert_eq!(at(&who(991, &[991]), "/opt/bin/tool"), Vec::<String>::new());
        assert_eq!(at(&who(990, &[990]), "/tmp/x"), Vec::<String>::new(), "sticky");
        assert_eq!(at(&who(990, &[990]), "/tmp/new"), ["/tmp"], "can be made");
        assert_eq!(at(&who(990, &[990]), "/closed/open"), Vec::<String>::new(), "no search");
        assert_eq!(paths.may(&who(990, &[]), "/closed/open", 4), Some(false));
        assert_eq!(paths.may(&who(990, &[]), "/elsewhere/x", 4), None);
    }
}
