//! AUD014: cloudflared runs, or its unit starts at boot.

use super::prelude::*;

/// The rule.
pub const RULE: Rule = Rule {
    code: Code("AUD014"),
    title: "a tunnel brings the Internet in behind the perimeter",
    risk: Risk::High,
    needs: &[Source::Processes, Source::Units],
    means: "cloudflared dials out on 7844 and hands Internet traffic to services inside: no firewall, no IPS sees it",
    fix: "publish through the edge instead; stop and remove it: systemctl disable --now cloudflared; if it must be, on a host of its own in the DMZ",
    reference: None,
    check,
};

fn check(view: &View) -> Vec<Seen> {
    let tunnel = |name: &str| name == "cloudflared";
    let running = view.running.iter().filter(|r| tunnel(r.service.name.as_str())).map(|r| {
        let by = r.process.user.as_deref().unwrap_or("an account without name");
        Seen::new("cloudflared", format!("pid {} runs as {by}", r.process.pid))
    });
    let enabled = view.units.iter().filter(|(s, u)| tunnel(s.name.as_str()) && u.enabled && !u.active);
    running
        .chain(enabled.map(|(_, u)| {
            Seen::new("cloudflared", format!("{} starts at boot", u.name)).at(u.files.first().cloned().unwrap_or_default(), 0)
        }))
        .collect()
}
