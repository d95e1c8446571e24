//! NET002: management controllers and hypervisors are reachable from the management zones alone. Whoever stands in the
//! controller's own zone reaches it without passing any filter: that zone must be one of them.

use super::Cx;
use catalog::{Class, Role};

const HELP: &str = "put controllers into a management zone (`[site] management`), and let nobody else in";

pub(super) fn check(cx: &mut Cx<'_, '_>) {
    for h in cx.hosts() {
        let controls = cx.net.machine(&h).is_some_and(|m| m.host.instances.iter().any(|i| i.service.role == Role::ManagementController));
        let ports = cx.endpoints(&h, |l| controls || l.class == Class::Control);
        if ports.is_empty() {
            continue;
        }
        for z in cx.zones() {
            if cx.net.model.management.zones.contains(&z) {
                continue;
            }
            // Addresses outside that manage the site are named one by one.
            let outside = if z.is_internet() { cx.net.model.management.nets.clone() } else { Vec::new() };
            let named = crate::policy::sources_of(cx.net.store(), &outside);
            let ports = cx.net.store().minus(ports, named);
            if let Some((via, hit)) = cx.exposed(&z, &h, ports).into_iter().next() {
                let name =
                    |p: &crate::Packet| format!("the management controller {h} is reachable from zone {z} on {}/{}", p.dport(), p.proto());
                cx.delivered(&z, &h, &via, hit, name, HELP);
            }
        }
    }
}
