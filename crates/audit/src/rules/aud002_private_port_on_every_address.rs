//! AUD002: endpoints of class API, database or metrics that listen on every address or on a public one.

use super::prelude::*;
use catalog::{Auth, Class, Endpoint, Intended};

/// The rule.
pub const RULE: Rule = Rule {
    code: Code("AUD002"),
    title: "an API, database or metrics port listens beyond this machine",
    risk: Risk::Medium,
    needs: &[Source::Sockets, Source::SocketOwners],
    means: "one missing firewall rule and everybody reaches it; tokenless requests to Lotus APIs still get read",
    fix: "bind it to the one address its peers use, or to loopback",
    reference: None,
    check,
};

fn check(view: &View) -> Vec<Seen> {
    let mut out = Vec::new();
    for r in &view.running {
        for (socket, endpoint) in &r.listens {
            let reach = view.reach(socket.local.ip());
            if reach < Reach::Any {
                continue;
            }
            match endpoint {
                Some(e) if matches!(e.class, Class::Api | Class::Database | Class::Metrics) && e.intended != Intended::Public => {
                    let seen = known(r, socket, e, reach);
                    out.push(view.who(socket).map_or(seen.clone(), |who| seen.and(who.to_string())));
                }
                Some(_) => {}
                None if !named_as_libp2p(view, r, socket.local.port()) => out.push(
                    Seen::new(
                        format!("{} {}", r.service.name, socket.local.port()),
                        format!("{}, a port the catalogue does not know", place(socket)),
                    )
                    .risk(Risk::Low)
                    .fix("find out what listens there; if it is meant to be, declare it as a service of your own"),
                ),
                None => {}
            }
        }
    }
    out
}

fn known(r: &Running, socket: &facts::Socket, e: &Endpoint, reach: Reach) -> Seen {
    let auth = if e.auth == Auth::None { "asks nobody who they are" } else { "asks for credentials" };
    let risk = match (reach, e.auth, e.class) {
        (Reach::Public, _, Class::Api | Class::Database) => Risk::Critical,
        (Reach::Public, ..) | (_, Auth::None, Class::Api | Class::Database) => Risk::High,
        _ => Risk::Medium,
    };
    let subject = format!("{}.{}", r.service.name, e.name);
    let seen = Seen::new(subject, format!("{}, {auth}", place(socket))).risk(risk);
    match e.setting.as_ref().and_then(|k| r.service.settings.iter().find(|s| &s.key == k)) {
        Some(s) => seen.fix(how_to_set(s)),
        None => seen,
    }
}

fn named_as_libp2p(view: &View, r: &Running, port: u16) -> bool {
    let needle = port.to_string();
    let names = |text: &str| text.split(|c: char| !c.is_ascii_digit()).any(|w| w == needle);
    let listen = |text: &str| text.to_ascii_lowercase().replace('_', "").contains("listenaddresses");
    r.service.libp2p && view.settings(r).iter().any(|(_, _, t)| listen(t) && names(t))
}
