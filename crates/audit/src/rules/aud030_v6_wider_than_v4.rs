//! AUD030: incoming IPv4 is dropped by default, incoming IPv6 is not, and the machine has a global IPv6 address.

use super::prelude::*;
use site::special::is_public;

/// The rule.
pub const RULE: Rule = Rule {
    code: Code("AUD030"),
    title: "IPv6 is filtered less than IPv4",
    risk: Risk::High,
    needs: &[Source::Nft, Source::Iptables],
    means: "the policy was written for IPv4 alone; the same ports are open over IPv6",
    fix: "the same rules for both: IPV6=yes in /etc/default/ufw, or one `inet` table (Ravelin writes one)",
    reference: None,
    check,
};

fn check(view: &View) -> Vec<Seen> {
    let rules = &view.facts.rulesets;
    let global = view.facts.interfaces.iter().flat_map(|i| &i.addresses).find(|a| a.addr().is_ipv6() && is_public(&a.addr()));
    let policy =
        |text: &Option<String>| text.as_deref().and_then(|t| t.lines().find(|l| l.starts_with(":INPUT "))).map(|l| l.contains("DROP"));
    // A native table of family inet or ip6 may hold what ip6tables does not show. Read only where it decides: a large ruleset takes time.
    let native = || {
        let value: serde_json::Value = rules.nft_json.as_deref().and_then(|j| serde_json::from_str(j).ok()).unwrap_or_default();
        let objects = value["nftables"].as_array().into_iter().flatten();
        objects
            .filter_map(|o| o.get("chain"))
            .any(|c| c["hook"] == "input" && (c["family"] == "inet" || c["family"] == "ip6" && c["policy"] == "drop"))
    };
    match (global, policy(&rules.iptables_save), policy(&rules.ip6tables_save)) {
        (Some(address), Some(true), Some(false) | None) if rules.unread.is_empty() && !native() => {
            vec![Seen::new("packet filter", format!("policy of INPUT is DROP for IPv4 only; the machine has {address}"))]
        }
        _ => Vec::new(),
    }
}
