//! `ravelin rollout` over a lab that stands: planned, proved, staged and confirmed on every machine of the example with the real applier; a coordinator that
//! dies after the decision and a resumed run; going back; signed bundles and a signed ledger; a ledger that somebody touched.
#![expect(clippy::print_stdout, reason = "a test tells what it saw")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

const NAME: &str = "rollout-test";

/// A lab with a state directory of its own, gone with it.
struct Stand {
    dir: tempfile::TempDir,
}

impl Stand {
    fn ravelin(&self, words: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_ravelin"))
            .current_dir(self.dir.path())
            .env("XDG_STATE_HOME", self.dir.path())
            .env("XDG_RUNTIME_DIR", self.dir.path())
            .env("NO_COLOR", "1")
            .args(words.split(' '))
            .output()
            .expect("ravelin starts")
    }
    /// Both outputs of a run that ends with this code.
    fn ends(&self, code: Option<i32>, words: &str) -> String {
        let out = self.ravelin(words);
        let text = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), code, "{words}: {text}");
        text
    }
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
    fn status(&self, host: &str) -> serde_json::Value {
        let applier = Path::new(env!("CARGO_BIN_EXE_ravelin")).with_file_name("ravelin-applier");
        let said = self
            .ends(Some(0), &format!("lab exec --name {NAME} {host} {} --state /run/ravelin-lab/{host} --json status", applier.display()));
        serde_json::from_str(&said).expect("a status")
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        let _ = self.ravelin(&format!("lab down --name {NAME}"));
    }
}

#[test]
fn a_site_is_rolled_out_resumed_taken_back_and_recorded() {
    let built = Command::new(env!("CARGO")).args(["build", "--quiet", "--package", "apply", "--bin", "ravelin-applier"]).status();
    assert!(built.expect("cargo").success());
    let stand = Stand { dir: tempfile::tempdir().expect("directory") };
    let small = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/small/site.toml")).expect("the example");
    fs::write(stand.path("site.toml"), &small).expect("writes");
    // One flow more: nothing that was open closes.
    let more = format!("{small}\n[[allow]]\nfrom = \"db1\"\nto   = \"nas1\"\nport = \"8080/tcp\"\nwhy  = \"a test\"\n");
    fs::write(stand.path("more.toml"), more).expect("writes");
    stand.ends(Some(0), &format!("lab up site.toml --bare --name {NAME}"));
    let via = format!("--via lab --lab {NAME}");

    let dry = stand.ends(Some(0), &format!("rollout site.toml {via} --dry-run"));
    assert!(dry.contains("no mixture of old and new over 12 machines") && dry.contains("Nothing was changed"), "{dry}");
    assert!(stand.status("db1")["confirmed"].is_null());

    for name in ["ann", "bob"] {
        stand.ends(Some(0), &format!("keys new {name}"));
    }
    let kept = stand.ends(Some(0), &format!("rollout site.toml {via} --key ann.key"));
    assert!(kept.contains("Kept: rollout 1; 12 of 12 machines hold what is new"), "{kept}");
    println!("{}", kept.lines().last().unwrap_or_default());
    assert!(stand.ends(Some(0), &format!("rollout site.toml {via} --key ann.key")).contains("Nothing to do"));
    let first = stand.status("db1")["confirmed"]["policy"].clone();

    // The coordinator dies when the ledger says that it is kept and nobody was told.
    stand.ends(None, &format!("rollout more.toml {via} --key ann.key --inject decide"));
    assert_eq!(stand.status("db1")["pending"]["phase"], "waiting");
    let refused = stand.ends(Some(2), &format!("rollout more.toml {via} --key ann.key"));
    assert!(refused.contains("rollout 2 is decided and not everywhere yet") && refused.contains("--resume"), "{refused}");
    let resumed = stand.ends(Some(0), &format!("rollout more.toml {via} --key ann.key --resume"));
    assert!(resumed.contains("Kept: rollout 2; 12 of 12"), "{resumed}");
    let second = stand.status("db1")["confirmed"].clone();
    assert_ne!(second["policy"], first);

    // Back to the first site file, as a generation of its own.
    let back = stand.ends(Some(0), &format!("rollback --site more.toml {via} --key bob.key"));
    assert!(back.contains("Back to the site file of rollout 1") && back.contains("Kept: rollout 3"), "{back}");
    let third = stand.status("db1")["confirmed"].clone();
    assert_eq!(third["policy"], first);
    assert!(third["generation"].as_u64() > second["generation"].as_u64());

    // Nobody answers at a machine that is not part of the lab's plan any more: named, and nothing is changed.
    let unknown = stand.ends(Some(2), &format!("rollout more.toml {via} --only nobody1"));
    assert!(unknown.contains("manages no host `nobody1`"), "{unknown}");
    let events = stand.ends(Some(0), &format!("rollout more.toml {via} --key ann.key --only db1 --only nas1 --events --json"));
    assert!(events.contains(r#"{"event":"step","step":"stage","wave":1"#) && events.contains(r#""outcome": "kept""#), "{events}");

    // A machine that believes keys takes nothing unsigned: said before anything is changed anywhere.
    let site = "sp-small";
    stand.ends(Some(0), &format!("keys trust --site {site} --apply ann.pub --apply bob.pub --out trust"));
    let applier = Path::new(env!("CARGO_BIN_EXE_ravelin")).with_file_name("ravelin-applier").display().to_string();
    let begin = format!("trust begin {} --machine db1", stand.path("trust").display());
    stand.ends(Some(0), &format!("lab exec --name {NAME} db1 {applier} --state /run/ravelin-lab/db1 {begin}"));
    let unsigned = stand.ends(Some(2), &format!("rollout site.toml {via} --only db1"));
    assert!(
        unsigned.contains("db1: this machine takes only signed bundles") && unsigned.contains("nothing was changed anywhere"),
        "{unsigned}"
    );
    stand.ends(Some(0), &format!("rollout site.toml {via} --only db1 --key bob.key"));
    assert_eq!(stand.status("db1")["confirmed"]["policy"], first);

    let history = stand.ends(Some(0), "history site.toml --verify");
    assert!(history.contains("15 lines follow one another; signatures were not looked at"), "{history}");
    assert!(history.contains("ravelin rollback --site more.toml") && history.contains("proved: no mixture"), "{history}");
    let signed = stand.ends(Some(0), "history site.toml --verify --trust trust");
    assert!(signed.contains("15 lines follow one another, each with a good signature") && signed.contains("signed by bob ("), "{signed}");

    // Who did it is changed: found, and no rollout begins with such a ledger.
    let ledger = stand.path(&format!("ravelin/{site}.rollouts/ledger"));
    let text = fs::read_to_string(&ledger).expect("the ledger");
    fs::write(&ledger, text.replacen("ravelin rollback", "ravelin rollout ", 1)).expect("writes");
    let found = stand.ends(Some(1), "history site.toml --verify --trust trust");
    assert!(found.contains("NOT WHOLE:") && found.contains("its signature is not one of key"), "{found}");
    let stopped = stand.ends(Some(2), &format!("rollout site.toml {via} --dry-run"));
    assert!(stopped.contains("the ledger is not whole"), "{stopped}");
}
