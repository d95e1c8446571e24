//! Cases are directories: `input.rules`, and what is expected: `rules.json` (what was understood, typed), `said.txt` (every
//! finding as people see it) and `explained.txt` (the rules in words). `UPDATE_EXPECT=1` writes the expectations anew.

use ips_rules::{Set, Tables, explain};
use std::{fs, path::Path};
use words::SourceFile;

fn expect(path: &Path, got: &str) {
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(path, got).expect("it reads");
        return;
    }
    let want = fs::read_to_string(path).unwrap_or_default();
    assert!(want == got, "{} is not as expected; UPDATE_EXPECT=1 writes it anew. Got:\n{got}", path.display());
}

fn said(set: &Set, source: &SourceFile) -> String {
    let rejected = set.rejected.iter().flat_map(|r| &r.reasons);
    let skipped = set.skipped.iter().flat_map(|r| &r.reasons);
    let mut all: Vec<_> = rejected.chain(skipped).chain(set.findings.iter().map(|(_, f)| f)).map(|f| &f.diagnostic).collect();
    all.sort_by_key(|d| d.labels.first().map(|l| l.span.start));
    all.iter().map(|d| d.render(source)).collect()
}

#[test]
fn every_case_is_as_expected() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut cases: Vec<_> = fs::read_dir(&root).expect("it reads").map(|e| e.expect("it reads").path()).collect();
    cases.sort();
    assert!(cases.len() >= 7, "{cases:?}");
    for case in cases {
        let source = SourceFile::new("input.rules", fs::read_to_string(case.join("input.rules")).expect("it reads"));
        let set = Set::read(std::slice::from_ref(&source), &Tables::default());
        expect(&case.join("rules.json"), &(serde_json::to_string_pretty(&set.rules).expect("it reads") + "\n"));
        expect(&case.join("said.txt"), &said(&set, &source));
        let words: Vec<String> = set.rules.iter().map(|r| explain::lines(r).join("\n") + "\n").collect();
        expect(&case.join("explained.txt"), &words.join("\n"));
    }
}

#[test]
fn older_and_newer_forms_are_one() {
    let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/buffers/input.rules");
    let source = SourceFile::new("input.rules", fs::read_to_string(case).expect("it reads"));
    let set = Set::read(std::slice::from_ref(&source), &Tables::default());
    let groups = |sid| {
        let mut groups = set.rules.iter().find(|r| r.meta.sid == sid).expect("it reads").groups.clone();
        groups.sort_by_key(|g| g.buffer);
        groups
    };
    assert_eq!(groups(1), groups(2));
    assert_eq!(groups(3).len(), 2, "a buffer selected again is the same");
    assert_eq!(groups(4).len(), 2, "a buffer of which there are several is another one each time");
}

#[test]
fn every_rule_that_is_wrong_is_rejected() {
    let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/wrong/input.rules");
    let text = fs::read_to_string(case).expect("it reads");
    let source = SourceFile::new("input.rules", text.clone());
    let set = Set::read(std::slice::from_ref(&source), &Tables::default());
    assert_eq!(set.rules.iter().map(|r| r.meta.sid).collect::<Vec<_>>(), Vec::<u32>::new());
    assert_eq!(set.rejected.len(), text.lines().count());
    let keywords: Vec<_> = set.rejected[0].reasons.iter().filter_map(|f| f.keyword.as_deref()).collect();
    assert_eq!(keywords, ["content", "nocase", "contnt", "ttl"], "all faults of a rule, in order");
    assert!(set.rejected.iter().flat_map(|r| &r.reasons).all(|f| f.diagnostic.help.is_some() && !f.diagnostic.labels.is_empty()));
    assert_eq!(set.by_keyword().get("lua"), Some(&1));
}
