//! AUD020: forwarding is on, on a machine that is not an edge node and runs no containers.

use super::prelude::*;

/// The rule.
pub const RULE: Rule = Rule {
    code: Code("AUD020"),
    title: "this machine forwards packets and is no firewall",
    risk: Risk::Medium,
    needs: &[Source::Sysctls],
    means: "it joins its networks: whoever takes over one side walks to the other past the filter between the zones",
    fix: "sysctl net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0, and keep it in /etc/sysctl.d",
    reference: Some("CIS Debian Linux 12 Benchmark 3.3.1"),
    check,
};

fn check(view: &View) -> Vec<Seen> {
    let bridges = ["docker0", "podman0", "cni0", "virbr0", "lxdbr0", "vmbr0", "incusbr0"];
    let needs_it = !view.facts.containers.is_empty()
        || view.facts.interfaces.iter().any(|i| bridges.contains(&i.name.as_str()) || i.kind.as_deref() == Some("wireguard"));
    if view.edge == Some(true) || needs_it {
        return Vec::new();
    }
    let names = ["net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"];
    let on = names.iter().filter(|n| view.facts.sysctls.get(**n).is_some_and(|v| v.trim() != "0"));
    on.map(|n| Seen::new(*n, format!("{n} = {}", view.facts.sysctls[*n].trim())).fix(format!("sysctl {n}=0, and keep it in /etc/sysctl.d")))
        .collect()
}
