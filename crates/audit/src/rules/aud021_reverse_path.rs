//! AUD021: reverse path filtering is off for all and for new interfaces.

use super::prelude::*;

/// The rule.
pub const RULE: Rule = Rule {
    code: Code("AUD021"),
    title: "packets with a forged source are taken",
    risk: Risk::Low,
    needs: &[Source::Sysctls],
    means: "a machine on one VLAN sends in the name of another; rules by source address then mean less",
    fix: "sysctl net.ipv4.conf.all.rp_filter=1 (2 where replies leave by another interface)",
    reference: Some("CIS Debian Linux 12 Benchmark 3.3.7"),
    check,
};

fn check(view: &View) -> Vec<Seen> {
    let value = |n: &str| view.facts.sysctls.get(n).map(|v| v.trim().to_owned());
    let (all, new) = (value("net.ipv4.conf.all.rp_filter"), value("net.ipv4.conf.default.rp_filter"));
    // The kernel takes the larger of `all` and the interface's own.
    match (all.as_deref(), new.as_deref()) {
        (Some("0"), None | Some("0")) => vec![Seen::new("net.ipv4.conf.all.rp_filter", "0 for all and for new interfaces")],
        _ => Vec::new(),
    }
}
