//! Files of interest: configuration, keystores, tokens, unit files. Modes and owners always, text only for
//! configuration and only redacted.

use crate::secret::Redacted;
use serde::{Deserialize, Serialize};

/// What a path is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the usual words")]
pub enum FileKind {
    #[default]
    File,
    Directory,
    Symlink,
    Socket,
    Other,
}

/// A file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct File {
    /// Path.
    pub path: String,
    /// What it is.
    pub kind: FileKind,
    /// Permission bits, `0o7777`.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Owner's name, if there is one.
    pub owner: Option<String>,
    /// Group's name, if there is one.
    pub group: Option<String>,
    /// Bytes.
    pub size: u64,
    /// Last change of content, seconds since 1970-01-01 UTC.
    pub modified: u64,
    /// Where a symbolic link points.
    pub target: Option<String>,
    /// What it holds, where its name or content says that it is a secret.
    pub secrets: Vec<Redacted>,
    /// Text of a configuration file, redacted.
    pub text: Option<String>,
}

impl File {
    /// Everybody may read it.
    pub fn world_readable(&self) -> bool {
        self.mode & 0o004 != 0
    }
    /// Its group may read it.
    pub fn group_readable(&self) -> bool {
        self.mode & 0o040 != 0
    }
    /// Everybody or its group may write it.
    pub fn others_write(&self) -> bool {
        self.mode & 0o022 != 0
    }
}
