//! Stores as flows: in comes `[[storage]]`, out come flows from its users to the endpoints of its protocol.

use super::{Deriver, book::Entry, peers::source};
use crate::{FlowKind, Party, code, cx::Cx};
use catalog::{Intended, PortDefault};
use words::{Diagnostic, Origin, ProtoPorts, Span};

/// Enters the flows of `[[storage]]`.
pub(crate) fn enter(cx: &mut Cx<'_>, d: &mut Deriver<'_>, span_of: impl Fn(&Origin) -> Span) {
    let model = d.model;
    for store in &model.storages {
        let Some(instance) = model.hosts.get(&store.host).and_then(|h| h.instances.iter().find(|i| i.service.name.as_str() == store.kind))
        else {
            continue;
        };
        let span = span_of(&store.origin);
        for listen in &instance.listens {
            let Some(endpoint) = instance.service.endpoint(listen.endpoint.as_str()).filter(|e| e.intended == Intended::Peers) else {
                continue;
            };
            if listen.ports.is_empty() {
                let suggest = match endpoint.port {
                    PortDefault::Random { suggest, .. } => suggest,
                    _ => 0,
                };
                let diagnostic =
                    Diagnostic::error(code::FLW006, format!("`{}.{}` on {} takes a random port", store.kind, listen.endpoint, store.host))
                        .at(span, "");
                cx.push(diagnostic.help(format!(
                    "pin it on the host: runs = [{{ service = \"{}\", ports = {{ {} = {suggest} }} }}]",
                    store.kind, listen.endpoint
                )));
                continue;
            }
            let catalogue = Origin::Catalog {
                service: store.kind.clone(),
                entry: format!("endpoint {}", listen.endpoint),
                source: source(&instance.service.source, &endpoint.source),
            };
            for (user, proto) in store.users.iter().flat_map(|u| listen.proto.iter().map(move |p| (u, *p))) {
                let added = d.book.add(Entry {
                    kind: FlowKind::Storage,
                    from: Party::Host(user.clone()),
                    to: Party::Host(store.host.clone()),
                    target: ProtoPorts { proto, ports: listen.ports.clone() },
                    service: Some((instance.service.name.clone(), listen.endpoint.clone(), instance.name.clone())),
                    app: listen.app,
                    names: Vec::new(),
                    why: match &store.holds {
                        Some(what) => format!("{what} on {}", store.host),
                        None => format!("storage on {}", store.host),
                    },
                    origins: vec![store.origin.clone(), catalogue.clone()],
                });
                if added.is_none() {
                    let message = format!("`{user}` has no way to its storage on `{}`", store.host);
                    cx.error(code::FLW003, span, message, "give both an address in one zone, or addresses of one family in routed zones");
                }
            }
        }
    }
}
