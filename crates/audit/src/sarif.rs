//! The report as SARIF 2.1.0 (OASIS), for tools that collect findings.

use crate::{Finding, RULES, Report, Risk};
use serde_json::{Value, json};

/// SARIF knows three levels.
fn level(risk: Risk) -> &'static str {
    match risk {
        Risk::Critical | Risk::High => "error",
        Risk::Medium => "warning",
        Risk::Low => "note",
    }
}

/// `security-severity` as code-scanning services read it: a number from 0 to 10.
fn score(risk: Risk) -> &'static str {
    match risk {
        Risk::Critical => "9.5",
        Risk::High => "8.0",
        Risk::Medium => "5.0",
        Risk::Low => "2.0",
    }
}

fn result(f: &Finding, host: &str) -> Value {
    let logical = json!([{ "fullyQualifiedName": format!("{host}/{}", f.subject) }]);
    let location = match &f.file {
        Some(file) => json!({
            "physicalLocation": {
                "artifactLocation": { "uri": uri(file) },
                "region": { "startLine": f.line.unwrap_or(1) },
            },
            "logicalLocations": logical,
        }),
        None => json!({ "logicalLocations": logical }),
    };
    let index = RULES.iter().position(|r| r.code == f.code);
    json!({
        "ruleId": f.code.0,
        "ruleIndex": index,
        "level": level(f.risk),
        "message": { "text": format!("{}: {}. {} Fix: {}", f.subject, f.evidence.join("; "), f.means, f.fix) },
        "locations": [location],
        "partialFingerprints": { "ravelin/v1": fingerprint(f, host) },
        "properties": { "risk": f.risk.word() },
    })
}

/// Stays the same from run to run while the matter is the same: process ids are left out.
fn fingerprint(f: &Finding, host: &str) -> String {
    let evidence: Vec<&str> =
        f.evidence.iter().flat_map(|e| e.split_whitespace()).filter(|w| w.trim_end_matches(':').parse::<u32>().is_err()).collect();
    words::Digest::of(format!("{}\n{host}\n{}\n{}", f.code, f.subject, evidence.join(" ")).as_bytes()).to_string()
}

/// A path as a `file:` URI (RFC 8089), everything but the safe characters of RFC 3986 escaped.
fn uri(path: &str) -> String {
    let mut out = String::from("file://");
    for b in path.bytes() {
        if b.is_ascii_alphanumeric() || b"/-._~".contains(&b) { out.push(char::from(b)) } else { out += &format!("%{b:02X}") }
    }
    out
}

impl Report {
    /// The report as a SARIF log.
    pub fn sarif(&self) -> Value {
        let rules: Vec<Value> = RULES
            .iter()
            .map(|r| {
                json!({
                    "id": r.code.0,
                    "shortDescription": { "text": r.title },
                    "fullDescription": { "text": r.means },
                    "help": { "text": r.reference.map_or_else(|| r.fix.to_owned(), |n| format!("{} ({n})", r.fix)) },
                    "defaultConfiguration": { "level": level(r.risk) },
                    "properties": { "security-severity": score(r.risk) },
                })
            })
            .collect();
        let unknown: Vec<Value> = self
            .unknown
            .iter()
            .map(|u| json!({ "level": "warning", "message": { "text": format!("{} could not be decided: {}", u.code, u.why) } }))
            .collect();
        json!({
            "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
            "version": "2.1.0",
            "runs": [{
                "tool": { "driver": { "name": "ravelin audit", "version": env!("CARGO_PKG_VERSION"), "rules": rules } },
                "invocations": [{ "executionSuccessful": true, "toolExecutionNotifications": unknown }],
                "results": self.findings.iter().map(|f| result(f, &self.host)).collect::<Vec<_>>(),
            }],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use facts::{Facts, Process};

    #[test]
    fn a_finding_becomes_a_result_that_points_at_its_rule() {
        let facts = Facts {
            host: "daemon1".into(),
            processes: vec![Process { pid: 7, comm: "lotus".into(), exe: "/usr/local/bin/lotus".into(), ..Process::default() }],
            ..Facts::default()
        };
        let log = crate::run(&facts, None).sarif();
        let results = log["runs"][0]["results"].as_array().expect("results");
        let root = results.iter().find(|r| r["ruleId"] == "AUD001").expect("runs as root");
        let index = usize::try_from(root["ruleIndex"].as_u64().expect("index")).expect("small");
        assert_eq!(log["runs"][0]["tool"]["driver"]["rules"][index]["id"], "AUD001");
        assert_eq!(root["level"], "error");
        assert!(root["partialFingerprints"]["ravelin/v1"].as_str().is_some_and(|f| f.len() == 64));
    }

    #[test]
    fn paths_are_escaped() {
        assert_eq!(uri("/etc/a b#c"), "file:///etc/a%20b%23c");
    }
}
