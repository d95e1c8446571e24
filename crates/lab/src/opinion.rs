//! The proof's opinion on single packets, beside the model's and the kernel's.
//!
//! In come cases and rulesets, as emitted or as read back; out come the cases on which [`reach`] sees another fate than
//! the model. Never: corrects either.

use crate::{
    packet::{Body, Packet, flag},
    topology::{Role, Topology},
    truth::{Case, Fate},
};
use reach::{Field, Journey, Network, eval::Past, field, network::Stop};
use site::model::Model;
use words::{HostName, ZoneName};

/// A packet in the proof's terms, as its sender puts it on the wire.
pub fn in_terms_of_reach(packet: &Packet) -> reach::Packet {
    let p = reach::Packet::opening(words::Family::of(&packet.dst)).from(packet.src).to(packet.dst);
    let p = p.with(Field::Proto, u128::from(packet.protocol()));
    match packet.body {
        Body::Tcp { sport, dport, flags } => {
            // What does not begin a connection belongs to none here: nobody opened one before.
            let opens = flags & (flag::SYN | flag::ACK | flag::RST | flag::FIN) == flag::SYN;
            let state = if opens { field::state::NEW } else { field::state::INVALID };
            let p = p.with(Field::State, state).with(Field::Flags, flags.into());
            p.with(Field::Sport, sport.into()).with(Field::Dport, dport.into())
        }
        Body::Udp { sport, dport } => p.with(Field::Sport, sport.into()).with(Field::Dport, dport.into()),
        Body::Icmp { kind, code } => p.with(Field::Type, kind.into()).with(Field::Code, code.into()),
        Body::Other { .. } => p,
    }
}

/// The way the proof says a case goes.
pub fn journey(network: &Network<'_>, topology: &Topology, case: &Case) -> Option<Journey> {
    let packet = in_terms_of_reach(&case.shot.packet);
    let wanted = matches!(case.fate, Fate::Lands { .. });
    let node = topology.nodes.get(&case.shot.node)?;
    if node.role == Role::Outside {
        return Some(network.inject(&ZoneName::internet(), packet, Past::Quiet, wanted));
    }
    let host = HostName::new(&case.shot.node).ok()?;
    Some(network.send(&host, packet, Past::Quiet, wanted))
}

/// The fate a journey tells. A stop that no filter causes (no route, nobody there) is told as stopped.
pub fn fate(model: &Model, topology: &Topology, case: &Case, journey: &Journey) -> Fate {
    match &journey.stop {
        None => {
            let outside = || topology.holder(case.shot.packet.dst, model.edge.nodes.first().map(HostName::as_str)).map(|n| n.name.clone());
            let on = journey.received.as_ref().map(|h| h.as_str().to_owned()).or_else(outside).unwrap_or_default();
            Fate::Lands { on, flow: None }
        }
        Some(Stop::Rule { host, hook: "output" | "postrouting", .. }) if host.as_str() == case.shot.node => Fate::Refused,
        Some(_) => Fate::Stopped,
    }
}

/// Cases on which the proof disagrees with the model's plain reading, with its journey in words.
pub fn disagreements(model: &Model, network: &Network<'_>, topology: &Topology, cases: &[Case]) -> Vec<String> {
    let mut all = Vec::new();
    for case in cases {
        let Some(journey) = journey(network, topology, case) else { continue };
        let told = fate(model, topology, case, &journey);
        let same = match (&told, &case.fate) {
            (Fate::Lands { on: a, .. }, Fate::Lands { on: b, .. }) => a == b,
            (a, b) => !matches!(a, Fate::Lands { .. }) && !matches!(b, Fate::Lands { .. }),
        };
        if !same {
            let p = &case.shot.packet;
            all.push(format!(
                "{}: {} -> {} {:?}: model {:?}, proof {told:?} ({:?})",
                case.shot.node, p.src, p.dst, p.body, case.fate, journey.stop
            ));
        }
    }
    all
}
