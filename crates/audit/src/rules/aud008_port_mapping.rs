//! AUD008: services with a setting against port mapping that nobody set.

use super::prelude::*;

/// The rule.
pub const RULE: Rule = Rule {
    code: Code("AUD008"),
    title: "a libp2p service may ask the router to open its port",
    risk: Risk::Medium,
    needs: &[Source::Processes, Source::Files, Source::Units],
    means: "UPnP and NAT-PMP are on by default: the router opens a port that nobody decided to open, past the firewall",
    fix: "LOTUS_LIBP2P_DISABLENATPORTMAP=true in the unit, or DisableNatPortMap = true under [Libp2p]",
    reference: None,
    check,
};

fn check(view: &View) -> Vec<Seen> {
    let mut out = Vec::new();
    for r in &view.running {
        let Some(setting) = r.service.settings.iter().find(|s| s.key == "no-port-mapping") else { continue };
        let closes = |text: &str| {
            let plain = text.to_ascii_lowercase().replace([' ', '_', '"', '\'', '\t'], "");
            plain.contains("disablenatportmap=true") || plain.contains("disablenatportmap=1")
        };
        if !view.settings(r).iter().any(|(_, _, t)| closes(t)) {
            let files: Vec<&str> = view.config_files(r).iter().map(|f| f.path.as_str()).collect();
            let looked =
                if files.is_empty() { "no configuration file was found".to_owned() } else { format!("looked in {}", files.join(", ")) };
            out.push(Seen::new(r.service.name.as_str(), format!("nothing turns it off; {looked}")).fix(how_to_set(setting)));
        }
    }
    out
}
