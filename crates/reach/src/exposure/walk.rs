//! One packet on its way into a machine, rule by rule. In comes a packet as a wire brings it, or as a socket saw it, out come the
//! steps that decided. Never: a verdict of its own; the sets have said it before.

use super::Machine;
use crate::{
    eval::Past,
    field::{self, Field, device, state},
    packet::Packet,
    trace::{self, Step, Trace},
};
use ruleset::form::Hook;
use words::Family;

/// A packet that arrives, with what lets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Walked {
    pub sent: Packet,
    pub steps: Vec<Step>,
    pub assumed: Vec<String>,
}

/// What stops a packet: the last step it took. `None` where no rule does.
pub(super) fn stopped(machine: &Machine<'_>, packet: Packet) -> Option<Step> {
    [Past::Quiet, Past::Any].into_iter().find_map(|past| run(machine, packet, past, false).err().flatten())
}

/// The packet that looks like `seen` at its end, as it was sent.
pub(super) fn arrived(machine: &Machine<'_>, seen: Packet) -> Option<Walked> {
    let family = seen.family();
    let unmarked = seen.with(Field::Mark, 0).with(Field::CtMark, 0).with(Field::Dnat, 0).with(Field::Out, 0).with(Field::State, state::NEW);
    let tries: Vec<Packet> = if seen.get(Field::Dnat) == 0 {
        vec![unmarked]
    } else {
        let before = unmarked.with(Field::Dport, seen.get(Field::OrigDport));
        match family {
            Family::V4 => vec![before.with(Field::Dst4, seen.get(Field::OrigDst4))],
            Family::V6 => machine.place.own.iter().filter(|a| a.is_ipv6()).map(|a| before.to(*a)).collect(),
        }
    };
    // A redirected packet gets an address of its device, which the sets do not tell.
    let own = |p: &Packet| machine.place.own.contains(&p.dst());
    let there = |p: &Packet| p.dport() == seen.dport() && (p.dst() == seen.dst() || own(p) && own(&seen));
    [Past::Quiet, Past::Any]
        .into_iter()
        .find_map(|past| tries.iter().find_map(|sent| run(machine, *sent, past, true).ok().filter(|(end, _)| there(end)).map(|(_, w)| w)))
}

/// Through every hook of its way; an error is the step that stopped it.
fn run(machine: &Machine<'_>, sent: Packet, past: Past, wanted: bool) -> Result<(Packet, Walked), Option<Step>> {
    let mut walked = Walked { sent, steps: Vec::new(), assumed: Vec::new() };
    let mut at = sent;
    let mut hook = |at: &mut Packet, hook: Hook| {
        let Trace { packet, passed, steps, assumed } = trace::hook(machine.rules, &machine.place, past, hook, *at, wanted);
        *at = packet;
        walked.assumed.extend(assumed);
        walked.steps.extend(steps);
        if passed { Ok(()) } else { Err(walked.steps.last().cloned()) }
    };
    hook(&mut at, Hook::Ingress)?;
    hook(&mut at, Hook::Prerouting)?;
    let broadcast = |a: std::net::IpAddr| {
        let nets = machine.place.links.iter().flat_map(|l| &l.nets).filter(|n| a.is_ipv4() && n.prefix_len() < 31);
        nets.into_iter().any(|n| n.broadcast() == a) || field::address(a) == u128::from(u32::MAX)
    };
    if machine.place.own.contains(&at.dst()) || at.dst().is_loopback() || at.dst().is_multicast() || broadcast(at.dst()) {
        hook(&mut at, Hook::Input)?;
        if at.dst().is_loopback() {
            walked.assumed.push("route_localnet is set: else the kernel drops what comes from a wire for loopback".to_owned());
        }
        return Ok((at, walked));
    }
    let Some(link) = machine.place.route(at.dst()) else { return Err(None) };
    at = at.with(Field::Out, device(&link.device));
    hook(&mut at, Hook::Forward)?;
    let forwarded = at;
    hook(&mut at, Hook::Postrouting)?;
    Ok((forwarded, walked))
}
