//! What a machine can report. `observe` fills it, `audit`, `learn`, `plan` and `init` read it.
//!
//! | module | speaks of |
//! |---|---|
//! | [`system`] | kernel, distribution, clock |
//! | [`boot`] | how the kernel was started, and its locks |
//! | [`mount`] | mounted file systems, swap |
//! | [`package`] | packages, archives, updates that wait |
//! | [`backup`] | backups that were declared, and what lies there |
//! | [`net`] | interfaces, routes, sockets, tracked connections, rulesets |
//! | [`process`] | processes, containers, engines |
//! | [`account`] | accounts, groups |
//! | [`sudo`] | the lines of the sudo policy |
//! | [`ufw`] | UFW's files of rules |
//! | [`unit`] | systemd units |
//! | [`file`] | files of interest, by mode and kind, configuration text redacted |
//! | [`path`] | who may do what with a path, and what a sweep over the file systems found |
//! | [`secret`] | the kinds of secrets, and the redaction every text passes through |
//!
//! Types only: nothing here looks at a machine. A secret's content has no place to be stored in: it is named by kind.
//! A source that could not be read stands in [`Facts::failures`]; what is missing because of it is unknown, not absent.

pub mod account;
pub mod backup;
pub mod boot;
pub mod file;
pub mod mount;
pub mod net;
pub mod package;
pub mod path;
pub mod process;
pub mod secret;
pub mod sudo;
pub mod system;
pub mod ufw;
pub mod unit;

pub use account::{Account, Group};
pub use backup::{Asset, Backup, BackupFile, RestoreTest};
pub use boot::Boot;
pub use file::{File, FileKind};
pub use mount::{Mount, Swap};
pub use net::{Connection, Interface, Route, Rulesets, Socket, SocketState, Tuple};
pub use package::{Packages, Repository, Update};
pub use path::{AclEntry, AclName, PathFact, PathState, Sweep};
pub use process::{Container, Engine, PortMapping, Process};
pub use secret::{Redacted, SecretKind};
pub use sudo::SudoersLine;
pub use system::{Clock, Selinux, System};
pub use ufw::Ufw;
pub use unit::{Directive, Unit};

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Version of the schema. Goes up when a field changes its meaning or goes away; new fields have defaults and do not count.
pub const SCHEMA: u32 = 1;

/// One look at one machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// [`SCHEMA`] of the writer.
    pub schema: u32,
    /// When, in seconds since 1970-01-01 UTC.
    pub taken_at: u64,
    /// Host name as the kernel has it.
    pub host: String,
    /// Kernel, distribution, SELinux.
    pub system: System,
    /// Network interfaces, sorted by index.
    pub interfaces: Vec<Interface>,
    /// Routes of all tables, sorted.
    pub routes: Vec<Route>,
    /// Sockets of this network namespace, sorted.
    pub sockets: Vec<Socket>,
    /// Processes, sorted by pid.
    pub processes: Vec<Process>,
    /// Accounts, sorted by uid.
    pub accounts: Vec<Account>,
    /// Groups, sorted by gid.
    pub groups: Vec<Group>,
    /// systemd units, sorted by name.
    pub units: Vec<Unit>,
    /// Tracked connections, sorted.
    pub connections: Vec<Connection>,
    /// Packet filter rulesets as text.
    pub rulesets: Rulesets,
    /// UFW, where it is installed.
    pub ufw: Option<Ufw>,
    /// Settings under `/proc/sys`, by dotted name.
    pub sysctls: BTreeMap<String, String>,
    /// Files of interest, sorted by path.
    pub files: Vec<File>,
    /// Paths whose writers matter, with every directory above them, sorted by path.
    pub paths: Vec<PathFact>,
    /// The last walk over the file systems, where there was one.
    pub sweep: Option<Sweep>,
    /// Containers, sorted by name.
    pub containers: Vec<Container>,
    /// Container engines that are installed.
    pub engines: Vec<Engine>,
    /// Lines of `/etc/sudoers` and its includes, comments left out.
    pub sudoers: Vec<SudoersLine>,
    /// Time synchronisation.
    pub clock: Clock,
    /// How the kernel was started.
    pub boot: Boot,
    /// Mounted file systems, in the order in which they were mounted.
    pub mounts: Vec<Mount>,
    /// Swap in use.
    pub swaps: Vec<Swap>,
    /// Packages and their archives.
    pub packages: Packages,
    /// Declared backups with what lies there.
    pub backups: Vec<Backup>,
    /// Lines of configuration that do not read; whoever obeys the file leaves them out as well.
    pub unread: Vec<Unread>,
    /// Sources that could not be read.
    pub failures: Vec<Failure>,
}

/// Where a part of the facts comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "named as the fields of `Facts`")]
pub enum Source {
    System,
    Interfaces,
    Routes,
    Sockets,
    SocketOwners,
    Processes,
    Accounts,
    Groups,
    Units,
    Connections,
    Nft,
    Iptables,
    Ufw,
    Sysctls,
    Files,
    Paths,
    Sweep,
    Containers,
    Sudoers,
    Clock,
    Boot,
    Mounts,
    Packages,
    Backups,
}

/// A source that could not be read, or only in part.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Failure {
    /// Which.
    pub source: Source,
    /// Why, naming the path or program.
    pub reason: String,
}

/// A line that does not read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Unread {
    /// What it is a line of.
    pub source: Source,
    /// File.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
}

impl Facts {
    /// Whether a source was read in full. Where it was not, "nothing there" must not be concluded.
    pub fn saw(&self, source: Source) -> bool {
        !self.failures.iter().any(|f| f.source == source)
    }
    /// Addresses of the machine's devices.
    pub fn addresses(&self) -> impl Iterator<Item = std::net::IpAddr> + '_ {
        self.interfaces.iter().flat_map(|i| &i.addresses).map(ipnet::IpNet::addr)
    }
    /// The process with this id.
    pub fn process(&self, pid: u32) -> Option<&Process> {
        self.processes.binary_search_by_key(&pid, |p| p.pid).ok().and_then(|i| self.processes.get(i))
    }
    /// The account with this uid.
    pub fn account(&self, uid: u32) -> Option<&Account> {
        self.accounts.iter().find(|a| a.uid == uid)
    }
    /// The unit of this name.
    pub fn unit(&self, name: &str) -> Option<&Unit> {
        self.units.iter().find(|u| u.name == name)
    }
    /// The file at this path.
    pub fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|f| f.path == path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_read_back_and_older_ones_without_a_field_too() {
        let facts = Facts {
            schema: SCHEMA,
            host: "daemon1".into(),
            failures: vec![Failure { source: Source::Nft, reason: "nft: not found".into() }],
            ..Facts::default()
        };
        let text = serde_json::to_string(&facts).expect("writes");
        assert_eq!(serde_json::from_str::<Facts>(&text).expect("reads"), facts);
        assert!(!facts.saw(Source::Nft) && facts.saw(Source::Iptables));
        let old: Facts = serde_json::from_str(r#"{"schema":1,"host":"x"}"#).expect("reads");
        assert_eq!(old.host, "x");
    }
}
