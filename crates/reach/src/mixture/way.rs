//! One way and its mixtures. In come what each machine on it lets through under either plan, out come, for each assignment of plans to
//! machines, the packets that neither plan lets through. Never: an assignment in which all hold the same plan.

use super::{sets::Part, side::PLANS};
use crate::{
    conform::own_business,
    set::{Set, Store},
};
use std::net::IpAddr;
use words::HostName;

/// A way: its machines with their parts, in order.
pub(super) struct Way<'w> {
    /// A sender with a filter of its own; nobody where anybody in a zone may send.
    pub sender: Option<&'w HostName>,
    /// Machines behind it.
    pub machines: Vec<&'w HostName>,
    /// Parts of all of them, the sender's first.
    pub parts: Vec<Part>,
    /// The machine whose packets are not to be told apart any more, by its place in `parts`.
    pub blurred: Option<usize>,
    /// What the packet was sent to, where it is translated on the way.
    pub sent_to: Option<(IpAddr, u16)>,
    /// It ends outside of the site.
    pub outside: bool,
}

/// Packets of mixtures that neither plan lets through, and by which assignment of plans to parts.
pub(super) fn mixed(store: &mut Store, parts: &[Part], blurred: Option<usize>) -> Vec<(Vec<usize>, Set)> {
    let free: Vec<usize> = (0..parts.len()).filter(|i| !parts[*i].is_same()).collect();
    if free.len() < 2 {
        return Vec::new();
    }
    // The last part is the receiver's, the smallest.
    let product = |store: &mut Store, of: &dyn Fn(usize) -> Set| {
        let mut all = Set::FULL;
        for i in (0..parts.len()).rev() {
            all = if all.is_empty() { all } else { store.and(all, of(i)) };
        }
        all
    };
    let plans = PLANS.map(|p| product(store, &|i| parts[i].plan[p]));
    let unions: Vec<Set> = parts.iter().map(|p| p.either(store)).collect();
    let every = product(store, &|i| unions[i]);
    let known = parts.iter().all(|p| p.plan == p.may);
    // What a network needs of ICMP and of its links is the same on every site, and each machine takes and sends its own share of it:
    // beside a machine that filters something unknown that would always look wider.
    let aside = if known { Set::EMPTY } else { own_business(store) };
    if known && blurred.is_none() {
        let left = store.minus(every, plans[0]);
        if store.within(left, plans[1]) {
            return Vec::new();
        }
    }
    let mut out = Vec::new();
    for bits in 1..(1usize << free.len()) - 1 {
        let mut plan = vec![0; parts.len()];
        for (n, i) in free.iter().enumerate() {
            plan[*i] = bits >> n & 1;
        }
        let mut set = product(store, &|i| parts[i].may[plan[i]]);
        set = store.minus(set, aside);
        for p in PLANS {
            if blurred.is_none_or(|b| plan[b] == p) {
                set = store.minus(set, plans[p]);
            }
        }
        if !set.is_empty() {
            out.push((plan, set));
        }
    }
    out
}
