//! What the nodes of a pair say to one another: advertisements of VRRP and the states of connections. In come the flows the site file
//! derives for them, out come rules that ask for everything at once: the link of the pair's own, the other node's address, this node's
//! address, and a hop limit nothing has that was routed. Neither protocol proves who speaks, so these rules stand before what lets
//! pass established connections, and refuse the rest of both protocols by name. Never: lets one of them in from a zone.

use crate::build::{Build, address_type, addresses, digit, one_of};
use crate::grant::number;
use ipnet::IpNet;
use ruleset::{Element, Key, Rule, Set, Statement, Value, Verdict};
use site::model::Flow;
use std::collections::BTreeMap;
use words::{Family, PortSet, Proto};

/// IP protocol number of VRRP (RFC 9568).
const VRRP: u8 = 112;
/// Hop limit of what was not routed; RFC 9568 5.1.1.3 and 5.1.2.3 want it of VRRP, here states must have it too.
const ON_LINK: u32 = 255;

/// Which of the two a flow is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Talk {
    /// Who is active.
    Vrrp,
    /// Which connections there are.
    Sync,
}

impl Talk {
    pub(crate) fn of(flow: &Flow) -> Self {
        if flow.target.proto == Proto::Other(VRRP) { Talk::Vrrp } else { Talk::Sync }
    }
    fn word(self) -> &'static str {
        match self {
            Talk::Vrrp => "vrrp",
            Talk::Sync => "sync",
        }
    }
    fn what(self) -> &'static str {
        match self {
            Talk::Vrrp => "lets the nodes elect the active one",
            Talk::Sync => "lets the nodes tell one another of connections",
        }
    }
}

/// Rules of `input` or `output`; none where there is no pair.
pub(crate) fn rules(b: &mut Build<'_>, input: bool) -> Vec<Rule> {
    if b.model.edge.nodes.len() < 2 {
        return Vec::new();
    }
    let flows: Vec<&Flow> = b.flows.iter().copied().filter(|f| b.model.edge.is_within_pair(f)).collect();
    let mut out = talk(b, Talk::Vrrp, input, &flows);
    out.extend(talk(b, Talk::Sync, input, &flows));
    out
}

fn talk(b: &mut Build<'_>, talk: Talk, input: bool, flows: &[&Flow]) -> Vec<Rule> {
    let (word, device) = if input { ("in", Key::Iifname) } else { ("out", Key::Oifname) };
    let own: Vec<IpNet> = b.host.addresses().map(IpNet::from).collect();
    let flows = flows.iter().filter(|f| Talk::of(f) == talk);
    let mut ports = PortSet::none();
    let mut keys: BTreeMap<Family, BTreeMap<Vec<Value>, String>> = BTreeMap::new();
    for flow in flows {
        ports = ports.union(&flow.target.ports);
        for leg in &flow.legs {
            let (mine, others) = if input { (&leg.dst, &leg.src) } else { (&leg.src, &leg.dst) };
            let Some(link) = b.devices.get(&leg.from_zone).cloned() else { continue };
            for (m, o) in mine.iter().filter(|m| own.contains(m)).flat_map(|m| others.iter().map(move |o| (m, o))) {
                let (src, dst) = if input { (o, m) } else { (m, o) };
                let key = vec![Value::Name(link.clone()), Value::one(number(&src.addr())), Value::one(number(&dst.addr()))];
                keys.entry(leg.family).or_default().entry(key).or_insert_with(|| flow.id.0.clone());
            }
        }
        b.explain(&flow.id.0, || {
            let what = format!("lets {} open {} on {}", flow.from, flow.to, flow.target);
            (what, flow.why.clone(), flow.origins.clone())
        });
    }
    let which = match talk {
        Talk::Vrrp => vec![one_of(Key::L4Proto, &[VRRP.into()])],
        Talk::Sync => {
            vec![one_of(Key::L4Proto, &[u128::from(Proto::Udp.number())]), crate::build::is(Key::Dport, crate::grant::ports(&ports))]
        }
    };
    let mut out = Vec::new();
    for (family, keys) in keys {
        let set = format!("{}/{word}/{}", talk.word(), digit(family));
        let elements = keys.into_iter().map(|(key, id)| Element { key, data: None, id: Some(id), timeout: None, counted: None }).collect();
        let types = vec!["ifname".to_owned(), address_type(family), address_type(family)];
        b.set(&set, Set { types, elements, ..Set::default() });
        let (src, dst) = addresses(family);
        let mut s = which.clone();
        if input {
            s.push(one_of(Key::HopLimit, &[ON_LINK.into()]));
        }
        s.push(Statement::Lookup { keys: vec![device.clone(), src, dst], set, negated: false });
        if !input {
            // conntrackd has no setting for it, and keepalived sends by unicast over IPv6 with the kernel's 64.
            s.push(Statement::SetMark { key: Key::HopLimit, mask: None, value: Some(ON_LINK) });
        }
        s.extend([Statement::Counter, Statement::Verdict(Verdict::Accept)]);
        out.push(b.builtin(&format!("{}/{word}", talk.word()), talk.what(), "two nodes stand in for one another", s));
    }
    // What is refused here is a stranger's, or this node's own by another way than the link: where the link's address is gone, a daemon
    // sends by the default route.
    if talk == Talk::Vrrp || !ports.is_empty() {
        let id = format!("deny/{}/{word}", talk.word());
        let (what, why) = match (talk, input) {
            (Talk::Vrrp, _) => ("refuses every other advertisement", "whoever advertises becomes the gateway (RFC 9568 9)"),
            (Talk::Sync, true) => ("refuses states of connections from anybody else", "whoever is heard plants established connections"),
            (Talk::Sync, false) => ("refuses states of connections to anybody else", "they tell who speaks with whom"),
        };
        out.extend(b.refuse(&id, what, why, which));
    }
    out
}
