//! AUD023: neither nftables nor iptables drops anything on the way in.

use super::prelude::*;
use serde_json::Value;

/// The rule.
pub const RULE: Rule = Rule {
    code: Code("AUD023"),
    title: "no packet filter on incoming traffic",
    risk: Risk::High,
    needs: &[Source::Nft, Source::Iptables],
    means: "every port that listens is reachable from every neighbour, and from the Internet if there is a public address",
    fix: "write a site file (`ravelin init`) and apply it; until then UFW: ufw allow OpenSSH; ufw default deny incoming; ufw enable",
    reference: None,
    check,
};

fn check(view: &View) -> Vec<Seen> {
    let rules = &view.facts.rulesets;
    // Nothing could be read: unknown, not absent. A filter no tool shows is not absent either.
    let (Some(nft), None) = (&rules.nft_json, rules.unread.first()) else { return Vec::new() };
    if nft_drops_input(nft) || rules.iptables_save.as_deref().is_some_and(iptables_drops_input) {
        return Vec::new();
    }
    let listeners = view.facts.sockets.iter().filter(|s| s.listens() && view.reach(s.local.ip()) > Reach::Loopback).count();
    vec![Seen::new("packet filter", format!("no rule or policy drops incoming packets; sockets that listen beyond loopback: {listeners}"))]
}

/// Whether a chain on the input (or an earlier) hook drops by policy or by any rule, chains it jumps to included: any drop
/// or reject anywhere counts, because this rule speaks of machines without a filter, not of weak ones.
fn nft_drops_input(json: &str) -> bool {
    let Ok(value) = serde_json::from_str::<Value>(json) else { return true };
    let objects = value["nftables"].as_array().map(Vec::as_slice).unwrap_or_default();
    let hooks = ["input", "prerouting", "ingress"];
    let base = objects.iter().filter_map(|o| o.get("chain")).any(|c| hooks.iter().any(|h| c["hook"] == **h));
    let policy = objects.iter().filter_map(|o| o.get("chain")).any(|c| c["hook"] == "input" && c["policy"] == "drop");
    let drops = |e: &Value| e.get("drop").is_some() || e.get("reject").is_some();
    let rule = || objects.iter().filter_map(|o| o.get("rule")).filter_map(|r| r["expr"].as_array()).flatten().any(drops);
    policy || (base && rule())
}

fn iptables_drops_input(text: &str) -> bool {
    text.lines().any(|l| l.starts_with(":INPUT DROP") || (l.contains("-A ") && (l.contains("-j DROP") || l.contains("-j REJECT"))))
}
