//! The proof's opinion on single packets, beside the model's and the kernel's.
//!
//! In come cases and rulesets, as emitted or as read back; out come the cases on which [`reach`] sees another fate than
//! the model. Never: corrects either.

use crate::{
    packet::{Body, Packet, flag},
    topology::{Role, Topology},
    truth::{Case, Fate, under_way::Turn},
};
use reach::{
    Field, Journey, Network,
    eval::Past,
    field,
    network::{Machine, Stop},
    trace,
};
use ruleset::form::Hook;
use site::model::Model;
use std::net::IpAddr;
use words::{HostName, ZoneName};

/// A packet in the proof's terms, as its sender puts it on the wire.
pub fn in_terms_of_reach(packet: &Packet) -> reach::Packet {
    let p = reach::Packet::opening(words::Family::of(&packet.dst)).from(packet.src).to(packet.dst);
    let p = p.with(Field::Proto, u128::from(packet.protocol())).with(Field::Hop, crate::packet::HOP_LIMIT.into());
    match packet.body {
        Body::Tcp { sport, dport, flags } => {
            // What does not begin a connection belongs to none here: nobody opened one before.
            let opens = flags & (flag::SYN | flag::ACK | flag::RST | flag::FIN) == flag::SYN;
            let state = if opens { field::state::NEW } else { field::state::INVALID };
            let p = p.with(Field::State, state).with(Field::Flags, flags.into());
            p.with(Field::Sport, sport.into()).with(Field::Dport, dport.into())
        }
        Body::Udp { sport, dport } => p.with(Field::Sport, sport.into()).with(Field::Dport, dport.into()),
        Body::Icmp { kind, code } | Body::Error { kind, code, .. } => p.with(Field::Type, kind.into()).with(Field::Code, code.into()),
        Body::Vrrp { .. } | Body::Other { .. } => p,
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
            // What an engine translated is its guest's.
            let last = journey.hops.last().and_then(|h| topology.holder(h.trace.packet.dst(), None)).filter(|n| n.role == Role::Guest);
            let host = || journey.received.as_ref().map(|h| h.as_str().to_owned());
            let on = last.map(|n| n.name.clone()).or_else(host).or_else(outside).unwrap_or_default();
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

/// Turns of connections under way on which the rulesets disagree with the model's plain reading. Translation of what is under
/// way is the kernel's own and no rule's: each machine is asked about the packet as it looks there.
pub fn of_turns(model: &Model, network: &Network<'_>, turns: &[Turn]) -> Vec<String> {
    let said = |t: &Turn| {
        let stopped = stopped(model, network, t);
        let lands = matches!(t.case.fate, Fate::Lands { .. });
        let p = &t.case.shot.packet;
        (stopped.is_none() != lands).then(|| {
            let why = stopped.map_or_else(|| "passes".to_owned(), |(host, hook)| format!("stopped on {host} at {hook}"));
            format!("{:?} {}: {} -> {} {:?}: model {:?}, rulesets: {why}", t.class, t.case.shot.node, p.src, p.dst, p.body, t.case.fate)
        })
    };
    turns.iter().filter_map(said).collect()
}

/// The first machine and hook that stop a turn.
fn stopped(model: &Model, network: &Network<'_>, turn: &Turn) -> Option<(String, &'static str)> {
    let terms = |p: &Packet| in_terms_of_reach(p).with(Field::State, turn.state);
    let (sent, arrives) = (terms(&turn.case.shot.packet), terms(&turn.arrives));
    // Destinations are translated before forwarding, sources after it.
    let between = sent.to(arrives.dst()).with(Field::Dport, arrives.get(Field::Dport));
    let wanted = matches!(turn.case.fate, Fate::Lands { .. });
    let machine = |name: &str| HostName::new(name).ok().and_then(|h| network.machine(&h));
    let at = |m: &Machine<'_>, hook: Hook, p: reach::Packet, from: Option<IpAddr>, to: Option<IpAddr>| {
        let device = |a: Option<IpAddr>| a.and_then(|a| m.place.route(a)).map_or(0, |l| field::device(&l.device));
        let p = p.with(Field::In, device(from)).with(Field::Out, device(to));
        let passed = m.rules().is_none_or(|r| trace::hook(r, &m.place, Past::Quiet, hook, p, wanted).passed);
        (!passed).then(|| (m.host.name.to_string(), hook.name()))
    };
    let sender = machine(&turn.case.shot.node)
        .and_then(|m| [Hook::Output, Hook::Postrouting].into_iter().find_map(|h| at(m, h, sent, None, Some(sent.dst()))));
    let edge = || {
        let m = model.edge.nodes.first().filter(|_| turn.crosses).and_then(|n| network.machine(n))?;
        let (from, to) = (Some(sent.src()), Some(arrives.dst()));
        let own = m.place.own.contains(&arrives.dst());
        let after: &[Hook] = if own { &[Hook::Input] } else { &[Hook::Forward, Hook::Postrouting] };
        let first = at(m, Hook::Prerouting, sent, from, None);
        first.or_else(|| after.iter().find_map(|h| at(m, *h, between, from, if own { None } else { to })))
    };
    let receiver = || {
        let m = machine(&turn.to)?;
        [Hook::Prerouting, Hook::Input].into_iter().find_map(|h| at(m, h, arrives, Some(arrives.src()), None))
    };
    sender.or_else(edge).or_else(receiver)
}
