//! The SELinux layer's own types: domains, labels, port types, mounts and logins of one machine. Complete: who writes them out
//! decides nothing. Never: text of a policy.

use catalog::Need;
use serde::Serialize;
use site::model::Mode;
use std::collections::BTreeSet;
use words::{AccountName, Diagnostic, InstanceName, Origin, PortRange, Proto, ServiceName};

/// What SELinux holds on one machine.
#[derive(Debug, Clone, Serialize)]
pub struct SelinuxPlan {
    /// Mode of the layer. While observing every domain is permissive: it denies nothing and reports what it would.
    pub mode: Mode,
    /// One domain per service, sorted by name.
    pub domains: Vec<DomainPlan>,
    /// What several services use, sorted by type.
    pub shared: Vec<SharedPlan>,
    /// Port types of Ravelin's own, sorted by name.
    pub ports: Vec<PortPlan>,
    /// Mounts that must carry a context.
    pub mounts: Vec<MountPlan>,
    /// Accounts and the SELinux users they are mapped to.
    pub logins: Vec<LoginPlan>,
    /// What the types cannot tell apart, and what is left to others. No part of the plan's digest.
    #[serde(skip)]
    pub notes: Vec<Diagnostic>,
}

/// The domain of one service. Instances of one service on a machine share it: they share program and account.
#[derive(Debug, Clone, Serialize)]
pub struct DomainPlan {
    /// Stem of its types: `lotus_miner` for `ravelin_lotus_miner_t`.
    pub stem: String,
    /// The service.
    pub service: ServiceName,
    /// For people.
    pub title: String,
    /// Its instances.
    pub instances: BTreeSet<InstanceName>,
    /// Units that enter it.
    pub units: BTreeSet<String>,
    /// Programs whose execution by init enters the domain.
    pub programs: Vec<FileLabel>,
    /// Its own files, parents before children.
    pub files: Vec<FileLabel>,
    /// Ports it may bind, by type.
    pub binds: Vec<PortUse>,
    /// Ports it may connect to, by type.
    pub connects: Vec<PortUse>,
    /// Connects to any public peer, with the reason.
    pub dials_any: Option<Why>,
    /// Shared types it uses, and whether it writes there.
    pub uses: Vec<Use>,
    /// Needs that hold, each with its reason.
    pub needs: Vec<NeedUse>,
    /// Where it comes from.
    pub origins: Vec<Origin>,
}

impl DomainPlan {
    /// The type of its process.
    pub fn domain(&self) -> String {
        format!("ravelin_{}_t", self.stem)
    }
    /// The type of what it executes, where it executes anything.
    pub fn tool(&self) -> Option<String> {
        self.has(Need::Exec).or(self.has(Need::Shell)).map(|_| format!("ravelin_{}_tool_t", self.stem))
    }
    /// The type of its files of a kind.
    pub fn file(&self, kind: FileKind) -> String {
        format!("ravelin_{}_{}_t", self.stem, kind.word())
    }
    /// The type of its temporary files.
    pub fn tmp(&self) -> String {
        format!("ravelin_{}_tmp_t", self.stem)
    }
    /// Every type of its own.
    pub fn types(&self) -> BTreeSet<String> {
        let files = self.kinds().into_iter().map(|k| self.file(k));
        files.chain([self.domain(), self.file(FileKind::Exec), self.tmp()]).chain(self.tool()).collect()
    }
    /// The entry of a need, if it holds.
    pub fn has(&self, need: Need) -> Option<&NeedUse> {
        self.needs.iter().find(|n| n.need == need)
    }
    /// The kinds of files it has.
    pub fn kinds(&self) -> BTreeSet<FileKind> {
        self.files.iter().map(|f| f.kind).collect()
    }
}

impl SelinuxPlan {
    /// Every place that gets a label of the site's, none below another one.
    pub fn places(&self) -> BTreeSet<String> {
        let own = self.domains.iter().flat_map(|d| d.programs.iter().chain(&d.files)).map(|f| f.path.clone());
        let mut out = BTreeSet::new();
        for path in own.chain(self.shared.iter().flat_map(|s| s.paths.clone())).collect::<BTreeSet<String>>() {
            // Sorted: what lies above comes first.
            if !std::path::Path::new(&path).ancestors().skip(1).any(|a| a.to_str().is_some_and(|a| out.contains(a))) {
                out.insert(path);
            }
        }
        out
    }
    /// The service of each domain, of its tool's domain as well.
    pub fn services(&self) -> std::collections::BTreeMap<String, String> {
        let each =
            |d: &DomainPlan| [Some(d.domain()), d.tool()].into_iter().flatten().map(|t| (t, d.service.to_string())).collect::<Vec<_>>();
        self.domains.iter().flat_map(each).collect()
    }
}

/// What a path is to its service; each kind has a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileKind {
    /// The program.
    Exec,
    /// Repository and state.
    Data,
    /// Keys.
    Keystore,
    /// Token files.
    Token,
    /// Configuration it only reads.
    Config,
    /// Logs.
    Log,
    /// Sockets and the like below `/run`.
    Runtime,
    /// Environment files, read by systemd before the service starts: the service itself has no access.
    Environment,
}

impl FileKind {
    /// The word in the type's name.
    pub fn word(self) -> &'static str {
        match self {
            Self::Exec => "exec",
            Self::Data => "repo",
            Self::Keystore => "keystore",
            Self::Token => "token",
            Self::Config => "config",
            Self::Log => "log",
            Self::Runtime => "runtime",
            Self::Environment => "environment",
        }
    }
}

/// A path with its type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileLabel {
    /// Absolute path, no pattern.
    pub path: String,
    /// What it is.
    pub kind: FileKind,
    /// What the label covers.
    pub shape: Shape,
    /// The service writes it.
    pub write: bool,
    /// Kind and leaf: where the service makes it in a directory of another kind, it gets its type at once.
    pub made_in: Option<(FileKind, String)>,
    /// Where it comes from.
    pub origins: Vec<Origin>,
}

/// What a label covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// The path and all below it.
    Tree,
    /// One file.
    File,
    /// One file and its rotated copies.
    Rotated,
}

/// A type that several services use: a store, the parameter cache, GPU locks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SharedPlan {
    /// The type.
    pub name: String,
    /// What it is.
    pub kind: SharedKind,
    /// Paths.
    pub paths: BTreeSet<String>,
    /// Where it comes from.
    pub origins: Vec<Origin>,
}

/// What is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SharedKind {
    /// Sectors, pieces, indexes.
    Store,
    /// Proof parameters.
    Cache,
    /// GPU lock files and temporary files of GPU services.
    Locks,
    /// A directory in which several services keep logs of their own.
    LogDirectory,
}

/// A domain's use of a shared type.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Use {
    /// The type.
    pub name: String,
    /// What it is.
    pub kind: SharedKind,
    /// It writes there.
    pub write: bool,
    /// Why.
    pub why: String,
    /// Where it comes from.
    pub origins: Vec<Origin>,
}

/// A port type of Ravelin's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PortPlan {
    /// The type.
    pub name: String,
    /// What is labelled.
    pub ports: BTreeSet<(Proto, PortRange)>,
    /// What it stands for: `service.endpoint`, or a port outside.
    pub stands_for: BTreeSet<String>,
}

/// A domain's use of a port type.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct PortUse {
    /// The type.
    pub name: String,
    /// Transport.
    pub proto: Proto,
    /// Ports that are meant.
    pub ports: Vec<PortRange>,
    /// The type belongs to the base policy and covers these other ports as well.
    pub also: Vec<PortRange>,
    /// What it is for.
    pub why: String,
    /// Where it comes from.
    pub origins: Vec<Origin>,
}

/// A reason with its origin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Why {
    /// In words.
    pub why: String,
    /// Where it comes from.
    pub origins: Vec<Origin>,
}

/// A need of a domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NeedUse {
    /// The need.
    pub need: Need,
    /// Programs or directories.
    pub paths: Vec<String>,
    /// What breaks without it.
    pub why: String,
    /// Where it comes from.
    pub origins: Vec<Origin>,
}

/// A mount that carries a context because its file system keeps no labels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MountPlan {
    /// Kind of storage.
    pub kind: String,
    /// Where it is mounted.
    pub path: String,
    /// The type.
    pub name: String,
    /// The mount option.
    pub option: String,
    /// Where it comes from.
    pub origins: Vec<Origin>,
}

/// An account and its SELinux user.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct LoginPlan {
    /// The account, or `__default__`.
    pub login: String,
    /// The SELinux user.
    pub user: &'static str,
    /// Why.
    pub why: String,
}

impl LoginPlan {
    /// A service account: its processes come from units alone, as `system_u`; whoever logs in under it is confined.
    pub(crate) fn service(account: &AccountName) -> Self {
        Self {
            login: account.to_string(),
            user: super::login::SERVICE,
            why: "runs from units alone: system_u has no role that a login could take".to_owned(),
        }
    }
}
