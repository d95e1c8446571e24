//! What becomes of one inode. In comes what the kernel says of it, out comes the owner it gets, or why it may not be touched. Pure.
//! Never: gives away what belongs to a third account, or what has a name outside the store.

use serde::{Deserialize, Serialize};

/// From whom to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owners {
    /// Account before.
    pub from: (u32, u32),
    /// Account after.
    pub to: (u32, u32),
}

/// What an inode is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// Pipe or socket.
    Other,
    /// A device node.
    Device,
}

/// What the kernel says of an inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// What it is.
    pub kind: Kind,
    /// Owner and group.
    pub owner: (u32, u32),
    /// Names it has.
    pub names: u64,
    /// All its names lie in the stores, as a walk before has found.
    pub inside: bool,
}

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// It gets this owner and group. Set-id bits and file capabilities of a file go: they were its old owner's.
    Give(u32, u32),
    /// It has the right owner already, or a third one's.
    Leave,
    /// It may not be touched, so nothing is.
    Refuse(&'static str),
}

/// Judges one inode.
pub fn judge(seen: Seen, owners: Owners) -> Verdict {
    let part = |is, from, to| if is == from { to } else { is };
    let to = (part(seen.owner.0, owners.from.0, owners.to.0), part(seen.owner.1, owners.from.1, owners.to.1));
    // A third account's file keeps its group as well.
    if seen.owner.0 != owners.from.0 && seen.owner.0 != owners.to.0 || to == seen.owner {
        return Verdict::Leave;
    }
    match seen.kind {
        Kind::Device => Verdict::Refuse("a device node in a store"),
        Kind::Directory => Verdict::Give(to.0, to.1),
        _ if seen.names > 1 && !seen.inside => Verdict::Refuse("it has another name outside of the stores (hard link)"),
        _ => Verdict::Give(to.0, to.1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNERS: Owners = Owners { from: (0, 0), to: (990, 991) };

    #[test]
    fn what_is_the_old_account_s_is_given_and_nothing_else() {
        let seen = |owner| Seen { kind: Kind::File, owner, names: 1, inside: false };
        assert_eq!(judge(seen((0, 0)), OWNERS), Verdict::Give(990, 991));
        assert_eq!(judge(seen((0, 44)), OWNERS), Verdict::Give(990, 44), "a third group stays");
        assert_eq!(judge(seen((990, 0)), OWNERS), Verdict::Give(990, 991), "half done before a death");
        assert_eq!(judge(seen((990, 991)), OWNERS), Verdict::Leave);
        assert_eq!(judge(seen((5, 0)), OWNERS), Verdict::Leave, "a third account's");
    }

    #[test]
    fn other_names_and_devices_stop_it() {
        let seen = |kind, names, inside| Seen { kind, owner: (0, 0), names, inside };
        assert!(matches!(judge(seen(Kind::File, 2, false), OWNERS), Verdict::Refuse(_)));
        assert_eq!(judge(seen(Kind::File, 2, true), OWNERS), Verdict::Give(990, 991));
        assert_eq!(judge(seen(Kind::Directory, 9, false), OWNERS), Verdict::Give(990, 991));
        assert!(matches!(judge(seen(Kind::Link, 2, false), OWNERS), Verdict::Refuse(_)));
        assert!(matches!(judge(seen(Kind::Device, 1, true), OWNERS), Verdict::Refuse(_)));
    }
}
