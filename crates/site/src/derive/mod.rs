//! Derivation: in comes the resolved site, out come its flows: who may open what to whom, and why. What no line and no
//! catalogue entry asks for is not there, and so denied.
//!
//! | module | flows |
//! |---|---|
//! | [`bind`] | who plays which part for whom |
//! | [`peers`] | between services |
//! | [`egress`] | to outside, names, time |
//! | [`publish`] | from the Internet |
//! | [`storage`] | to stores |
//! | [`management`] | the operators' way in |
//! | [`deadlines`] | from those who ask for deadlines |
//! | [`allow`] | exceptions |
//! | [`ways`], [`book`] | addresses on the way, merging, ids |
//! | [`intent`], [`weak`] | what is wider than intended |

mod allow;
pub(crate) mod bind;
mod book;
mod deadlines;
mod egress;
mod intent;
mod management;
mod peers;
mod publish;
mod storage;
pub(crate) mod ways;
mod weak;

use crate::{
    Flows, Instance, Model, Weakening,
    cx::Cx,
    resolve::{Resolved, hosts::Hosts, places::Parties, services::Services, zones::SYNC},
    syntax::Node,
};
use bind::Who;
use book::{Book, Entry, Key};
use std::collections::BTreeMap;
use words::{HostName, Origin, Span};

/// What the steps of the derivation share.
pub(crate) struct Deriver<'m> {
    pub model: &'m Model,
    pub services: &'m Services<'m>,
    pub book: Book<'m>,
    pub weak: Vec<weak::WeakDraft>,
    hosts: &'m Hosts,
    instance_spans: &'m BTreeMap<Who, Span>,
    externals: BTreeMap<String, Span>,
    edge_span: Span,
}

impl<'m> Deriver<'m> {
    fn instance(&self, who: &Who) -> Option<&'m Instance> {
        self.model.hosts.get(&who.0)?.instances.iter().find(|i| i.name == who.1)
    }
    fn span(&self, who: &Who) -> Span {
        self.instance_spans.get(who).copied().unwrap_or_default()
    }
    fn host_span(&self, host: &HostName) -> Span {
        self.hosts.spans.get(host).copied().unwrap_or_default()
    }
    fn external_span(&self, name: &str) -> Span {
        self.externals.get(name).copied().unwrap_or_default()
    }
    /// The file itself binds it to loopback.
    fn bound_to_loopback(&self, who: &Who) -> bool {
        self.hosts.runs.get(&who.0).is_some_and(|r| r.iter().any(|d| d.name == who.1 && d.loopback == Some(true)))
    }
    /// Enters a flow of the pair's own link alone.
    fn add_sync(&mut self, entry: Entry) -> Option<Key> {
        let legs = self.book.ways.legs(&entry.from, &entry.to).into_iter().filter(|l| l.from_zone.as_str() == SYNC).collect();
        self.book.add_legs(entry, legs, Vec::new())
    }
}

/// Derives the flows and gives the finished model.
pub(crate) fn derive(cx: &mut Cx<'_>, root: &Node, resolved: Resolved<'_>) -> Model {
    let Resolved { mut model, services, zones, hosts, publishes, infrastructure, instance_spans } = resolved;
    let bindings = bind::bind(cx, &mut model, &hosts);
    let span_of_key =
        |key: &str| root.get(key).map(Node::entries).unwrap_or_default().iter().map(|e| (e.key.clone(), e.key_span)).collect();
    let mut d = Deriver {
        model: &model,
        services: &services,
        book: Book::new(ways::Ways::new(&model)),
        weak: Vec::new(),
        hosts: &hosts,
        instance_spans: &instance_spans,
        externals: span_of_key("external"),
        edge_span: root.entry("edge").map(|e| e.key_span).unwrap_or_default(),
    };
    management::enter(cx, &mut d, root);
    peers::enter(cx, &mut d, &bindings);
    let stores: BTreeMap<String, Span> =
        root.get("storage").map(Node::items).unwrap_or_default().iter().map(|n| (n.path.clone(), n.span)).collect();
    storage::enter(cx, &mut d, |o| match o {
        Origin::Site { path, .. } => stores.get(path).copied().unwrap_or_default(),
        _ => Span::default(),
    });
    publish::enter(cx, &mut d, &publishes);
    egress::enter(cx, &mut d, &infrastructure);
    let parties = Parties { zones: &zones, hosts: &hosts, externals: &model.externals };
    deadlines::enter(cx, &mut d, root, &parties);
    allow::enter(cx, &mut d, root, &parties);
    let Deriver { book, weak, .. } = d;
    let (flows, ids) = book.close();
    let weakenings = weak
        .into_iter()
        .map(|w| Weakening {
            what: w.what,
            why: w.why,
            until: w.until,
            flows: w.keys.iter().filter_map(|k| ids.get(k).cloned()).collect(),
            origin: w.origin,
        })
        .collect();
    model.flows = Flows::new(flows);
    model.weakenings = weakenings;
    open_loopback(&mut model);
    model
}

/// What a flow reaches is not bound to loopback any more: the service's settings follow the flows.
fn open_loopback(model: &mut Model) {
    let mut reached = std::collections::BTreeSet::new();
    for f in &model.flows {
        if let (crate::Party::Host(h), Some((_, endpoint, instance))) = (&f.to, &f.service) {
            reached.insert((h.clone(), instance.clone(), endpoint.clone()));
        }
    }
    for host in model.hosts.values_mut() {
        for instance in &mut host.instances {
            for l in instance.listens.iter_mut().filter(|l| l.loopback) {
                l.loopback = !reached.contains(&(host.name.clone(), instance.name.clone(), l.endpoint.clone()));
            }
        }
    }
}
