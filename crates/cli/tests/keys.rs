//! `ravelin keys` and `apply --key`: keys are made and kept to their owner, a trust is begun and followed, a machine with a trust takes
//! what its keys have signed and nothing else. The real programs, in namespaces of the test's own where a machine is changed.

mod common;

use common::succeeds;
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output},
};

/// One machine on the Internet, managed from one address, where the test is.
const SITE: &str = include_str!("common/v4.toml");
const MANAGER: &str = "198.51.100.7 50000 203.0.113.10 22";

fn ravelin(here: &Path, line: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ravelin"))
        .current_dir(here)
        .env("NO_COLOR", "1")
        .args(line.split(' '))
        .output()
        .expect("ravelin starts")
}

fn text(out: &Output) -> String {
    String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr)
}

/// Ended with this code and said these words.
fn ended(out: &Output, code: i32, words: &[&str]) -> String {
    let text = text(out);
    assert_eq!(out.status.code(), Some(code), "{text}");
    for w in words {
        assert!(text.contains(w), "`{w}` is not said:\n{text}");
    }
    text
}

fn makes(here: &Path, line: &str) -> String {
    ended(&ravelin(here, line), 0, &[])
}

/// Refused with exit 2, these words, and a way out.
fn refuses(here: &Path, line: &str, words: &[&str]) {
    ended(&ravelin(here, line), 2, &[words, &["help: "]].concat());
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("is there").permissions().mode() & 0o7777
}

fn private(path: &Path, content: &str) {
    fs::write(path, content).expect("writes");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("its mode");
}

#[test]
fn a_key_is_made_once_and_never_shown() {
    let dir = tempfile::tempdir().expect("a directory");
    let here = dir.path();
    let said = makes(here, "keys new alice");
    let (secret, public) = (here.join("alice.key"), here.join("alice.pub"));
    assert_eq!((mode(&secret), mode(&public) & 0o600), (0o600, 0o600));
    let body = fs::read_to_string(&secret).expect("reads").lines().nth(1).expect("a body").to_owned();
    assert!(!said.contains(&body) && said.contains("whoever reads the file signs as you"), "{said}");
    let before = fs::read(&secret).expect("reads");
    refuses(here, "keys new alice", &["alice.pub is there already"]);
    fs::remove_file(&public).expect("removes");
    refuses(here, "keys new alice", &["alice.key is there already"]);
    assert_eq!(fs::read(&secret).expect("reads"), before);
    assert_eq!(ravelin(here, "keys new Alice").status.code(), Some(2));

    private(&here.join("words"), "correct horse\n");
    let said = makes(here, "keys new bob --passphrase-file words");
    assert!(said.contains("with a passphrase"), "{said}");
    assert!(fs::read_to_string(here.join("bob.key")).expect("reads").contains("ENCRYPTED"));
    makes(here, "keys new carol");
    makes(here, "keys trust --site lab --apply bob.pub --out t1");
    let change = "keys rotate t1 --add carol.pub --key bob.key";
    // Without a terminal nobody is asked.
    let mut alone = Command::new("setsid");
    alone.arg("-w").arg(env!("CARGO_BIN_EXE_ravelin")).current_dir(here).env("NO_COLOR", "1");
    let out = alone.args(format!("{change} --out t2").split(' ')).output().expect("setsid is installed");
    ended(&out, 2, &["has a passphrase, and none was given", "--passphrase-file"]);
    private(&here.join("wrong"), "battery staple\n");
    refuses(here, &format!("{change} --out t2 --passphrase-file wrong"), &["another one"]);
    makes(here, &format!("{change} --out t2 --passphrase-file words"));

    fs::set_permissions(here.join("carol.key"), fs::Permissions::from_mode(0o640)).expect("its mode");
    refuses(here, "keys revoke t2 bob --key carol.key --out t3", &["may be read by others (mode 0640)", "chmod 600"]);
    refuses(here, "keys revoke t2 bob --key carol.pub --out t3", &["may be read by others"]);
    refuses(here, "keys show bob.key", &["this is a secret key"]);
}

#[test]
fn a_trust_follows_where_its_keys_say_so() {
    let dir = tempfile::tempdir().expect("a directory");
    let here = dir.path();
    for name in ["alice", "bob", "carol", "safe", "mallory"] {
        makes(here, &format!("keys new {name}"));
    }
    refuses(here, "keys trust --site lab --rule two --apply alice.pub --out t1", &["needs 2 or more"]);
    let said = makes(here, "keys trust --site lab --rule two-to-widen --apply alice.pub --apply bob.pub --recovery safe.pub --out t1");
    assert!(said.contains("epoch 1") && said.contains("trust begin t1 --machine NAME"), "{said}");
    refuses(here, "keys trust --site lab --apply alice.pub --out t1", &["is there already"]);
    refuses(here, "keys rotate t1 --out t2 --key alice.key", &["nothing would change"]);
    refuses(here, "keys rotate t1 --out t2 --add carol.pub", &["must be signed"]);
    refuses(here, "keys rotate t1 --out t2 --add carol.pub --key mallory.key", &["no machine would take it"]);
    refuses(here, "keys rotate t1 --out t2 --add carol.pub --key alice.key --key alice.key", &["are the same key"]);
    refuses(here, "keys revoke t1 dave --out t2 --key alice.key", &["no key of t1 is called `dave`", "alice"]);
    refuses(here, "keys revoke t1 bob --out t2 --key alice.key", &["needs 2 or more"]);
    refuses(here, "keys revoke t1 safe --out t2 --key alice.key --key bob.key", &["no recovery key has signed"]);
    assert!(!here.join("t2").exists(), "a refusal writes nothing");

    // One of two: somebody else adds the other signature.
    let said = makes(here, "keys rotate t1 --out t2 --add carol.pub --remove bob --key alice.key");
    assert!(said.contains("one more signature is needed"), "{said}");
    makes(here, "keys sign t2 --key bob.key");
    let said = makes(here, "keys show t2");
    assert!(said.contains("epoch 2") && said.matches("signature said to be by").count() == 2, "{said}");
    let said = makes(here, "keys rotate t2 --out t3 --add bob.pub --key safe.key");
    assert!(said.contains("trust change t3"), "a recovery key is enough: {said}");
    let json: serde_json::Value = serde_json::from_str(&makes(here, "--json keys show t3")).expect("JSON");
    assert_eq!((&json["epoch"], json["keys"].as_array().map(Vec::len)), (&3.into(), Some(4)));
    fs::write(here.join("t3"), fs::read_to_string(here.join("t3")).expect("reads").replace("epoch 3", "epoch x")).expect("writes");
    refuses(here, "keys show t3", &["line 3"]);
    refuses(here, "keys sign t3 --key alice.key", &["line 3"]);
}

/// Runs the test of this name again in namespaces of its own; `true` inside of them, with the machine's address in place.
fn inside(test: &str) -> bool {
    common::inside(test, || {
        succeeds("mount", &["-t", "tmpfs", "none", "/tmp"]);
        for line in ["link set lo up", "link add eno1 type veth peer name far", "link set eno1 up", "link set far up"] {
            succeeds("ip", &line.split(' ').collect::<Vec<_>>());
        }
        succeeds("ip", &["address", "add", "203.0.113.10/24", "dev", "eno1"]);
        succeeds("ip", &["route", "add", "default", "via", "203.0.113.1"]);
    })
}

/// `ravelin apply` as the operator.
fn apply(here: &Path, site: &str, arguments: &str) -> Output {
    fs::write(here.join("site.toml"), site).expect("the site file");
    let line = "apply site.toml --host sp1 --because test --within 30 --state state --record one.ledger";
    let mut command = Command::new(env!("CARGO_BIN_EXE_ravelin"));
    command.current_dir(here).env("NO_COLOR", "1").env_remove("SSH_CLIENT").env("SSH_CONNECTION", MANAGER);
    command.args(line.split(' ').chain(arguments.split(' ').filter(|w| !w.is_empty()))).output().expect("ravelin starts")
}

/// The applier beside `ravelin`.
fn applier(here: &Path, line: &str) -> Output {
    let program = Path::new(env!("CARGO_BIN_EXE_ravelin")).with_file_name("ravelin-applier");
    Command::new(program).current_dir(here).args(["--state", "state"]).args(line.split(' ')).output().expect("the applier starts")
}

#[test]
fn a_machine_with_a_trust_takes_what_is_signed() {
    if !inside("a_machine_with_a_trust_takes_what_is_signed") {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let here = dir.path();
    for name in ["alice", "bob", "mallory"] {
        makes(here, &format!("keys new {name}"));
    }
    makes(here, "keys trust --site lab --rule two --apply alice.pub --apply bob.pub --out t1");
    ended(&applier(here, "trust begin t1 --machine sp1"), 0, &["rule two", "alice", "bob"]);
    let confirm = "--yes --without-probe test";
    for (keys, words) in [
        ("", &["takes only signed bundles", "--key FILE", "alice"][..]),
        ("--key mallory.key", &["none of the keys given counts", "alice"]),
        ("--key alice.key", &["two keys must sign", "--sign-to"]),
    ] {
        ended(&apply(here, SITE, &format!("{confirm} {keys}")), 2, words);
    }
    ended(&applier(here, "status"), 0, &["confirmed: nothing yet", "epoch 1"]);
    ended(&apply(here, SITE, &format!("{confirm} --key alice.key --key bob.key")), 0, &["is confirmed"]);
    ended(&applier(here, "status"), 0, &["signed by alice", "bob"]);

    // Two people who do not sit at one machine: one writes, the other signs and sees what.
    let wider =
        SITE.to_owned() + "\n[[allow]]\nfrom = \"internet\"\nto = \"sp1\"\nport = \"8000/tcp\"\nwhy = \"test\"\nuntil = \"2099-01-01\"\n";
    ended(&apply(here, &wider, "--key alice.key --sign-to next"), 0, &["nothing was changed"]);
    ended(&applier(here, "apply next --auto-confirm"), 1, &["two keys must sign"]);
    makes(here, "keys sign next --key bob.key");
    ended(&ravelin(here, "keys show next"), 0, &["bundle for sp1", "generation 2"]);
    ended(&applier(here, "apply next --auto-confirm"), 0, &["generation 2", "is confirmed"]);
    ended(&applier(here, "apply next --auto-confirm"), 0, &["nothing to do"]);

    // A key goes: what it signs from then on is nothing.
    makes(here, "keys rotate t1 --add mallory.pub --remove bob --key alice.key --key bob.key --out t2");
    ended(&applier(here, "trust change t2"), 0, &["epoch 2", "mallory"]);
    ended(&apply(here, SITE, &format!("{confirm} --key bob.key")), 2, &["none of the keys given counts", "mallory"]);
    ended(&apply(here, SITE, &format!("{confirm} --key alice.key --key mallory.key")), 0, &["generation 3 is confirmed"]);
}
