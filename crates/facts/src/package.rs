//! Packages: which security updates wait, where packages come from, how old the knowledge about them is.

use serde::{Deserialize, Serialize};

/// What the package manager's own files say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Packages {
    /// `dpkg`; `None` where no manager that is understood is installed.
    pub manager: Option<String>,
    /// Packages installed.
    pub installed: u32,
    /// Security updates that wait; `None` where no list of a security archive was there to compare with.
    pub pending: Option<Vec<Update>>,
    /// When the lists of the archives were fetched last, seconds since 1970-01-01 UTC.
    pub lists_from: Option<u64>,
    /// A package asked for a restart of the machine that has not happened.
    pub reboot: bool,
    /// Archives packages come from.
    pub repositories: Vec<Repository>,
}

/// An update that waits.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct Update {
    /// Package.
    pub package: String,
    /// Version installed.
    pub have: String,
    /// Version that waits.
    pub wants: String,
}

/// An archive of packages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Repository {
    /// File that names it.
    pub file: String,
    /// Line there, from 1.
    pub line: u32,
    /// Address, redacted.
    pub uri: String,
    /// Suite, e.g. `bookworm-security`.
    pub suite: String,
    /// Options that speak of trust, in small letters: `trusted=yes`, `allow-insecure=yes`, `signed-by=...`.
    pub options: Vec<String>,
}
