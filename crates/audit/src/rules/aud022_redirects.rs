//! AUD022: ICMP redirects or source routes are accepted.

use super::prelude::*;

/// The rule.
pub const RULE: Rule = Rule {
    code: Code("AUD022"),
    title: "routes can be changed from the network",
    risk: Risk::Low,
    needs: &[Source::Sysctls],
    means: "a neighbour in the VLAN sends a redirect or a source route and reads the traffic between miner and workers",
    fix: "sysctl net.ipv4.conf.all.accept_redirects=0 net.ipv6.conf.all.accept_redirects=0 net.ipv4.conf.all.accept_source_route=0",
    reference: Some("CIS Debian Linux 12 Benchmark 3.3.5 and 3.3.8"),
    check,
};

/// Settings that must be 0. On a machine that forwards, v4 redirects are taken only where all and the interface agree.
const CLOSED: [&str; 4] = [
    "net.ipv4.conf.all.accept_redirects",
    "net.ipv6.conf.all.accept_redirects",
    "net.ipv4.conf.all.accept_source_route",
    "net.ipv6.conf.all.accept_source_route",
];

fn check(view: &View) -> Vec<Seen> {
    let open = CLOSED.iter().filter(|n| view.facts.sysctls.get(**n).is_some_and(|v| v.trim().parse::<i32>().is_ok_and(|v| v > 0)));
    let open: Vec<&&str> = open.collect();
    let fix = open.iter().map(|n| format!("{n}=0")).collect::<Vec<_>>().join(" ");
    let seen: Vec<String> = open.iter().map(|n| format!("{n} = {}", view.facts.sysctls[**n].trim())).collect();
    if seen.is_empty() {
        Vec::new()
    } else {
        vec![Seen::new("sysctl", seen.join(", ")).fix(format!("sysctl {fix}, and keep it in /etc/sysctl.d"))]
    }
}
