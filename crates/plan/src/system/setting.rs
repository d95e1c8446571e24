//! A service's own settings: bind addresses, pinned ports, announced addresses, what must be off. In come an instance and the
//! flows that reach it, out come variables and flags for its unit, and what only its own configuration takes. Never: opens
//! wider than the flows ask without saying so.

use super::types::ByHand;
use catalog::{Class, Setting};
use site::model::{Flow, Host, Instance, Listen, Model, Party};
use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// Settings of one instance.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    /// Variables: name, value, reason, source.
    pub environment: Vec<(String, String, String, String)>,
    /// Flags for the command line: text, reason, source.
    pub flags: Vec<(String, String, String)>,
    /// The rest.
    pub by_hand: Vec<ByHand>,
}

/// From where an endpoint is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reach {
    /// Own addresses that flows go to, or the one the site file binds it to; empty where nothing comes from outside.
    pub addresses: BTreeSet<IpAddr>,
    /// Another service of the machine uses it.
    pub local: bool,
}

/// Where an endpoint should listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub addresses: Vec<IpAddr>,
    /// What is not as narrow as it could be, or what peers must know.
    pub note: Option<String>,
}

/// The settings an instance should have. `whole`: Ravelin writes its command line as well.
pub(crate) fn settings(model: &Model, host: &Host, instance: &Instance, flows: &[&Flow], unit: &str, whole: bool) -> Settings {
    let mut out = Settings::default();
    let service = &*instance.service;
    let wrapper = service.unit.as_ref().is_some_and(|u| u.wrapper);
    for s in &service.settings {
        let bound: Vec<&Listen> = instance
            .listens
            .iter()
            .filter(|l| service.endpoint(l.endpoint.as_str()).is_some_and(|e| e.setting.as_deref() == Some(&s.key)))
            .collect();
        let is_bind = service.endpoints.iter().any(|e| e.setting.as_deref() == Some(s.key.as_str()));
        let values: Vec<(Option<u16>, String, Option<String>)> = if s.value.contains("{public") {
            announced(model, host, instance, s).map(|v| (None, v, None)).into_iter().collect()
        } else if s.value.contains('{') {
            // What no endpoint names belongs to the first one.
            let of: Vec<&Listen> = if is_bind { bound } else { instance.listens.first().into_iter().collect() };
            of.into_iter().filter_map(|l| listening(host, instance, flows, s, l)).collect()
        } else {
            vec![(None, s.value.clone(), None)]
        };
        for (port, value, note) in values {
            let why = note.map_or_else(|| s.why.clone(), |n| format!("{}; {n}", s.why));
            match (&s.env, &s.flag) {
                (Some(env), _) => out.environment.push((env.clone(), value, why, source(service, s))),
                (None, Some(flag)) if whole && !wrapper && s.value.contains('{') => {
                    for (n, f) in flag.split(", ").enumerate() {
                        let v = if n == 0 { value.clone() } else { port.map(|p| p.to_string()).unwrap_or_default() };
                        out.flags.push((format!("{f}={v}"), why.clone(), source(service, s)));
                    }
                }
                (None, flag) => {
                    let place = s.config.clone().or_else(|| flag.clone()).unwrap_or_default();
                    out.by_hand.push(ByHand { unit: unit.to_owned(), key: s.key.clone(), place, value, why });
                }
            }
        }
    }
    out
}

fn source(service: &catalog::Service, s: &Setting) -> String {
    if service.source.is_empty() { s.source.clone() } else { format!("{}:{}", service.source, s.source) }
}

fn listening(
    host: &Host,
    instance: &Instance,
    flows: &[&Flow],
    s: &Setting,
    listen: &Listen,
) -> Option<(Option<u16>, String, Option<String>)> {
    let port = listen.ports.single()?;
    let wanted = wanted(host, instance, flows, listen);
    // A template with a comma is a list: one item per transport, so it can hold one per address as well.
    let list = s.value.contains(',');
    let (addresses, note) = if list { (wanted.addresses, None) } else { one(wanted) };
    let filled: Vec<String> = addresses.iter().map(|a| fill(&s.value, *a, port)).collect();
    (!filled.is_empty()).then(|| (Some(port), filled.join(","), note))
}

/// The addresses flows reach an endpoint at, and whether the machine itself uses it.
pub(crate) fn reach(host: &Host, instance: &Instance, flows: &[&Flow], listen: &Listen) -> Reach {
    let own: BTreeSet<IpAddr> = host.addresses().collect();
    let here = Party::Host(host.name.clone());
    let mut reached: BTreeSet<IpAddr> = BTreeSet::new();
    for f in flows.iter().filter(|f| f.to == here) {
        let Some((service, endpoint, of)) = &f.service else { continue };
        if *service == instance.service.name && *endpoint == listen.endpoint && *of == instance.name {
            reached.extend(f.legs.iter().flat_map(|l| l.dst.iter()).map(ipnet::IpNet::addr).filter(|a| own.contains(a)));
        }
    }
    if listen.class == Class::Libp2p && reached.is_empty() && !listen.loopback {
        // Nobody may open connections to it, but it dials out: the machine's addresses where its default route leaves.
        reached.extend(host.interface(&host.default_zone).into_iter().flat_map(|i| &i.addresses).map(|a| a.addr()));
    }
    if let Some(bind) = instance.bind {
        reached = BTreeSet::from([bind]);
    }
    let local = host.instances.iter().filter(|o| o.name != instance.name).any(|o| {
        let peers = o.service.peers.iter().filter(|p| p.service.contains(&instance.service.name) && p.endpoint == listen.endpoint);
        let bound = o.uses.get(&instance.service.name);
        peers.count() > 0 && bound.is_none_or(|(h, i)| *h == host.name && *i == instance.name)
    });
    Reach { addresses: reached, local }
}

/// The addresses a service should bind itself to.
fn wanted(host: &Host, instance: &Instance, flows: &[&Flow], listen: &Listen) -> Wanted {
    let Reach { addresses, local } = reach(host, instance, flows, listen);
    if addresses.is_empty() {
        return Wanted { addresses: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)], note: None };
    }
    if local && instance.bind.is_none() {
        let note = "several binds would be needed (services of this machine come by loopback, others from outside): bound to every address, the host's filter narrows it";
        return Wanted { addresses: any(&addresses), note: Some(note.to_owned()) };
    }
    Wanted { addresses: addresses.into_iter().collect(), note: None }
}

fn any(of: &BTreeSet<IpAddr>) -> Vec<IpAddr> {
    let mut out = Vec::new();
    if of.iter().any(IpAddr::is_ipv4) {
        out.push(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    }
    if of.iter().any(IpAddr::is_ipv6) {
        out.push(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
    }
    out
}

/// One address for a setting that takes one: IPv4's where there is one, every address where there are several.
fn one(wanted: Wanted) -> (Vec<IpAddr>, Option<String>) {
    let v4: Vec<IpAddr> = wanted.addresses.iter().copied().filter(IpAddr::is_ipv4).collect();
    let rest: Vec<IpAddr> = wanted.addresses.iter().copied().filter(IpAddr::is_ipv6).collect();
    let note = |n: String| Some(wanted.note.clone().map_or_else(|| n.clone(), |old| format!("{old}; {n}")));
    match (v4.as_slice(), rest.as_slice()) {
        ([only], []) => (vec![*only], wanted.note),
        ([only], [v6, ..]) => {
            let said = if only.is_unspecified() {
                note("it takes one address: IPv6 is left out".to_owned())
            } else {
                note(format!("it takes one address: peers that use {v6} need `bind` in the site file"))
            };
            (vec![*only], said)
        }
        ([], [only]) => (vec![*only], wanted.note),
        ([], []) => (Vec::new(), None),
        _ => {
            let several = "several binds would be needed, it takes one: bound to every address, the host's filter narrows it";
            let address = if v4.is_empty() { IpAddr::V6(Ipv6Addr::UNSPECIFIED) } else { IpAddr::V4(Ipv4Addr::UNSPECIFIED) };
            (vec![address], note(several.to_owned()))
        }
    }
}

fn announced(model: &Model, host: &Host, instance: &Instance, s: &Setting) -> Option<String> {
    let mine = |p: &&site::model::Publish| p.host == host.name && p.instance == instance.name;
    let libp2p = |p: &&site::model::Publish| instance.service.endpoint(p.endpoint.as_str()).is_some_and(|e| e.class == Class::Libp2p);
    let mut out = Vec::new();
    for p in model.publishes.iter().filter(mine).filter(libp2p) {
        out.extend(p.at.iter().filter(|a| !a.is_unspecified()).map(|a| fill(&s.value, *a, p.port)));
    }
    (!out.is_empty()).then(|| out.join(","))
}

/// A template with its address and port. IPv6 stands in brackets where a colon and a port follow.
fn fill(template: &str, address: IpAddr, port: u16) -> String {
    let family = if address.is_ipv4() { "ip4" } else { "ip6" };
    let bracketed = if address.is_ipv6() && template.contains("{address}:") { format!("[{address}]") } else { address.to_string() };
    template
        .replace("{family}", family)
        .replace("{address}", &bracketed)
        .replace("{public}", &address.to_string())
        .replace("{public_port}", &port.to_string())
        .replace("{port}", &port.to_string())
}
