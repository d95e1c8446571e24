//! Which of a pair's nodes is active, and what the other one knows of its connections: what keepalived and conntrackd are told. In comes
//! a node of a pair, out comes the whole of both configurations as data. Never: a script, a preference for one node, or a tracked
//! link whose loss on both nodes would leave no active one.

use crate::build::Build;
use crate::pair::Talk;
use crate::{Address, address};
use serde::Serialize;
use site::model::{Flow, Mode, Party};
use std::collections::BTreeSet;
use std::net::IpAddr;
use words::{Family, HostName};

/// What elects and informs a node of a pair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PairPlan {
    /// The other node.
    pub peer: HostName,
    /// Device of the link between the two.
    pub link: String,
    /// This node's address on it.
    pub here: IpAddr,
    /// The other node's.
    pub there: IpAddr,
    /// UDP port the nodes tell one another of connections at.
    pub port: u16,
    /// Devices whose loss counts against a node, sorted; the link between the two is not among them.
    pub watched: Vec<String>,
    /// What the active node holds besides its own addresses, sorted. At least one is of the family of the link.
    pub addresses: Vec<Address>,
    /// This node's own addresses, sorted: connections that begin or end at them are nobody else's business.
    pub own: Vec<IpAddr>,
    /// Connections a node can track.
    pub connections: u32,
    /// The layer observes: what is there stays, and nothing is elected that was not before.
    pub proposed: bool,
}

impl PairPlan {
    /// What is decided here, a line each.
    pub fn lines(&self) -> BTreeSet<String> {
        let mut out =
            BTreeSet::from([format!("elects the active node with {} over {} ({} and {})", self.peer, self.link, self.here, self.there)]);
        out.extend(self.watched.iter().map(|d| format!("a lost {d} counts against this node")));
        out.extend(self.addresses.iter().map(|a| format!("address {} on {} while active: {}", a.address, a.device, a.why)));
        out
    }

    /// The addresses that stand in advertisements: VRRP wants at least one, of the family it speaks.
    pub fn advertised(&self) -> Option<&Address> {
        self.addresses.iter().find(|a| Family::of(&a.address.addr()) == Family::of(&self.here))
    }
}

/// What the node is told; `None` where there is no pair, the layer is off, or there is nothing to be elected for.
pub(crate) fn of(b: &Build<'_>) -> Option<PairPlan> {
    if b.mode == Mode::Off || b.model.edge.nodes.len() < 2 {
        return None;
    }
    let mine = Party::Host(b.host.name.clone());
    let said = |talk: Talk| {
        let is = move |f: &&&Flow| b.model.edge.is_within_pair(f) && f.from == Party::Host(b.host.name.clone()) && Talk::of(f) == talk;
        b.flows.iter().find(is).copied()
    };
    let (vrrp, sync) = (said(Talk::Vrrp)?, said(Talk::Sync)?);
    let leg = vrrp.legs.first()?;
    let Party::Host(peer) = &vrrp.to else { return None };
    debug_assert!(vrrp.from == mine, "bug: the flow of another node");
    let link = b.devices.get(&leg.from_zone)?.clone();
    let mut watched: Vec<String> = b.devices.values().filter(|d| **d != link).cloned().collect();
    watched.sort();
    watched.dedup();
    let mut own: Vec<IpAddr> = b.host.addresses().collect();
    own.sort();
    let plan = PairPlan {
        peer: peer.clone(),
        link,
        here: leg.src.first()?.addr(),
        there: leg.dst.first()?.addr(),
        port: sync.target.ports.ranges().first()?.first(),
        watched,
        addresses: address::shared(b),
        own,
        connections: crate::sysctl::EDGE_CONNECTIONS,
        proposed: b.mode != Mode::Enforce,
    };
    plan.advertised().is_some().then_some(plan)
}
