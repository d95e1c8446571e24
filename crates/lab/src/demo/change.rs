//! Scenes of change: live connections, what enforcing would cut of them, the first apply under them.

use super::Seen;
use crate::{
    attempt::{Attempt, Deed, Group, attack, legitimate},
    connect::{self, Held},
    error::LabError,
    listen::Ports,
    stage::Stage,
    topology::Role,
    truth,
};
use bundle::seed;
use learn::Observation;
use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
};
use words::{Generation, Proto};

/// Connections of each kind held open: enough for every pair of machines, few enough to be opened in a second.
const MOST_HELD: usize = 200;
/// Undeclared connections opened beside the declared ones.
const UNDECLARED: usize = 2;

/// Connections that are open while things change.
#[derive(Debug, Default)]
pub(super) struct Live {
    held: Vec<Held>,
    seeds: Vec<seed::SeedFlow>,
}

/// Ports opened on every machine: the whole catalogue's, so that what nobody should reach is there to be reached.
pub fn ports(stage: &Stage) -> Ports {
    let all = truth::catalogue_ports(catalog::builtin().values().map(AsRef::as_ref), &stage.model);
    let nodes = stage.lab.topology.nodes.values().filter(|n| n.role != Role::Router);
    nodes.map(|n| (n.name.clone(), all.clone())).collect()
}

/// Opens flows of the model and some that are not in it, observes every machine, and reports.
pub(super) fn learn(stage: &Stage, live: &mut Live) -> Result<Seen, LabError> {
    let (legitimate, _) = legitimate::attempts(&stage.model, &stage.lab.topology);
    let declared = open(stage, &legitimate, MOST_HELD, live)?;
    let attacks = attack::attempts(&stage.model, &stage.lab.topology);
    // From inside where there are several machines, from the Internet where there is one.
    let of = |group| attacks.iter().filter(move |a| a.group == group).cloned().filter_map(as_connection);
    let strangers: Vec<Attempt> = of(Group::Inside).chain(of(Group::Internet)).collect();
    let undeclared = open(stage, &strangers, UNDECLARED, live)?;
    let mut observations = Vec::new();
    for host in stage.model.hosts.values().filter(|h| h.managed) {
        let facts = stage.lab.space(host.name.as_str())?.run(|| Ok(observe::machine::network()))?;
        observations.push(Observation { machine: host.name.clone(), facts });
    }
    live.seeds = seed::from_facts(observations.iter().map(|o| &o.facts));
    let report = learn::report(&stage.model, &observations);
    let cut: BTreeSet<(IpAddr, IpAddr, u16)> = report.cut.iter().map(|c| (c.flow.from, c.flow.to, c.flow.port)).collect();
    let meant: BTreeSet<(IpAddr, IpAddr, u16)> = undeclared.iter().map(|(s, d)| (*s, d.ip(), d.port())).collect();
    let mut lines = vec![format!(
        "{} declared and {} undeclared connections are open; {} machines report {} allowed flows; {} would be cut:",
        declared.len(),
        undeclared.len(),
        report.machines.len(),
        report.allowed,
        report.cut.len()
    )];
    for c in &report.cut {
        lines.push(format!("{} -> {} {}/{}", c.from, c.to, c.flow.port, c.flow.proto));
        lines.extend(c.lines.lines().filter(|l| !l.is_empty()).map(|l| format!("    {l}")));
    }
    Ok(Seen { lines, right: !declared.is_empty() && !meant.is_empty() && cut == meant })
}

fn as_connection(a: Attempt) -> Option<Attempt> {
    let Deed::Send(packet) = &a.deed else { return None };
    let crate::packet::Body::Tcp { dport, .. } = packet.body else { return None };
    let deed = Deed::Connect { src: packet.src, dst: SocketAddr::new(packet.dst, dport), proto: Proto::Tcp };
    Some(Attempt { deed, ..a })
}

/// Opens TCP connections straight to machines (translation is not there yet) and keeps them.
fn open(stage: &Stage, attempts: &[Attempt], most: usize, live: &mut Live) -> Result<BTreeSet<(IpAddr, SocketAddr)>, LabError> {
    let mut opened = BTreeSet::new();
    for a in attempts {
        let Deed::Connect { src, dst, proto: Proto::Tcp } = a.deed else { continue };
        if opened.len() >= most || opened.contains(&(src, dst)) || stage.lab.topology.holder(dst.ip(), None).is_none() {
            continue;
        }
        if let Ok(held) = connect::hold(stage.lab.space(&a.node)?, Some(src), dst)? {
            live.held.push(held);
            opened.insert((src, dst));
        }
    }
    Ok(opened)
}

/// The first apply everywhere, with the real applier; every connection must live on.
pub(super) fn apply(stage: &Stage, live: &Live) -> Result<Seen, LabError> {
    let before = live.held.iter().filter(|h| h.alive()).count();
    let machines = stage.apply_all(Generation::default().next(), &live.seeds)?;
    let after = live.held.iter().filter(|h| h.alive()).count();
    let lines = vec![
        format!("{machines} machines hold their generation: staged, checked, read back in meaning, probed, confirmed"),
        format!("{} connections that were open before any firewall: {before} alive before, {after} alive after", live.held.len()),
    ];
    Ok(Seen { lines, right: machines > 0 && before == live.held.len() && after == before })
}
