//! `ravelin backup check` as a program, on a machine with a keystore, over backups as operators make them: what could be restored
//! passes and is recorded, what could not is told, and `ravelin audit` knows of both. In namespaces of the test's own.

mod common;

use common::{inside, succeeds};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    process::{Command, Output},
};

const HOME: &str = "/mnt/home";
const SET: &str = "/mnt/backup";
/// Decrypts what [`set`] encrypts.
const DECRYPT: &str = "openssl enc -d -aes-256-cbc -pbkdf2 -pass pass:x";
const DUMP: &str = "--\n-- PostgreSQL database dump\n--\nCREATE TABLE curio.machines (x int);\nCOPY curio.machines (x) FROM stdin;\n1\n\\.\n--\n-- PostgreSQL database dump complete\n--\n";
const RULES: &str = "table inet f {\n chain input {\n  type filter hook input priority 0; policy drop;\n }\n}\n";

/// An account with a keystore of two keys: the machine's own are covered for whoever runs here.
fn machine() {
    succeeds("mount", &["-t", "tmpfs", "none", "/mnt"]);
    fs::create_dir_all(format!("{HOME}/.lotus/keystore")).expect("makes");
    fs::create_dir_all(SET).expect("makes");
    for (name, key) in [("O5QWY3DFOQWXI", "first hunter2"), ("MF2XI2BNNJ3XILLQOJUXMYLUMU", "second hunter2")] {
        fs::write(format!("{HOME}/.lotus/keystore/{name}"), key).expect("writes");
    }
    fs::write("/mnt/passwd", format!("root:x:0:0::/mnt/root:/bin/sh\nlotus:x:990:990::{HOME}:/usr/sbin/nologin\n")).expect("writes");
    succeeds("mount", &["--bind", "/mnt/passwd", "/etc/passwd"]);
}

/// A whole set: keys encrypted, metadata in lotus's form, a dump, a ruleset, and a repository of restic.
fn set() {
    let keys = format!("tar -C {HOME} -cz .lotus | openssl enc -aes-256-cbc -pbkdf2 -pass pass:x -out {SET}/keys-1.enc");
    succeeds("sh", &["-c", &keys]);
    fs::write(format!("{SET}/miner.cbor"), include_bytes!("../../../fuzz/seeds/lotus/backup")).expect("writes");
    fs::write(format!("{SET}/curio.sql"), DUMP).expect("writes");
    fs::write(format!("{SET}/rules.nft"), RULES).expect("writes");
    for d in ["data", "index", "keys", "snapshots"] {
        fs::create_dir_all(format!("{SET}/restic/{d}")).expect("makes");
    }
    fs::write(format!("{SET}/restic/config"), "sealed").expect("writes");
}

const WHOLE: [&str; 4] = [
    "keystore=/mnt/backup/keys-*.enc",
    "metadata=/mnt/backup/miner.cbor",
    "database=/mnt/backup/curio.sql",
    "firewall=/mnt/backup/rules.nft",
];

fn ravelin(words: &[&str], backups: &[&str]) -> Output {
    let backups = backups.iter().flat_map(|b| ["--backup", b]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_ravelin"));
    command.args(words).args(["--json", "--state", "/mnt/state"]).args(backups).output().expect("runs")
}

/// By declared path: outcome and what was said.
fn checked(backups: &[&str]) -> (Option<i32>, BTreeMap<String, (String, String)>) {
    let out = ravelin(&["backup", "check", "--decrypt", DECRYPT], backups);
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let value: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}{}", String::from_utf8_lossy(&out.stderr)));
    assert!(!text.contains("hunter2") && !text.contains("O5QWY"), "{text}");
    let one = |b: &Value| (b["path"].as_str().expect("path").to_owned(), (word(&b["outcome"]), word(&b["said"])));
    (out.status.code(), value["backups"].as_array().expect("backups").iter().map(one).collect())
}

fn word(v: &Value) -> String {
    v.as_str().unwrap_or_default().to_owned()
}

/// What the audit says of backups: codes with the evidence.
fn audited(backups: &[&str]) -> Vec<(String, String)> {
    let out = ravelin(&["audit"], backups);
    let value: Value = serde_json::from_slice(&out.stdout).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&out.stderr)));
    let findings = value["findings"].as_array().expect("findings").iter();
    let all = findings.map(|f| (word(&f["code"]), f["evidence"].to_string()));
    all.filter(|(code, _)| ("AUD119".."AUD124").contains(&code.as_str())).collect()
}

#[test]
fn a_set_of_backups_is_tested_recorded_and_audited() {
    if !inside("a_set_of_backups_is_tested_recorded_and_audited", machine) {
        return;
    }
    set();
    let untested = |found: &[(String, String)], name: &str| found.iter().any(|(c, e)| c == "AUD123" && e.contains(name));
    let before = audited(&WHOLE);
    assert!(WHOLE.iter().all(|w| untested(&before, w.rsplit('/').next().expect("name").split('-').next().expect("begin"))), "{before:?}");

    let (code, said) = checked(&WHOLE);
    assert_eq!(code, Some(0), "{said:#?}");
    assert!(said.len() == 4 && said.values().all(|(o, _)| o == "passed"), "{said:#?}");
    assert_eq!(said["/mnt/backup/keys-1.enc"].1, "2 keys as in the keystore, 0 other ones under the same name, 0 not in it");
    let record = fs::read_to_string("/mnt/state/restore-tests.json").expect("recorded");
    assert!(!record.contains("O5QWY") && !record.contains("hunter2"), "{record}");
    assert_eq!(fs::metadata("/mnt/state/restore-tests.json").expect("recorded").permissions().mode() & 0o777, 0o600);
    let after = audited(&WHOLE);
    assert!(after.iter().all(|(code, _)| code != "AUD123" && code != "AUD119"), "{after:?}");

    // A key made since, a dump cut off, a ruleset that does not load, an archive that is gone; a repository is its own tool's.
    fs::write(format!("{HOME}/.lotus/keystore/NVUW4ZLS"), "third hunter2").expect("writes");
    fs::write(format!("{SET}/curio.sql"), &DUMP[..DUMP.len() - 30]).expect("writes");
    fs::write(format!("{SET}/rules.nft"), &RULES[..60]).expect("writes");
    fs::remove_file(format!("{SET}/miner.cbor")).expect("removes");
    let all: Vec<&str> = WHOLE.into_iter().chain(["keystore=/mnt/backup/restic"]).collect();
    let (code, said) = checked(&all);
    assert_eq!(code, Some(1), "{said:#?}");
    let outcomes: Vec<&str> = said.values().map(|(o, _)| o.as_str()).collect();
    assert_eq!(outcomes, ["failed", "failed", "failed", "untested", "failed"], "{said:#?}");
    assert!(said["/mnt/backup/keys-1.enc"].1.contains("1 not in it"), "{said:#?}");
    assert!(said["/mnt/backup/restic"].1.contains("restic check --read-data"), "{said:#?}");
    let worse = audited(&all);
    assert!(worse.iter().any(|(c, e)| c == "AUD123" && e.contains("the last restore test failed")), "{worse:?}");
    assert!(worse.iter().any(|(c, e)| c == "AUD119" && e.contains("nothing lies there")), "{worse:?}");
    assert!(!worse.iter().any(|(c, e)| c == "AUD121" && e.contains("restic")), "a repository is encrypted: {worse:?}");
}
