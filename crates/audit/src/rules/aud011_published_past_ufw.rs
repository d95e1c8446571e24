//! AUD011: published container ports on the unspecified address.

use super::prelude::*;
use catalog::{Intended, PortDefault, recognise};

/// The rule.
pub const RULE: Rule = Rule {
    code: Code("AUD011"),
    title: "a container publishes a port on every address",
    risk: Risk::Medium,
    needs: &[Source::Containers],
    means: "Docker writes its own forwarding rules before UFW sees the packet: `ufw deny` does not close this port",
    fix: "publish on one address: -p 127.0.0.1:PORT:PORT, or on the address its peers use",
    reference: None,
    check,
};

fn check(view: &View) -> Vec<Seen> {
    let ufw = [&view.facts.rulesets.iptables_save, &view.facts.rulesets.ip6tables_save]
        .iter()
        .any(|r| r.as_deref().is_some_and(|t| t.contains("ufw-")));
    let mut out = Vec::new();
    for c in &view.facts.containers {
        for p in c.ports.iter().filter(|p| p.address.is_unspecified()) {
            let service = recognise::image(&c.image).into_iter().next();
            let endpoint = service.and_then(|s| {
                s.endpoints.iter().find(|e| e.proto.contains(&p.proto) && matches!(e.port, PortDefault::Fixed(n) if n == p.inside))
            });
            if endpoint.is_some_and(|e| e.intended == Intended::Public) {
                continue;
            }
            let what = endpoint.map_or(String::new(), |e| format!(", {} of {}", e.name, c.image));
            let mut seen = Seen::new(format!("container {}", c.name), format!("{}/{} published on {}{what}", p.host, p.proto, p.address));
            if ufw {
                seen = seen.and("UFW is active on this machine and does not see it");
            }
            out.push(if endpoint.is_some() { seen.risk(Risk::High) } else { seen });
        }
    }
    out
}
