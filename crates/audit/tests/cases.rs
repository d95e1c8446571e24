//! One pair of cases per rule: `cases/CODE/bad.json` must give exactly `expected.txt`, `good.json` nothing of that code.
//! `UPDATE_EXPECT=1` writes what is given now.

use audit::{RULES, Report};
use facts::Facts;
use std::{fs, path::PathBuf};

fn case(code: &str, name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("cases").join(code).join(name)
}

fn run(code: &str, name: &str) -> Report {
    let path = case(code, name);
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let facts: Facts = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut report = audit::run(&facts, None);
    report.findings.retain(|f| f.code.0 == code);
    report.passed.retain(|c| c.0 == code);
    report.unknown.retain(|u| u.code.0 == code);
    report
}

#[test]
fn every_rule_finds_the_bad_and_passes_the_good() {
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    let mut wrong = Vec::new();
    for rule in RULES {
        let code = rule.code.0;
        let bad = run(code, "bad.json");
        if bad.findings.is_empty() || !bad.passed.is_empty() {
            wrong.push(format!("{code}: the bad case passes"));
        }
        let text = bad.text();
        let expected = case(code, "expected.txt");
        if update {
            fs::write(&expected, &text).expect("write");
        }
        if fs::read_to_string(&expected).unwrap_or_default() != text {
            wrong.push(format!("{code}: expected.txt differs from:\n{text}"));
        }
        let good = run(code, "good.json");
        if !good.findings.is_empty() || good.passed.is_empty() {
            wrong.push(format!("{code}: the good case does not pass:\n{}", good.text()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_could_not_be_read_is_unknown_and_not_passed() {
    let mut asked = 0;
    for rule in RULES {
        for source in rule.needs {
            let failures = vec![facts::Failure { source: *source, reason: "not permitted".into() }];
            let report = audit::run(&Facts { failures, ..Facts::default() }, None);
            assert!(!report.passed.contains(&rule.code), "{} passes without {source:?}", rule.code);
            assert!(report.unknown.iter().any(|u| u.code == rule.code));
            asked += 1;
        }
    }
    assert!(asked >= RULES.len(), "every rule needs something");
}

#[test]
fn nothing_seen_nothing_claimed() {
    let report = audit::run(&Facts::default(), None);
    assert!(report.findings.is_empty(), "{}", report.text());
    let unknown: Vec<&str> = report.unknown.iter().map(|u| u.code.0).collect();
    assert_eq!(unknown, ["AUD023", "AUD030", "AUD092", "AUD093"], "no ruleset was read");
}

#[test]
fn the_same_facts_give_the_same_bytes() {
    for rule in RULES {
        let (a, b) = (run(rule.code.0, "bad.json"), run(rule.code.0, "bad.json"));
        assert_eq!(serde_json::to_string(&a).expect("json"), serde_json::to_string(&b).expect("json"));
        assert_eq!(a.sarif(), b.sarif());
    }
}
