//! Grants: flows as elements of sets, and the rules that look them up. In come flows with concrete addresses, out come
//! exact hash sets for what is exact, interval sets only where prefixes or port ranges need them, each element with a
//! counter and the flow's id.
//!
//! A flow from or to every public address does not repeat the sixty prefixes of the Internet in each element: the rule
//! asks for the shared set of public prefixes first and looks up the rest. Never: a set whose elements overlap (the
//! kernel's interval sets refuse some overlaps and answer others by chance); what overlaps goes to a further set.

use crate::build::{Build, address_type, addresses, digit, short};
use ipnet::IpNet;
use ruleset::{Element, Key, Rule, Set, Statement, Value, Verdict};
use site::model::{Flow, Leg, Party};
use std::collections::BTreeMap;
use std::net::IpAddr;
use words::{Family, PortSet, Proto};

/// One leg of a flow as a chain sees it.
#[derive(Debug, Clone)]
pub(crate) struct Grant<'a> {
    pub flow: &'a Flow,
    pub family: Family,
    pub src: Vec<IpNet>,
    pub dst: Vec<IpNet>,
    /// The source is every public address.
    pub from_public: bool,
    /// The destination is every public address.
    pub to_public: bool,
}

impl<'a> Grant<'a> {
    /// The leg as it stands.
    pub fn new(flow: &'a Flow, leg: &Leg) -> Self {
        Self {
            flow,
            family: leg.family,
            src: leg.src.clone(),
            dst: leg.dst.clone(),
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
    fn word(self) -> &'static str {
        match self {
            Shape::Pair => "",
            Shape::FromPublic => "/from-public",
            Shape::ToPublic => "/to-public",
        }
    }
}

/// Elements of one shape, family and port-or-not, exact ones and layers of intervals.
#[derive(Default)]
struct Bucket {
    /// By key, with the id; first come stays.
    exact: BTreeMap<Vec<Value>, String>,
    layers: Vec<Layer>,
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
        if key.iter().all(exact) {
            self.exact.entry(key).or_insert_with(|| id.to_owned());
            return;
        }
        if self.layers.iter().any(|l| l.elements.contains_key(&key)) {
            return;
        }
        let at = self.layers.iter().position(|l| !l.overlaps(&key)).unwrap_or_else(|| {
            self.layers.push(Layer::default());
            self.layers.len() - 1
        });
        self.layers[at].insert(key, id.to_owned());
    }
}

/// The rules that let these grants pass, and their sets under names that begin with `name`. A rule's own id is the name.
pub(crate) fn admit(build: &mut Build<'_>, name: &str, grants: &[Grant<'_>]) -> Vec<Rule> {
    let mut buckets: BTreeMap<(Family, Shape, bool), Bucket> = BTreeMap::new();
    for g in grants {
        let id = &g.flow.id.0;
        let what = format!("lets {} open {} on {}", g.flow.from, g.flow.to, g.flow.target);
        build.explain(id, what, g.flow.why.clone(), g.flow.origins.clone());
        collect(&mut buckets, g, id);
    }
    let mut out = Vec::new();
    for ((family, shape, ports), bucket) in buckets {
        let tail = if ports { "" } else { "/proto" };
        let stem = format!("{name}{}{tail}", shape.word());
        let d = digit(family);
        if !bucket.exact.is_empty() {
            let set = format!("{stem}/{d}");
            out.push(lookup(build, name, &set, family, shape, ports, bucket.exact, false));
        }
        for (i, layer) in bucket.layers.into_iter().enumerate() {
            let set = if i == 0 { format!("{stem}/net/{d}") } else { format!("{stem}/net{}/{d}", i + 1) };
            out.push(lookup(build, name, &set, family, shape, ports, layer.elements, true));
        }
    }
    out
}

fn collect(buckets: &mut BTreeMap<(Family, Shape, bool), Bucket>, g: &Grant<'_>, id: &str) {
    let any: &[IpNet] = &[];
    let (shape, src, dst) = match (g.from_public, g.to_public) {
        (true, _) => (Shape::FromPublic, any, g.dst.as_slice()),
        (_, true) => (Shape::ToPublic, g.src.as_slice(), any),
        _ => (Shape::Pair, g.src.as_slice(), g.dst.as_slice()),
    };
    let target = &g.flow.target;
    let has_ports = target.proto.has_ports();
    let bucket = buckets.entry((g.family, shape, has_ports)).or_default();
    let pairs: Vec<Vec<Value>> = match shape {
        Shape::Pair => src.iter().flat_map(|s| dst.iter().map(move |d| vec![interval(s), interval(d)])).collect(),
        Shape::FromPublic => dst.iter().map(|d| vec![interval(d)]).collect(),
        Shape::ToPublic => src.iter().map(|s| vec![interval(s)]).collect(),
    };
    for mut key in pairs {
        key.push(Value::one(proto(target.proto, g.family)));
        if !has_ports {
            bucket.insert(key, id);
            continue;
        }
        for range in ports(&target.ports) {
            let mut key = key.clone();
            key.push(range);
            bucket.insert(key, id);
        }
    }
}

/// ICMP is another number in each family.
fn proto(proto: Proto, family: Family) -> u8 {
    match (proto, family) {
        (Proto::Icmp, Family::V6) => Proto::Icmp6.number(),
        (Proto::Icmp6, Family::V4) => Proto::Icmp.number(),
        (p, _) => p.number(),
    }
}

fn ports(set: &PortSet) -> impl Iterator<Item = Value> + '_ {
    set.ranges().iter().map(|r| Value::Range(r.first().into(), r.last().into()))
}

#[expect(clippy::too_many_arguments, reason = "one private call site per kind of set")]
fn lookup(
    build: &mut Build<'_>,
    name: &str,
    set_name: &str,
    family: Family,
    shape: Shape,
    ports: bool,
    elements: BTreeMap<Vec<Value>, String>,
    interval: bool,
) -> Rule {
    let (src, dst) = addresses(family);
    let mut statements = Vec::new();
    let mut keys = match shape {
        Shape::Pair => vec![src, dst],
        Shape::FromPublic => {
            statements.push(Statement::Lookup { keys: vec![src], set: public(build, family), negated: false });
            vec![dst]
        }
        Shape::ToPublic => {
            statements.push(Statement::Lookup { keys: vec![dst], set: public(build, family), negated: false });
            vec![src]
        }
    };
    let mut types: Vec<String> = keys.iter().map(|_| address_type(family)).collect();
    keys.push(Key::L4Proto);
    types.push("inet_proto".to_owned());
    if ports {
        keys.push(Key::Dport);
        types.push("inet_service".to_owned());
    }
    let elements = elements.into_iter().map(|(key, id)| Element { key, data: None, id: Some(id), timeout: None, counted: None }).collect();
    build.set(set_name, Set { types, interval, counter: true, elements, ..Set::default() });
    statements.push(Statement::Lookup { keys, set: set_name.to_owned(), negated: false });
    statements.push(Statement::Verdict(Verdict::Accept));
    let id = short(name);
    let what = format!("lets pass what stands in the sets {name}/*");
    build.builtin(&id, &what, "each element names the flow it is for", statements)
}

/// The shared set of public prefixes, made when first asked for.
pub(crate) fn public(build: &mut Build<'_>, family: Family) -> String {
    let name = format!("public/{}", digit(family));
    if !build.table.sets.contains_key(&name) {
        // The same prefixes stand in every flow from or to the public; the model's own view is the one that counts.
        let flows = build.model.flows.iter();
        let legs = flows.flat_map(|f| f.legs.iter().map(move |l| (f, l))).filter(|(_, l)| l.family == family);
        let mut nets: Vec<IpNet> = legs
            .flat_map(|(f, l)| match (&f.from, &f.to) {
                (Party::Public, _) => l.src.as_slice(),
                (_, Party::Public) => l.dst.as_slice(),
                _ => &[],
            })
            .copied()
            .collect();
        nets.sort_unstable();
        nets.dedup();
        let set = crate::build::prefix_set(family, &nets);
        build.set(&name, set);
    }
    name
}
