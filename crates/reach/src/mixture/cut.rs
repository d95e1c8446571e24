//! Flows of both plans that a mixture cuts. In come the two models, out come flows whose ends move: published ones that are translated to
//! another endpoint, and flows between machines whose addresses are all others. Never: a flow that both plans allow under the same
//! addresses and translate alike; every machine on its way passes it under either plan, so every mixture does.

use serde::Serialize;
use site::model::{Dnat, Flow, FlowId, Host, Model, Party};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};
use words::{Family, HostName, Proto};

/// Why a flow is cut meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Moves {
    /// Of a machine at one of its ends no address of this family stays.
    Addresses {
        /// The machine.
        of: HostName,
        /// The family.
        family: Family,
    },
    /// A public address and port is translated to another endpoint.
    Published {
        /// Public address.
        at: IpAddr,
        /// Public port.
        port: u16,
        /// Protocol.
        proto: Proto,
        /// The endpoint before.
        from: (IpAddr, u16),
        /// The endpoint afterwards.
        to: (IpAddr, u16),
    },
}

/// A flow of both plans that is cut while its machines do not hold the same plan.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Cut {
    /// Its id in the new plan.
    pub flow: FlowId,
    /// What it is for.
    pub why: String,
    /// What moves.
    pub moves: Moves,
    /// Changed machines it hangs on.
    pub machines: BTreeSet<HostName>,
    /// An order in which it is not cut, each step whole before the next one; empty where there is none.
    pub order: Vec<Vec<HostName>>,
}

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = |of: &mut dyn Iterator<Item = &HostName>| of.map(ToString::to_string).collect::<Vec<_>>().join(", ");
        write!(f, "{} ({}): ", self.flow, self.why)?;
        match &self.moves {
            Moves::Addresses { of, family } => write!(f, "{of} gets other {family} addresses")?,
            Moves::Published { at, port, proto, from, to } => {
                write!(f, "{at} {port}/{proto} moves from {} port {} to {} port {}", from.0, from.1, to.0, to.1)?;
            }
        }
        write!(f, "; cut while {} do not hold the same plan", names(&mut self.machines.iter()))?;
        if !self.order.is_empty() {
            let steps: Vec<String> = self.order.iter().map(|s| names(&mut s.iter())).collect();
            write!(f, ", unless in this order: {}", steps.join(", then "))?;
        }
        Ok(())
    }
}

/// Everything that is cut meanwhile.
pub(super) fn cut(old: &Model, new: &Model, changed: &BTreeSet<HostName>) -> Vec<Cut> {
    let mut out = published(old, new, changed);
    out.extend(moved(old, new, changed));
    out.sort();
    out.dedup();
    out
}

/// Translations by what is asked for from outside.
fn translations(model: &Model) -> BTreeMap<(IpAddr, u16, Proto), (&Flow, Dnat)> {
    let mut out = BTreeMap::new();
    for f in &model.flows {
        for d in &f.publish {
            out.entry((d.at, d.port, f.target.proto)).or_insert_with(|| (f, d.clone()));
        }
    }
    out
}

fn published(old: &Model, new: &Model, changed: &BTreeSet<HostName>) -> Vec<Cut> {
    let before = translations(old);
    let mut out = Vec::new();
    for ((at, port, proto), (flow, now)) in translations(new) {
        let Some((was_flow, was)) = before.get(&(at, port, proto)) else { continue };
        if (was.to, was.to_port) == (now.to, now.to_port) {
            continue;
        }
        let end = |f: &Flow| if let Party::Host(h) = &f.to { vec![h.clone()] } else { Vec::new() };
        let (from, to) = (end(was_flow), end(flow));
        let moved = |of: Vec<HostName>| of.into_iter().filter(|h| changed.contains(h)).collect::<Vec<_>>();
        let edges = moved(old.edge.nodes.iter().chain(&new.edge.nodes).cloned().collect::<BTreeSet<_>>().into_iter().collect());
        // The new endpoint takes it before it is sent there, the old one until it is not. One machine cannot be both.
        let order = if from == to { Vec::new() } else { vec![moved(to.clone()), edges.clone(), moved(from.clone())] };
        let machines: BTreeSet<HostName> = moved([from, to].concat()).into_iter().chain(edges).collect();
        if machines.len() < 2 {
            continue;
        }
        out.push(Cut {
            flow: flow.id.clone(),
            why: flow.why.clone(),
            moves: Moves::Published { at, port, proto, from: (was.to, was.to_port), to: (now.to, now.to_port) },
            machines,
            order: order.into_iter().filter(|s| !s.is_empty()).collect(),
        });
    }
    out
}

/// Flows between two machines of which one has no address of a family that stays.
fn moved(old: &Model, new: &Model, changed: &BTreeSet<HostName>) -> Vec<Cut> {
    let before: BTreeMap<&FlowId, &Flow> = old.flows.iter().map(|f| (&f.id, f)).collect();
    let mut out = Vec::new();
    for flow in &new.flows {
        let Some(was) = before.get(&flow.id) else { continue };
        for family in Family::ALL {
            for (party, src) in [(&flow.from, true), (&flow.to, false)] {
                let Party::Host(of) = party else { continue };
                let side = |f: &Flow| {
                    let legs = f.legs.iter().filter(|l| l.family == family);
                    legs.flat_map(|l| if src { l.src.iter() } else { l.dst.iter() }).copied().collect::<BTreeSet<_>>()
                };
                let (then, now) = (side(was), side(flow));
                if then.is_empty() || now.is_empty() || then.intersection(&now).next().is_some() {
                    continue;
                }
                let machines = ends(flow, &[old, new], changed);
                if machines.len() > 1 {
                    let moves = Moves::Addresses { of: of.clone(), family };
                    out.push(Cut { flow: flow.id.clone(), why: flow.why.clone(), moves, machines, order: Vec::new() });
                }
            }
        }
    }
    out
}

/// Changed machines that a flow hangs on: its ends, and the edge where it crosses.
fn ends(flow: &Flow, models: &[&Model], changed: &BTreeSet<HostName>) -> BTreeSet<HostName> {
    let hosts = || models.iter().flat_map(|m| m.hosts.values());
    let ends = [&flow.from, &flow.to].into_iter().flat_map(|p| {
        let is_end = move |h: &&Host| match p {
            Party::Host(name) => h.name == *name,
            Party::Zone(z) => h.interface(z).is_some(),
            Party::Outside(..) | Party::Public => false,
        };
        hosts().filter(is_end).map(|h| &h.name)
    });
    let crosses = flow.legs.iter().any(|l| l.from_zone != l.to_zone);
    let edges = models.iter().filter(|_| crosses).flat_map(|m| &m.edge.nodes);
    ends.chain(edges).filter(|h| changed.contains(*h)).cloned().collect()
}
