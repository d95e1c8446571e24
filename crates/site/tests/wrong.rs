//! Every wrong file says exactly what it should. `UPDATE_EXPECT=1 cargo test -p site` writes the expectations anew; read
//! the difference before you commit it.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};
use words::{Diagnostic, Severity, SourceFile};

const TODAY: &str = "2026-11-22";
/// Codes that no small file can show.
const TOO_LARGE_TO_SHOW: [&str; 1] = ["SYN002"];

fn cases() -> Vec<PathBuf> {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/wrong");
    let mut out: Vec<PathBuf> = fs::read_dir(dir).expect("cases").map(|e| e.expect("entry").path()).collect();
    out.sort();
    out
}

fn read(case: &Path) -> (SourceFile, site::Outcome) {
    let text = fs::read_to_string(case.join("site.toml")).expect("site.toml");
    let source = SourceFile::new("site.toml", text);
    let out = site::read(&source, TODAY);
    (source, out)
}

#[test]
fn every_wrong_file_is_told_what_is_wrong() {
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    let mut failures = Vec::new();
    assert!(cases().len() >= 60);
    for case in cases() {
        let (source, out) = read(&case);
        let seen = out.render(&source);
        let file = case.join("expected.txt");
        if update {
            fs::write(&file, &seen).expect("write");
        }
        let expected = fs::read_to_string(&file).unwrap_or_default();
        if seen != expected || seen.is_empty() {
            failures.push(format!("{}:\n--- expected\n{expected}--- seen\n{seen}", case.display()));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_complaint_cites_a_place_and_shows_a_way_out() {
    for case in cases() {
        let (source, out) = read(&case);
        for d in out.diagnostics.iter().filter(|d| d.severity > Severity::Note) {
            assert!(d.help.is_some(), "{}: {}", case.display(), d.render(&source));
            let whole = ["SYN001", "SITE003", "SITE012"].contains(&d.code.0);
            assert!(whole || d.labels.first().is_some_and(|l| l.span.end > l.span.start), "{}: {}", case.display(), d.render(&source));
        }
        assert_eq!(out.is_good(), !out.diagnostics.iter().any(Diagnostic::is_error), "{}", case.display());
    }
}

#[test]
fn every_code_is_shown_by_a_case() {
    let seen: BTreeSet<&str> = cases().iter().flat_map(|c| read(c).1.diagnostics.into_iter().map(|d| d.code.0)).collect();
    let missing: Vec<&str> =
        site::code::TABLE.iter().map(|(c, _)| c.0).filter(|c| !seen.contains(c) && !TOO_LARGE_TO_SHOW.contains(c)).collect();
    assert!(missing.is_empty(), "no case shows {missing:?}");
}

#[test]
fn a_file_without_bounds_is_refused() {
    let source = SourceFile::new("site.toml", "#".repeat(17 << 20));
    let out = site::read(&source, TODAY);
    assert!(out.model.is_none() && out.diagnostics[0].code.0 == "SYN002");
}
