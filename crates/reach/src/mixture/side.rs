//! Every machine as it is under the old plan and under the new one. In come two plans, out come pairs of machines. Never: a guess about a
//! machine that a plan does not manage; what it filters then is not known.

use super::{State, is_open};
use crate::network::{Machine, Prover};
use site::model::Host;
use std::collections::{BTreeMap, BTreeSet};
use words::{HostName, ZoneName};

/// The two plans.
pub(super) const PLANS: [usize; 2] = [0, 1];

/// A machine under each plan.
#[derive(Debug)]
pub(super) struct Both<'a> {
    /// Under the old plan.
    old: Machine<'a>,
    /// Under the new plan, where that is another thing.
    new: Option<Machine<'a>>,
    /// Whether what it filters is known, by plan.
    known: [bool; 2],
    /// Whether it is there at all, by plan.
    there: [bool; 2],
}

impl<'a> Both<'a> {
    /// The machine under a plan.
    pub fn under(&self, plan: usize) -> &Machine<'a> {
        self.new.as_ref().filter(|_| plan == 1).unwrap_or(&self.old)
    }
    /// The rollout changes what it filters.
    pub fn changes(&self) -> bool {
        self.new.is_some()
    }
    /// What it filters is known under both plans. Otherwise it sends as anybody in its zone may.
    pub fn is_certain(&self) -> bool {
        self.known == [true, true]
    }
    /// What it filters under a plan is known.
    pub fn is_known(&self, plan: usize) -> bool {
        self.known[plan]
    }
    /// It is an edge node, or stands in several zones and may pass packets on, under some plan.
    pub fn may_forward(&self) -> bool {
        PLANS.iter().any(|p| self.under(*p).devices.len() > 1)
    }
    /// An edge node that a plan does not have takes part in nothing: its addresses come with the plan.
    pub fn is_there(&self, plan: usize) -> bool {
        self.there[plan]
    }
    /// Zones it stands in under some plan.
    pub fn zones(&self) -> BTreeSet<&ZoneName> {
        PLANS.iter().flat_map(|p| self.under(*p).devices.keys()).collect()
    }
}

/// All machines of two plans.
#[derive(Debug)]
pub(super) struct Sides<'a> {
    /// By name.
    pub machines: BTreeMap<HostName, Both<'a>>,
    /// Zones of either site, numbered from 1.
    zones: BTreeMap<&'a ZoneName, u128>,
    /// Zones between which somebody passes on packets whose filter is not known.
    open: Vec<BTreeSet<ZoneName>>,
    /// The two plans.
    pub states: [State<'a>; 2],
}

impl<'a> Sides<'a> {
    /// Pairs the machines of two plans.
    pub fn new(old: State<'a>, new: State<'a>, prover: &mut Prover) -> Self {
        let states = [old, new];
        let names: BTreeSet<&HostName> = old.model.hosts.keys().chain(new.model.hosts.keys()).collect();
        let machines: BTreeMap<_, _> = names.into_iter().filter_map(|n| Some((n.clone(), both(states, n, prover)?))).collect();
        let names: BTreeSet<&ZoneName> = old.model.zones.keys().chain(new.model.zones.keys()).collect();
        let default = machines.values().flat_map(|m| [&m.old.host.default_zone, &m.under(1).host.default_zone]);
        let zones = names.into_iter().chain(default).collect::<BTreeSet<_>>().into_iter().zip(1..).collect();
        let mut open: Vec<BTreeSet<ZoneName>> = Vec::new();
        for m in machines.values() {
            let stranger = PLANS.iter().any(|p| !m.under(*p).host.managed && m.under(*p).forwards);
            if stranger && m.may_forward() {
                open.push(m.zones().into_iter().cloned().collect());
            }
        }
        Self { machines, zones, open, states }
    }

    /// Machines that filter otherwise afterwards.
    pub fn changed(&self) -> BTreeSet<HostName> {
        self.machines.iter().filter(|(_, m)| m.changes()).map(|(h, _)| h.clone()).collect()
    }

    /// A zone's number: what stands in a set for the wire a packet is on.
    pub fn number(&self, zone: &ZoneName) -> u128 {
        self.zones.get(zone).copied().unwrap_or_default()
    }

    /// The zone behind a number.
    pub fn zone(&self, number: u128) -> Option<&'a ZoneName> {
        self.zones.iter().find(|(_, n)| **n == number).map(|(z, _)| *z)
    }

    /// Wires from which packets get to a machine in this zone without a filter of ours on the way: the zone itself, what somebody else's
    /// router joins to it, every zone where the edge is not ours.
    pub fn straight_to(&self, m: &Both<'_>, zone: &ZoneName) -> BTreeSet<u128> {
        let open = self.states.iter().any(|s| is_open(s.model)) && PLANS.iter().any(|p| m.under(*p).host.default_zone == *zone);
        let all = self.zones.values().filter(|_| open).copied();
        let joined = self.open.iter().filter(|z| z.contains(zone)).flatten().map(|z| self.number(z));
        all.chain(joined).chain([self.number(zone)]).collect()
    }

    /// What could not be read: such rules may let through more than the sets say.
    pub fn unproven(&self) -> Vec<String> {
        let mut out = BTreeSet::new();
        for (name, m) in &self.machines {
            let unread = PLANS.iter().filter_map(|p| m.under(*p).rules()).flat_map(|r| &r.unread);
            out.extend(unread.map(|u| format!("{name}: {u} cannot be read")));
        }
        out.into_iter().collect()
    }
}

fn both<'a>(states: [State<'a>; 2], name: &HostName, prover: &mut Prover) -> Option<Both<'a>> {
    let found = |s: State<'a>| -> Option<(&'a Host, bool)> {
        let host = s.model.hosts.get(name)?;
        Some((host, host.managed && s.rulesets.contains_key(name)))
    };
    let mut make = |at: usize, host: &'a Host, rules: Option<usize>| {
        let rules = rules.and_then(|of| states[of].rulesets.get(name));
        Machine::alone(states[at].model, host, rules, states[at].devices.get(name), prover)
    };
    let (old, new, known, there) = match (found(states[0]), found(states[1])) {
        (Some((a, was)), Some((b, is))) => {
            // Who is no longer managed keeps what it holds: a rollout does not come to it.
            let after = if is { Some(1) } else { was.then_some(0) };
            // Who is managed by neither filters something unknown, and the same under both.
            (make(0, a, was.then_some(0)), Some(make(1, b, after)), [was || !is, true], [true, true])
        }
        // It leaves the site and keeps what it holds.
        (Some((a, was)), None) => (make(0, a, was.then_some(0)), None, [true, true], [true, true]),
        // It is there already, and what it filters is not known. As an edge node it has no addresses yet.
        (None, Some((b, is))) => (make(1, b, None), is.then(|| make(1, b, Some(1))), [!is || b.edge, true], [!b.edge, true]),
        (None, None) => return None,
    };
    let same = |a: &Machine<'_>, b: &Machine<'_>| a.place == b.place && a.devices == b.devices && a.rules() == b.rules();
    let new = new.filter(|n| known != [true, true] || !same(&old, n));
    Some(Both { old, new, known, there })
}
