//! Public addresses that no machine of the site has and the edge answers for: published services are reached at them, private
//! sources leave by them. In comes a model, out come addresses with the site lines that ask for them. Never: one that a machine
//! has itself, or a virtual one, which is the gateway's.

use crate::model::{EdgeKind, Host, Model};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};
use words::Origin;

/// The addresses, each with where it comes from.
pub fn translated(model: &Model) -> BTreeMap<IpAddr, Vec<Origin>> {
    let mut out: BTreeMap<IpAddr, Vec<Origin>> = BTreeMap::new();
    if model.edge.kind != EdgeKind::Ravelin {
        return out;
    }
    for flow in &model.flows {
        for d in flow.publish.iter().filter(|d| d.at != d.to) {
            out.entry(d.at).or_default().extend(flow.origins.iter().cloned());
        }
    }
    if let Some(address) = model.edge.egress_address {
        out.entry(address).or_default().push(model.edge.origin.clone());
    }
    let others: BTreeSet<IpAddr> =
        model.hosts.values().flat_map(Host::addresses).chain(model.edge.vip.values().flatten().copied()).collect();
    // The unspecified address stands for whatever is leased.
    out.retain(|a, _| !a.is_unspecified() && !others.contains(a));
    for origins in out.values_mut() {
        origins.sort();
        origins.dedup();
        // What the operator wrote; the catalogue's reason for a port says nothing of an address.
        if origins.iter().any(|o| matches!(o, Origin::Site { .. })) {
            origins.retain(|o| matches!(o, Origin::Site { .. }));
        }
    }
    out
}
