//! Who may become somebody else: sudo's defaults, su, PAM, polkit, cron. In come their configurations, out come lines that give
//! more than they should. Ways of service accounts to root are AUD006's.

use super::prelude::*;

/// AUD047: `Defaults !authenticate`.
pub const SUDO_ASKS_NOBODY: Rule = Rule {
    code: Code("AUD047"),
    title: "sudo asks nobody for a password",
    risk: Risk::High,
    needs: &[Source::Sudoers],
    means: "every rule of the policy is NOPASSWD: a session left open is whatever the account may be",
    fix: "remove !authenticate from Defaults; visudo --check",
    reference: Some("CIS Debian Linux 12 Benchmark 5.2.5"),
    check: |view| defaults(view, |word| word == "!authenticate"),
};

/// AUD048: sudo remembers a password for longer than 15 minutes, or for ever.
pub const SUDO_REMEMBERS: Rule = Rule {
    code: Code("AUD048"),
    title: "sudo remembers for long",
    risk: Risk::Low,
    needs: &[Source::Sudoers],
    means: "whoever gets at a terminal or process of an administrator's session within that time is root",
    fix: "Defaults timestamp_timeout=15 or less",
    reference: Some("CIS Debian Linux 12 Benchmark 5.2.6"),
    check: |view| {
        let long = |minutes: f64| !(0.0..=MOST_MINUTES).contains(&minutes);
        defaults(view, |word| word.strip_prefix("timestamp_timeout=").and_then(|v| v.parse().ok()).is_some_and(long))
    },
};

/// AUD049: su is open to every account.
pub const SU: Rule = Rule {
    code: Code("AUD049"),
    title: "every account may try su",
    risk: Risk::Low,
    needs: &[Source::Files],
    means: "a taken-over daemon guesses root's password on the machine itself, past every filter",
    fix: "auth required pam_wheel.so in /etc/pam.d/su, with a group for administrators",
    reference: Some("CIS Debian Linux 12 Benchmark 5.2.7"),
    check: su,
};

/// AUD050: a PAM line lets in before anything was asked.
pub const PAM_OPEN: Rule = Rule {
    code: Code("AUD050"),
    title: "PAM lets in without asking",
    risk: Risk::Critical,
    needs: &[Source::Files],
    means: "the first module that is enough is one that always says yes: any password opens every account",
    fix: "remove the line; pam-auth-update writes the stack anew",
    reference: None,
    check: pam_open,
};

/// AUD051: passwords are taken over the network and guesses are not counted.
pub const LOCKOUT: Rule = Rule {
    code: Code("AUD051"),
    title: "passwords may be guessed for ever",
    risk: Risk::Medium,
    needs: &[Source::Files],
    means: "nothing slows down a machine that tries passwords for weeks",
    fix: "pam_faillock in /etc/pam.d/common-auth (pam-auth-update), or PasswordAuthentication no in sshd_config",
    reference: Some("CIS Debian Linux 12 Benchmark 5.3.2.2"),
    check: lockout,
};

/// AUD052: a polkit rule says yes without looking at who asks.
pub const POLKIT: Rule = Rule {
    code: Code("AUD052"),
    title: "polkit says yes to everybody",
    risk: Risk::High,
    needs: &[Source::Files],
    means: "any account restarts units, mounts disks or changes the network as root, without a password",
    fix: "let the rule ask subject.isInGroup(...) or subject.user, or remove it",
    reference: None,
    check: polkit,
};

/// AUD053: cron is there, and no cron.allow says who may use it.
pub const CRON: Rule = Rule {
    code: Code("AUD053"),
    title: "every account may plant a cron job",
    risk: Risk::Low,
    needs: &[Source::Files],
    means: "a taken-over daemon comes back after it was cleaned up: its account's table starts it again",
    fix: "/etc/cron.allow with the administrators who need it, one a line",
    reference: Some("CIS Debian Linux 12 Benchmark 2.4.1.8"),
    check: cron,
};

/// Minutes sudo may remember: its own default on Debian.
const MOST_MINUTES: f64 = 15.0;

/// Lines of `Defaults` that hold for everybody and have a wanted word.
fn defaults(view: &View, wanted: impl Fn(&str) -> bool) -> Vec<Seen> {
    let mut out = Vec::new();
    for line in &view.facts.sudoers {
        let Some(rest) = line.text.trim_start().strip_prefix("Defaults").filter(|r| r.starts_with([' ', '\t'])) else { continue };
        for word in rest.split(',').map(|w| w.split_whitespace().collect::<String>()) {
            if wanted(&word) {
                out.push(Seen::new("sudo", format!("Defaults {word}")).at(&line.file, line.line));
            }
        }
    }
    out
}

fn su(view: &View) -> Vec<Seen> {
    const FILE: &str = "/etc/pam.d/su";
    let Some(file) = view.facts.file(FILE).filter(|f| f.text.is_some()) else { return Vec::new() };
    let asks = |l: &str| {
        let words: Vec<&str> = l.split_whitespace().collect();
        words.first() == Some(&"auth") && words.get(1).is_some_and(|c| ["required", "requisite"].contains(c)) && l.contains("pam_wheel.so")
    };
    if view.lines(|p| p == FILE).iter().any(|(_, _, l)| asks(l)) {
        return Vec::new();
    }
    vec![Seen::new("su", "no line `auth required pam_wheel.so`").at(&file.path, 0)]
}

/// Stacks that decide who comes in.
const STACKS: [&str; 5] =
    ["/etc/pam.d/common-auth", "/etc/pam.d/system-auth", "/etc/pam.d/password-auth", "/etc/pam.d/sshd", "/etc/pam.d/login"];

fn pam_open(view: &View) -> Vec<Seen> {
    let mut out = Vec::new();
    for stack in STACKS.into_iter().chain(["/etc/pam.d/su", "/etc/pam.d/sudo"]) {
        for (file, line, text) in view.lines(|p| p == stack) {
            let words: Vec<&str> = text.split_whitespace().collect();
            let [kind, control, ..] = words[..] else { continue };
            let enough = control == "sufficient" || control.contains("success=done");
            if kind.trim_start_matches('-') == "auth" && enough && text.contains("pam_permit.so") {
                out.push(Seen::new(file, text.trim()).at(file, line));
            }
        }
    }
    out
}

fn lockout(view: &View) -> Vec<Seen> {
    let Some(sshd) = &view.sshd else { return Vec::new() };
    // The default of PasswordAuthentication is yes.
    if sshd.is("passwordauthentication", "no", false) {
        return Vec::new();
    }
    let stacks = STACKS.iter().filter(|s| view.facts.file(s).is_some_and(|f| f.text.is_some()));
    let stacks: Vec<&&str> = stacks.collect();
    let counts = |l: &str| ["pam_faillock.so", "pam_tally2.so"].iter().any(|m| l.contains(m));
    if stacks.is_empty() || view.lines(|p| STACKS.contains(&p)).iter().any(|(_, _, l)| counts(l)) {
        return Vec::new();
    }
    vec![Seen::new("pam", "sshd takes passwords, and no stack has pam_faillock").at(**stacks.first().unwrap_or(&&""), 0)]
}

fn polkit(view: &View) -> Vec<Seen> {
    let mut out = Vec::new();
    for file in view.facts.files.iter().filter(|f| f.path.contains("/polkit-1/rules.d/")) {
        let text = file.text.as_deref().unwrap_or_default();
        let asks = ["isInGroup", "subject.user", "subject.isInNetGroup", "subject.groups", "isLocal"].iter().any(|w| text.contains(w));
        let yes = text.lines().zip(1u32..).find(|(l, _)| l.contains("polkit.Result.YES") && !l.trim_start().starts_with("//"));
        if let Some((line, number)) = yes.filter(|_| !asks) {
            out.push(Seen::new("polkit", line.trim()).at(&file.path, number));
        }
    }
    out
}

fn cron(view: &View) -> Vec<Seen> {
    let there = view.facts.file("/etc/crontab").is_some()
        && view.facts.units.iter().any(|u| ["cron.service", "crond.service"].contains(&u.name.as_str()));
    if !there || view.facts.file("/etc/cron.allow").is_some() {
        return Vec::new();
    }
    vec![Seen::new("cron", "cron is installed and /etc/cron.allow is not there")]
}
