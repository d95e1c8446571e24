//! Rulesets as their own tools print them, and filters that none of these tools shows.

use crate::{Error, run};
use facts::{Rulesets, Source};
use serde_json::Value;

/// Rulesets, and the tools that could not be asked.
pub fn rulesets() -> (Rulesets, Vec<(Source, Error)>) {
    let mut troubles = Vec::new();
    let mut ask = |source, program: &str, arguments: &[&str]| match run::output(program, arguments) {
        Ok(text) => Some(text),
        // A machine without iptables has no iptables rules of its own making; nft shows what there is.
        Err(Error::Program { why, .. }) if source == Source::Iptables && why == "not installed" => None,
        Err(e) => {
            troubles.push((source, e));
            None
        }
    };
    let rulesets = Rulesets {
        nft_json: ask(Source::Nft, "nft", &["-j", "list", "ruleset"]),
        iptables_save: ask(Source::Iptables, "iptables-save", &["-c"]),
        ip6tables_save: ask(Source::Iptables, "ip6tables-save", &["-c"]),
        unread: unread(),
    };
    (rulesets, troubles)
}

fn unread() -> Vec<String> {
    let mut out = Vec::new();
    for (file, name) in [("ip_tables_names", "legacy iptables"), ("ip6_tables_names", "legacy ip6tables")] {
        let tables = std::fs::read_to_string(format!("/proc/thread-self/net/{file}")).unwrap_or_default();
        out.extend(tables.lines().map(|t| format!("{name} table {t}")));
    }
    let links = run::output("ip", &["-j", "-d", "link", "show"]).ok().and_then(|t| serde_json::from_str::<Value>(&t).ok());
    for link in links.iter().flat_map(|l| l.as_array().into_iter().flatten()) {
        if link.get("xdp").is_some() {
            out.push(format!("XDP program on {}", link["ifname"].as_str().unwrap_or("?")));
        }
    }
    let disciplines = run::output("tc", &["-j", "qdisc", "show"]).ok().and_then(|t| serde_json::from_str::<Value>(&t).ok());
    for d in disciplines.iter().flat_map(|d| d.as_array().into_iter().flatten()) {
        if matches!(d["kind"].as_str(), Some("clsact" | "ingress")) {
            out.push(format!("tc filters on {}", d["dev"].as_str().unwrap_or("?")));
        }
    }
    out
}
