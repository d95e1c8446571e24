//! What the model allows, as the same packet sets the rulesets become: one algebra, two inputs. In come flows, out come
//! sets over family, addresses, protocol and destination port. Never: devices, states or marks.

use crate::{
    field::{self, Field},
    set::{Cell, Set, Store},
};
use ipnet::IpNet;
use rustc_hash::FxHashMap;
use site::model::{Flow, Leg, Model, Party};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};
use words::{Family, HostName, Proto, ProtoPorts, ZoneName};

/// What the model allows.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// Between zones, by the zones' names; destinations as the listener sees them.
    pub forward: BTreeMap<(ZoneName, ZoneName), Set>,
    /// To each machine.
    pub into: BTreeMap<HostName, Set>,
    /// From each machine.
    pub out: BTreeMap<HostName, Set>,
}

/// Rows by the address list they share: its family, whether it is the source, the list.
type Shared<'m> = BTreeMap<(Family, bool, &'m [IpNet]), Vec<[Cell; 3]>>;

/// Rows that share one side's address list, gathered before they become sets: the sixty prefixes of the Internet are one
/// set, not sixty rows for each flow.
#[derive(Default)]
pub(crate) struct Gather<'m> {
    exact: BTreeMap<Family, Vec<[Cell; 4]>>,
    shared: Shared<'m>,
}

/// Address lists longer than this become a set of their own.
const LONG: usize = 4;

impl<'m> Gather<'m> {
    pub(crate) fn add(&mut self, leg: &'m Leg, target: &ProtoPorts) {
        self.between(leg.family, &leg.src, &leg.dst, target);
    }

    pub(crate) fn between(&mut self, f: Family, from: &'m [IpNet], to: &'m [IpNet], target: &ProtoPorts) {
        let tails = tails(target, f);
        let cells = |nets: &'m [IpNet]| nets.iter().map(field::prefix);
        let one_side = |list: &'m [IpNet]| cells(list).flat_map(|a| tails.iter().map(move |t| [a, t.0, t.1]));
        if from.len() > LONG {
            self.shared.entry((f, true, from)).or_default().extend(one_side(to));
        } else if to.len() > LONG {
            self.shared.entry((f, false, to)).or_default().extend(one_side(from));
        } else {
            let rows = self.exact.entry(f).or_default();
            for (src, dst) in cells(from).flat_map(|s| cells(to).map(move |d| (s, d))) {
                rows.extend(tails.iter().map(|t| [src, dst, t.0, t.1]));
            }
        }
    }

    pub(crate) fn on(self, port: Field, store: &mut Store) -> Set {
        self.finish(port, store, &mut FxHashMap::default())
    }

    fn finish(self, port: Field, store: &mut Store, lists: &mut Lists) -> Set {
        let mut parts = Vec::new();
        for (f, rows) in self.exact {
            let set = store.rows(&[field::src(f), field::dst(f), Field::Proto, port], &rows);
            let family = store.value(Field::Family, field::family(f));
            parts.push(store.and(family, set));
        }
        for ((f, is_src, nets), rows) in self.shared {
            let (list_field, row_field) = if is_src { (field::src(f), field::dst(f)) } else { (field::dst(f), field::src(f)) };
            let list = *lists.entry((list_field, nets.to_vec())).or_insert_with(|| {
                let rows: Vec<_> = nets.iter().map(|n| vec![field::prefix(n)]).collect();
                store.rows(&[list_field], &rows)
            });
            let set = store.rows(&[row_field, Field::Proto, port], &rows);
            let family = store.value(Field::Family, field::family(f));
            let both = store.and(set, list);
            parts.push(store.and(family, both));
        }
        store.any(parts)
    }
}

/// Protocol and destination ports of a target in a family; ICMP has another number in each.
pub(crate) fn tails(target: &ProtoPorts, f: Family) -> Vec<(Cell, Cell)> {
    let proto = match (target.proto, f) {
        (Proto::Icmp, Family::V6) => Proto::Icmp6,
        (Proto::Icmp6, Family::V4) => Proto::Icmp,
        (p, _) => p,
    };
    let n = u128::from(proto.number());
    if !proto.has_ports() {
        return vec![((n, n), (0, Field::Dport.top()))];
    }
    target.ports.ranges().iter().map(|r| ((n, n), (r.first().into(), r.last().into()))).collect()
}

/// Machines by exact address, and those that stand in a prefix.
pub(crate) struct Who<'m> {
    exact: BTreeMap<IpAddr, Vec<&'m HostName>>,
}

impl<'m> Who<'m> {
    pub(crate) fn new(model: &'m Model) -> Self {
        let mut exact: BTreeMap<IpAddr, Vec<&'m HostName>> = BTreeMap::new();
        // An edge node is nobody in the zones it stands in: flows of a whole zone do not mean it.
        for (name, h) in model.hosts.iter().filter(|(_, h)| !h.edge) {
            for a in h.addresses() {
                exact.entry(a).or_default().push(name);
            }
        }
        Self { exact }
    }
    /// The machines a party's addresses belong to.
    pub(crate) fn of(&self, party: &'m Party, nets: &[IpNet]) -> Vec<&'m HostName> {
        if let Party::Host(h) = party {
            return vec![h];
        }
        let mut out: Vec<&HostName> = Vec::new();
        for n in nets {
            let (a, b) = (n.network(), n.broadcast());
            out.extend(self.exact.range(a..=b).flat_map(|(_, h)| h.iter().copied()));
        }
        out.sort_unstable();
        out.dedup();
        out
    }
}

/// The legs of a model by the machines they end at and begin at: asked once, so that the policy of some machines does not cost
/// a walk through all flows.
pub(crate) struct Sides<'m> {
    model: &'m Model,
    into: Side<'m>,
    out: Side<'m>,
}

/// Legs that end, or begin, at each machine.
type Side<'m> = BTreeMap<&'m HostName, Vec<Ending<'m>>>;

/// A leg at one of its ends.
struct Ending<'m> {
    leg: &'m Leg,
    target: &'m ProtoPorts,
    /// It comes from the link or not at all: the receiver asks for a hop limit that nothing has that was routed.
    on_link: bool,
}

/// Hop limit of what was not routed.
const ON_LINK: u128 = 255;

impl<'m> Sides<'m> {
    pub(crate) fn new(model: &'m Model) -> Self {
        Self::of(model, |_| true)
    }
    /// The legs of these machines alone.
    pub(crate) fn of(model: &'m Model, wanted: impl Fn(&HostName) -> bool) -> Self {
        let who = Who::new(model);
        // The same lists stand in many legs, and asking who has an address in sixty prefixes is dear.
        let mut asked: FxHashMap<*const IpNet, Vec<&'m HostName>> = FxHashMap::default();
        let mut sides = Self { model, into: BTreeMap::new(), out: BTreeMap::new() };
        let concerns = |p: &Party| !matches!(p, Party::Host(h) if !wanted(h));
        for flow in model.flows.iter().filter(|f| concerns(&f.from) || concerns(&f.to)) {
            let within_pair = model.edge.is_within_pair(flow);
            for leg in &flow.legs {
                let mut add = |side: &mut Side<'m>, party: &'m Party, nets: &'m [IpNet], on_link: bool| {
                    let mut one = |h: &'m HostName| {
                        if wanted(h) {
                            side.entry(h).or_default().push(Ending { leg, target: &flow.target, on_link });
                        }
                    };
                    match party {
                        Party::Host(h) => one(h),
                        _ => asked.entry(nets.as_ptr()).or_insert_with(|| who.of(party, nets)).iter().for_each(|h| one(h)),
                    }
                };
                add(&mut sides.into, &flow.to, &leg.dst, within_pair);
                add(&mut sides.out, &flow.from, &leg.src, false);
            }
        }
        sides
    }
}

/// What a model allows.
pub fn policy(store: &mut Store, model: &Model) -> Policy {
    part(store, &Sides::new(model), model.hosts.keys())
}

/// The part of it that concerns these machines.
pub(crate) fn part<'m>(store: &mut Store, sides: &Sides<'m>, hosts: impl Iterator<Item = &'m HostName> + Clone) -> Policy {
    let mut lists = FxHashMap::default();
    let edges = hosts.clone().any(|h| sides.model.edge.nodes.contains(h));
    let (into, out) = ends(store, &mut lists, sides, hosts);
    let forward = if edges { forward(store, &mut lists, sides.model) } else { BTreeMap::new() };
    Policy { forward, into, out }
}

/// Address lists that are sets already: each stands in many legs.
type Lists = FxHashMap<(Field, Vec<IpNet>), Set>;
/// What each machine may receive, or send.
type ByHost = BTreeMap<HostName, Set>;

/// What these machines may receive and send.
fn ends<'m>(
    store: &mut Store,
    lists: &mut Lists,
    sides: &Sides<'m>,
    hosts: impl Iterator<Item = &'m HostName> + Clone,
) -> (ByHost, ByHost) {
    let mut of = |side: &Side<'m>| {
        let mut out = BTreeMap::new();
        for (host, legs) in hosts.clone().filter_map(|h| Some((h, side.get(h)?))) {
            let (mut gather, mut near) = (Gather::default(), Gather::default());
            legs.iter().for_each(|e| if e.on_link { &mut near } else { &mut gather }.add(e.leg, e.target));
            let mut all = gather.finish(Field::Dport, store, lists);
            if legs.iter().any(|e| e.on_link) {
                let near = near.finish(Field::Dport, store, lists);
                let unrouted = store.value(Field::Hop, ON_LINK);
                let near = store.and(near, unrouted);
                all = store.or(all, near);
            }
            out.insert(host.clone(), all);
        }
        out
    };
    let into = of(&sides.into);
    (into, of(&sides.out))
}

/// Legs of these flows that cross from zone to zone, gathered by `key`; what begins or ends at an edge node is not forwarded.
pub(crate) fn crossing<'m, K: Ord>(
    model: &Model,
    flows: impl IntoIterator<Item = &'m Flow>,
    key: impl Fn(&'m Leg) -> K,
    add: impl Fn(&mut Gather<'m>, &'m Leg, &'m ProtoPorts),
) -> BTreeMap<K, Gather<'m>> {
    let mut gathered: BTreeMap<K, Gather<'m>> = BTreeMap::new();
    for flow in flows.into_iter().filter(|f| !model.edge.has_end_of(f)) {
        for leg in flow.legs.iter().filter(|l| l.from_zone != l.to_zone) {
            add(gathered.entry(key(leg)).or_default(), leg, &flow.target);
        }
    }
    gathered
}

/// The zones a leg goes between.
pub(crate) fn pair(leg: &Leg) -> (ZoneName, ZoneName) {
    (leg.from_zone.clone(), leg.to_zone.clone())
}

/// What an edge node may pass between zones.
fn forward(store: &mut Store, lists: &mut Lists, model: &Model) -> BTreeMap<(ZoneName, ZoneName), Set> {
    let gathered = crossing(model, &model.flows, |l| (&l.from_zone, &l.to_zone), Gather::add);
    gathered.into_iter().map(|((a, b), g)| ((a.clone(), b.clone()), g.finish(Field::Dport, store, lists))).collect()
}

/// What changed of the flows.
pub(crate) struct Moved<'m> {
    /// Flows that are no more.
    pub gone: Vec<&'m Flow>,
    /// Flows that are new.
    pub come: Vec<&'m Flow>,
    /// Flows that stay and may allow what one that is gone allowed.
    pub near: Vec<&'m Flow>,
}

impl<'m> Moved<'m> {
    /// Of the model after the change.
    pub(crate) fn new(model: &'m Model, gone: Vec<&'m Flow>, come: Vec<&'m Flow>) -> Self {
        let other = |a: &Party, b: &Party| matches!((a, b), (Party::Host(a), Party::Host(b)) if a != b);
        let near = |f: &&Flow| gone.iter().any(|g| !other(&g.to, &f.to) && !other(&g.from, &f.from));
        let near = if gone.is_empty() { Vec::new() } else { model.flows.iter().filter(near).collect() };
        Self { gone, come, near }
    }

    /// Those of a kind.
    pub(crate) fn only(&self, of: impl Fn(&Flow) -> bool) -> Self {
        let some = |flows: &[&'m Flow]| flows.iter().copied().filter(|f| of(f)).collect();
        Self { gone: some(&self.gone), come: some(&self.come), near: some(&self.near) }
    }

    /// Sets by `key` of a leg, brought up to date; `add` gathers a leg.
    pub(crate) fn bring<K: Ord>(
        &self,
        store: &mut Store,
        model: &Model,
        sets: &mut BTreeMap<K, Set>,
        port: Field,
        key: impl Fn(&'m Leg) -> K,
        add: impl Fn(&mut Gather<'m>, &'m Leg, &'m ProtoPorts),
    ) {
        let mut of = |flows: &[&'m Flow]| {
            let gathered = crossing(model, flows.iter().copied(), &key, &add);
            gathered.into_iter().map(|(k, g)| (k, g.on(port, store))).collect::<BTreeMap<K, Set>>()
        };
        let (gone, come, near) = (of(&self.gone), of(&self.come), of(&self.near));
        for (k, gone) in gone {
            let old = sets.remove(&k).unwrap_or(Set::EMPTY);
            let near = store.and(near.get(&k).copied().unwrap_or(Set::EMPTY), gone);
            let left = store.minus(old, gone);
            let left = store.or(left, near);
            // A pair of zones that nothing passes between is in no policy.
            if !left.is_empty() {
                sets.insert(k, left);
            }
        }
        for (k, come) in come {
            let old = sets.entry(k).or_insert(Set::EMPTY);
            *old = store.or(*old, come);
        }
    }
}

impl Policy {
    /// Brings up to date what these machines may do, and what may pass between zones.
    pub(crate) fn follow(&mut self, store: &mut Store, model: &Model, parties: &BTreeSet<HostName>, moved: &Moved<'_>) {
        let sides = Sides::of(model, |h| parties.contains(h));
        let (into, out) = ends(store, &mut Lists::default(), &sides, model.hosts.keys().filter(|h| parties.contains(*h)));
        for (side, now) in [(&mut self.into, into), (&mut self.out, out)] {
            side.retain(|h, _| !parties.contains(h));
            side.extend(now);
        }
        moved.bring(store, model, &mut self.forward, Field::Dport, pair, Gather::add);
    }
}

/// A flow's legs as one set.
pub fn flow_set(store: &mut Store, flow: &Flow) -> Set {
    let mut g = Gather::default();
    for leg in &flow.legs {
        g.add(leg, &flow.target);
    }
    g.finish(Field::Dport, store, &mut FxHashMap::default())
}

/// Packets from any of these prefixes.
pub(crate) fn sources_of(store: &mut Store, nets: &[IpNet]) -> Set {
    side(store, nets, field::src)
}

/// Packets to any of these prefixes.
pub(crate) fn destinations_of(store: &mut Store, nets: &[IpNet]) -> Set {
    side(store, nets, field::dst)
}

fn side(store: &mut Store, nets: &[IpNet], on: fn(Family) -> Field) -> Set {
    let mut parts = Vec::new();
    for f in Family::ALL {
        let n = field::family(f);
        let rows: Vec<_> = nets.iter().filter(|x| Family::of(&x.addr()) == f).map(|x| vec![(n, n), field::prefix(x)]).collect();
        parts.push(store.rows(&[Field::Family, on(f)], &rows));
    }
    store.any(parts)
}
