//! Cases: a site file each, one golden module per service and machine. Never: touches the machine.

use plan::selinux::SelinuxPlan;
use std::{collections::BTreeMap, path::PathBuf};

/// One machine of a case.
pub struct Case {
    pub name: String,
    pub host: String,
    pub plan: SelinuxPlan,
}

impl Case {
    /// Its modules.
    pub fn modules(&self) -> BTreeMap<String, String> {
        emit::selinux::modules(&self.plan)
    }
    /// Its golden files: every module but the common one, which is a file of the sources, and the notes.
    pub fn files(&self) -> BTreeMap<String, String> {
        let mut out: BTreeMap<String, String> =
            self.modules().into_iter().filter(|(n, _)| n != "ravelin").map(|(n, t)| (format!("{n}.cil"), t)).collect();
        let notes: Vec<String> = self.plan.notes.iter().map(|d| format!("{}: {}\n", d.code, d.message)).collect();
        out.insert("notes.txt".to_owned(), notes.concat());
        out
    }
}

/// Where the cases lie.
pub fn directory() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/selinux"))
}

/// Every machine of every case that has a domain.
pub fn cases() -> Vec<Case> {
    let mut out = Vec::new();
    for (name, _, made) in crate::common::planned(&directory()) {
        for (host, machine) in made.machines {
            let plan = machine.selinux.expect("selinux");
            if !plan.domains.is_empty() {
                out.push(Case { name: name.clone(), host: host.to_string(), plan });
            }
        }
    }
    out.sort_by(|a, b| (&a.name, &a.host).cmp(&(&b.name, &b.host)));
    assert!(out.len() >= 6, "cases were not read");
    out
}
