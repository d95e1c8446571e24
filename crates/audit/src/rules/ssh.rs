//! sshd: forwarding, guesses, who may come, old algorithms, keys of service accounts. In come sshd's settings, out come those
//! that open more than an administrator's login needs.

use super::prelude::*;
use crate::sshd::Setting;

/// AUD031: X11Forwarding is yes.
pub const X11: Rule = Rule {
    code: Code("AUD031"),
    title: "ssh forwards X11",
    risk: Risk::Low,
    needs: &[Source::Files],
    means: "a taken-over server reads the keyboard and screen of the administrator who logs in",
    fix: "X11Forwarding no in sshd_config; a storage machine has no windows",
    reference: Some("CIS Debian Linux 12 Benchmark 5.1.8"),
    check: |view| set_to(view, "x11forwarding", "yes"),
};

/// AUD032: agent forwarding is allowed, by default or by a line.
pub const AGENT: Rule = Rule {
    code: Code("AUD032"),
    title: "ssh forwards the keys of whoever logs in",
    risk: Risk::Low,
    needs: &[Source::Files],
    means: "whoever is root here uses the administrator's forwarded agent to log in to every other machine",
    fix: "AllowAgentForwarding no in sshd_config (or DisableForwarding yes); hop with ProxyJump instead",
    reference: Some("CIS Debian Linux 12 Benchmark 5.1.8"),
    check: |view| forwards(view, "allowagentforwarding"),
};

/// AUD033: TCP forwarding is allowed on a machine whose services trust loopback.
pub const TUNNELS: Rule = Rule {
    code: Code("AUD033"),
    title: "ssh tunnels past the packet filter",
    risk: Risk::Low,
    needs: &[Source::Files, Source::Processes],
    means: "every account with a login reaches what listens on loopback only: chain and miner APIs that answer without a token, databases, profiling",
    fix: "AllowTcpForwarding no in sshd_config (or DisableForwarding yes); allow it under Match for those who need it",
    reference: Some("CIS Debian Linux 12 Benchmark 5.1.8"),
    check: |view| if view.running.iter().any(|r| r.service.account.is_some()) { forwards(view, "allowtcpforwarding") } else { Vec::new() },
};

/// AUD034: more guesses of a password for each connection than 4.
pub const TRIES: Rule = Rule {
    code: Code("AUD034"),
    title: "ssh takes many guesses at once",
    risk: Risk::Low,
    needs: &[Source::Files],
    means: "each connection may guess six times before anything notices",
    fix: "MaxAuthTries 4 in sshd_config",
    reference: Some("CIS Debian Linux 12 Benchmark 5.1.16"),
    check: tries,
};

/// AUD035: accounts without a password may log in over the network.
pub const EMPTY: Rule = Rule {
    code: Code("AUD035"),
    title: "ssh takes an empty password",
    risk: Risk::Critical,
    needs: &[Source::Files],
    means: "an account whose password was forgotten or emptied is open to the network",
    fix: "PermitEmptyPasswords no in sshd_config",
    reference: Some("CIS Debian Linux 12 Benchmark 5.1.19"),
    check: |view| set_to(view, "permitemptypasswords", "yes"),
};

/// AUD036: neither AllowUsers nor AllowGroups says who may log in.
pub const ANYONE: Rule = Rule {
    code: Code("AUD036"),
    title: "every account may log in over ssh",
    risk: Risk::Low,
    needs: &[Source::Files],
    means: "a service account that gets a key or a password by mistake, or by an attacker, is a way in at once",
    fix: "AllowGroups with the administrators' group in sshd_config, tried in a second session",
    reference: Some("CIS Debian Linux 12 Benchmark 5.1.4"),
    check: anyone,
};

/// AUD037: ciphers, key exchanges or MACs that are known to be weak are configured.
pub const OLD: Rule = Rule {
    code: Code("AUD037"),
    title: "ssh speaks old algorithms",
    risk: Risk::Medium,
    needs: &[Source::Files],
    means: "whoever can listen on the way may break or change what administrators type",
    fix: "take the line out: the defaults of a current OpenSSH are good",
    reference: Some("CIS Debian Linux 12 Benchmark 5.1.6, 5.1.12 and 5.1.15"),
    check: old,
};

/// AUD038: a service account has keys in authorized_keys.
pub const SERVICE_KEYS: Rule = Rule {
    code: Code("AUD038"),
    title: "a service account takes logins over ssh",
    risk: Risk::Medium,
    needs: &[Source::Accounts, Source::Processes],
    means: "whoever holds that key holds wallet keys and tokens without any daemon being broken, and no name stands in the log",
    fix: "remove the account's authorized_keys; administrators log in as themselves",
    reference: None,
    check: service_keys,
};

/// AUD039: sshd believes the other machine's word, or takes the environment from the account's own file.
pub const TRUST: Rule = Rule {
    code: Code("AUD039"),
    title: "ssh believes what others say",
    risk: Risk::High,
    needs: &[Source::Files],
    means: "a neighbour that was taken over logs in without a key, or an account sets LD_PRELOAD for its own forced command",
    fix: "HostbasedAuthentication no, IgnoreRhosts yes, PermitUserEnvironment no in sshd_config",
    reference: Some("CIS Debian Linux 12 Benchmark 5.1.10, 5.1.11 and 5.1.21"),
    check: |view| {
        let each = [("hostbasedauthentication", "yes"), ("ignorerhosts", "no"), ("permituserenvironment", "yes")];
        each.into_iter().flat_map(|(key, bad)| set_to(view, key, bad)).collect()
    },
};

/// More guesses than this are reported.
const MOST_TRIES: u32 = 4;
/// What sshd takes where nothing is configured (sshd_config(5)).
const DEFAULT_TRIES: u32 = 6;
/// Parts of names of algorithms that nobody should speak any more.
const WEAK: [&str; 9] =
    ["3des", "arcfour", "blowfish", "cast128", "-cbc", "hmac-md5", "hmac-sha1-96", "group1-sha1", "group-exchange-sha1"];

fn at(seen: Seen, s: &Setting) -> Seen {
    seen.at(s.file, s.line)
}

fn set_to(view: &View, key: &str, bad: &str) -> Vec<Seen> {
    let set = view.sshd.as_ref().and_then(|c| c.get(key)).filter(|s| s.value.eq_ignore_ascii_case(bad));
    set.map(|s| at(Seen::new("sshd", format!("{} {}", s.key, s.value)), s)).into_iter().collect()
}

fn forwards(view: &View, key: &str) -> Vec<Seen> {
    let Some(sshd) = &view.sshd else { return Vec::new() };
    if sshd.is("disableforwarding", "yes", false) || sshd.is(key, "no", false) {
        return Vec::new();
    }
    vec![match sshd.get(key) {
        Some(s) => at(Seen::new("sshd", format!("{key} {}", s.value)), s),
        None => Seen::new("sshd", format!("{key} is not set: the default allows it")),
    }]
}

fn tries(view: &View) -> Vec<Seen> {
    let Some(sshd) = &view.sshd else { return Vec::new() };
    match sshd.get("maxauthtries") {
        None => vec![Seen::new("sshd", format!("maxauthtries is not set: the default is {DEFAULT_TRIES}"))],
        Some(s) if s.value.parse::<u32>().is_ok_and(|n| n > MOST_TRIES) => {
            vec![at(Seen::new("sshd", format!("maxauthtries {}", s.value)), s)]
        }
        Some(_) => Vec::new(),
    }
}

fn anyone(view: &View) -> Vec<Seen> {
    let Some(sshd) = &view.sshd else { return Vec::new() };
    if sshd.get("allowusers").or_else(|| sshd.get("allowgroups")).is_some() {
        return Vec::new();
    }
    vec![Seen::new("sshd", "neither AllowUsers nor AllowGroups is set")]
}

fn old(view: &View) -> Vec<Seen> {
    let keys = ["ciphers", "macs", "kexalgorithms", "hostkeyalgorithms", "pubkeyacceptedalgorithms"];
    let set = keys.iter().filter_map(|k| view.sshd.as_ref()?.get(k));
    let mut out = Vec::new();
    for s in set.filter(|s| !s.value.starts_with('-')) {
        let names = s.value.trim_start_matches(['+', '^']).split(',').map(str::trim);
        let weak: Vec<&str> = names.filter(|n| WEAK.iter().any(|w| n.contains(w)) || ["ssh-dss", "hmac-sha1"].contains(n)).collect();
        if !weak.is_empty() {
            out.push(at(Seen::new("sshd", format!("{} names {}", s.key, weak.join(", "))), s));
        }
    }
    out
}

fn service_keys(view: &View) -> Vec<Seen> {
    let with_keys = view.service_accounts().into_iter().filter_map(|a| Some((a, a.ssh_keys.filter(|n| *n > 0)?)));
    with_keys
        .map(|(a, n)| {
            let file = format!("{}/.ssh/authorized_keys", a.home.trim_end_matches('/'));
            Seen::new(&a.name, format!("{n} keys in {file}")).at(file, 0)
        })
        .collect()
}
