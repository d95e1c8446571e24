//! AUD015: debug endpoints beyond loopback, and services that mount profiling on a public port.

use super::prelude::*;
use catalog::{Class, Endpoint, Intended};

/// The rule.
pub const RULE: Rule = Rule {
    code: Code("AUD015"),
    title: "profiling is reachable from outside this machine",
    risk: Risk::Medium,
    needs: &[Source::Sockets, Source::SocketOwners, Source::Processes],
    means: "profiles show memory, with keys and tokens in it; asking for one costs CPU that a proof needs; pprof-set changes the process",
    fix: "bind profiling to loopback, or do not start it",
    reference: None,
    check,
};

/// Public or private endpoints on which profiling hangs as well, by the catalogue's notes.
fn carries_profiling(e: &Endpoint) -> bool {
    e.class == Class::Debug || (matches!(e.class, Class::Metrics | Class::Public) && e.note.as_deref().is_some_and(|n| n.contains("pprof")))
}

fn check(view: &View) -> Vec<Seen> {
    let mut out = Vec::new();
    for r in &view.running {
        for (socket, endpoint) in &r.listens {
            let Some(e) =
                endpoint.filter(|e| carries_profiling(e) && e.intended != Intended::Monitoring || carries_metrics_with_profiling(e))
            else {
                continue;
            };
            let reach = view.reach(socket.local.ip());
            if reach > Reach::Loopback {
                let seen = Seen::new(format!("{}.{}", r.service.name, e.name), format!("pprof answers at {}", place(socket)));
                out.push(if reach == Reach::Public { seen.risk(Risk::High) } else { seen });
            }
        }
    }
    out
}

fn carries_metrics_with_profiling(e: &Endpoint) -> bool {
    e.class == Class::Metrics && carries_profiling(e)
}
