//! Logs: whether anything is left to read after an attack. In come journald's and auditd's configurations and processes, out come
//! logs that are lost or that the attacker can wipe.

use super::prelude::*;

/// AUD105: the journal is kept in memory.
pub const VOLATILE: Rule = Rule {
    code: Code("AUD105"),
    title: "the log is gone after a restart",
    risk: Risk::Medium,
    needs: &[Source::Files],
    means: "a crash or an intruder's reboot takes every trace with it",
    fix: "Storage=persistent in /etc/systemd/journald.conf, or mkdir /var/log/journal",
    reference: Some("CIS Debian Linux 12 Benchmark 6.1.2.4"),
    check: volatile,
};

/// AUD106: no copy of the log leaves the machine.
pub const STAYS: Rule = Rule {
    code: Code("AUD106"),
    title: "the log stays on the machine it is about",
    risk: Risk::Low,
    needs: &[Source::Processes, Source::Files],
    means: "whoever becomes root deletes what they did; nobody can tell which keys were read",
    fix: "send it on: systemd-journal-upload, rsyslog to another host, promtail or vector",
    reference: Some("CIS Debian Linux 12 Benchmark 6.1.3.6"),
    check: stays,
};

/// AUD107: auditd does not run.
pub const NO_AUDITD: Rule = Rule {
    code: Code("AUD107"),
    title: "nobody records what accounts do",
    risk: Risk::Low,
    needs: &[Source::Processes, Source::Units],
    means: "after an intrusion it cannot be told which files were opened and which programs ran; SELinux's refusals go to the journal alone",
    fix: "apt install auditd, with rules for keystores, tokens and sudoers",
    reference: Some("CIS Debian Linux 12 Benchmark 6.2.1.2"),
    check: no_auditd,
};

/// AUD108: no audit rule watches a keystore that is here.
pub const UNWATCHED: Rule = Rule {
    code: Code("AUD108"),
    title: "nobody sees who reads the keys",
    risk: Risk::Low,
    needs: &[Source::Processes, Source::Files],
    means: "a copied wallet key leaves no trace: whether the funds must be moved is a guess",
    fix: "a line `-w KEYSTORE -p rwa -k keystore` in /etc/audit/rules.d; augenrules --load",
    reference: None,
    check: unwatched,
};

fn volatile(view: &View) -> Vec<Seen> {
    let files = |p: &str| p == "/etc/systemd/journald.conf" || (p.starts_with("/etc/systemd/journald.conf.d/") && p.ends_with(".conf"));
    let lines = view.lines(files);
    // Drop-ins stand behind the file and win (systemd.syntax(7)).
    let set = |dropped: bool| lines.iter().rev().find(|(f, _, l)| f.contains(".d/") == dropped && l.trim_start().starts_with("Storage="));
    let last = set(true).or_else(|| set(false));
    let value = last.map_or("auto", |(_, _, l)| l.split_once('=').map_or("", |(_, v)| v.trim()));
    let there = view.facts.file("/var/log/journal").is_some();
    let known = view.facts.file("/etc/systemd/journald.conf").is_some();
    let syslog = view.facts.processes.iter().any(|p| ["rsyslogd", "syslog-ng"].contains(&p.comm.as_str()));
    let seen = match value {
        "volatile" | "none" => format!("Storage={value}"),
        "auto" if known && !there => "Storage=auto, and /var/log/journal is not there".to_owned(),
        _ => return Vec::new(),
    };
    if syslog {
        return Vec::new();
    }
    let (file, line) = last.map_or(("/etc/systemd/journald.conf", 0), |(f, l, _)| (*f, *l));
    vec![Seen::new("journald", seen).at(file, line)]
}

/// Programs that carry logs away.
const CARRIERS: [&str; 9] =
    ["systemd-journal-upload", "systemd-journal", "promtail", "alloy", "vector", "fluent-bit", "fluentd", "filebeat", "otelcol"];

fn stays(view: &View) -> Vec<Seen> {
    if view.facts.processes.is_empty() || !view.provider() {
        return Vec::new();
    }
    // The short name is cut at 15 bytes; journald itself begins like journal-upload.
    let carries = |p: &facts::Process| CARRIERS.contains(&p.comm.as_str()) && (p.comm != "systemd-journal" || p.exe.ends_with("-upload"));
    let sends = |l: &str| {
        let l = l.trim();
        l.contains("omfwd")
            || l.contains("omrelp")
            || l.split_whitespace().any(|w| w.starts_with('@') && w.len() > 1)
            || l.contains("udp(")
            || l.contains("network(")
    };
    let configured = view.lines(|p| p.starts_with("/etc/rsyslog.") || p.starts_with("/etc/syslog-ng/"));
    let upload = view.facts.units.iter().any(|u| u.name == "systemd-journal-upload.service" && (u.active || u.enabled));
    if upload || view.facts.processes.iter().any(carries) || configured.iter().any(|(_, _, l)| sends(l)) {
        return Vec::new();
    }
    vec![Seen::new("log", "no program carries it away, and no rsyslog line sends it")]
}

fn no_auditd(view: &View) -> Vec<Seen> {
    let seen = view.facts.processes.iter().any(|p| p.pid == 1);
    let runs = view.facts.processes.iter().any(|p| p.comm == "auditd");
    if !seen || runs || !view.provider() {
        return Vec::new();
    }
    let installed = view.facts.units.iter().any(|u| u.name == "auditd.service");
    vec![Seen::new("auditd", if installed { "auditd is installed and does not run" } else { "auditd is not installed" })]
}

fn unwatched(view: &View) -> Vec<Seen> {
    if !view.facts.processes.iter().any(|p| p.comm == "auditd") {
        return Vec::new();
    }
    let rules = view.lines(|p| p.starts_with("/etc/audit/"));
    let watched = |directory: &str| {
        rules.iter().any(|(_, _, l)| {
            let mut words = l.split_whitespace();
            words.any(|w| {
                let path = w.trim_start_matches("path=").trim_start_matches("dir=").trim_end_matches('/');
                path.len() > 1 && path.starts_with('/') && (directory == path || directory.starts_with(&format!("{path}/")))
            })
        })
    };
    let keystores = view.facts.files.iter().filter(|f| f.kind == facts::FileKind::Directory && f.path.ends_with("/keystore"));
    keystores.filter(|f| !watched(&f.path)).map(|f| Seen::new(&f.path, "no audit rule names it").at("/etc/audit/rules.d", 0)).collect()
}
