//! In the name of the pair: advertisements and states of connections, sent by a taken-over machine of every zone and from the Internet.
//!
//! In comes the attacker's view of a model; out go attempts. The advertisements say 255, which takes over at once, and 0, which says that
//! the active node leaves; they come from the sender's own address and from the other node's in that zone. Groups are not tried: the nodes
//! speak to one another by address, and a kernel that joined no group drops what is sent to it before any rule.
//! Never: expects a filter on the link between the two.

use super::{Attacker, SPORT, family};
use crate::{
    attempt::{Attempt, Group},
    outside::ATTACKER,
    packet::{Body, Packet, Shape},
    topology::{Node, SYNC},
};
use ipnet::IpNet;
use site::model::{Flow, Host};
use std::collections::BTreeSet;
use std::net::IpAddr;
use words::Proto;

/// Takes over at once (RFC 9568 5.2.4).
const OWNER: u8 = 255;
/// The active node leaves.
const LEAVES: u8 = 0;

impl Attacker<'_> {
    /// Advertisements and states from everybody but the other node.
    pub(super) fn as_a_node(&self, all: &mut Vec<Attempt>) {
        let nodes: Vec<&Host> = self.model.edge.nodes.iter().filter_map(|n| self.model.hosts.get(n)).collect();
        let [a, b] = nodes.as_slice() else { return };
        for (n, liar) in self.liars().into_iter().enumerate() {
            // The same packets for both nodes would say the same twice.
            let (to, other) = if n % 2 == 0 { (a, b) } else { (b, a) };
            self.one(all, liar, to, other);
        }
    }

    /// One machine of every zone, and the Internet's attacker.
    fn liars(&self) -> Vec<&Node> {
        let mut zones = BTreeSet::new();
        let mut out: Vec<&Node> = Vec::new();
        for h in self.model.hosts.values().filter(|h| h.managed && !h.edge) {
            let new: Vec<bool> = h.interfaces.iter().map(|i| zones.insert(i.zone.clone())).collect();
            if new.contains(&true) {
                out.extend(self.topology.nodes.get(h.name.as_str()));
            }
        }
        out.extend(self.topology.nodes.get(ATTACKER));
        out
    }

    fn one(&self, all: &mut Vec<Attempt>, liar: &Node, to: &Host, other: &Host) {
        for port in liar.ports.iter().filter(|p| p.segment != SYNC) {
            let on = |h: &Host, v6: bool| -> Option<IpAddr> {
                let here = h.interfaces.iter().find(|i| i.zone.as_str() == port.segment)?;
                here.addresses.iter().map(IpNet::addr).find(|a| a.is_ipv6() == v6)
            };
            for v6 in [false, true] {
                let Some(own) = port.addresses.iter().map(IpNet::addr).find(|a| a.is_ipv6() == v6) else { continue };
                let Some(dst) = on(to, v6) else { continue };
                let mut fire = |what: String, p: Packet| {
                    all.extend(self.stopped(
                        Group::Pair,
                        format!("{} -> {}, {what}, {}", liar.name, to.name, family(dst)),
                        &liar.name,
                        p,
                        Some(to),
                    ));
                };
                let vrrp = |src, priority| Packet { src, dst, body: Body::Vrrp { priority }, shape: Shape::Whole };
                if !v6 {
                    fire("from its own address: VRRP 255".into(), vrrp(own, OWNER));
                }
                let Some(src) = on(other, v6) else { continue };
                for (priority, word) in [(OWNER, "takes over"), (LEAVES, "leaves")] {
                    fire(format!("from the other node's: VRRP {priority}, {word}"), vrrp(src, priority));
                }
                if let Some(dport) = self.sync_port().filter(|_| !v6) {
                    fire(format!("from the other node's: states, {dport}/udp"), Packet::udp(src, dst, SPORT, dport));
                }
            }
        }
    }

    /// The port the nodes tell one another of connections at.
    fn sync_port(&self) -> Option<u16> {
        let sync = |f: &&Flow| f.target.proto == Proto::Udp && self.model.edge.is_within_pair(f);
        self.model.flows.iter().find(sync)?.target.ports.ranges().first().map(|r| r.first())
    }
}
