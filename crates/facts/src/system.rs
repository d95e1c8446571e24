//! Kernel, distribution, SELinux, clock.

use serde::{Deserialize, Serialize};

/// What the machine is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct System {
    /// Kernel release, as `uname -r`.
    pub kernel: String,
    /// Architecture, as `uname -m`.
    pub architecture: String,
    /// `ID` of os-release, e.g. `debian`.
    pub os_id: String,
    /// `ID_LIKE` of os-release.
    pub os_like: Vec<String>,
    /// `VERSION_ID` of os-release, e.g. `12`.
    pub os_version: String,
    /// `PRETTY_NAME` of os-release.
    pub os_name: String,
    /// Name of process 1, e.g. `systemd`.
    pub init: String,
    /// Id of this boot; another one means sockets and connections began anew.
    pub boot_id: String,
    /// Seconds since boot.
    pub uptime: u64,
    /// SELinux.
    pub selinux: Selinux,
    /// The kernel has SELinux built in (`CONFIG_SECURITY_SELINUX=y`); `None` where its configuration could not be read.
    pub selinux_built_in: Option<bool>,
    /// Active Linux security modules, in order.
    pub lsm: Vec<String>,
}

impl System {
    /// Whatever it is booted with, this kernel will not have SELinux.
    #[must_use]
    pub fn never_selinux(&self) -> bool {
        self.selinux == Selinux::Absent && self.selinux_built_in == Some(false)
    }
}

/// State of SELinux.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Selinux {
    /// Not active in this kernel.
    #[default]
    Absent,
    /// Says what it would deny.
    Permissive,
    /// Denies.
    Enforcing,
}

/// Time synchronisation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Clock {
    /// The kernel holds the clock for synchronised; `None` where it could not be asked.
    pub synchronised: Option<bool>,
    /// Daemons that run: `chronyd`, `ntpd`, `systemd-timesyncd`.
    pub daemons: Vec<String>,
}
