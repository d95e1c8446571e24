//! Accounts and groups.

use serde::{Deserialize, Serialize};

/// An account. Whether it has a password is known, the password's hash never.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Account {
    /// Name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Home.
    pub home: String,
    /// Login shell.
    pub shell: String,
    /// Can be logged into with a password; `None` where `/etc/shadow` could not be read.
    pub password: Option<bool>,
    /// Lets everybody in: the password's field is empty.
    pub empty_password: Option<bool>,
    /// How the password is hashed, as crypt(5) names it (`1`, `5`, `6`, `y`, `des`); never the hash.
    pub hash: Option<String>,
    /// Days after which the password must be changed; `None` where it need not be, or where it could not be read.
    pub max_days: Option<u32>,
    /// Keys in `authorized_keys`; `None` where it could not be read.
    pub ssh_keys: Option<u32>,
}

impl Account {
    /// Whether the shell lets somebody in.
    pub fn has_login_shell(&self) -> bool {
        !["/usr/sbin/nologin", "/sbin/nologin", "/bin/false", "/usr/bin/false", "/bin/nologin", ""].contains(&self.shell.as_str())
    }
}

/// A group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Group {
    /// Name.
    pub name: String,
    /// Group id.
    pub gid: u32,
    /// Members besides those whose primary group it is.
    pub members: Vec<String>,
}
