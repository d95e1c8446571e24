//! Proposals are read back by the site language itself: what is proposed must be a valid file, or ask what is missing.
//! `UPDATE_EXPECT=1` writes the proposals as they are now.

use facts::Facts;
use site::propose;
use std::{fs, path::PathBuf};
use words::SourceFile;

const TODAY: &str = "2026-11-22";

fn case(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/propose").join(name)
}

/// The proposal for a case, held against its file.
fn proposal(name: &str) -> String {
    let text = fs::read_to_string(case(&format!("{name}.json"))).expect("case");
    let machines: Vec<Facts> = serde_json::from_str(&text).expect("facts");
    let out = propose(&machines);
    let expected = case(&format!("{name}.toml"));
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&expected, &out).expect("write");
    }
    assert_eq!(fs::read_to_string(&expected).unwrap_or_default(), out, "{name}.toml");
    out
}

fn errors(text: &str) -> Vec<String> {
    let source = SourceFile::new("site.toml", text);
    let outcome = site::read(&source, TODAY);
    outcome.diagnostics.iter().filter(|d| d.is_error()).map(|d| d.render(&source)).collect()
}

#[test]
fn a_single_machine_gives_a_valid_file() {
    let text = proposal("single");
    assert_eq!(errors(&text), Vec::<String>::new(), "{text}");
    assert!(!text.contains("chronyd") && !text.contains("\"ntp\""), "a client of time servers is no time server");
    assert!(text.contains("198.51.100.7/32"), "the session that is open now is the management path");
}

#[test]
fn machines_seen_from_others_become_hosts() {
    let text = proposal("two");
    assert_eq!(errors(&text), Vec::<String>::new(), "{text}");
    let source = SourceFile::new("site.toml", &text);
    let model = site::read(&source, TODAY).model.expect("a model");
    let names: Vec<&str> = model.hosts.keys().map(words::HostName::as_str).collect();
    assert_eq!(names, ["lotus-host", "lotus-worker-host", "miner1", "worker1"]);
    let to_lotus =
        model.flows.iter().any(|f| f.from.to_string() == "miner1" && f.to.to_string() == "lotus-host" && f.target.ports.contains(1234));
    assert!(to_lotus, "the flow that was seen is derived");
}

#[test]
fn what_is_missing_is_asked_for() {
    let text = proposal("lonely");
    assert!(text.contains("curio needs yugabyte"), "{text}");
    assert!(!errors(&text).is_empty(), "and the site language says so too");
}

#[test]
fn nothing_seen_is_still_a_file() {
    let text = propose(&[Facts::default()]);
    assert!(toml::from_str::<toml::Table>(&text).is_ok(), "{text}");
}
