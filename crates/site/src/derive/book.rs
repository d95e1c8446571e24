//! The book of flows: in come single entries, out come flows merged by what they open, with stable ids.

use super::ways::Ways;
use crate::{Dnat, Flow, FlowId, FlowKind, Leg, Party};
use catalog::App;
use std::collections::{BTreeMap, BTreeSet};
use words::{Digest, EndpointName, InstanceName, Origin, PortSet, ProtoPorts, ServiceName};

/// A flow before it has legs and an id.
pub(crate) struct Entry {
    pub kind: FlowKind,
    pub from: Party,
    pub to: Party,
    pub target: ProtoPorts,
    pub service: Option<(ServiceName, EndpointName, InstanceName)>,
    pub app: App,
    pub names: Vec<String>,
    pub why: String,
    pub origins: Vec<Origin>,
}

/// What a flow opens, as text: the digest's input.
pub(crate) type Key = String;

/// All flows so far.
pub(crate) struct Book<'m> {
    pub ways: Ways<'m>,
    flows: BTreeMap<Key, Flow>,
}

impl<'m> Book<'m> {
    pub fn new(ways: Ways<'m>) -> Self {
        Self { ways, flows: BTreeMap::new() }
    }

    /// Enters a flow; `None` where the parties have no way to each other.
    pub fn add(&mut self, entry: Entry) -> Option<Key> {
        let key = key(&entry);
        if self.flows.contains_key(&key) {
            return self.insert(key, entry, Vec::new(), Vec::new());
        }
        let legs = self.ways.legs(&entry.from, &entry.to);
        if legs.is_empty() {
            return None;
        }
        self.insert(key, entry, legs, Vec::new())
    }

    /// Enters a flow whose legs are known already.
    pub fn add_legs(&mut self, entry: Entry, legs: Vec<Leg>, publish: Vec<Dnat>) -> Option<Key> {
        if legs.is_empty() {
            return None;
        }
        self.insert(key(&entry), entry, legs, publish)
    }

    fn insert(&mut self, key: Key, entry: Entry, legs: Vec<Leg>, publish: Vec<Dnat>) -> Option<Key> {
        match self.flows.get_mut(&key) {
            Some(flow) => {
                extend(&mut flow.origins, entry.origins);
                extend(&mut flow.names, entry.names);
                extend(&mut flow.publish, publish);
                for leg in legs {
                    match flow.legs.iter_mut().find(|l| l.family == leg.family && l.from_zone == leg.from_zone && l.to_zone == leg.to_zone)
                    {
                        Some(same) => same.dst = ipnet::IpNet::aggregate(&[&*same.dst, &*leg.dst].concat()).into(),
                        None => flow.legs.push(leg),
                    }
                }
                if entry.kind == FlowKind::Management {
                    flow.kind = FlowKind::Management;
                }
                if !flow.why.split("; ").any(|w| w == entry.why) {
                    flow.why = format!("{}; {}", flow.why, entry.why);
                }
            }
            None => {
                let Entry { kind, from, to, target, service, app, names, why, origins } = entry;
                let id = FlowId(String::new());
                self.flows.insert(key.clone(), Flow { id, kind, from, to, target, service, app, publish, names, legs, why, origins });
            }
        }
        Some(key)
    }

    pub fn has(&self, entry: &Entry) -> bool {
        self.flows.contains_key(&key(entry))
    }

    /// Whether egress without names already covers these ports of a party.
    pub fn covered(&self, from: &Party, target: &ProtoPorts) -> bool {
        self.wide().get(&(from.clone(), target.proto.number())).is_some_and(|w| w.iter().any(|(_, ports)| within(&target.ports, ports)))
    }

    /// Egress to every public address, by opener and protocol.
    fn wide(&self) -> BTreeMap<(Party, u8), Vec<(Key, PortSet)>> {
        let mut out: BTreeMap<(Party, u8), Vec<(Key, PortSet)>> = BTreeMap::new();
        for (k, f) in self.flows.iter().filter(|(_, f)| f.to == Party::Public && f.names.is_empty() && f.kind != FlowKind::Allow) {
            out.entry((f.from.clone(), f.target.proto.number())).or_default().push((k.clone(), f.target.ports.clone()));
        }
        out
    }

    /// Where a party may reach every public address on some ports, egress to fewer ports or to names says nothing more: it
    /// is folded into the wide flow, with its origins.
    pub fn fold_egress(&mut self) {
        let wide = self.wide();
        let mut narrow: Vec<(Key, Key)> = Vec::new();
        for (k, f) in self.flows.iter().filter(|(_, f)| f.to == Party::Public && f.kind != FlowKind::Allow) {
            let over = wide.get(&(f.from.clone(), f.target.proto.number())).into_iter().flatten();
            // The widest that covers it; of two equal ones the named is folded into the nameless.
            let best =
                over.filter(|(w, ports)| w != k && within(&f.target.ports, ports) && (*ports != f.target.ports || !f.names.is_empty()));
            if let Some((w, _)) =
                best.max_by_key(|(_, ports)| ports.ranges().iter().map(|r| u32::from(r.last()) - u32::from(r.first()) + 1).sum::<u32>())
            {
                narrow.push((k.clone(), w.clone()));
            }
        }
        for (narrow, wide) in narrow {
            if let (Some(gone), Some(flow)) = (self.flows.remove(&narrow), self.flows.get_mut(&wide)) {
                extend(&mut flow.origins, gone.origins);
            }
        }
    }

    /// The flows sorted by id, and the id of every key.
    pub fn close(self) -> (Vec<Flow>, BTreeMap<Key, FlowId>) {
        let mut taken: BTreeSet<FlowId> = BTreeSet::new();
        let mut ids = BTreeMap::new();
        let mut out = Vec::with_capacity(self.flows.len());
        for (key, mut flow) in self.flows {
            // Eight digits of 20,000 flows collide once in twenty sites; the later key then takes another digest.
            let mut text = key.clone();
            flow.id = loop {
                let id = FlowId(format!("f{}", Digest::of(text.as_bytes()).short()));
                if taken.insert(id.clone()) {
                    break id;
                }
                text.push('+');
            };
            flow.legs.sort_by(|a, b| (a.family, &a.from_zone, &a.to_zone).cmp(&(b.family, &b.from_zone, &b.to_zone)));
            ids.insert(key, flow.id.clone());
            out.push(flow);
        }
        out.sort_by(|a, b| a.id.cmp(&b.id));
        (out, ids)
    }
}

fn key(e: &Entry) -> Key {
    let party = |p: &Party| match p {
        Party::Outside(name, nets) => format!("outside {name} {}", nets.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")),
        Party::Host(h) => format!("host {h}"),
        other => other.to_string(),
    };
    let service = e.service.as_ref().map_or_else(String::new, |(s, ep, i)| format!("{s}.{ep} {i}"));
    // Egress by name is told apart by its names: two purposes on one port are two flows.
    format!("{} > {} {} {service} {}", party(&e.from), party(&e.to), e.target, e.names.join(","))
}

fn within(inner: &PortSet, outer: &PortSet) -> bool {
    inner.union(outer) == *outer
}

fn extend<T: PartialEq>(list: &mut Vec<T>, more: Vec<T>) {
    for item in more {
        if !list.contains(&item) {
            list.push(item);
        }
    }
}
