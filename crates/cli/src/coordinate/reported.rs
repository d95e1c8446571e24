//! What machines report of themselves, all asked at once. In come the way to them and their names, out come facts, rulesets in the one form
//! and devices by zone, or who said nothing. Never: takes what could not be read for nothing there.

use super::way::Way;
use crate::planning;
use facts::Facts;
use plan::Devices;
use ruleset::Ruleset;
use site::model::Model;
use std::{collections::BTreeMap, time::Duration};
use words::HostName;

/// A machine with a hundred thousand connections and many packages needs some seconds to look at itself.
const WITHIN: Duration = Duration::from_secs(60);

/// What one machine reports.
pub struct Reported {
    /// Everything.
    pub facts: Facts,
    /// Every packet filter of it.
    pub live: Ruleset,
}

/// Asks all of them. Every one that cannot be used is told.
pub fn ask(way: &Way, machines: &[&HostName]) -> Result<BTreeMap<HostName, Reported>, Vec<String>> {
    let answers: Vec<(HostName, Result<Reported, String>)> = std::thread::scope(|scope| {
        let asked: Vec<_> = machines.iter().map(|m| ((*m).clone(), scope.spawn(move || one(way, m)))).collect();
        asked.into_iter().map(|(m, t)| (m, t.join().unwrap_or_else(|_| Err("the thread that asked it broke".into())))).collect()
    });
    let mut out = BTreeMap::new();
    let mut troubles = Vec::new();
    for (machine, answer) in answers {
        match answer {
            Ok(reported) => drop(out.insert(machine, reported)),
            Err(why) => troubles.push(format!("{machine}: what it reports of itself cannot be used: {why}")),
        }
    }
    if troubles.is_empty() { Ok(out) } else { Err(troubles) }
}

fn one(way: &Way, machine: &HostName) -> Result<Reported, String> {
    let mut words = vec!["--json".to_owned(), "facts".into()];
    if way.is_lab() {
        words.push("--network".into());
    }
    let answer = way.transport.call(machine, &words, &[], WITHIN).map_err(|e| e.0)?;
    if answer.status != Some(0) {
        return Err(String::from_utf8_lossy(&answer.stdout).trim().to_owned());
    }
    let mut facts: Facts = serde_json::from_slice(&answer.stdout).map_err(|e| e.to_string())?;
    if way.is_lab() {
        // Machines of a lab share the files of the machine it stands on, UFW's among them.
        facts.ufw = None;
    }
    let live = reach::exposure::rulesets(&facts)?;
    Ok(Reported { facts, live })
}

/// The devices of all of them.
pub fn devices(model: &Model, all: &BTreeMap<HostName, Reported>, lab: bool) -> Devices {
    let mut out = Devices::default();
    // A lab's devices are called as the plan calls them.
    for (machine, reported) in all.iter().filter(|_| !lab) {
        if let Some(host) = model.hosts.get(machine) {
            let own = planning::devices(host, &reported.facts);
            out.reported.extend(own.reported);
            out.ufw.extend(own.ufw);
        }
    }
    out
}
