//! AUD009: libp2p listeners on a port of the ephemeral range that no configuration names.

use super::prelude::*;
use catalog::{Class, Endpoint, PortDefault, recognise::EPHEMERAL};
use std::collections::BTreeSet;

/// The rule.
pub const RULE: Rule = Rule {
    code: Code("AUD009"),
    title: "the libp2p port changes at every start",
    risk: Risk::Medium,
    needs: &[Source::Sockets, Source::SocketOwners, Source::Files, Source::Units],
    means: "no firewall rule can name the port: either everything is open, or peers cannot reach the node after a restart",
    fix: "pin the listen addresses to one port",
    reference: None,
    check,
};

fn check(view: &View) -> Vec<Seen> {
    let mut out = Vec::new();
    for r in &view.running {
        let random = |e: &Endpoint| e.class == Class::Libp2p && matches!(e.port, PortDefault::Random { .. });
        let Some(endpoint) = r.service.endpoints.iter().find(|e| random(e)) else { continue };
        let named = |port: u16| {
            let port = port.to_string();
            view.settings(r).iter().any(|(_, _, t)| t.split(|c: char| !c.is_ascii_digit()).any(|w| w == port))
        };
        let loose: BTreeSet<String> = r
            .listens
            .iter()
            .filter(|(s, e)| e.is_some_and(random) && EPHEMERAL.contains(&s.local.port()) && !s.on_loopback() && !named(s.local.port()))
            .map(|(s, _)| place(s))
            .collect();
        if !loose.is_empty() {
            let listed: Vec<String> = loose.into_iter().collect();
            let seen = Seen::new(
                format!("{}.{}", r.service.name, endpoint.name),
                format!("listens on {}; no configuration names it", listed.join(", ")),
            );
            let setting = endpoint.setting.as_ref().and_then(|k| r.service.settings.iter().find(|s| &s.key == k));
            out.push(match setting {
                Some(s) => seen.fix(how_to_set(s)),
                None => seen,
            });
        }
    }
    out
}
