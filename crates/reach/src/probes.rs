//! What each machine tries along proved flows, before a change and after it. In come two plans with the sites they are of, out comes for
//! every managed machine a bounded list of connections, each walked through the rules of both plans first. Never: a connection that a plan
//! was not seen to pass, or one whose silence says nothing.
//!
//! Only TCP: of other protocols silence proves nothing; they are named. A machine that answers with a reset is reached, so nothing has to
//! listen there. What is `gone` says something only where it answered before: the other end could be down.
//! The operators' way comes first, then what is new and what is gone, then what stays; each by turns over receiving zones, flows and
//! families, and every machine begins with other receivers than its neighbours, so that together they meet most of them.

use crate::{
    eval::Past,
    field::Field,
    mixture::State,
    network::{Network, Prover},
    packet::Packet,
};
use bundle::trial::{Expect, Trial};
use serde::Serialize;
use site::model::{Flow, FlowId, FlowKind, Host, Model, Party};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::IpAddr,
};
use words::{Family, HostName, Proto, ZoneName};

/// Connections one machine tries: all are open at once, and they end within one patience.
pub const MOST: usize = 48;
/// Of these, what each of the operators' way, the new and the gone may take before the others had their turn.
const SHARE: usize = 12;
/// Candidates walked for each place in the list: past that the plan does not pass what its site says, which the proof tells.
const TRIES: usize = 4;

/// Which plans pass a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Both.
    Kept,
    /// The new one.
    New,
    /// The old one.
    Gone,
}

/// A connection to try, with what is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Aimed {
    /// What is tried; it expects what the new plan says.
    pub trial: Trial,
    /// Which plans pass it.
    pub kind: Kind,
    /// The receiver.
    pub to: HostName,
    /// The zone the receiver is reached in.
    pub zone: ZoneName,
    /// It is the operators' way.
    pub management: bool,
}

impl Aimed {
    /// The same before the change: what is gone and what stays is open then, what is new is not.
    pub fn before(&self) -> Trial {
        let expect = if self.kind == Kind::New { Expect::Closed } else { Expect::Open };
        Trial { expect, ..self.trial.clone() }
    }
}

/// Why a flow is not tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Untried {
    /// Not TCP: silence proves nothing.
    Silent,
    /// The other end stands outside: its silence may be its own.
    Outside,
    /// The other end is not managed: what it filters is not known.
    Unmanaged,
}

/// What a machine tries.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Probes {
    /// In order; at most [`MOST`].
    pub trials: Vec<Aimed>,
    /// Flows of the new plan from this machine that no connection was tried along, and why.
    pub untried: BTreeMap<FlowId, Untried>,
}

/// A connection that may be tried.
#[derive(Debug, Clone)]
struct Candidate<'m> {
    flow: &'m Flow,
    from: IpAddr,
    to: IpAddr,
    host: &'m HostName,
    zone: &'m ZoneName,
}

/// Candidates by the zone they end in, family and flow.
type Groups<'m> = BTreeMap<(&'m ZoneName, Family, &'m FlowId), Vec<Candidate<'m>>>;

/// What is asked for first. The order is the list's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Management,
    New,
    Gone,
    Kept,
}

/// What every managed machine of the new site tries.
pub fn probes(old: State<'_>, new: State<'_>) -> BTreeMap<HostName, Probes> {
    let (mut one, mut other) = (Prover::once(), Prover::once());
    let before = Network::new(&mut one, old.model, old.rulesets, old.devices);
    let after = Network::new(&mut other, new.model, new.rulesets, new.devices);
    let asked = |m: &Model| m.flows.asked().iter().copied().collect::<BTreeSet<_>>();
    let (then, now) = (asked(old.model), asked(new.model));
    let ours = Site::new(new.model, |flow, digest| match flow.kind {
        FlowKind::Management => Some(Class::Management),
        _ if then.contains(digest) => Some(Class::Kept),
        _ => Some(Class::New),
    });
    let theirs = Site::new(old.model, |_, digest| (!now.contains(digest)).then_some(Class::Gone));
    let walk = |net: &Network<'_>, from: &HostName, c: &Candidate<'_>| {
        let packet = Packet::opening(Family::of(&c.to)).from(c.from).to(c.to).with(Field::Dport, port(c.flow).into());
        let j = net.send(from, packet, Past::Quiet, true);
        j.arrived() && j.received.as_ref() == Some(c.host)
    };
    let mut out = BTreeMap::new();
    let senders = new.model.hosts.values().filter(|h| h.managed && new.rulesets.contains_key(&h.name));
    for (turn, host) in senders.enumerate() {
        let mut found = Probes::default();
        let mut all = ours.of(host, turn, Some(&mut found.untried));
        if let Some(was) = old.model.hosts.get(&host.name).filter(|h| h.managed) {
            all.extend(theirs.of(was, turn, None));
        }
        // What is tried along once needs no second time, whatever flow allows it.
        let mut seen = BTreeSet::new();
        // Each class its share first, then what is left to whoever has more.
        for most in [SHARE, MOST] {
            for (class, queue) in &mut all {
                let (mut taken, mut tries) = (0, 0);
                while taken < most && tries < most * TRIES && found.trials.len() < MOST {
                    let Some(c) = queue.pop_front() else { break };
                    tries += 1;
                    if !seen.insert((c.from, c.to, port(c.flow))) {
                        continue;
                    }
                    let (was, is) = (walk(&before, &host.name, &c), walk(&after, &host.name, &c));
                    let kind = match (was, is) {
                        (true, true) => Kind::Kept,
                        (false, true) => Kind::New,
                        (true, false) => Kind::Gone,
                        (false, false) => continue,
                    };
                    found.trials.push(aimed(host, &c, kind, *class == Class::Management));
                    taken += 1;
                }
            }
        }
        out.insert(host.name.clone(), found);
    }
    out
}

fn aimed(host: &Host, c: &Candidate<'_>, kind: Kind, management: bool) -> Aimed {
    let family = Family::of(&c.to);
    let several = host.addresses().filter(|a| Family::of(a) == family).nth(1).is_some();
    let expect = if kind == Kind::Gone { Expect::Closed } else { Expect::Open };
    let from = several.then_some(c.from);
    let trial = Trial { id: c.flow.id.0.clone(), proto: Proto::Tcp, from, to: c.to, port: port(c.flow), expect };
    Aimed { trial, kind, to: c.host.clone(), zone: c.zone.clone(), management }
}

/// The port that stands for a flow.
fn port(flow: &Flow) -> u16 {
    flow.target.ports.ranges().first().map_or(0, |r| r.first())
}

/// Flows of one site by who opens them.
struct Site<'m> {
    by_host: BTreeMap<&'m HostName, Vec<(Class, &'m Flow)>>,
    by_zone: BTreeMap<&'m ZoneName, Vec<(Class, &'m Flow)>>,
    /// Who has an address.
    holders: BTreeMap<IpAddr, &'m Host>,
}

impl<'m> Site<'m> {
    fn new(model: &'m Model, class: impl Fn(&Flow, &words::Digest) -> Option<Class>) -> Self {
        let holders = model.hosts.values().flat_map(|h| h.addresses().map(move |a| (a, h))).collect();
        let mut site = Self { by_host: BTreeMap::new(), by_zone: BTreeMap::new(), holders };
        for (flow, digest) in model.flows.iter().zip(model.flows.asked()) {
            let Some(class) = class(flow, digest) else { continue };
            match &flow.from {
                Party::Host(h) => site.by_host.entry(h).or_default().push((class, flow)),
                Party::Zone(z) => site.by_zone.entry(z).or_default().push((class, flow)),
                // Nobody of the site stands there.
                Party::Outside(..) | Party::Public => {}
            }
        }
        site
    }

    /// What a machine may try, by class, in the order in which it is asked for.
    fn of(
        &self,
        host: &Host,
        turn: usize,
        mut untried: Option<&mut BTreeMap<FlowId, Untried>>,
    ) -> BTreeMap<Class, VecDeque<Candidate<'m>>> {
        let own = self.by_host.get(&host.name);
        // An edge node is nobody in the zones it stands in: flows of a whole zone do not mean it.
        let zones = host.interfaces.iter().filter(|_| !host.edge).filter_map(|i| self.by_zone.get(&i.zone));
        let mut groups: BTreeMap<Class, Groups<'m>> = BTreeMap::new();
        for (class, flow) in own.into_iter().chain(zones).flatten() {
            let mut tried = false;
            let mut why = if flow.target.proto == Proto::Tcp { None } else { Some(Untried::Silent) };
            for leg in flow.legs.iter().filter(|_| why.is_none()) {
                let Some(from) = host.addresses().find(|a| leg.src.iter().any(|n| n.contains(a))) else { continue };
                let reached = leg.dst.iter().flat_map(|n| self.holders.range(n.network()..=n.broadcast()));
                for (to, there) in reached.filter(|(_, h)| h.name != host.name && (!h.edge || matches!(flow.to, Party::Host(_)))) {
                    if !there.managed {
                        continue;
                    }
                    tried = true;
                    let c = Candidate { flow, from, to: *to, host: &there.name, zone: &leg.to_zone };
                    groups.entry(*class).or_default().entry((&leg.to_zone, leg.family, &flow.id)).or_default().push(c);
                }
            }
            if !tried && why.is_none() {
                let inside = matches!(flow.to, Party::Host(_) | Party::Zone(_));
                why = Some(if inside { Untried::Unmanaged } else { Untried::Outside });
            }
            if let (Some(untried), Some(why)) = (untried.as_deref_mut(), why) {
                untried.insert(flow.id.clone(), why);
            }
        }
        groups.into_iter().map(|(class, groups)| (class, in_turns(groups, turn))).collect()
    }
}

/// By turns: zones first, then families, then flows. Flows and their receivers begin at another one for every sender: together
/// they go once around all of them.
fn in_turns<'m>(groups: Groups<'m>, turn: usize) -> VecDeque<Candidate<'m>> {
    let mut zones: BTreeMap<&ZoneName, BTreeMap<Family, VecDeque<VecDeque<Candidate<'m>>>>> = BTreeMap::new();
    for ((zone, family, _), mut all) in groups {
        let begin = (turn * SHARE) % all.len().max(1);
        all.rotate_left(begin);
        zones.entry(zone).or_default().entry(family).or_default().push_back(all.into());
    }
    for flows in zones.values_mut().flat_map(BTreeMap::values_mut) {
        let begin = (turn * SHARE) % flows.len().max(1);
        flows.rotate_left(begin);
    }
    let mut out = VecDeque::new();
    loop {
        let before = out.len();
        for flows in zones.values_mut().flat_map(BTreeMap::values_mut) {
            let Some(mut flow) = flows.pop_front() else { continue };
            out.extend(flow.pop_front());
            if !flow.is_empty() {
                flows.push_back(flow);
            }
        }
        if out.len() == before {
            return out;
        }
    }
}
