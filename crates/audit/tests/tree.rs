//! A planted tree of files, observed below its root as a mounted image would be, and audited: every rule that reads files finds
//! what was planted, and none of them finds anything in the same tree mended. What a tree cannot tell is unknown, not passed.

use facts::Facts;
use observe::{Interest, Root, file::Keep};
use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

/// Some day, for ages of lists and ends of releases: 2025-11-24.
const NOW: u64 = 1_764_000_000;

/// Puts a text below the root, its directories made.
fn put(root: &Path, path: &str, mode: u32, text: &str) {
    let path = root.join(path.trim_start_matches('/'));
    fs::create_dir_all(path.parent().expect("parent")).expect("directories");
    fs::write(&path, text).expect("writes");
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("mode");
}

/// A file of a case: `=== PATH MODE` and its text.
fn plant(root: &Path, case: &str) {
    for block in case.split("=== ").skip(1) {
        let (head, text) = block.split_once('\n').expect("a head");
        let (path, mode) = head.split_once(' ').expect("path and mode");
        if let Some(target) = mode.strip_prefix("-> ") {
            symlink(target, root.join(path.trim_start_matches('/'))).expect("links");
            continue;
        }
        put(root, path, u32::from_str_radix(mode, 8).expect("mode"), text);
    }
}

fn observed(root: &Path) -> Facts {
    let interests: Vec<Interest> =
        audit::wanted().into_iter().map(|w| Interest { path: w.path, holds: w.holds, keep: Keep::configuration(w.text) }).collect();
    let root = Root::tree(root);
    let mut facts = observe::from_tree(&root, &interests, NOW);
    let mut failed = Vec::new();
    facts.paths = observe::path::look_in(&root, &breach::wanted_paths(&facts), &mut failed);
    facts.failures.extend(failed);
    facts
}

/// Codes of what was found.
fn codes(facts: &Facts) -> BTreeSet<&'static str> {
    audit::run(facts, None).findings.iter().map(|f| f.code.0).collect()
}

/// What the bad tree holds, rule by rule.
const PLANTED: [&str; 66] = [
    "AUD003", "AUD004", "AUD005", "AUD019", "AUD021", "AUD022", "AUD025", "AUD026", "AUD028", "AUD031", "AUD032", "AUD034", "AUD035",
    "AUD036", "AUD037", "AUD039", "AUD040", "AUD041", "AUD042", "AUD043", "AUD044", "AUD045", "AUD046", "AUD047", "AUD048", "AUD049",
    "AUD050", "AUD051", "AUD052", "AUD053", "AUD054", "AUD055", "AUD056", "AUD057", "AUD058", "AUD059", "AUD060", "AUD061", "AUD063",
    "AUD064", "AUD065", "AUD066", "AUD067", "AUD068", "AUD069", "AUD072", "AUD074", "AUD075", "AUD076", "AUD077", "AUD079", "AUD080",
    "AUD083", "AUD094", "AUD096", "AUD099", "AUD102", "AUD103", "AUD104", "AUD105", "AUD109", "AUD110", "AUD111", "AUD112", "AUD113",
    "AUD114",
];

#[test]
fn what_is_planted_in_a_tree_is_found_and_the_mended_tree_is_silent() {
    let bad = tempfile::tempdir().expect("directory");
    plant(bad.path(), include_str!("../cases/tree/bad.txt"));
    fs::set_permissions(bad.path().join("home/ops"), fs::Permissions::from_mode(0o777)).expect("mode");
    let facts = observed(bad.path());
    let found = codes(&facts);
    let report = audit::run(&facts, None).text();
    let missed: Vec<&&str> = PLANTED.iter().filter(|c| !found.contains(**c)).collect();
    assert!(missed.is_empty(), "planted and not found: {missed:?}\n{report}");
    assert!(!report.contains("hunter2"), "a planted secret is in the report");
    assert!(!report.contains(&bad.path().display().to_string()), "paths are those of the machine, not of where the tree lies:\n{report}");
    let told: Vec<String> = facts
        .failures
        .iter()
        .map(|f| f.reason.clone())
        .chain(facts.unread.iter().map(|u| format!("{}:{}: does not read", u.file, u.line)))
        .collect();
    for line in
        ["/etc/passwd:9: does not read", "/etc/systemd/system/odd.service:2: does not read", "/etc/apt/sources.list:4: does not read"]
    {
        assert!(told.iter().any(|t| t == line), "{line} is not named: {told:?}");
    }

    let good = tempfile::tempdir().expect("directory");
    plant(good.path(), include_str!("../cases/tree/good.txt"));
    fs::create_dir_all(good.path().join("var/log/journal")).expect("directory");
    let facts = observed(good.path());
    let report = audit::run(&facts, None);
    assert!(report.findings.is_empty(), "the mended tree:\n{}", report.text());
    let unknown: BTreeSet<&str> = report.unknown.iter().map(|u| u.code.0).collect();
    assert!(["AUD002", "AUD093", "AUD027"].iter().all(|c| unknown.contains(c)), "a tree has no sockets and no clock: {unknown:?}");
    let passed: BTreeSet<&str> = report.passed.iter().map(|c| c.0).collect();
    let undecided: Vec<&&str> = PLANTED.iter().filter(|c| !passed.contains(**c) && **c != "AUD026").collect();
    assert!(undecided.is_empty(), "neither found nor passed: {undecided:?}\n{}", report.text());
}
