//! Inventories: in comes text, out come hosts with their groups and addresses. Only what a site file needs is read:
//! `ansible_host`, group membership, children. Templates (`{{ … }}`) are not addresses.

use crate::syntax::range;
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

/// Why a text is no inventory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// A line of the INI form that says nothing.
    #[error("line {line}: {why}")]
    Ini {
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        why: String,
    },
    /// The YAML form.
    #[error("not an inventory in YAML form: {0}")]
    Yaml(String),
    /// A range of hosts.
    #[error("`{0}` is not a range of hosts such as web[01:20]")]
    Range(String),
    /// No host at all.
    #[error("the inventory has no host")]
    Empty,
}

/// A host of the inventory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Host {
    /// `ansible_host`, or the name itself, where that is an address.
    pub address: Option<IpAddr>,
    /// Groups it is in, those it is in through children included.
    pub groups: BTreeSet<String>,
}

/// Hosts by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Hosts by name as the inventory spells it.
    pub hosts: BTreeMap<String, Host>,
}

#[derive(Default)]
struct Draft {
    hosts: BTreeMap<String, Host>,
    children: BTreeMap<String, BTreeSet<String>>,
}

/// Groups every inventory has; they say nothing.
const SAYING_NOTHING: [&str; 2] = ["all", "ungrouped"];
/// Deepest nesting of groups followed: Ansible itself refuses loops, a text need not.
const MAX_DEPTH: usize = 32;

impl Draft {
    fn host(&mut self, pattern: &str, group: Option<&str>, address: Option<IpAddr>) -> Result<(), ImportError> {
        // Ansible writes [01:20] where the site file writes [01-20].
        let ours = pattern.replace(':', "-");
        let names = if pattern.contains('[') {
            range::expand(&ours).map_err(|_| ImportError::Range(pattern.to_owned()))?
        } else {
            vec![pattern.to_owned()]
        };
        for name in names {
            let own = name.parse().ok();
            let host = self.hosts.entry(name).or_default();
            host.address = host.address.or(address).or(own);
            host.groups.extend(group.filter(|g| !SAYING_NOTHING.contains(g)).map(str::to_owned));
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Inventory, ImportError> {
        for host in self.hosts.values_mut() {
            for _ in 0..MAX_DEPTH {
                let above: Vec<String> = self
                    .children
                    .iter()
                    .filter(|(parent, kids)| !host.groups.contains(*parent) && kids.iter().any(|k| host.groups.contains(k)))
                    .map(|(parent, _)| parent.clone())
                    .filter(|p| !SAYING_NOTHING.contains(&p.as_str()))
                    .collect();
                if above.is_empty() {
                    break;
                }
                host.groups.extend(above);
            }
        }
        if self.hosts.is_empty() { Err(ImportError::Empty) } else { Ok(Inventory { hosts: self.hosts }) }
    }
}

/// The INI form.
pub fn ini(text: &str) -> Result<Inventory, ImportError> {
    enum Section {
        Hosts(Option<String>),
        Children(String),
        Vars,
    }
    let mut draft = Draft::default();
    let mut section = Section::Hosts(None);
    for (n, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(rest) = line.strip_prefix('[') {
            let Some((name, _)) = rest.split_once(']') else {
                return Err(ImportError::Ini { line: n + 1, why: format!("`{line}` does not end in `]`") });
            };
            section = match name.split_once(':') {
                None => Section::Hosts(Some(name.trim().to_owned())),
                Some((group, "children")) => Section::Children(group.trim().to_owned()),
                Some((_, "vars")) => Section::Vars,
                Some((_, other)) => {
                    return Err(ImportError::Ini { line: n + 1, why: format!("`{other}` is neither `children` nor `vars`") });
                }
            };
            continue;
        }
        match &section {
            Section::Vars => {}
            Section::Children(parent) => drop(draft.children.entry(parent.clone()).or_default().insert(line.to_owned())),
            Section::Hosts(group) => {
                let mut words = line.split_whitespace();
                let Some(name) = words.next() else { continue };
                if name.contains('=') {
                    return Err(ImportError::Ini { line: n + 1, why: format!("`{name}` is not a host") });
                }
                let address = words.filter_map(|w| w.strip_prefix("ansible_host=")).find_map(|a| a.trim_matches(['"', '\'']).parse().ok());
                draft.host(name, group.as_deref(), address)?;
            }
        }
    }
    draft.finish()
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct YamlGroup {
    hosts: Option<BTreeMap<String, Option<YamlHost>>>,
    children: Option<BTreeMap<String, Option<YamlGroup>>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct YamlHost {
    ansible_host: Option<String>,
}

/// The YAML form.
pub fn yaml(text: &str) -> Result<Inventory, ImportError> {
    let top: BTreeMap<String, Option<YamlGroup>> =
        serde_saphyr::from_str(text).map_err(|e| ImportError::Yaml(e.to_string().lines().next().unwrap_or_default().to_owned()))?;
    let mut draft = Draft::default();
    let mut todo: Vec<(String, YamlGroup, usize)> = top.into_iter().map(|(n, g)| (n, g.unwrap_or_default(), 0)).collect();
    while let Some((name, group, depth)) = todo.pop() {
        for (host, vars) in group.hosts.unwrap_or_default() {
            let address = vars.and_then(|v| v.ansible_host).and_then(|a| a.parse().ok());
            draft.host(&host, Some(&name), address)?;
        }
        for (child, inner) in group.children.unwrap_or_default().into_iter().filter(|_| depth < MAX_DEPTH) {
            draft.children.entry(name.clone()).or_default().insert(child.clone());
            todo.push((child, inner.unwrap_or_default(), depth + 1));
        }
    }
    draft.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_forms_say_the_same() {
        let a = ini("bastion ansible_host=10.0.9.5\n[lotus]\nd1 ansible_host=10.0.2.11 ansible_user=x\n[lotus_worker]\nw[01:03]\n[sealing:children]\nlotus_worker\n[sealing:vars]\nx=1\n").expect("ini");
        let b = yaml("all:\n  hosts:\n    bastion:\n      ansible_host: 10.0.9.5\n  children:\n    lotus:\n      hosts:\n        d1: {ansible_host: 10.0.2.11, ansible_user: x}\n    sealing:\n      children:\n        lotus_worker:\n          hosts:\n            w[01:03]:\n").expect("yaml");
        assert_eq!(a, b);
        assert_eq!(a.hosts.len(), 5);
        assert!(a.hosts["w02"].groups.contains("sealing") && a.hosts["w02"].groups.contains("lotus_worker"));
    }

    #[test]
    fn nonsense_is_named() {
        assert_eq!(ini("[a:b]\nx\n"), Err(ImportError::Ini { line: 1, why: "`b` is neither `children` nor `vars`".into() }));
        assert_eq!(ini("# nothing\n"), Err(ImportError::Empty));
        assert!(matches!(ini("w[1:\n"), Err(ImportError::Range(_))));
        assert!(matches!(yaml("all: [1, 2"), Err(ImportError::Yaml(_))));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(\\PC|\n){0,120}", pieces in "[a-z:\\[\\]= \n{}-]{0,80}") {
            let _ = (crate::ansible::import(&text), ini(&pieces), yaml(&pieces));
        }
    }
}
