//! Some machines on the old plan, some on the new one: what such a mixture lets through that neither plan does, and what it cuts that
//! both allow. In come two plans with the sites they are of, out come witnesses, each with its machines on either side. Never: a
//! rollout's order; whether one meets a mixture is asked of [`Wider::on_the_way`].
//!
//! A packet passes a way when each machine on it lets it pass: the sender's output, the edge with its translation, the receiver's input.
//! All subsets of machines are looked at, not only those of an order: a rollout that is taken back ends on each machine by a timer of
//! its own, so that after a failure any subset may stand for a while. Only ways with two changed machines have a mixture of their own.
//!
//! A machine holds addresses and rules of one plan together. A packet is its headers with the way it takes: hop limit, marks and
//! connection state do not tell two packets apart; after a translation the endpoint it reaches belongs to it.
//! Not followed: connections that are open already, flow state of one node of a pair at the other, addresses that move at another time
//! than the rules, ways over two machines that pass on, containers behind a host, translations of somebody else's firewall.

mod cut;
mod order;
mod sets;
mod side;
mod way;
mod wider;

pub use cut::Cut;
pub use order::{WayOut, way_out};

use crate::{
    eval::Past,
    network::{Devices, Prover, Sender},
    packet::Packet,
};
use ruleset::form::Ruleset;
use serde::Serialize;
use side::Sides;
use site::model::{EdgeKind, Model};
use std::collections::{BTreeMap, BTreeSet};
use words::HostName;

/// Wider mixtures that are told: past that a person wants to know that there are more.
pub const MOST: usize = 64;

/// A plan with the site it is of.
#[derive(Debug, Clone, Copy)]
pub struct State<'a> {
    /// The site.
    pub model: &'a Model,
    /// What each managed machine holds. A machine without one is not managed by this plan, and what it filters is not known; one that is
    /// known to filter nothing has an empty ruleset.
    pub rulesets: &'a BTreeMap<HostName, Ruleset>,
    /// Devices where they are known better than by the site file.
    pub devices: &'a Devices,
}

/// What mixtures of two plans do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[must_use = "a mixture nobody looks at is not proved"]
pub struct Mixture {
    /// Machines that filter otherwise afterwards.
    pub changed: BTreeSet<HostName>,
    /// What some mixture lets through and neither plan does; at most [`MOST`].
    pub wider: Vec<Wider>,
    /// There are more of them.
    pub more: bool,
    /// Flows of both plans that some mixture cuts.
    pub cut: Vec<Cut>,
    /// What could not be read or is not known: without these nothing is proved.
    pub unproven: Vec<String>,
}

impl Mixture {
    /// Whether every mixture is proved to be no wider than the two plans.
    pub fn is_proved(&self) -> bool {
        self.wider.is_empty() && self.unproven.is_empty()
    }
}

/// A packet that some mixture lets through and neither plan does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Wider {
    /// As it is sent.
    pub packet: Packet,
    /// As it arrives; otherwise than it is sent where it is translated.
    pub arrives: Packet,
    /// Who sends it.
    pub from: Sender,
    /// Machines whose filters let it pass, in order; the last is the receiver, unless it leaves for the Internet.
    pub path: Vec<HostName>,
    /// It leaves for the Internet.
    pub outside: bool,
    /// Changed machines of the path that hold the old plan.
    pub old: BTreeSet<HostName>,
    /// Changed machines of the path that hold the new plan.
    pub new: BTreeSet<HostName>,
    /// Whether either plan alone passes it could not be told, so it is taken not to.
    pub unsure: bool,
}

impl std::fmt::Display for Wider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = |of: &BTreeSet<HostName>| of.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let from = match &self.from {
            Sender::Host(h) | Sender::TakenOver(h) => h.to_string(),
            Sender::Zone(z) => format!("zone {z}"),
        };
        let path: Vec<String> = self.path.iter().map(ToString::to_string).collect();
        write!(f, "{} from {from} over {}", self.packet, path.join(", "))?;
        if self.outside {
            f.write_str(" to the Internet")?;
        }
        if self.arrives.dst() != self.packet.dst() || self.arrives.dport() != self.packet.dport() {
            write!(f, ", arriving at {} port {}", self.arrives.dst(), self.arrives.dport())?;
        }
        write!(f, ": passes with {} on the old plan and {} on the new one", names(&self.old), names(&self.new))
    }
}

/// Everything that mixtures of two plans do.
pub fn mixture(old: State<'_>, new: State<'_>) -> Mixture {
    let mut prover = Prover::once();
    let sides = Sides::new(old, new, &mut prover);
    let mut out = Mixture { changed: sides.changed(), unproven: sides.unproven(), ..Mixture::default() };
    if out.changed.len() > 1 {
        (out.wider, out.more) = wider::wider(&sides, &mut prover, Past::Any);
        out.cut = cut::cut(old.model, new.model, &out.changed);
    }
    out
}

/// What some mixture lets through and neither plan does.
pub fn wider(old: State<'_>, new: State<'_>) -> Vec<Wider> {
    mixture(old, new).wider
}

/// Flows of both plans that some mixture cuts.
pub fn cut(old: State<'_>, new: State<'_>) -> Vec<Cut> {
    mixture(old, new).cut
}

/// Any machine of the site may reach any other one past a firewall that is not ours, or past none.
fn is_open(model: &Model) -> bool {
    model.edge.kind != EdgeKind::Ravelin
}
