//! Stores that one service moves files between share a type. A move inside a file system keeps the label, so a sector moved from
//! one store to another must not take along a type that other users of the second store may not read. In come drafts and
//! shared types, out come both with one type per group of stores. Never: joins stores that no service joins.

use super::{
    domain::Draft,
    file::Shared,
    types::{SharedKind, Use},
};
use std::collections::BTreeMap;

/// Gives every group of stores the name of its first one.
pub(crate) fn join(drafts: &mut [Draft], shared: &mut Shared) {
    let mut group: BTreeMap<String, String> =
        shared.values().filter(|s| s.kind == SharedKind::Store).map(|s| (s.name.clone(), s.name.clone())).collect();
    for d in drafts.iter() {
        let own: Vec<&String> = d.plan.uses.iter().filter(|u| u.kind == SharedKind::Store).filter_map(|u| group.get(&u.name)).collect();
        let Some(first) = own.iter().min().map(|n| (*n).clone()) else { continue };
        let joined: Vec<String> = own.into_iter().cloned().collect();
        for name in group.values_mut().filter(|n| joined.contains(n)) {
            name.clone_from(&first);
        }
    }
    for d in drafts {
        let mut uses: Vec<Use> = Vec::new();
        for mut u in std::mem::take(&mut d.plan.uses) {
            if let Some(name) = group.get(&u.name) {
                u.name.clone_from(name);
            }
            match uses.iter_mut().find(|v| v.name == u.name) {
                Some(v) => v.write |= u.write,
                None => uses.push(u),
            }
        }
        d.plan.uses = uses;
    }
    for (name, first) in group.into_iter().filter(|(name, first)| name != first) {
        let Some(gone) = shared.remove(&name) else { continue };
        if let Some(stays) = shared.get_mut(&first) {
            stays.paths.extend(gone.paths);
            let new: Vec<_> = gone.origins.into_iter().filter(|o| !stays.origins.contains(o)).collect();
            stays.origins.extend(new);
        }
    }
}
