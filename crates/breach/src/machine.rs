//! The facts as edges ask for them: accounts with their groups, services, paths, the sudo policy. In come facts, out come
//! relations. Never: a verdict.

use crate::{
    access::{Hold, Identity, Paths},
    graph::{Evidence, Node},
};
use catalog::{PathKind, Service, recognise};
use facts::{Account, Facts, File, PathFact};
use std::collections::{BTreeMap, BTreeSet};
use sudoers::{Policy, Who};

/// One machine.
#[derive(Debug)]
pub struct Machine<'a> {
    /// The facts.
    pub facts: &'a Facts,
    /// Looked-at paths.
    pub paths: Paths<'a>,
    /// The sudo policy.
    pub policy: Policy,
    /// Services by the account they run under or should run under.
    pub services: BTreeMap<&'a str, BTreeSet<&'static str>>,
}

impl<'a> Machine<'a> {
    /// Relates the facts.
    pub fn new(facts: &'a Facts) -> Self {
        let mut services: BTreeMap<&'a str, BTreeSet<&'static str>> = BTreeMap::new();
        let mut add = |account: &str, service: &'static Service| {
            if let Some(a) = facts.accounts.iter().find(|a| a.name == account && a.uid != 0) {
                services.entry(&a.name).or_default().insert(service.name.as_str());
            }
        };
        for p in &facts.processes {
            if let Some(s) = recognise::process(&p.comm, &p.exe).first().filter(|s| s.account.is_some()) {
                // Of a service that runs as root the account it should have counts.
                let wanted = s.account.as_ref().map(|a| a.name.as_str()).filter(|_| p.uid == 0);
                p.user.as_deref().into_iter().chain(wanted).for_each(|a| add(a, s));
            }
        }
        for u in &facts.units {
            if let Some(s) = recognise::unit(&u.name).first().filter(|s| s.account.is_some()) {
                u.user().into_iter().for_each(|a| add(a, s));
            }
        }
        Self { facts, paths: Paths::new(&facts.paths), policy: Policy::read(&facts.sudoers), services }
    }

    /// An account by name.
    pub fn account(&self, name: &str) -> Option<&'a Account> {
        self.facts.accounts.iter().find(|a| a.name == name)
    }
    /// The node of whoever runs as this uid.
    pub fn runner(&self, uid: u32) -> Node {
        match self.facts.account(uid) {
            _ if uid == 0 => Node::Root,
            Some(a) => Node::Account(a.name.clone()),
            None => Node::Account(format!("#{uid}")),
        }
    }
    /// The node of a user's name as units and cron tables write it; nobody written is root.
    pub fn user(&self, name: Option<&str>) -> Node {
        match name {
            None | Some("root" | "0") => Node::Root,
            Some(n) => self.account(n).map_or_else(|| Node::Account(n.to_owned()), |a| self.runner(a.uid)),
        }
    }
    /// Groups of an account by name and id: primary, members, and what its units and processes hold besides.
    pub fn groups(&self, account: &Account) -> Vec<(String, u32)> {
        let name = |gid: u32| self.facts.groups.iter().find(|g| g.gid == gid).map_or_else(|| format!("#{gid}"), |g| g.name.clone());
        let mut out: BTreeMap<u32, String> = BTreeMap::new();
        out.insert(account.gid, name(account.gid));
        out.extend(self.facts.groups.iter().filter(|g| g.members.contains(&account.name)).map(|g| (g.gid, g.name.clone())));
        for p in self.facts.processes.iter().filter(|p| p.uid == account.uid) {
            out.extend(p.groups.iter().chain([&p.gid]).map(|g| (*g, name(*g))));
        }
        for u in self.facts.units.iter().filter(|u| u.user() == Some(account.name.as_str())) {
            let written = u.all("Service", "SupplementaryGroups").into_iter().flat_map(str::split_whitespace);
            for group in written.chain(u.get("Service", "Group")) {
                out.extend(self.facts.groups.iter().find(|g| g.name == group).map(|g| (g.gid, g.name.clone())));
            }
        }
        out.into_iter().map(|(gid, name)| (name, gid)).collect()
    }
    /// An account as the kernel sees it.
    pub fn identity(&self, account: &Account) -> Identity {
        Identity { uid: account.uid, gids: self.groups(account).into_iter().map(|g| g.1).collect() }
    }
    /// An account as sudo sees it.
    pub fn who(&self, account: &Account) -> Who {
        Who { name: account.name.clone(), uid: account.uid, groups: self.groups(account) }
    }
    /// Mode, owner and group of a path in words.
    pub fn described(&self, f: &PathFact) -> String {
        let user = self.facts.account(f.uid).map_or_else(|| f.uid.to_string(), |a| a.name.clone());
        let group = self.facts.groups.iter().find(|g| g.gid == f.gid).map_or_else(|| f.gid.to_string(), |g| g.name.clone());
        let list = if f.acl.is_empty() { "" } else { ", access list" };
        format!("mode {:04o}, {user}:{group}{list}", f.mode)
    }
    /// Places that let an account decide what is found at a path.
    pub fn holds(&self, account: &Account, path: &str) -> Vec<Hold> {
        self.paths.holds(&self.identity(account), path, &|f| self.described(f))
    }
    /// What let it be concluded, as evidence.
    pub fn evidence(hold: &Hold) -> Evidence {
        Evidence::new(hold.how.clone()).at(hold.at.clone(), 0)
    }
    /// A configuration file with text.
    pub fn text(&self, path: &str) -> Option<&'a File> {
        self.facts.file(path).filter(|f| f.text.is_some())
    }
    /// Files with text whose path begins so, in order.
    pub fn texts(&self, begin: &str) -> Vec<&'a File> {
        self.facts.files.iter().filter(|f| f.path.starts_with(begin) && f.text.is_some()).collect()
    }
    /// Services whose secret a path is.
    pub fn owners_of(&self, path: &str) -> BTreeSet<&'static str> {
        let kinds = [PathKind::Keystore, PathKind::Token, PathKind::Config];
        let services = catalog::builtin().values().filter(|s| {
            s.paths.iter().filter(|p| kinds.contains(&p.kind)).any(|p| {
                let usual = p.default.as_deref().unwrap_or(&p.path).trim_start_matches('~');
                usual.starts_with('/') && (path.ends_with(usual) || path.contains(&format!("{usual}/")))
            })
        });
        services.map(|s| s.name.as_str()).collect()
    }
}

/// Numbered lines of a file, comments left out.
pub fn lines(file: &File) -> impl Iterator<Item = (u32, &str)> {
    let text = file.text.as_deref().unwrap_or_default();
    (1u32..).zip(text.lines()).map(|(n, l)| (n, l.trim())).filter(|(_, l)| !l.is_empty() && !l.starts_with('#'))
}
