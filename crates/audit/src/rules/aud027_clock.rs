//! AUD027: the kernel says that the clock is not synchronised.

use super::prelude::*;

/// The rule.
pub const RULE: Rule = Rule {
    code: Code("AUD027"),
    title: "the clock is not synchronised",
    risk: Risk::Medium,
    needs: &[Source::Clock],
    means: "blocks and proofs come too late, YugabyteDB refuses to work, tokens and certificates expire at the wrong time, logs cannot be compared",
    fix: "run chrony or systemd-timesyncd, and let 123/udp through to a time server",
    reference: Some("CIS Debian Linux 12 Benchmark 2.3.1.1"),
    check,
};

fn check(view: &View) -> Vec<Seen> {
    if view.facts.clock.synchronised != Some(false) {
        return Vec::new();
    }
    let daemons = &view.facts.clock.daemons;
    let who = if daemons.is_empty() { "no time daemon runs".to_owned() } else { format!("{} runs", daemons.join(", ")) };
    vec![Seen::new("clock", format!("the kernel holds the clock for unsynchronised; {who}"))]
}
