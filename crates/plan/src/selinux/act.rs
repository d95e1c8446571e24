//! What is done to a machine on the way to SELinux, as data, and what takes it back. In comes an act with what was before, out
//! come the acts that restore it; a whole record folds into one short list. Never: does anything.

use super::login::SeUser;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// One thing done. Each is the same done twice as done once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    /// Installs packages.
    Packages(BTreeSet<String>),
    /// Makes a directory.
    Directory(String),
    /// Removes a directory, where nothing is in it.
    NoDirectory(String),
    /// A file with this text; without text, no file.
    File {
        /// Where.
        path: String,
        /// What is in it.
        text: Option<String>,
        /// Permissions.
        mode: u32,
    },
    /// Writes the boot loader's menu anew.
    Menu,
    /// Loads modules, all or none.
    Load(BTreeSet<String>),
    /// Removes modules, all or none.
    Unload(BTreeSet<String>),
    /// Labels a place as the policy says; what is right stays untouched. One that ends in `/.` is the directory alone.
    Label(String),
    /// Maps accounts to SELinux users; without a user the machine's own mapping goes. All or none.
    Logins(BTreeMap<String, Option<SeUser>>),
    /// Whether the kernel refuses, until the next boot.
    Enforce(bool),
}

impl Act {
    /// As an operator would type it.
    #[must_use]
    pub fn command(&self) -> String {
        let list = |s: &BTreeSet<String>, end: &str| s.iter().map(|x| format!("{x}{end}")).collect::<Vec<_>>().join(" ");
        match self {
            Self::Packages(p) => format!("apt-get install {}", list(p, "")),
            Self::Directory(d) => format!("mkdir {d}"),
            Self::NoDirectory(d) => format!("rmdir {d}"),
            Self::File { path, text: None, .. } => format!("rm {path}"),
            Self::File { path, text: Some(_), .. } => format!("write {path}"),
            Self::Menu => "update-grub".to_owned(),
            Self::Load(m) => format!("semodule -i {}", list(m, ".cil")),
            Self::Unload(m) => format!("semodule -r {}", list(m, "")),
            Self::Label(place) => match place.strip_suffix("/.") {
                Some("") => "restorecon -F /".to_owned(),
                Some(directory) => format!("restorecon -F {directory}"),
                None => format!("restorecon -R -F {place}"),
            },
            Self::Logins(logins) => {
                let one = |(login, user): (&String, &Option<SeUser>)| match user {
                    Some(u) => format!("semanage login -a -s {} -r {} {login}", u.user, u.range),
                    None => format!("semanage login -d {login}"),
                };
                logins.iter().map(one).collect::<Vec<_>>().join("; ")
            }
            Self::Enforce(on) => format!("setenforce {}", u8::from(*on)),
        }
    }
}

/// What was before an act, as far as it changes anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Before {
    /// Nothing to give back.
    Nothing,
    /// Packages that were not installed.
    Packages(BTreeSet<String>),
    /// The directory was not there.
    NoDirectory(String),
    /// The file's text and mode; without text there was none.
    File {
        /// Where.
        path: String,
        /// What was in it.
        text: Option<String>,
        /// Permissions.
        mode: u32,
    },
    /// The boot menu was written.
    Menu,
    /// Modules that were not loaded.
    Unloaded(BTreeSet<String>),
    /// The machine's own mappings of accounts; without a user there was none.
    Logins(BTreeMap<String, Option<SeUser>>),
    /// The kernel refused, or not.
    Enforce(bool),
}

/// What takes a record back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Back {
    /// Now.
    pub now: Vec<Act>,
    /// Packages to remove when SELinux no longer runs: the policy is not pulled away below a running one.
    pub packages: BTreeSet<String>,
}

/// Folds a record, first act first, into what gives the machine its first state back. Labels stay: without SELinux nobody reads them.
#[must_use]
pub fn back(record: &[Before]) -> Back {
    let (mut files, mut directories) = (BTreeMap::new(), Vec::new());
    let (mut modules, mut packages) = (BTreeSet::new(), BTreeSet::new());
    let mut logins = BTreeMap::new();
    let (mut menu, mut enforced) = (false, None);
    for before in record {
        match before {
            Before::Nothing => {}
            Before::Packages(p) => packages.extend(p.clone()),
            Before::NoDirectory(d) => directories.push(d.clone()),
            // The first one counts: it is what was found.
            Before::File { path, text, mode } => drop(files.entry(path.clone()).or_insert((text.clone(), *mode))),
            Before::Menu => menu = true,
            Before::Unloaded(m) => modules.extend(m.clone()),
            Before::Logins(l) => {
                for (login, user) in l {
                    logins.entry(login.clone()).or_insert_with(|| user.clone());
                }
            }
            Before::Enforce(on) => drop(enforced.get_or_insert(*on)),
        }
    }
    let mut now: Vec<Act> = enforced.map(Act::Enforce).into_iter().collect();
    if !logins.is_empty() {
        now.push(Act::Logins(logins));
    }
    if !modules.is_empty() {
        now.push(Act::Unload(modules));
    }
    now.extend(files.into_iter().map(|(path, (text, mode))| Act::File { path, text, mode }));
    now.extend(directories.into_iter().rev().map(Act::NoDirectory));
    if menu {
        now.push(Act::Menu);
    }
    Back { now, packages }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_folds_into_what_was_found_first() {
        let file = |text: &str| Before::File { path: "/c".into(), text: Some(text.into()), mode: 0o644 };
        let none = Before::File { path: "/d/x".into(), text: None, mode: 0o644 };
        let record = [
            Before::Packages(["auditd".into()].into()),
            file("found"),
            Before::NoDirectory("/d".into()),
            none,
            Before::Menu,
            Before::Unloaded(["a".into()].into()),
            Before::Nothing,
            Before::Logins([("ada".to_owned(), None)].into()),
            Before::Logins([("ada".to_owned(), Some(SeUser { user: "staff_u".into(), range: "s0".into() }))].into()),
            Before::Enforce(false),
            Before::Enforce(true),
            file("ours"),
        ];
        let back = back(&record);
        let found = |path: &str, text: Option<&str>| Act::File { path: path.into(), text: text.map(Into::into), mode: 0o644 };
        let now = [
            Act::Enforce(false),
            Act::Logins([("ada".to_owned(), None)].into()),
            Act::Unload(["a".into()].into()),
            found("/c", Some("found")),
            found("/d/x", None),
            Act::NoDirectory("/d".into()),
            Act::Menu,
        ];
        assert_eq!(back.now, now);
        assert_eq!(back.packages, ["auditd".to_owned()].into());
        assert_eq!(super::back(&[]), Back::default());
    }
}
