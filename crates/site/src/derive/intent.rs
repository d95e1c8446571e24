//! Intent: in come who would reach an endpoint and how far the catalogue means it to reach, out comes why that is wider,
//! or nothing. Wider is a weakening.

use crate::{Model, Party};
use catalog::{Endpoint, Intended, Role, Service};
use ipnet::IpNet;

/// Why `from` reaching this endpoint is wider than intended.
pub(crate) fn wider(model: &Model, from: &Party, service: &Service, endpoint: &Endpoint) -> Option<String> {
    let inside = match from {
        Party::Host(_) => true,
        Party::Zone(z) => !z.is_internet(),
        Party::Outside(_, nets) => nets.iter().all(|n| model.zones.values().any(|z| z.subnets.iter().any(|s| s.contains(n)))),
        Party::Public => false,
    };
    let runs = |test: &dyn Fn(&Service) -> bool| match from {
        Party::Host(h) => model.hosts.get(h).is_some_and(|h| h.instances.iter().any(|i| test(&i.service))),
        _ => false,
    };
    let fine = match endpoint.intended {
        Intended::Public => true,
        Intended::Site => inside,
        Intended::Operator => operator(model, from),
        Intended::Monitoring => operator(model, from) || runs(&|s| s.role == Role::Monitoring),
        Intended::Peers => runs(&|s| s.peers.iter().any(|p| p.service.contains(&service.name) && p.endpoint == endpoint.name)),
        Intended::Cluster => {
            runs(&|s| s.name == service.name || s.peers.iter().any(|p| p.service.contains(&service.name) && p.endpoint == endpoint.name))
        }
        Intended::Local => false,
    };
    if fine {
        return None;
    }
    let meant = match endpoint.intended {
        Intended::Public => "for everybody",
        Intended::Site => "for the site's own hosts",
        Intended::Operator => "for operators",
        Intended::Monitoring => "for monitoring and operators",
        Intended::Peers => "for the services that need it",
        Intended::Cluster => "for other instances of the same service",
        Intended::Local => "for its own machine alone",
    };
    Some(format!("`{}.{}` is meant {meant}, not for {from}", service.name, endpoint.name))
}

/// Whether a party is where the management path comes from.
pub(crate) fn operator(model: &Model, from: &Party) -> bool {
    let management = &model.management;
    let covered = |n: &IpNet| {
        let zones = management.zones.iter().filter_map(|z| model.zones.get(z)).flat_map(|z| &z.subnets);
        zones.chain(&management.nets).any(|m| m.contains(n))
    };
    match from {
        Party::Zone(z) => management.zones.contains(z),
        Party::Host(h) => model
            .hosts
            .get(h)
            .is_some_and(|h| h.interfaces.iter().any(|i| management.zones.contains(&i.zone)) || h.addresses().any(|a| covered(&a.into()))),
        Party::Outside(_, nets) => !nets.is_empty() && nets.iter().all(covered),
        Party::Public => false,
    }
}
