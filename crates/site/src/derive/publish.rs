//! Publications as flows: in come publications, out come flows from every public address, with the edge's translation.

use super::{Deriver, book::Entry, intent, weak};
use crate::{Dnat, EdgeKind, FlowKind, Party, cx::Cx, resolve::publish::PublishDraft, special};
use ipnet::IpNet;
use std::net::IpAddr;
use words::{Family, Origin, PortSet, ProtoPorts};

/// Enters the flows of `[[publish]]`.
pub(crate) fn enter(cx: &mut Cx<'_>, d: &mut Deriver<'_>, drafts: &[PublishDraft]) {
    for draft in drafts {
        let p = &draft.publish;
        let Some(host) = d.model.hosts.get(&p.host) else { continue };
        let Some(instance) = d.instance(&(p.host.clone(), p.instance.clone())) else { continue };
        let Some(endpoint) = instance.service.endpoint(p.endpoint.as_str()) else { continue };
        let (dst, dnat) = destinations(d, draft);
        let legs = d.book.ways.published(host, &dst);
        let catalogue = Origin::Catalog {
            service: instance.service.name.to_string(),
            entry: format!("endpoint {}", endpoint.name),
            source: super::peers::source(&instance.service.source, &endpoint.source),
        };
        let mut keys = Vec::new();
        for proto in &p.proto {
            let entry = Entry {
                kind: FlowKind::Publish,
                from: Party::Public,
                to: Party::Host(p.host.clone()),
                target: ProtoPorts { proto: *proto, ports: PortSet::one(p.host_port) },
                service: Some((instance.service.name.clone(), p.endpoint.clone(), p.instance.clone())),
                app: endpoint.app,
                names: Vec::new(),
                why: "published to the Internet".to_owned(),
                origins: vec![p.origin.clone(), catalogue.clone()],
            };
            keys.extend(d.book.add_legs(entry, legs.clone(), dnat.clone()));
        }
        let wider = intent::wider(d.model, &Party::Public, &instance.service, endpoint);
        if let Some(reason) = wider.filter(|_| !draft.until_unread) {
            let what = format!("publishes `{}.{}` on {} to the Internet", p.instance, p.endpoint, p.host);
            let said = weak::Said { why: draft.why.as_deref(), until: draft.until, span: draft.span, origin: &p.origin };
            weak::enter(cx, d, what, &reason, said, keys);
        }
    }
}

/// Addresses on the machine, and how the edge translates to them.
fn destinations(d: &Deriver<'_>, draft: &PublishDraft) -> (Vec<IpNet>, Vec<Dnat>) {
    let p = &draft.publish;
    let host = &d.model.hosts[&p.host];
    let own: Vec<IpAddr> = host.addresses().collect();
    if own.is_empty() {
        let all = p.at.is_empty();
        let families = Family::ALL.into_iter().filter(|f| all || p.at.iter().any(|a| Family::of(a) == *f));
        return (families.map(special::everything).collect(), Vec::new());
    }
    let inner: Vec<IpAddr> = host.interface(&host.default_zone).map(|i| i.addresses.iter().map(|a| a.addr()).collect()).unwrap_or_default();
    let (mut dst, mut dnat) = (Vec::new(), Vec::new());
    for at in &p.at {
        if own.contains(at) {
            dst.push(IpNet::from(*at));
            if p.port != p.host_port && d.model.edge.kind != EdgeKind::None {
                dnat.push(Dnat { at: *at, port: p.port, to: *at, to_port: p.host_port });
            }
            continue;
        }
        // Translation has one target; a host with two v4 addresses in its default zone takes the first.
        let Some(to) = inner.iter().find(|a| a.is_ipv4() == at.is_ipv4()) else { continue };
        dst.push(IpNet::from(*to));
        if d.model.edge.kind != EdgeKind::None {
            dnat.push(Dnat { at: *at, port: p.port, to: *to, to_port: p.host_port });
        }
    }
    dst.sort_unstable();
    dst.dedup();
    (dst, dnat)
}
