//! What the machines talk to: established connections to machines nobody has looked at, read with the catalogue's peers.
//! A peer that is needed and was seen nowhere is a question.

use super::{Machine, place::Places, usable};
use catalog::{Scope, builtin, recognise};
use facts::SocketState;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};
use words::Proto;

/// A machine known by its connections.
pub(crate) struct Far {
    pub name: String,
    pub address: IpAddr,
    pub runs: Vec<String>,
}

/// Everything about other machines.
pub(crate) struct Elsewhere {
    pub hosts: Vec<Far>,
    /// Machine, and what it misses.
    pub missing: Vec<(String, String)>,
    uses: BTreeMap<String, BTreeMap<String, String>>,
}

impl Elsewhere {
    /// Which host plays a part for a machine, where several could and one was seen to.
    pub fn uses(&self, machine: &str) -> Vec<(&str, &str)> {
        self.uses.get(machine).into_iter().flatten().map(|(s, h)| (s.as_str(), h.as_str())).collect()
    }
}

pub(crate) fn look(machines: &[Machine<'_>], places: &mut Places, names: &mut BTreeSet<String>) -> Elsewhere {
    let here: BTreeMap<IpAddr, &str> =
        machines.iter().flat_map(|m| m.facts.interfaces.iter().flat_map(|i| &i.addresses).map(|a| (a.addr(), m.name.as_str()))).collect();
    let mut far: BTreeMap<IpAddr, BTreeSet<String>> = BTreeMap::new();
    let mut partner: BTreeMap<(String, String), BTreeSet<IpAddr>> = BTreeMap::new();
    for m in machines {
        for f in &m.found {
            let open = m
                .facts
                .sockets
                .iter()
                .filter(|s| s.state == SocketState::Established && s.proto == Proto::Tcp && s.pids.contains(&f.process.pid));
            for remote in open.filter_map(|s| s.remote).filter(|r| usable(r.ip()) && !crate::special::is_public(&r.ip())) {
                // Who asks on our own listening port is a client, not a peer of ours.
                let parts = f.service.peers.iter().flat_map(|p| p.service.iter().map(move |s| (p, s)));
                let part = parts.into_iter().find(|(p, s)| {
                    builtin().get(*s).is_some_and(|s| {
                        recognise::endpoint(s, Proto::Tcp, remote.port())
                            .is_some_and(|e| e.name == p.endpoint && e.seen.iter().chain(default(e).iter()).any(|d| *d == remote.port()))
                    })
                });
                let Some((_, service)) = part else { continue };
                partner.entry((m.name.clone(), service.to_string())).or_default().insert(remote.ip());
                if !here.contains_key(&remote.ip()) {
                    far.entry(remote.ip()).or_default().insert(service.to_string());
                }
            }
        }
    }
    for address in far.keys() {
        if places.zone(*address).is_none() {
            places.add(*address);
        }
    }
    let hosts: Vec<Far> = far
        .into_iter()
        .map(|(address, runs)| {
            let first = runs.first().cloned().unwrap_or_default();
            Far { name: super::place::host_name(&format!("{first}-host"), names), address, runs: runs.into_iter().collect() }
        })
        .collect();
    let uses = uses(machines, &hosts, &here, &partner);
    let missing = missing(machines, &hosts);
    Elsewhere { hosts, missing, uses }
}

fn default(e: &catalog::Endpoint) -> Option<u16> {
    match e.port {
        catalog::PortDefault::Fixed(p) => Some(p),
        _ => None,
    }
}

/// Every host that runs a service.
fn candidates<'a>(machines: &'a [Machine<'_>], hosts: &'a [Far], service: &str) -> Vec<&'a str> {
    let near = machines.iter().filter(|m| m.found.iter().any(|f| f.service.name.as_str() == service)).map(|m| m.name.as_str());
    near.chain(hosts.iter().filter(|h| h.runs.iter().any(|r| r == service)).map(|h| h.name.as_str())).collect()
}

type Partners = BTreeMap<(String, String), BTreeSet<IpAddr>>;

fn uses(
    machines: &[Machine<'_>],
    hosts: &[Far],
    here: &BTreeMap<IpAddr, &str>,
    partner: &Partners,
) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut out: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for ((machine, service), addresses) in partner {
        let Some(m) = machines.iter().find(|m| &m.name == machine) else { continue };
        let one = m
            .found
            .iter()
            .flat_map(|f| &f.service.peers)
            .filter(|p| p.scope == Scope::One && p.service.iter().any(|s| s.as_str() == service));
        let several = one.clone().any(|p| p.service.iter().map(|s| candidates(machines, hosts, s.as_str()).len()).sum::<usize>() > 1);
        let name = |a: &IpAddr| here.get(a).copied().or_else(|| hosts.iter().find(|h| h.address == *a).map(|h| h.name.as_str()));
        if let (true, 1, Some(host)) = (several, addresses.len(), addresses.first().and_then(name)) {
            out.entry(machine.clone()).or_default().insert(service.clone(), host.to_owned());
        }
    }
    out
}

fn missing(machines: &[Machine<'_>], hosts: &[Far]) -> Vec<(String, String)> {
    let mut out = Vec::new();
    for m in machines {
        for f in &m.found {
            for p in f.service.peers.iter().filter(|p| !p.optional) {
                if p.service.iter().all(|s| candidates(machines, hosts, s.as_str()).is_empty()) {
                    let who: Vec<&str> = p.service.iter().map(words::ServiceName::as_str).collect();
                    let line = format!(
                        "{} needs {} ({}), which was seen nowhere: add the host that runs it.",
                        f.service.name,
                        who.join(" or "),
                        p.why
                    );
                    if !out.iter().any(|(n, l)| n == &m.name && l == &line) {
                        out.push((m.name.clone(), line));
                    }
                }
            }
        }
    }
    out
}
