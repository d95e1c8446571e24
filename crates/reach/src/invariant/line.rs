//! What a changed line of the site file is to a kept proof. In come the models before and after, out come the machines whose own part
//! in the proof differs and the flows that came, went or moved. Never: a guess. Where the ground that every machine's verdict stands
//! on has changed (zones, the edge, who manages, what is published, what must never be, another machine or another place of one),
//! there is no answer.

use crate::policy::{Moved, Who};
use catalog::{Role, Service};
use rustc_hash::FxHashSet;
use site::{
    Flows,
    model::{Flow, Host, Instance, Model, Party},
};
use std::{collections::BTreeSet, sync::Arc};
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
    // Each entry of the catalogue stands behind many instances.
    let mut equal = FxHashSet::default();
    let mut same_service = |a: &Arc<Service>, b: &Arc<Service>| {
        let both = (Arc::as_ptr(a), Arc::as_ptr(b));
        equal.contains(&both) || a == b && equal.insert(both)
    };
    for (a, b) in old.hosts.values().zip(new.hosts.values()) {
        if !same_place(a, b) {
            return None;
        }
        let all = a.instances.len() == b.instances.len()
            && a.instances.iter().zip(&b.instances).all(|(x, y)| same_instance(x, y, &mut same_service));
        if !all {
            hosts.insert(a.name.clone());
        }
    }
    let (gone, come) = flows(&old.flows, &new.flows);
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

/// Flows of the first list that the second has not, or has otherwise, and the other way round.
fn flows<'m>(old: &'m Flows, new: &'m Flows) -> (Vec<&'m Flow>, Vec<&'m Flow>) {
    let (mut gone, mut come) = (Vec::new(), Vec::new());
    let (mut a, mut b) = (0, 0);
    loop {
        let same = old.asked()[a..].iter().zip(&new.asked()[b..]).take_while(|(x, y)| x == y).count();
        (a, b) = (a + same, b + same);
        match (old.get(a), new.get(b)) {
            (x, Some(y)) if x.is_none_or(|x| x.id >= y.id) => {
                if let Some(x) = x.filter(|x| x.id == y.id) {
                    gone.push(x);
                    a += 1;
                }
                come.push(y);
                b += 1;
            }
            (Some(x), _) => {
                gone.push(x);
                a += 1;
            }
            (None, _) => return (gone, come),
        }
    }
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

/// Equal in everything but the line where it is said.
fn same_instance(a: &Instance, b: &Instance, mut same_service: impl FnMut(&Arc<Service>, &Arc<Service>) -> bool) -> bool {
    fn rest(i: &Instance) -> impl PartialEq {
        let Instance { name, service: _, account, repo, container, unit, bind, stores, needs, listens, uses, origin: _ } = i;
        (name, account, repo, container, unit, bind, stores, needs, listens, uses)
    }
    same_service(&a.service, &b.service) && rest(a) == rest(b)
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
