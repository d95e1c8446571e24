//! Grants: flows as elements of sets, and the rules that look them up. In come flows with concrete addresses, out come
//! exact hash sets for what is exact or shares one prefix, interval sets only for what is left, each element with a
//! counter and the flow's id.
//!
//! A flow from or to every public address does not repeat the sixty prefixes of the Internet in each element: the rule
//! asks for the shared set of public prefixes first and looks up the rest. Never: a set whose elements overlap (the
//! kernel's interval sets refuse some overlaps and answer others by chance); what overlaps goes to a further set.

use crate::build::{Build, address_type, addresses, digit, is, short};
use crate::hoist::{Elements, hoist};
use ipnet::IpNet;
use ruleset::{Element, Key, Rule, Set, Statement, Value, Verdict};
use site::model::{Flow, Leg, Party};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;
use words::{Family, PortSet, Proto};

/// One leg of a flow as a chain sees it.
#[derive(Debug, Clone)]
pub(crate) struct Grant<'a> {
    pub flow: &'a Flow,
    pub family: Family,
    pub src: Cow<'a, [IpNet]>,
    pub dst: Cow<'a, [IpNet]>,
    /// The source is every public address.
    pub from_public: bool,
    /// The destination is every public address.
    pub to_public: bool,
}

impl<'a> Grant<'a> {
    /// The leg as it stands.
    pub fn new(flow: &'a Flow, leg: &'a Leg) -> Self {
        Self {
            flow,
            family: leg.family,
            src: Cow::Borrowed(&leg.src),
            dst: Cow::Borrowed(&leg.dst),
            from_public: flow.from == Party::Public,
            to_public: flow.to == Party::Public,
        }
    }
}

/// An address as a number.
pub(crate) fn number(address: &IpAddr) -> u128 {
    match address {
        IpAddr::V4(a) => u128::from(u32::from(*a)),
        IpAddr::V6(a) => u128::from(*a),
    }
}

/// A prefix as an interval.
pub(crate) fn interval(net: &IpNet) -> Value {
    Value::Range(number(&net.network()), number(&net.broadcast()))
}

fn exact(v: &Value) -> bool {
    matches!(v, Value::Range(a, b) if a == b)
}

/// Which of the two addresses an element spells out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Shape {
    /// Both.
    Pair,
    /// The destination; the source is any public address.
    FromPublic,
    /// The source; the destination is any public address.
    ToPublic,
}

impl Shape {
    /// Addresses an element spells out.
    fn addresses(self) -> usize {
        if self == Shape::Pair { 2 } else { 1 }
    }
    fn word(self) -> &'static str {
        match self {
            Shape::Pair => "",
            Shape::FromPublic => "/from-public",
            Shape::ToPublic => "/to-public",
        }
    }
}

/// Elements of one shape, family and port-or-not, by key, with the id; first come stays.
#[derive(Default)]
struct Bucket {
    exact: Elements,
    wide: Elements,
}

/// Elements that do not overlap, indexed by what they pin exactly.
#[derive(Default)]
struct Layer {
    elements: BTreeMap<Vec<Value>, String>,
    pinned: BTreeMap<Vec<Option<Value>>, Vec<Vec<Value>>>,
}

impl Layer {
    /// The dimensions an element pins to one value.
    fn pin(key: &[Value]) -> Vec<Option<Value>> {
        key.iter().map(|v| exact(v).then(|| v.clone())).collect()
    }
    fn overlaps(&self, key: &[Value]) -> bool {
        let pin = Self::pin(key);
        let meets = |other: &[Value]| {
            key.iter().zip(other).all(|(a, b)| match (a, b) {
                (Value::Range(a, b), Value::Range(c, d)) => a <= d && c <= b,
                (a, b) => a == b,
            })
        };
        // Two elements that pin the same dimension to different values never meet.
        self.pinned
            .iter()
            .filter(|(other, _)| pin.iter().zip(*other).all(|(a, b)| a.is_none() || b.is_none() || a == b))
            .any(|(_, keys)| keys.iter().any(|k| meets(k)))
    }
    fn insert(&mut self, key: Vec<Value>, id: String) {
        self.pinned.entry(Self::pin(&key)).or_default().push(key.clone());
        self.elements.insert(key, id);
    }
}

impl Bucket {
    fn insert(&mut self, key: Vec<Value>, id: &str) {
        let side = if key.iter().all(exact) { &mut self.exact } else { &mut self.wide };
        side.entry(key).or_insert_with(|| id.to_owned());
    }
}

/// As few layers as first-fit finds.
fn layers(elements: Elements) -> Vec<Layer> {
    let mut layers: Vec<Layer> = Vec::new();
    for (key, id) in elements {
        let at = layers.iter().position(|l| !l.overlaps(&key)).unwrap_or_else(|| {
            layers.push(Layer::default());
            layers.len() - 1
        });
        layers[at].insert(key, id);
    }
    layers
}

/// The rules that let these grants pass, and their sets under names that begin with `name`. A rule's own id is the name.
pub(crate) fn admit(build: &mut Build<'_>, name: &str, grants: &[Grant<'_>]) -> Vec<Rule> {
    let mut buckets: BTreeMap<(Family, Shape, bool), Bucket> = BTreeMap::new();
    for g in grants {
        let id = &g.flow.id.0;
        build.explain(id, || {
            let what = format!("lets {} open {} on {}", g.flow.from, g.flow.to, g.flow.target);
            (what, g.flow.why.clone(), g.flow.origins.clone())
        });
        collect(&mut buckets, g, id);
    }
    let mut out = Vec::new();
    for ((family, shape, ports), bucket) in buckets {
        let tail = if ports { "" } else { "/proto" };
        let stem = format!("{name}{}{tail}", shape.word());
        let d = digit(family);
        let like = Lookup { name, family, shape, ports, prefixes: None, interval: false };
        if !bucket.exact.is_empty() {
            out.push(like.clone().rule(build, &format!("{stem}/{d}"), bucket.exact));
        }
        let (groups, rest) = hoist(bucket.wide, shape.addresses());
        for (i, group) in groups.into_iter().enumerate() {
            let set = format!("{stem}/prefix{}/{d}", i + 1);
            let prefixes = Some((group.dimension, joined(group.prefixes)));
            out.push(Lookup { prefixes, ..like.clone() }.rule(build, &set, group.elements));
        }
        for (i, layer) in layers(rest).into_iter().enumerate() {
            let set = if i == 0 { format!("{stem}/net/{d}") } else { format!("{stem}/net{}/{d}", i + 1) };
            out.push(Lookup { interval: true, ..like.clone() }.rule(build, &set, layer.elements));
        }
    }
    out
}

fn collect(buckets: &mut BTreeMap<(Family, Shape, bool), Bucket>, g: &Grant<'_>, id: &str) {
    let any: &[IpNet] = &[];
    let (shape, src, dst) = match (g.from_public, g.to_public) {
        (true, _) => (Shape::FromPublic, any, &*g.dst),
        (_, true) => (Shape::ToPublic, &*g.src, any),
        _ => (Shape::Pair, &*g.src, &*g.dst),
    };
    let target = &g.flow.target;
    let has_ports = target.proto.has_ports();
    let bucket = buckets.entry((g.family, shape, has_ports)).or_default();
    // Every key exactly as long as it becomes: there are hundreds of thousands on a large site.
    let mut insert = |addresses: &[&IpNet]| {
        let front = || addresses.iter().map(|n| interval(n)).chain([Value::one(proto(target.proto, g.family))]);
        if !has_ports {
            bucket.insert(front().collect(), id);
        }
        for range in ports(&target.ports).filter(|_| has_ports) {
            let mut key = Vec::with_capacity(addresses.len() + 2);
            key.extend(front());
            key.push(range);
            bucket.insert(key, id);
        }
    };
    match shape {
        Shape::Pair => src.iter().for_each(|s| dst.iter().for_each(|d| insert(&[s, d]))),
        Shape::FromPublic => dst.iter().for_each(|d| insert(&[d])),
        Shape::ToPublic => src.iter().for_each(|s| insert(&[s])),
    }
}

/// ICMP is another number in each family.
pub(crate) fn proto(proto: Proto, family: Family) -> u8 {
    match (proto, family) {
        (Proto::Icmp, Family::V6) => Proto::Icmp6.number(),
        (Proto::Icmp6, Family::V4) => Proto::Icmp.number(),
        (p, _) => p.number(),
    }
}

pub(crate) fn ports(set: &PortSet) -> impl Iterator<Item = Value> + '_ {
    set.ranges().iter().map(|r| Value::Range(r.first().into(), r.last().into()))
}

/// Intervals in order, those that touch joined.
fn joined(prefixes: Vec<Value>) -> Vec<Value> {
    let mut out: Vec<Value> = Vec::new();
    for value in prefixes {
        match (out.last_mut(), &value) {
            (Some(Value::Range(_, last)), Value::Range(first, end)) if last.checked_add(1) == Some(*first) => *last = *end,
            _ => out.push(value),
        }
    }
    out
}

/// A rule that looks up a set.
#[derive(Debug, Clone)]
struct Lookup<'a> {
    /// The rule's own id.
    name: &'a str,
    family: Family,
    shape: Shape,
    ports: bool,
    /// The dimension that is compared in the rule instead of in the set, and with what.
    prefixes: Option<(usize, Vec<Value>)>,
    interval: bool,
}

impl Lookup<'_> {
    fn rule(self, build: &mut Build<'_>, set_name: &str, elements: Elements) -> Rule {
        let (src, dst) = addresses(self.family);
        let mut statements = Vec::new();
        let mut keys = match self.shape {
            Shape::Pair => vec![src, dst],
            Shape::FromPublic => {
                statements.push(Statement::Lookup { keys: vec![src], set: public(build, self.family), negated: false });
                vec![dst]
            }
            Shape::ToPublic => {
                statements.push(Statement::Lookup { keys: vec![dst], set: public(build, self.family), negated: false });
                vec![src]
            }
        };
        if let Some((dimension, prefixes)) = self.prefixes {
            // First: a comparison costs less than a look into any set.
            statements.insert(0, is(keys.remove(dimension), prefixes));
        }
        let mut types: Vec<String> = keys.iter().map(|_| address_type(self.family)).collect();
        keys.push(Key::L4Proto);
        types.push("inet_proto".to_owned());
        if self.ports {
            keys.push(Key::Dport);
            types.push("inet_service".to_owned());
        }
        let by_flow = build.counts_by_flow();
        let elements =
            elements.into_iter().map(|(key, id)| Element { key, data: None, id: Some(id), timeout: None, counted: None }).collect();
        build.set(set_name, Set { types, interval: self.interval, counter: by_flow, elements, ..Set::default() });
        statements.push(Statement::Lookup { keys, set: set_name.to_owned(), negated: false });
        if !by_flow {
            statements.push(Statement::Counter);
        }
        statements.push(Statement::Verdict(Verdict::Accept));
        let id = short(self.name);
        let what = format!("lets pass what stands in the sets {}/*", self.name);
        build.builtin(&id, &what, "each element names the flow it is for", statements)
    }
}

/// The shared set of public prefixes, made when first asked for.
pub(crate) fn public(build: &mut Build<'_>, family: Family) -> String {
    let name = format!("public/{}", digit(family));
    if !build.table.sets.contains_key(&name) {
        let set = build.index.public_set(family);
        build.set(&name, set);
    }
    name
}
