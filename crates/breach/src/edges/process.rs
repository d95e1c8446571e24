//! What an account's own processes hold: capabilities, and the memory of other services under the same account. In come
//! processes and units, out come edges.

use super::{edge, set_id};
use crate::{
    graph::{Edge, Evidence, Node},
    machine::Machine,
    technique::Technique,
};
use catalog::recognise;
use facts::Account;
use std::collections::BTreeMap;

pub(super) fn edges(m: &Machine, account: &Account, out: &mut Vec<Edge>) {
    for p in m.facts.processes.iter().filter(|p| p.uid == account.uid && p.container.is_none()) {
        let held = set_id::root_like(p.capabilities);
        if !held.is_empty() {
            let name = p.unit.as_deref().unwrap_or(&p.comm);
            let evidence = Evidence::new(format!("process {} ({}, {name}) holds {}", p.pid, p.comm, held.join(", ")));
            out.push(edge(account, Node::Root, Technique::ProcessCapability, true, vec![evidence]));
        }
    }
    for u in m.facts.units.iter().filter(|u| u.user() == Some(account.name.as_str())) {
        for d in u.directives.iter().filter(|d| d.section == "Service" && d.key == "AmbientCapabilities") {
            let given: Vec<&str> = d.value.split_whitespace().filter(|c| !set_id::root_like(bit(c)).is_empty()).collect();
            if !given.is_empty() && u.all("Service", "AmbientCapabilities").contains(&d.value.as_str()) && !d.value.starts_with('~') {
                let evidence = Evidence::new(format!("{}: AmbientCapabilities={}", u.name, given.join(" "))).at(&d.file, d.line);
                out.push(edge(account, Node::Root, Technique::ProcessCapability, true, vec![evidence]));
            }
        }
    }
    shared(m, account, out);
}

fn bit(name: &str) -> u64 {
    facts::path::CAPABILITIES.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map_or(0, |(_, b)| 1 << b)
}

/// Several services under one account read each other's files and, where the kernel lets them, memory.
fn shared(m: &Machine, account: &Account, out: &mut Vec<Edge>) {
    let Some(services) = m.services.get(account.name.as_str()).filter(|s| s.len() > 1) else { return };
    let mut running: BTreeMap<&str, &facts::Process> = BTreeMap::new();
    for p in m.facts.processes.iter().filter(|p| p.uid == account.uid) {
        if let Some(s) = recognise::process(&p.comm, &p.exe).first() {
            running.entry(s.name.as_str()).or_insert(p);
        }
    }
    let scope = m.facts.sysctls.get("kernel.yama.ptrace_scope").map(String::as_str);
    if running.len() > 1 {
        let names: Vec<String> = running.iter().map(|(s, p)| format!("{s} (process {})", p.pid)).collect();
        let memory = format!("memory of {}", running.keys().copied().collect::<Vec<_>>().join(" and "));
        match scope {
            Some("2" | "3") => {}
            Some("0") => {
                let evidence = Evidence::new(format!("{} share the account, kernel.yama.ptrace_scope = 0", names.join(", ")));
                out.push(edge(account, Node::Secret(memory), Technique::Ptrace, true, vec![evidence]));
            }
            // With 1 only children are traced; a process may still name its own tracer, and Yama may be missing.
            other => {
                let scope = other.unwrap_or("not known");
                let evidence = Evidence::new(format!("{} share the account, kernel.yama.ptrace_scope = {scope}", names.join(", ")));
                out.push(edge(
                    account,
                    Node::Secret(memory),
                    Technique::Ptrace,
                    other.is_none() && m.facts.system.lsm.iter().all(|l| l != "yama") && !m.facts.system.lsm.is_empty(),
                    vec![evidence],
                ));
            }
        }
    }
    for f in m.facts.files.iter().filter(|f| !f.secrets.is_empty() && f.uid == account.uid) {
        let owners = m.owners_of(&f.path);
        if let Some(owner) = owners.iter().find(|o| services.contains(*o)) {
            let others: Vec<&str> = services.iter().filter(|s| !owners.contains(*s)).copied().collect();
            if !others.is_empty() {
                let evidence = Evidence::new(format!("of {owner}; {} run under the same account", others.join(", "))).at(&f.path, 0);
                out.push(edge(account, Node::Secret(f.path.clone()), Technique::SharedAccount, true, vec![evidence]));
            }
        }
    }
}
