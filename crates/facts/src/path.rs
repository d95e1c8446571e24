//! Who may do what with a path: mode, owner, access list, file capabilities; never content. A path that was asked for and is
//! not there is named as missing, one that could not be looked at as unread: these are two things.

use crate::FileKind;
use serde::{Deserialize, Serialize};

/// Whether a path was seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PathState {
    /// Looked at.
    #[default]
    Seen,
    /// Not there.
    Missing,
    /// Could not be looked at.
    Unread,
}

/// A path as it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PathFact {
    /// Path, absolute.
    pub path: String,
    /// Whether it was seen.
    pub state: PathState,
    /// What it is; of a symbolic link the link itself.
    pub kind: FileKind,
    /// Permission bits, `0o7777`.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Where a symbolic link points.
    pub target: Option<String>,
    /// Entries of its POSIX access list beyond the mode; empty where it has none.
    pub acl: Vec<AclEntry>,
    /// Capabilities a program gains from the file (`security.capability`), as a bit set.
    pub capabilities: u64,
}

/// Whom an entry of an access list names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AclName {
    /// The owner.
    Owner,
    /// An account by id.
    User(u32),
    /// The file's group.
    OwnGroup,
    /// A group by id.
    Group(u32),
    /// The limit for all but owner and others.
    Mask,
    /// Everybody else.
    Other,
}

/// An entry of an access list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AclEntry {
    /// Whom it names.
    pub name: AclName,
    /// Read 4, write 2, execute 1.
    pub bits: u8,
}

/// What a walk over the file systems found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sweep {
    /// When it ended, seconds since 1970-01-01 UTC.
    pub taken_at: u64,
    /// Inodes looked at.
    pub inodes: u64,
    /// Every directory that is not left out was listed.
    pub complete: bool,
    /// Directories left out, with the reason.
    pub left_out: Vec<String>,
    /// Programs with set-id bits or capabilities, and what everybody may write outside sticky directories.
    pub found: Vec<PathFact>,
}

/// Capabilities by number (`include/uapi/linux/capability.h`), those that lead to uid 0 or past the file modes.
pub const CAPABILITIES: [(&str, u32); 14] = [
    ("CAP_CHOWN", 0),
    ("CAP_DAC_OVERRIDE", 1),
    ("CAP_DAC_READ_SEARCH", 2),
    ("CAP_FOWNER", 3),
    ("CAP_SETGID", 6),
    ("CAP_SETUID", 7),
    ("CAP_SYS_MODULE", 16),
    ("CAP_SYS_RAWIO", 17),
    ("CAP_SYS_CHROOT", 18),
    ("CAP_SYS_PTRACE", 19),
    ("CAP_SYS_ADMIN", 21),
    ("CAP_MKNOD", 27),
    ("CAP_SETFCAP", 31),
    ("CAP_MAC_ADMIN", 33),
];
