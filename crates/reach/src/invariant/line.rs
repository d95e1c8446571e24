//! What a changed line of the site file is to a kept proof. In come the models before and after, out come the machines whose own part
//! in the proof differs and the flows that came, went or moved. Never: a guess. Where the ground that every machine's verdict stands
//! on has changed (zones, the edge, who manages, what is published, what must never be, another machine or another place of one),
//! there is no answer.

use crate::policy::{Moved, Who};
use catalog::Role;
use ipnet::IpNet;
use rustc_hash::FxHashSet;
use site::model::{Flow, Host, Leg, Model, Party};
use std::collections::BTreeSet;
use words::{HostName, Origin};

/// What differs.
pub(super) struct Line<'m> {
    /// Machines that run something else, or begin or end a flow that differs.
    pub hosts: BTreeSet<HostName>,
    /// Those of them that begin or end such a flow: what they may do is another thing than before.
    pub parties: BTreeSet<HostName>,
    /// The flows.
    pub moved: Moved<'m>,
    /// One of them goes from zone to zone.
    pub crosses: bool,
}

/// What differs between two models, as far as a kept proof can follow.
pub(super) fn line<'m>(old: &'m Model, new: &'m Model) -> Option<Line<'m>> {
    if !same_ground(old, new) {
        return None;
    }
    let (mut hosts, mut parties, mut crosses) = (BTreeSet::new(), BTreeSet::new(), false);
    for (a, b) in old.hosts.values().zip(new.hosts.values()) {
        if !same_place(a, b) {
            return None;
        }
        if a.instances != b.instances && !same_but_said(&a.instances, &b.instances, |i| i.iter_mut().map(|i| &mut i.origin).collect()) {
            hosts.insert(a.name.clone());
        }
    }
    let (gone, come) = flows(old, new);
    for (model, flows) in [(old, &gone), (new, &come)] {
        if flows.is_empty() {
            continue;
        }
        let who = Who::new(model);
        for f in flows {
            // Published ones are translated, and the edge answers for their addresses.
            if !f.publish.is_empty() {
                return None;
            }
            for leg in &f.legs {
                parties.extend(who.of(&f.to, &leg.dst).into_iter().chain(who.of(&f.from, &leg.src)).cloned());
                crosses |= leg.from_zone != leg.to_zone;
            }
            // Machines that stand in a zone without an address there.
            for z in [&f.from, &f.to].into_iter().filter_map(|p| if let Party::Zone(z) = p { Some(z) } else { None }) {
                hosts.extend(model.hosts.values().filter(|h| h.interface(z).is_some()).map(|h| h.name.clone()));
            }
        }
    }
    hosts.extend(parties.iter().cloned());
    Some(Line { hosts, parties, moved: Moved::new(new, gone, come), crosses })
}

/// Flows of the first model that the second has not, or has otherwise, and the other way round. Both are sorted by id.
fn flows<'m>(old: &'m Model, new: &'m Model) -> (Vec<&'m Flow>, Vec<&'m Flow>) {
    let (mut gone, mut come) = (Vec::new(), Vec::new());
    // The same lists stand in many legs: two that were found equal are not compared again.
    let mut equal = FxHashSet::default();
    let mut same_nets = |a: &[IpNet], b: &[IpNet]| {
        let both = (a.as_ptr(), b.as_ptr());
        equal.contains(&both) || a == b && (a.len() <= 2 || equal.insert(both))
    };
    let (mut a, mut b) = (old.flows.iter().peekable(), new.flows.iter().peekable());
    loop {
        match (a.peek().copied(), b.peek().copied()) {
            (Some(x), Some(y)) if x.id == y.id => {
                if !same_flow(x, y, &mut same_nets) {
                    gone.push(x);
                    come.push(y);
                }
                a.next();
                b.next();
            }
            (Some(x), y) if y.is_none_or(|y| x.id < y.id) => {
                gone.push(x);
                a.next();
            }
            (_, Some(y)) => {
                come.push(y);
                b.next();
            }
            (_, None) => return (gone, come),
        }
    }
}

/// Whether two flows ask the same of every filter; why they are there and what they are called is nothing to a packet.
fn same_flow(a: &Flow, b: &Flow, same_nets: &mut impl FnMut(&[IpNet], &[IpNet]) -> bool) -> bool {
    let mut same_leg = |(x, y): (&Leg, &Leg)| {
        (x.family, &x.from_zone, &x.to_zone) == (y.family, &y.from_zone, &y.to_zone)
            && same_nets(&x.src, &y.src)
            && same_nets(&x.dst, &y.dst)
    };
    (a.kind, &a.from, &a.to, &a.target, &a.publish, a.legs.len()) == (b.kind, &b.from, &b.to, &b.target, &b.publish, b.legs.len())
        && a.legs.iter().zip(&b.legs).all(&mut same_leg)
}

/// Whether what a proof takes from the models is the same for all machines. Storages, backups, places outside and accepted deviations
/// are nothing to it but flows.
fn same_ground(old: &Model, new: &Model) -> bool {
    let Model { zones, edge, management, nevers, publishes, hosts, .. } = old;
    same_but_said(zones, &new.zones, |z| z.values_mut().map(|z| &mut z.origin).collect())
        && same_but_said(edge, &new.edge, |e| vec![&mut e.origin])
        && same_but_said(management, &new.management, |m| vec![&mut m.origin])
        && same_but_said(nevers, &new.nevers, |n| n.iter_mut().map(|n| &mut n.origin).collect())
        && same_but_said(publishes, &new.publishes, |p| p.iter_mut().map(|p| &mut p.origin).collect())
        && hosts.keys().eq(new.hosts.keys())
}

/// Whether a machine is the same to all others: it stands at the same place, and strangers talk to it or not.
fn same_place(a: &Host, b: &Host) -> bool {
    let market = |h: &Host| h.instances.iter().any(|i| i.service.role == Role::Market);
    (&a.interfaces, &a.default_zone, a.managed, a.edge, &a.coexist, market(a))
        == (&b.interfaces, &b.default_zone, b.managed, b.edge, &b.coexist, market(b))
}

/// Equal in everything but the lines where it is said.
fn same_but_said<T: PartialEq + Clone>(a: &T, b: &T, said: for<'t> fn(&'t mut T) -> Vec<&'t mut Origin>) -> bool {
    a == b || {
        let nowhere = |x: &T| {
            let mut x = x.clone();
            for origin in said(&mut x) {
                *origin = Origin::Builtin { code: String::new(), why: String::new() };
            }
            x
        };
        nowhere(a) == nowhere(b)
    }
}
