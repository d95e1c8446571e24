//! systemd: unit files and the directories they come from, programs they start, environment files they read. In come units, out
//! come triggers.

use super::{Trigger, program};
use crate::{
    graph::{Evidence, Node},
    machine::Machine,
    technique::Technique,
};
use facts::Unit;

/// Directories in which a new file or drop-in is a unit at the next reload.
pub(crate) const DIRECTORIES: [&str; 5] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/etc/systemd/system-generators",
];

const STARTS: [&str; 7] = ["ExecStartPre", "ExecStart", "ExecStartPost", "ExecReload", "ExecStop", "ExecStopPost", "ExecCondition"];

pub(super) fn triggers(m: &Machine, out: &mut Vec<Trigger>) {
    for directory in DIRECTORIES {
        out.push(Trigger::new(directory, Node::Root, Technique::UnitFile, Evidence::new("systemd reads units from it").at(directory, 0)));
    }
    for unit in &m.facts.units {
        for file in &unit.files {
            let evidence = Evidence::new(format!("{} is made of it", unit.name)).at(file, 0);
            out.push(Trigger::new(file.clone(), Node::Root, Technique::UnitFile, evidence));
        }
        started(m, unit, out);
    }
}

/// Every absolute path a unit starts or reads its environment from.
fn started(m: &Machine, unit: &Unit, out: &mut Vec<Trigger>) {
    let dynamic = matches!(unit.get("Service", "DynamicUser"), Some("yes" | "true" | "1" | "on"));
    let user = m.user(unit.user());
    for d in unit.directives.iter().filter(|d| d.section == "Service") {
        let in_force = unit.all("Service", &d.key).contains(&d.value.as_str());
        if STARTS.contains(&d.key.as_str()) && in_force {
            let command = d.value.trim_start_matches(['-', '@', ':', '|']);
            let full = command.trim_start_matches(['+', '!', '-', '@', ':']);
            let privileged = command.len() != full.len() && d.value[..d.value.len() - full.len()].contains(['+', '!']);
            if dynamic && !privileged {
                continue;
            }
            let runner = if privileged { Node::Root } else { user.clone() };
            for path in program::started(full) {
                let evidence = Evidence::new(format!("{}: {}={}", unit.name, d.key, d.value)).at(&d.file, d.line);
                out.push(Trigger::new(path, runner.clone(), Technique::UnitProgram, evidence));
            }
        } else if d.key == "EnvironmentFile" && in_force && !dynamic {
            let path = d.value.trim_start_matches('-');
            if path.starts_with('/') && !path.contains(['*', '%']) {
                let evidence = Evidence::new(format!("{}: EnvironmentFile={}", unit.name, d.value)).at(&d.file, d.line);
                out.push(Trigger::new(path, user.clone(), Technique::UnitEnvironment, evidence));
            }
        }
    }
}
