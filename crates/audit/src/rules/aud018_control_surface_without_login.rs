//! AUD018: admin endpoints without authentication beyond loopback.

use super::prelude::*;
use catalog::{Auth, Class, Role};

/// The rule.
pub const RULE: Rule = Rule {
    code: Code("AUD018"),
    title: "a control surface without login is reachable from outside this machine",
    risk: Risk::High,
    needs: &[Source::Sockets, Source::SocketOwners],
    means: "the web interfaces of Curio and Boost ask nobody who they are: whoever reaches one moves balances, rewrites configuration, imports keys and runs SQL",
    fix: "bind it to loopback and go there through ssh, or put a proxy with a login in front",
    reference: None,
    check,
};

fn check(view: &View) -> Vec<Seen> {
    let mut out = Vec::new();
    for r in &view.running {
        for (socket, endpoint) in &r.listens {
            let Some(e) = endpoint.filter(|e| e.class == Class::Admin && e.auth == Auth::None) else { continue };
            let reach = view.reach(socket.local.ip());
            // Monitoring interfaces show and silence; they move no funds.
            let tame = matches!(r.service.role, Role::Monitoring | Role::Database);
            let risk = match reach {
                Reach::Loopback => continue,
                Reach::Public if !tame => Risk::Critical,
                Reach::Private if tame => continue,
                _ if tame => Risk::Medium,
                _ => Risk::High,
            };
            let seen = Seen::new(format!("{}.{}", r.service.name, e.name), format!("{}, no login", place(socket))).risk(risk);
            let setting = e.setting.as_ref().and_then(|k| r.service.settings.iter().find(|s| &s.key == k));
            out.push(match setting {
                Some(s) => seen.fix(how_to_set(s)),
                None => seen,
            });
        }
    }
    out
}
