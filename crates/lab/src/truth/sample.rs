//! A seeded sample of a large site's truth, where trying everything would take hours.
//!
//! In come a model, a topology and a number; out come that many different cases: half at random over nodes, addresses and
//! ports (most of which must be stopped), half between ends that a flow of the model connects. Never: depends on anything
//! but the seed.

use super::{Case, Ends, FIRST_SOURCE_PORT, SOURCE_PORTS, pairs, probe};
use crate::{
    random::Dice,
    topology::{Node, Role, Topology},
    volley::Shot,
};
use ipnet::IpNet;
use site::model::{Leg, Model};
use std::{collections::BTreeSet, net::IpAddr};
use words::Proto;

/// Of a hundred cases, how many are taken from flows: as many that should land as should not.
const FROM_FLOWS: usize = 50;
/// Draws per case wanted, after which the site is taken to have no more different ones.
const MOST_DRAWS: usize = 50;

/// Sender, receiver, addresses, protocol, port.
type Tuple<'t> = (&'t Node, &'t Node, IpAddr, IpAddr, Proto, u16);

/// At most `wanted` different cases.
pub fn sample(model: &Model, topology: &Topology, ports: &BTreeSet<(Proto, u16)>, seed: u64, wanted: usize) -> Vec<Case> {
    let mut dice = Dice::new(seed);
    let nodes: Vec<&Node> = topology.nodes.values().filter(|n| n.role.speaks()).collect();
    let ports: Vec<(Proto, u16)> = ports.iter().copied().collect();
    let ways = ways(model, &nodes);
    let ends = Ends { model, topology };
    let (mut seen, mut cases, mut sport) = (BTreeSet::new(), Vec::new(), 0);
    for _ in 0..wanted * MOST_DRAWS {
        if cases.len() == wanted {
            break;
        }
        let drawn = if dice.chance(FROM_FLOWS) { declared(&mut dice, &nodes, &ways) } else { anything(&mut dice, &nodes, &ports) };
        let Some((from, to, src, dst, proto, dport)) = drawn else { continue };
        let outside = from.role == Role::Outside && to.role == Role::Outside;
        if from.name == to.name || outside || !seen.insert((src, dst, proto, dport)) {
            continue;
        }
        sport = (sport + 1) % SOURCE_PORTS;
        let packet = probe(src, dst, proto, FIRST_SOURCE_PORT + sport, dport);
        cases.push(Case { fate: ends.fate(from, to, &packet), shot: Shot { node: from.name.clone(), packet } });
    }
    cases
}

/// Legs with nodes at both ends, and a port of their flow.
fn ways<'m>(model: &'m Model, nodes: &[&Node]) -> Vec<(&'m Leg, Proto, u16)> {
    let played = |nets: &[IpNet]| nodes.iter().any(|n| held(n, nets).is_some());
    let mut all = Vec::new();
    for flow in model.flows.iter().filter(|f| matches!(f.target.proto, Proto::Tcp | Proto::Udp) && !f.target.ports.is_all()) {
        let Some(port) = flow.target.ports.ranges().first().map(|r| r.first()).filter(|p| *p > 0) else { continue };
        all.extend(flow.legs.iter().filter(|l| played(&l.src) && played(&l.dst)).map(|l| (l, flow.target.proto, port)));
    }
    all
}

fn held(node: &Node, nets: &[IpNet]) -> Option<IpAddr> {
    node.ports.iter().flat_map(|p| &p.addresses).map(IpNet::addr).find(|a| nets.iter().any(|n| n.contains(a)))
}

fn declared<'t>(dice: &mut Dice, nodes: &[&'t Node], ways: &[(&Leg, Proto, u16)]) -> Option<Tuple<'t>> {
    let (leg, proto, port) = dice.pick(ways)?;
    let at = |nets: &[IpNet]| nodes.iter().filter_map(|n| held(n, nets).map(|a| (*n, a))).collect::<Vec<_>>();
    let (senders, receivers) = (at(&leg.src), at(&leg.dst));
    let (from, src) = dice.pick(&senders)?;
    let (to, dst) = dice.pick(&receivers)?;
    Some((from, to, *src, *dst, *proto, *port))
}

fn anything<'t>(dice: &mut Dice, nodes: &[&'t Node], ports: &[(Proto, u16)]) -> Option<Tuple<'t>> {
    let (from, to) = (dice.pick(nodes)?, dice.pick(nodes)?);
    let pairs = pairs(from, to);
    let (src, dst) = dice.pick(&pairs)?;
    let (proto, port) = dice.pick(ports)?;
    Some((from, to, *src, *dst, *proto, *port))
}
