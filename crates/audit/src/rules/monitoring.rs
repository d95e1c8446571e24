//! Monitoring: who may look and who may delete. In come configurations and command lines, out come doors.

use super::prelude::*;

/// AUD094: grafana lets anybody look, or keeps its first password.
pub const GRAFANA: Rule = Rule {
    code: Code("AUD094"),
    title: "grafana lets anybody in",
    risk: Risk::Medium,
    needs: &[Source::Files],
    means: "the boards show every machine, address and balance; an administrator of grafana queries every data source",
    fix: "[auth.anonymous] enabled = false, and a password of your own under [security] in /etc/grafana/grafana.ini",
    reference: None,
    check: grafana,
};

/// AUD095: prometheus takes orders over HTTP.
pub const PROMETHEUS: Rule = Rule {
    code: Code("AUD095"),
    title: "prometheus takes orders over HTTP",
    risk: Risk::Medium,
    needs: &[Source::Processes],
    means: "whoever reaches the port deletes what was measured or stops the server, before or after an attack",
    fix: "take --web.enable-admin-api and --web.enable-lifecycle out, or bind it to loopback",
    reference: None,
    check: prometheus,
};

fn grafana(view: &View) -> Vec<Seen> {
    let mut out = Vec::new();
    let mut section = "";
    for (file, line, text) in view.lines(|p| p == "/etc/grafana/grafana.ini") {
        let text = text.trim();
        if let Some(name) = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
            section = name;
            continue;
        }
        let Some((key, value)) = text.split_once('=').map(|(k, v)| (k.trim(), v.trim())) else { continue };
        let open = match (section, key) {
            ("auth.anonymous", "enabled") => value == "true",
            ("security", "admin_password") => value.contains("[redacted: default password]"),
            ("users", "allow_sign_up") => value == "true",
            _ => false,
        };
        if open {
            out.push(Seen::new("grafana", format!("[{section}] {key} = {value}")).at(file, line));
        }
    }
    out
}

fn prometheus(view: &View) -> Vec<Seen> {
    let orders = ["--web.enable-admin-api", "--web.enable-lifecycle"];
    let mut out = Vec::new();
    for p in view.facts.processes.iter().filter(|p| p.comm == "prometheus") {
        let given: Vec<&str> = orders.into_iter().filter(|o| p.argv.iter().any(|a| a == o || *a == format!("{o}=true"))).collect();
        let local = p.argv.iter().any(|a| a.starts_with("--web.listen-address=127.") || a.starts_with("--web.listen-address=localhost"));
        if !given.is_empty() && !local {
            out.push(Seen::new("prometheus", format!("pid {}: {}", p.pid, given.join(" "))));
        }
    }
    out
}
