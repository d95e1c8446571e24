//! Backups: what was asked about, and what lies there. Content is never kept, neither are names of keys.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What a backup is of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Asset {
    /// Keys of wallets and identities.
    #[default]
    Keystore,
    /// The miner's sectors and deals.
    Metadata,
    /// The database of a cluster.
    Database,
    /// Rules of the packet filter.
    Firewall,
}

impl Asset {
    /// All of them.
    pub const ALL: [Asset; 4] = [Asset::Keystore, Asset::Metadata, Asset::Database, Asset::Firewall];

    /// The word.
    pub fn word(self) -> &'static str {
        match self {
            Asset::Keystore => "keystore",
            Asset::Metadata => "metadata",
            Asset::Database => "database",
            Asset::Firewall => "firewall",
        }
    }
}

impl fmt::Display for Asset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// A backup as it was declared, with what was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Backup {
    /// What it is of.
    pub of: Asset,
    /// Path as declared; a star in its last part is any text.
    pub path: String,
    /// Oldest it may be, in hours.
    pub max_age: u32,
    /// Where the copy outside this machine is, as declared.
    pub copy: Option<String>,
    /// The newest file that matches; `None` where there is none.
    pub newest: Option<BackupFile>,
    /// The last restore test, where there was one.
    pub tested: Option<RestoreTest>,
}

/// The newest file of a backup.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BackupFile {
    /// Path.
    pub path: String,
    /// Last change, seconds since 1970-01-01 UTC.
    pub modified: u64,
    /// Bytes.
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
    /// Owner's name or number.
    pub owner: String,
    /// What it looks like: `age`, `gpg`, `openssl`, `tar`, `gzip`, `lotus`, ...
    pub form: String,
    /// Its form is one that encrypts.
    pub encrypted: bool,
    /// It lies on another machine's file system.
    pub remote: bool,
}

/// What a restore test found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RestoreTest {
    /// When, seconds since 1970-01-01 UTC.
    pub at: u64,
    /// The file that was tested.
    pub path: String,
    /// It was restored and held what it should.
    pub passed: bool,
    /// In a few words, without names of keys.
    pub said: String,
}
