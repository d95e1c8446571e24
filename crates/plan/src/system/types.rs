//! The system layer's own types: accounts, directories, units, and what must be set by hand. Complete: who writes them out
//! decides nothing. Never: text in a target's form.

use crate::RuleInfo;
use catalog::{Health, Need};
use serde::Serialize;
use site::model::Mode;
use std::collections::{BTreeMap, BTreeSet};
use words::{AccountName, HostName, InstanceName, Origin, ServiceName};

/// What one machine must hold besides its network.
#[derive(Debug, Clone, Serialize)]
pub struct SystemPlan {
    /// Mode of the layer. Only `Enforce` writes; `Observe` shows.
    pub mode: Mode,
    /// Groups, by name, with their reason.
    pub groups: BTreeMap<String, String>,
    /// Accounts, by name.
    pub accounts: BTreeMap<AccountName, AccountPlan>,
    /// Directories and modes, sorted by path.
    pub files: Vec<FilePlan>,
    /// Units, sorted by name.
    pub units: Vec<UnitPlan>,
    /// Settings that only the service's own configuration takes.
    pub by_hand: Vec<ByHand>,
}

impl SystemPlan {
    /// Everything it holds, a line each: what two plans are compared by.
    pub fn lines(&self) -> BTreeSet<String> {
        let mut out: BTreeSet<String> = self.groups.keys().map(|g| format!("group {g}")).collect();
        out.extend(self.accounts.iter().map(|(name, a)| format!("account {name}, home {}", a.home)));
        for f in &self.files {
            out.insert(match f.act {
                FileAct::Make => format!("directory {} {:04o} {}:{} where it is missing", f.path, f.mode, f.owner, f.group),
                FileAct::Tighten => format!("mode {:04o} of {}", f.mode, f.path),
                FileAct::Lend => format!("group {} has mode {:04o} on {}", f.group, f.mode, f.path),
                FileAct::ShareWithGroup => format!("group {} may use every file in {}", f.group, f.path),
            });
        }
        for u in &self.units {
            let all = u.whole.iter().map(|l| ("", l)).chain(u.drop_in.iter().map(|l| (" drop-in", l)));
            out.extend(all.map(|(kind, l)| format!("{}{kind} [{}] {}={}", u.name, l.section, l.key, l.value)));
        }
        out.extend(self.by_hand.iter().map(|h| format!("by hand, {}: {} = {}", h.unit, h.place, h.value)));
        out
    }

    /// What explains itself by an id: every line with a reason, every account, directory and mode.
    pub fn reasons(&self, host: &HostName) -> BTreeMap<String, RuleInfo> {
        let mut out = BTreeMap::new();
        let info = |what: String, why: String, origins: Vec<Origin>| RuleInfo { what, why, origins, host: host.clone() };
        for (name, a) in &self.accounts {
            let what = format!("account {name}, home {}, no password, no shell", a.home);
            out.insert(format!("account/{name}"), info(what, a.what.clone(), a.origins.clone()));
        }
        let by_ravelin = |why: &str| vec![Origin::Builtin { code: "system".to_owned(), why: why.to_owned() }];
        for f in &self.files {
            let what = format!("{:?} {:04o} {}", f.act, f.mode, f.path).to_lowercase();
            out.entry(format!("file{}", f.path)).or_insert_with(|| info(what, f.why.clone(), by_ravelin(&f.why)));
        }
        for u in &self.units {
            for (id, l) in u.reasons() {
                let mut origins = u.origins.clone();
                origins.extend(l.source.iter().zip(&u.instance).map(|(source, (service, _))| Origin::Catalog {
                    service: service.to_string(),
                    entry: l.key.clone(),
                    source: source.clone(),
                }));
                let one = info(format!("{}={}", l.key, l.value), l.why.clone().unwrap_or_default(), origins);
                // Lists are written in several lines under one key.
                out.entry(id)
                    .and_modify(|old: &mut RuleInfo| {
                        old.what = format!("{}; {}", old.what, one.what);
                        if !old.why.contains(&one.why) {
                            old.why = format!("{}; {}", old.why, one.why);
                        }
                    })
                    .or_insert(one);
            }
        }
        out
    }
}

/// A service account: no password, no login shell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AccountPlan {
    /// Home directory.
    pub home: String,
    /// What it is for.
    pub what: String,
    /// Who asks for it.
    pub origins: Vec<Origin>,
}

/// A directory or a mode.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct FilePlan {
    /// Absolute path; may hold `*` for modes.
    pub path: String,
    /// What is done.
    pub act: FileAct,
    /// Octal mode.
    pub mode: u32,
    /// Owner of what is made; what is there already keeps its owner.
    pub owner: String,
    /// Group of what is made.
    pub group: String,
    /// Why.
    pub why: String,
}

/// What is done with a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileAct {
    /// The directory is made where it is missing. What is there keeps owner and mode: it may be in use by another account.
    Make,
    /// What is there gets the mode; nothing is made.
    Tighten,
    /// What is there gets mode and group; its owner stays.
    Lend,
    /// New files in the directory are readable and writable by its group, whatever the umask.
    ShareWithGroup,
}

/// One unit.
#[derive(Debug, Clone, Serialize)]
pub struct UnitPlan {
    /// Name, e.g. `lotus-daemon.service`.
    pub name: String,
    /// For people.
    pub title: String,
    /// The instance it runs; `None` for units of Ravelin's own.
    pub instance: Option<(ServiceName, InstanceName)>,
    /// The account.
    pub account: Option<AccountName>,
    /// The whole unit, for services whose upstream ships none: written only where there is no such unit yet.
    pub whole: Vec<Line>,
    /// The drop-in `10-ravelin.conf`.
    pub drop_in: Vec<Line>,
    /// Needs the sandbox is opened for.
    pub opened: BTreeSet<Need>,
    /// How to tell that it works.
    pub health: Option<HealthPlan>,
    /// Where its files are.
    pub data: DataPlan,
    /// Where it comes from.
    pub origins: Vec<Origin>,
}

impl UnitPlan {
    #[cfg(test)]
    pub(crate) fn for_tests(name: &str, account: &str) -> Self {
        Self {
            name: name.to_owned(),
            title: String::new(),
            instance: None,
            account: AccountName::new(account).ok(),
            whole: Vec::new(),
            drop_in: Vec::new(),
            opened: BTreeSet::new(),
            health: None,
            data: DataPlan::default(),
            origins: Vec::new(),
        }
    }
    /// Lines that have a reason of their own, with their id (`unit/NAME/KEY`).
    pub fn reasons(&self) -> impl Iterator<Item = (String, &Line)> {
        let name = &self.name;
        self.whole.iter().chain(&self.drop_in).filter(|l| l.why.is_some()).map(move |l| (format!("unit/{name}/{}", l.key), l))
    }
}

/// Where a service's files are, for those who ask whether it may run there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DataPlan {
    /// Home of its account.
    pub home: String,
    /// Its repository, where it has one.
    pub repo: Option<String>,
    /// Variable that names the repository.
    pub repo_variable: Option<String>,
    /// Other names for it: flags (stronger than the variable) and older variables (weaker).
    pub repo_also: Vec<String>,
    /// Where the repository is while nothing names it; `~` is the account's home.
    pub repo_default: Option<String>,
    /// Directories outside the repository that are its account's alone: stores, state, logs, caches.
    pub writes: BTreeSet<String>,
    /// A stop may miss a proving deadline.
    pub deadlines: bool,
}

/// A line of a unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Section.
    pub section: Section,
    /// Key.
    pub key: String,
    /// Value; empty resets a list.
    pub value: String,
    /// Why it is as it is, where it is not the strictest or not usual.
    pub why: Option<String>,
    /// Where the reason comes from.
    pub source: Option<String>,
}

/// Section of a unit, in the order they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Section {
    /// `[Unit]`.
    Unit,
    /// `[Service]`.
    Service,
    /// `[Install]`.
    Install,
}

impl std::fmt::Display for Section {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Unit => "Unit",
            Self::Service => "Service",
            Self::Install => "Install",
        })
    }
}

impl Line {
    /// A line of `[Service]` without a reason of its own.
    pub(crate) fn new(key: &str, value: impl Into<String>) -> Self {
        Self { section: Section::Service, key: key.to_owned(), value: value.into(), why: None, source: None }
    }
    pub(crate) fn at(mut self, section: Section) -> Self {
        self.section = section;
        self
    }
    pub(crate) fn why(mut self, why: impl Into<String>, source: &str) -> Self {
        self.why = Some(why.into());
        self.source = (!source.is_empty()).then(|| source.to_owned());
        self
    }
}

/// How to tell that a service works, with the address it listens on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HealthPlan {
    /// As the catalogue says.
    pub says: Health,
    /// Port that must accept a connection.
    pub port: Option<u16>,
}

/// A setting that a unit cannot make.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ByHand {
    /// The unit.
    pub unit: String,
    /// The setting's key in the catalogue.
    pub key: String,
    /// Where it is set: a configuration key or a flag.
    pub place: String,
    /// What it should be; empty where several addresses would be needed.
    pub value: String,
    /// What it does for security, or why it cannot be narrower.
    pub why: String,
}
