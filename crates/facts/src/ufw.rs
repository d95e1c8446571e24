//! UFW on a machine: whether it is active, and its files of people's rules.

use serde::{Deserialize, Serialize};

/// UFW as its files say. It filters only where its chains are loaded as well.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ufw {
    /// `ENABLED=yes` in `ufw.conf`.
    pub enabled: bool,
    /// `IPV6=yes` in `/etc/default/ufw`. Otherwise UFW drops all of it.
    pub ipv6: bool,
    /// Its chains of people's rules are loaded for IPv4.
    pub loaded: bool,
    /// And for IPv6.
    pub loaded6: bool,
    /// `user.rules`; `None` where it could not be read.
    pub user_rules: Option<String>,
    /// `user6.rules`; `None` where it could not be read.
    pub user6_rules: Option<String>,
}

impl Ufw {
    /// Whether UFW filters the machine: switched on, and its chains loaded.
    pub fn active(&self) -> bool {
        self.enabled && self.loaded
    }
}
