//! Port types. In come the ports each domain binds and connects to, out come types of Ravelin's own, and uses of the base
//! policy's where it has the very port already. Never: hides what a type cannot tell apart.

use super::{
    base,
    types::{PortPlan, PortUse},
};
use std::collections::{BTreeMap, BTreeSet};
use words::{Origin, PortRange, Proto};

/// A port a domain wants.
#[derive(Debug, Clone)]
pub(crate) struct Want {
    pub proto: Proto,
    pub range: PortRange,
    /// `service.endpoint`, or `out` for a place outside.
    pub label: String,
    pub why: String,
    pub origins: Vec<Origin>,
}

/// The types of every port of a machine.
pub(crate) struct Types(BTreeMap<(Proto, PortRange), (String, BTreeSet<String>)>);

impl Types {
    /// One type per port; ports that stand for the same things share it.
    pub fn of<'a>(wants: impl Iterator<Item = &'a Want>) -> Self {
        let mut labels: BTreeMap<(Proto, PortRange), BTreeSet<String>> = BTreeMap::new();
        for w in wants {
            labels.entry((w.proto, w.range)).or_default().insert(w.label.clone());
        }
        Self(
            labels
                .into_iter()
                .map(|((proto, range), labels)| {
                    let name = base::port_type(proto, range).map_or_else(|| own(range, &labels), str::to_owned);
                    ((proto, range), (name, labels))
                })
                .collect(),
        )
    }

    /// The types that are Ravelin's own.
    pub fn own(&self) -> Vec<PortPlan> {
        let mut out: BTreeMap<&String, PortPlan> = BTreeMap::new();
        for ((proto, range), (name, labels)) in self.0.iter().filter(|(_, (name, _))| name.starts_with("ravelin_")) {
            let plan =
                out.entry(name).or_insert_with(|| PortPlan { name: name.clone(), ports: BTreeSet::new(), stands_for: BTreeSet::new() });
            plan.ports.insert((*proto, *range));
            plan.stands_for.extend(labels.iter().cloned());
        }
        out.into_values().collect()
    }

    /// Ports for which the base policy's type is used: protocol, port, type, and what they stand for.
    pub fn shared(&self) -> impl Iterator<Item = (Proto, PortRange, &str, &BTreeSet<String>)> {
        self.0.iter().filter(|(_, (name, _))| !name.starts_with("ravelin_")).map(|((p, r), (name, labels))| (*p, *r, name.as_str(), labels))
    }

    /// Ports that stand for several things.
    pub fn crowded(&self) -> impl Iterator<Item = (Proto, PortRange, &BTreeSet<String>)> {
        self.0.iter().filter(|(_, (_, labels))| labels.iter().filter(|l| *l != "out").count() > 1).map(|((p, r), (_, l))| (*p, *r, l))
    }

    /// The uses of these ports, one per type and protocol.
    pub fn uses(&self, wants: &[Want]) -> Vec<PortUse> {
        let mut out: BTreeMap<(String, Proto), PortUse> = BTreeMap::new();
        for w in wants {
            let Some((name, _)) = self.0.get(&(w.proto, w.range)) else { continue };
            let entry = out.entry((name.clone(), w.proto)).or_insert_with(|| PortUse {
                name: name.clone(),
                proto: w.proto,
                ports: Vec::new(),
                also: Vec::new(),
                why: w.why.clone(),
                origins: Vec::new(),
            });
            if !entry.ports.contains(&w.range) {
                entry.ports.push(w.range);
            }
            if !entry.why.contains(&w.why) {
                entry.why = format!("{}; {}", entry.why, w.why);
            }
            entry.origins.extend(w.origins.iter().filter(|o| !entry.origins.contains(o)).cloned().collect::<Vec<_>>());
        }
        for u in out.values_mut().filter(|u| !u.name.starts_with("ravelin_")) {
            u.also = base::ports_of(u.proto, &u.name).into_iter().filter(|r| !u.ports.contains(r)).collect();
        }
        out.into_values().collect()
    }
}

/// The name of a type of our own: what the port stands for.
fn own(range: PortRange, labels: &BTreeSet<String>) -> String {
    let named: Vec<String> = labels.iter().filter(|l| *l != "out").map(|l| l.replace(['.', '-'], "_")).collect();
    if named.is_empty() {
        format!("ravelin_out_{}_port_t", range.to_string().replace('-', "_"))
    } else {
        format!("ravelin_{}_port_t", named.join("_or_"))
    }
}
