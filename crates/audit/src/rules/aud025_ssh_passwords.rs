//! AUD025: PasswordAuthentication or PermitRootLogin is yes in sshd_config.

use super::prelude::*;

/// The rule.
pub const RULE: Rule = Rule {
    code: Code("AUD025"),
    title: "ssh takes passwords or root",
    risk: Risk::Medium,
    needs: &[Source::Files],
    means: "passwords are guessed day and night; a root session leaves no name in the log",
    fix: "PasswordAuthentication no and PermitRootLogin no in sshd_config, after trying a key in a second session",
    reference: Some("CIS Debian Linux 12 Benchmark 5.1.20"),
    check,
};

fn check(view: &View) -> Vec<Seen> {
    let mut out = Vec::new();
    let files = view.facts.files.iter().filter(|f| f.path == "/etc/ssh/sshd_config" || f.path.starts_with("/etc/ssh/sshd_config.d/"));
    for file in files {
        let text = file.text.as_deref().unwrap_or_default();
        for (line, n) in text.lines().zip(1u32..) {
            let mut words = line.split(|c: char| c.is_whitespace() || c == '=').filter(|w| !w.is_empty());
            let (key, value) = (words.next().unwrap_or_default().to_ascii_lowercase(), words.next().unwrap_or_default());
            // What stands under Match is for some only, and may narrow or widen; it is not judged here.
            if key == "match" {
                break;
            }
            if ["passwordauthentication", "permitrootlogin"].contains(&key.as_str()) && value.eq_ignore_ascii_case("yes") {
                out.push(Seen::new("sshd", line.trim()).at(&file.path, n));
            }
        }
    }
    out
}
