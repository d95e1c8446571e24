//! Golden cases: each directory of `tests/cases` holds `cmd` (arguments of `ravelin`, one line each run) and the expected
//! `stdout`, `stderr` and `exit` of them. `UPDATE_EXPECT=1` writes the expectations anew. Paths are relative to the
//! repository's root; `$TMP` is an empty directory, `$CASE` the case's own; the date is fixed by `--now` in the command itself.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("repository")
}

fn run(case: &Path) -> [(&'static str, String); 3] {
    let temporary = tempfile::tempdir().expect("temporary directory");
    let here = temporary.path().to_str().expect("a path in UTF-8");
    let own = case.strip_prefix(root()).expect("a case in the repository").display().to_string();
    let named = |text: Vec<u8>| String::from_utf8(text).expect("UTF-8").replace(here, "$TMP").replace(&own, "$CASE");
    let (mut stdout, mut stderr, mut exit) = (String::new(), String::new(), String::new());
    for line in fs::read_to_string(case.join("cmd")).expect("cmd").lines().filter(|l| !l.is_empty() && !l.starts_with('#')) {
        let words: Vec<String> = line.split(' ').map(|w| w.replace("$TMP", here).replace("$CASE", &own)).collect();
        let out = Command::new(env!("CARGO_BIN_EXE_ravelin"))
            .current_dir(root())
            .env_remove("CLICOLOR_FORCE")
            .env("NO_COLOR", "1")
            .args(&words)
            .output()
            .expect("ravelin starts");
        stdout += &named(out.stdout);
        stderr += &named(out.stderr);
        writeln!(exit, "{}", out.status.code().expect("no signal")).expect("a string");
    }
    [("stdout", stdout), ("stderr", stderr), ("exit", exit)]
}

#[test]
fn the_command_line_says_what_it_said() {
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    let mut wrong = Vec::new();
    let mut cases: Vec<PathBuf> = fs::read_dir(root().join("crates/cli/tests/cases")).expect("cases").flatten().map(|e| e.path()).collect();
    cases.sort();
    assert!(!cases.is_empty(), "no cases found");
    for case in &cases {
        for (name, seen) in run(case) {
            let path = case.join(name);
            if update {
                if seen.is_empty() {
                    let _ = fs::remove_file(&path);
                } else {
                    fs::write(&path, &seen).expect("expectation written");
                }
            } else if fs::read_to_string(&path).unwrap_or_default() != seen {
                wrong.push(format!("{}:\n{seen}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "differs from what is expected (UPDATE_EXPECT=1 writes it anew):\n{}", wrong.join("\n"));
}
