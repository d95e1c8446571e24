//! What honest senders never send: other people's source addresses, packets from the middle of connections nobody opened. In
//! come a model and a topology, out come cases with the fate that the plainest reading gives them. Never: asks the rulesets.

use super::{Case, Ends, FIRST_SOURCE_PORT, Fate, addresses, probe};
use crate::{
    expect,
    packet::{Body, flag},
    random::Dice,
    topology::{Node, Role, Topology},
    volley::{Outcome, Shot},
};
use site::model::{EdgeKind, FlowKind, Model};
use std::net::IpAddr;
use words::Proto;

/// First source port of hostile packets: none of the honest ones, so that no entry of theirs is met.
const FIRST_PORT: u16 = 20_000;
/// Flags of packets that open nothing.
const OUT_OF_STATE: [u8; 4] = [flag::ACK, flag::RST, flag::SYN | flag::ACK, flag::FIN | flag::ACK];

/// At most `wanted` cases, half with a forged source, half out of state.
pub fn hostile(model: &Model, topology: &Topology, ports: &[(Proto, u16)], dice: &mut Dice, wanted: u16) -> Vec<Case> {
    let ends = Ends { model, topology };
    let nodes: Vec<&Node> = topology.nodes.values().filter(|n| n.role.speaks()).collect();
    let mut cases = Vec::new();
    for n in 0..wanted {
        let (Some(from), Some(to)) = (dice.pick(&nodes).copied(), dice.pick(&nodes).copied()) else { break };
        if from.name == to.name
            || from.role == Role::Edge
            || to.role == Role::Edge
            || (from.role == Role::Outside && to.role == Role::Outside)
        {
            continue;
        }
        let Some(dst) = dice.pick(&addresses(to).collect::<Vec<_>>()).copied() else { continue };
        let Some((proto, dport)) = dice.pick(ports).copied() else { break };
        let own: Vec<IpAddr> = addresses(from).filter(|a| a.is_ipv4() == dst.is_ipv4()).collect();
        let Some(honest) = dice.pick(&own).copied() else { continue };
        let case = if n % 2 == 0 {
            // The receiver's own address never gets as far as a filter: the kernel takes it for a martian.
            let others: Vec<IpAddr> = nodes
                .iter()
                .filter(|x| x.name != from.name && x.name != to.name && x.role == Role::Host)
                .flat_map(|x| addresses(x))
                .filter(|a| a.is_ipv4() == dst.is_ipv4())
                .collect();
            let Some(src) = dice.pick(&others).copied() else { continue };
            let packet = probe(src, dst, proto, FIRST_PORT + n, dport);
            Case { fate: ends.forged(from, to, src, dst, proto, dport), shot: Shot { node: from.name.clone(), packet } }
        } else {
            let mut packet = probe(honest, dst, Proto::Tcp, FIRST_PORT + n, dport);
            packet.body = Body::Tcp { sport: FIRST_PORT + n, dport, flags: OUT_OF_STATE[dice.below(OUT_OF_STATE.len())] };
            Case { fate: ends.unopened(from, to, honest, dst, dport), shot: Shot { node: from.name.clone(), packet } }
        };
        cases.push(case);
    }
    cases
}

/// Answers to datagrams that landed: each goes back the way its question came, whatever no flow says about it.
pub fn answers(model: &Model, cases: &[Case], outcomes: &[Outcome], wanted: usize) -> Vec<Case> {
    let mut all = Vec::new();
    for (case, outcome) in cases.iter().zip(outcomes) {
        let Body::Udp { sport, dport } = case.shot.packet.body else { continue };
        let (Fate::Lands { on, flow: Some(_) }, Some((node, src))) = (&case.fate, outcome.landed.first_key_value()) else { continue };
        let asked = case.shot.packet.dst;
        // A published one is answered from the address and port behind the translation, which the case does not say.
        let published =
            model.publishes.iter().any(|p| p.at.contains(&asked)) && !model.hosts.values().any(|h| h.addresses().any(|a| a == asked));
        if on != node || all.len() >= wanted || sport < FIRST_SOURCE_PORT || published {
            continue;
        }
        let packet = probe(case.shot.packet.dst, *src, Proto::Udp, dport, sport);
        all.push(Case { fate: Fate::Lands { on: case.shot.node.clone(), flow: None }, shot: Shot { node: node.clone(), packet } });
    }
    all
}

impl Ends<'_> {
    /// Somebody else's source address. A managed machine's own filter knows its addresses; an edge knows whose zone it is; a
    /// receiver knows addresses alone.
    fn forged(&self, from: &Node, to: &Node, src: IpAddr, dst: IpAddr, proto: Proto, dport: u16) -> Fate {
        if from.managed {
            return Fate::Refused;
        }
        if self.over_an_edge(from, dst) {
            let near = from.ports.iter().filter_map(|p| self.model.zones.iter().find(|(z, _)| z.as_str() == p.segment));
            if !near.flat_map(|(_, z)| &z.subnets).any(|n| n.contains(&src)) || from.role == Role::Outside {
                return Fate::Stopped;
            }
        }
        let flow = expect::allowing(self.model, src, dst, proto, dport).map(|f| f.id.to_string());
        let open = flow.is_some() || !to.managed && !self.over_an_edge(from, dst);
        if open { Fate::Lands { on: to.name.clone(), flow } } else { Fate::Stopped }
    }

    /// A packet that belongs to no connection and opens none passes no filter, except the way in, which is never cut.
    fn unopened(&self, from: &Node, to: &Node, src: IpAddr, dst: IpAddr, dport: u16) -> Fate {
        let way_in = expect::all_allowing(self.model, src, dst, Proto::Tcp, dport).find(|f| f.kind == FlowKind::Management);
        match (way_in, from.managed) {
            (_, true) => Fate::Refused,
            (Some(flow), false) if !self.over_an_edge(from, dst) => Fate::Lands { on: to.name.clone(), flow: Some(flow.id.to_string()) },
            (..) if to.managed || self.over_an_edge(from, dst) => Fate::Stopped,
            (..) => Fate::Lands { on: to.name.clone(), flow: None },
        }
    }

    fn over_an_edge(&self, from: &Node, dst: IpAddr) -> bool {
        self.model.edge.kind == EdgeKind::Ravelin && !self.on_link(from, dst)
    }
}
