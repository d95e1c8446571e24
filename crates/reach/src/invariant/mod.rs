//! What must never happen on a network, and what must always work. In comes a network, out come violations with a
//! witness packet, its way, and the line of the site file that is responsible.
//!
//! One file per invariant, one page per code in `docs/invariants/`. Never: a violation without a code and a way out.

mod again;
mod line;
mod net001;
mod net002;
mod net003;
mod net004;
mod net005;
mod net006;
mod net007;
mod net008;
mod net009;
mod net010;
mod net011;
mod net012;
mod parts;
mod violation;

pub use again::Proof;
pub use parts::{prove, prove_made};
pub use violation::Violation;

use crate::{
    conform::{Deviation, conformance},
    eval::Past,
    field::Field,
    network::{Delivery, Network, Question, Sender, Via},
    policy::{flow_set, policy},
    set::Set,
};
use catalog::Class;
use site::model::{Flow, Host, Listen, Model, Party};
use std::collections::{BTreeMap, BTreeSet};
use words::{Code, HostName, ZoneName};

/// One invariant.
#[derive(Debug)]
pub struct Invariant {
    /// Stable code.
    pub code: Code,
    /// What it says, in a line.
    pub title: &'static str,
    check: fn(&mut Cx<'_, '_>),
}

/// All of them, by code.
pub const ALL: [Invariant; 12] = [
    Invariant {
        code: Code("NET001"),
        title: "no API, admin, metrics, debug or database port is reachable from the Internet",
        check: net001::check,
    },
    Invariant {
        code: Code("NET002"),
        title: "management controllers and hypervisors are reachable from the management zones alone",
        check: net002::check,
    },
    Invariant {
        code: Code("NET003"),
        title: "market hosts reach no wallet or miner API that is not declared for them by name",
        check: net003::check,
    },
    Invariant { code: Code("NET004"), title: "no zone can speak in another one's name", check: net004::check },
    Invariant {
        code: Code("NET005"),
        title: "hosts that speak with strangers reach no private addresses but the derived ones",
        check: net005::check,
    },
    Invariant {
        code: Code("NET006"),
        title: "the management path is open on every machine, whatever happened before",
        check: net006::check,
    },
    Invariant { code: Code("NET007"), title: "both edge nodes hold the same policy", check: net007::check },
    Invariant { code: Code("NET008"), title: "IPv6 is nowhere wider than IPv4", check: net008::check },
    Invariant {
        code: Code("NET009"),
        title: "every flow of the model passes every filter on its way, and so do the answers",
        check: net009::check,
    },
    Invariant { code: Code("NET010"), title: "what the site file says must never be reachable is not", check: net010::check },
    Invariant { code: Code("NET011"), title: "no filter lets through what no flow allows", check: net011::check },
    Invariant { code: Code("NET012"), title: "everything on the way can be read", check: net012::check },
];

/// Those that are told of the site as a whole: they look at edge nodes alone, or at what the file says must never be.
const SITE_ONLY: [Code; 3] = [Code("NET004"), Code("NET007"), Code("NET010")];

/// Flows by the machine they begin at and by the one they end at, and those of whole zones.
#[derive(Debug)]
pub(crate) struct Flows<'m> {
    pub from: BTreeMap<&'m HostName, Vec<&'m Flow>>,
    pub to: BTreeMap<&'m HostName, Vec<&'m Flow>>,
    pub of_zones: Vec<&'m Flow>,
}

impl<'m> Flows<'m> {
    fn new(model: &'m Model) -> Self {
        Self::of(model, |_| true)
    }
    /// Those that begin or end at these machines, and those of whole zones.
    fn of(model: &'m Model, wanted: impl Fn(&HostName) -> bool) -> Self {
        let mut flows = Self { from: BTreeMap::new(), to: BTreeMap::new(), of_zones: Vec::new() };
        for f in &model.flows {
            match &f.from {
                Party::Host(h) if wanted(h) => flows.from.entry(h).or_default().push(f),
                Party::Zone(_) => flows.of_zones.push(f),
                _ => {}
            }
            if let Party::Host(h) = &f.to
                && wanted(h)
            {
                flows.to.entry(h).or_default().push(f);
            }
        }
        flows
    }
}

/// What an invariant looks at while it is checked.
pub(crate) struct Cx<'n, 'a> {
    pub net: &'n mut Network<'a>,
    /// What weakenings of the site file accept.
    pub accepted: Set,
    pub deviations: &'n [Deviation],
    pub flows: &'n Flows<'a>,
    pub out: Vec<Violation>,
    pub code: Code,
    /// The machines to look at; all where `None`.
    pub only: Option<&'n BTreeSet<HostName>>,
    /// Whether to look at what concerns the site as a whole.
    pub site: bool,
}

/// Everything that is violated, by code and then in the model's order.
pub fn check(net: &mut Network<'_>) -> Vec<Violation> {
    let model = net.model;
    let accepted = accepted(net);
    let policy = policy(net.store(), model);
    let deviations = conformance(net, &policy);
    run(net, &Flows::new(model), accepted, &deviations, None, true)
}

/// What weakenings of the site file accept.
fn accepted(net: &mut Network<'_>) -> Set {
    let model = net.model;
    let mut accepted = Set::EMPTY;
    for flow in model.flows.iter().filter(|f| model.weakenings.iter().any(|w| w.flows.contains(&f.id))) {
        let one = flow_set(net.store(), flow);
        accepted = net.store().or(accepted, one);
    }
    accepted
}

/// All invariants; with `only`, no more of them than concerns these machines' own filters and, where `site`, what is told of the
/// site as a whole.
fn run<'a>(
    net: &mut Network<'a>,
    flows: &Flows<'a>,
    accepted: Set,
    deviations: &[Deviation],
    only: Option<&BTreeSet<HostName>>,
    site: bool,
) -> Vec<Violation> {
    let mut cx = Cx { net, accepted, deviations, flows, out: Vec::new(), code: ALL[0].code, only, site };
    for i in ALL.iter().filter(|i| site || !SITE_ONLY.contains(&i.code)) {
        cx.code = i.code;
        (i.check)(&mut cx);
    }
    cx.out
}

impl Cx<'_, '_> {
    /// The machines to look at.
    pub(crate) fn hosts(&self) -> Vec<HostName> {
        self.net.machines().keys().filter(|h| self.concerns(h)).cloned().collect()
    }
    /// Whether a machine is one of those to look at.
    pub(crate) fn concerns(&self, h: &HostName) -> bool {
        self.only.is_none_or(|o| o.contains(h))
    }
    pub(crate) fn zones(&self) -> Vec<ZoneName> {
        self.net.model.zones.keys().cloned().collect()
    }

    /// Packets to these endpoints of a machine.
    pub(crate) fn endpoints(&mut self, h: &HostName, wanted: impl Fn(&Listen) -> bool) -> Set {
        let mut rows = Vec::new();
        let Some(m) = self.net.machine(h) else { return Set::EMPTY };
        for l in m.host.instances.iter().flat_map(|i| &i.listens).filter(|l| !l.loopback && wanted(l)) {
            rows.extend(l.proto.iter().flat_map(|p| {
                let n = u128::from(p.number());
                l.ports.ranges().iter().map(move |r| vec![(n, n), (r.first().into(), r.last().into())])
            }));
        }
        self.net.store().rows(&[Field::Proto, Field::Dport], &rows)
    }

    /// What of a set may be delivered to a machine from a zone; ways whose filters are known first.
    pub(crate) fn exposed(&mut self, from: &ZoneName, to: &HostName, set: Set) -> Vec<(Via, Set)> {
        if set.is_empty() {
            return Vec::new();
        }
        let ways: Vec<Delivery> = self.net.deliveries(from, to, Past::Any);
        let mut out: Vec<(Via, Set)> = Vec::new();
        for d in ways {
            let hit = self.net.store().and(d.delivered, set);
            if !hit.is_empty() {
                out.push((d.via, hit));
            }
        }
        out.sort_by_key(|(via, _)| !via.known());
        out
    }

    /// A violation by a packet that someone in `from` gets to `to`; says which line lets it through.
    pub(crate) fn delivered(
        &mut self,
        from: &ZoneName,
        to: &HostName,
        via: &Via,
        hit: Set,
        message: impl Fn(&crate::Packet) -> String,
        help: &str,
    ) {
        let q = Question { from: Sender::Zone(from.clone()), to: to.clone(), target: None, family: None };
        let like = self.net.typical(&q);
        // What nobody accepted weighs more than what somebody did.
        let unaccepted = self.net.store().minus(hit, self.accepted);
        let (hit, accepted) = if unaccepted.is_empty() { (hit, true) } else { (unaccepted, false) };
        let Some(w) = self.net.store().pick(hit, &like) else { return };
        let found = self.net.confirm(&q.from, from, to, w);
        let mut v = Violation::new(self.code, to, message(&w), help);
        v.witness = Some(found.as_ref().map_or(w, |(j, _)| j.sent));
        v.certain = via.known() && found.is_some();
        if let Via::Unknown(who) = via {
            v.notes.push(format!("it passes unless {who} stops it, which cannot be seen from here"));
        }
        if let Some((j, _)) = found {
            v.notes.extend(j.assumed.iter().map(|a| format!("assumed: {a}")));
            v.journey = Some(j);
        }
        v.blame(self.net.model);
        if accepted {
            v.accept(self.net.model);
        }
        self.out.push(v);
    }
}

/// `service.endpoint` of the listener a packet is for.
pub(crate) fn endpoint(host: Option<&Host>, p: &crate::Packet) -> Option<String> {
    let all = host?.instances.iter().flat_map(|i| i.listens.iter().map(move |l| (i, l)));
    let mut fits = all.filter(|(_, l)| l.ports.contains(p.dport()) && l.proto.iter().any(|x| *x == p.proto()));
    fits.next().map(|(i, l)| format!("{}.{}", i.service.name, l.endpoint))
}

/// Classes that only ever serve the site itself.
pub(crate) fn internal(class: Class) -> bool {
    matches!(class, Class::Api | Class::Admin | Class::Metrics | Class::Debug | Class::Database)
}

/// The flow an id in a ruleset stands for.
pub(crate) fn flow<'m>(model: &'m site::Model, id: &str) -> Option<&'m Flow> {
    model.flows.binary_search_by(|f| f.id.0.as_str().cmp(id)).ok().map(|i| &model.flows[i])
}
