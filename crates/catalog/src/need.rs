//! What a service needs beyond the strictest sandbox, as data. In come `[[need]]` entries, out come words that the unit's
//! sandbox, the SELinux module and containers are opened by, each with its reason. Never: says how a layer opens (a
//! directive or a rule is the layer's own business).

use serde::{Deserialize, Serialize};

/// One exception.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct NeedEntry {
    /// What is needed.
    pub what: Need,
    /// Programs for [`Need::Exec`], directories for [`Need::SharedTmp`]; empty for the others.
    #[serde(default)]
    pub path: Vec<String>,
    /// What breaks without it.
    pub why: String,
    /// Only where the operator configured it; the site file then says so (`needs = ["shell"]` on the instance).
    #[serde(default)]
    pub optional: bool,
    /// File below [`crate::Service::source`], or another full source.
    #[serde(default)]
    pub source: String,
}

/// The exceptions there are. The strictest sandbox has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// Maps memory that is writable and executable (a just-in-time compiler).
    Jit,
    /// Device nodes of GPUs, their groups, and the lock files that GPU processes of one machine share.
    Gpu,
    /// Directories below /tmp or /var/tmp that outlive the process or are shared with others.
    SharedTmp,
    /// Files of /proc besides the process directories: meminfo, cpuinfo, stat.
    Meminfo,
    /// Netlink sockets, to list interfaces and routes.
    Netlink,
    /// Sets the CPUs or memory nodes of its own threads.
    CorePinning,
    /// Huge pages.
    Hugepages,
    /// Locks memory beyond the usual limit.
    Memlock,
    /// Drives PCI devices from user space.
    Vfio,
    /// Executes the programs in `path`.
    Exec,
    /// Executes a shell, and with it whatever the shell names.
    Shell,
    /// Listens on a port below 1024.
    LowPort,
    /// Raw or packet sockets.
    RawSocket,
    /// Its files lie in somebody's home directory.
    Home,
    /// System V or POSIX shared memory that other units of the same account use as well.
    SharedIpc,
    /// Changes owner or group of its own files (`mv` across file systems tries to keep them).
    Chown,
}

impl Need {
    /// Every need, in the order of the documentation.
    pub const ALL: [Self; 16] = [
        Self::Jit,
        Self::Gpu,
        Self::SharedTmp,
        Self::Meminfo,
        Self::Netlink,
        Self::CorePinning,
        Self::Hugepages,
        Self::Memlock,
        Self::Vfio,
        Self::Exec,
        Self::Shell,
        Self::LowPort,
        Self::RawSocket,
        Self::Home,
        Self::SharedIpc,
        Self::Chown,
    ];

    /// The word of the data files.
    pub fn word(self) -> &'static str {
        match self {
            Self::Jit => "jit",
            Self::Gpu => "gpu",
            Self::SharedTmp => "shared-tmp",
            Self::Meminfo => "meminfo",
            Self::Netlink => "netlink",
            Self::CorePinning => "core-pinning",
            Self::Hugepages => "hugepages",
            Self::Memlock => "memlock",
            Self::Vfio => "vfio",
            Self::Exec => "exec",
            Self::Shell => "shell",
            Self::LowPort => "low-port",
            Self::RawSocket => "raw-socket",
            Self::Home => "home",
            Self::SharedIpc => "shared-ipc",
            Self::Chown => "chown",
        }
    }

    /// Whether an entry of this kind names paths.
    pub fn has_paths(self) -> bool {
        matches!(self, Self::Exec | Self::SharedTmp)
    }
}

impl std::fmt::Display for Need {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.word())
    }
}

impl std::str::FromStr for Need {
    type Err = String;
    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|n| n.word() == word).ok_or_else(|| format!("`{word}` is no need"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_is_the_one_of_the_data_files() {
        for n in Need::ALL {
            assert_eq!(serde_json_word(n), n.word());
            assert_eq!(n.word().parse(), Ok(n));
        }
        assert!("colour".parse::<Need>().is_err());
    }

    fn serde_json_word(n: Need) -> String {
        toml::Value::try_from(n).expect("a word").as_str().expect("text").to_owned()
    }
}
