//! Backups as operators make them, tested: whole ones pass, damaged, old and foreign ones do not. What is written below a temporary
//! directory is made up; the firewall's state goes into a network namespace that is gone afterwards.

use backup::{Outcome, check, live_keys};
use facts::{Account, Asset, Facts};
use observe::{Root, file};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A home with a keystore of two keys, and the machine's facts about it.
fn machine(dir: &Path) -> Facts {
    let keystore = dir.join(".lotus/keystore");
    fs::create_dir_all(&keystore).expect("makes");
    fs::write(keystore.join("O5QWY3DFOQWXI"), "first hunter2").expect("writes");
    fs::write(keystore.join("MF2XI2BNNJ3XILLQOJUXMYLUMU"), "second hunter2").expect("writes");
    let mut facts = Facts {
        accounts: vec![Account { name: "lotus".into(), home: dir.display().to_string(), ..Account::default() }],
        ..Facts::default()
    };
    facts.files = file::list(&Root::machine(), &file::usual(), &facts);
    facts
}

fn run(program: &str, arguments: &[&str], dir: &Path) {
    assert!(Command::new(program).args(arguments).current_dir(dir).status().expect("runs").success(), "{program} {arguments:?}");
}

fn said(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Passed(s) | Outcome::Failed(s) | Outcome::Untested(s) => s,
    }
}

#[test]
fn a_keystores_archive_is_compared_key_by_key() {
    let dir = tempfile::tempdir().expect("directory");
    let facts = machine(dir.path());
    let (keys, unread) = live_keys(&facts);
    assert_eq!((keys.len(), unread), (2, 0));
    run("tar", &["-czf", "keys.tar.gz", ".lotus"], dir.path());
    let at = |name: &str| dir.path().join(name);
    let test = |name: &str, decrypt: Option<&str>| check(Asset::Keystore, &at(name), decrypt, &keys);
    assert_eq!(
        test("keys.tar.gz", None),
        Outcome::Passed("2 keys as in the keystore, 0 other ones under the same name, 0 not in it".into())
    );

    // Encrypted, with a command that decrypts and with one that fails.
    run("openssl", &["enc", "-aes-256-cbc", "-pbkdf2", "-pass", "pass:x", "-in", "keys.tar.gz", "-out", "keys.enc"], dir.path());
    assert!(matches!(test("keys.enc", None), Outcome::Untested(_)));
    assert!(matches!(test("keys.enc", Some("openssl enc -d -aes-256-cbc -pbkdf2 -pass pass:x")), Outcome::Passed(_)));
    let wrong = test("keys.enc", Some("openssl enc -d -aes-256-cbc -pbkdf2 -pass pass:y"));
    assert!(matches!(wrong, Outcome::Failed(_)), "{wrong:?}");

    // Cut off, and from before a key was made.
    let whole = fs::read(at("keys.tar.gz")).expect("reads");
    fs::write(at("cut.tar.gz"), &whole[..whole.len() - 20]).expect("writes");
    assert!(matches!(test("cut.tar.gz", None), Outcome::Failed(_)), "{:?}", test("cut.tar.gz", None));
    fs::remove_file(at(".lotus/keystore/O5QWY3DFOQWXI")).expect("removes");
    run("tar", &["-cf", "old.tar", ".lotus"], dir.path());
    let old = test("old.tar", None);
    assert_eq!(old, Outcome::Failed("1 keys as in the keystore, 0 other ones under the same name, 1 not in it".into()));
    assert!(matches!(check(Asset::Keystore, &at(".lotus"), None, &keys), Outcome::Failed(_)), "a copied directory is compared as well");
    for outcome in [&wrong, &old] {
        assert!(!said(outcome).contains("hunter2") && !said(outcome).contains("O5QWY"), "{outcome:?}");
    }
    fs::write(at("text"), "nothing of the kind").expect("writes");
    assert!(matches!(test("text", None), Outcome::Failed(_)));
    assert!(matches!(test("none", None), Outcome::Failed(_)));
}

#[test]
fn dumps_and_rulesets_are_read_to_their_end() {
    let dir = tempfile::tempdir().expect("directory");
    let put = |name: &str, text: &str| -> PathBuf {
        fs::write(dir.path().join(name), text).expect("writes");
        dir.path().join(name)
    };
    let dump = "--\n-- YSQL database dump\n--\nCREATE TABLE curio.eth_keys (x bytea);\nCOPY curio.eth_keys (x) FROM stdin;\n\\\\x00\n\\.\n--\n-- YSQL database dump complete\n--\n";
    let test = |of, path: &Path| check(of, path, None, &[]);
    assert!(matches!(test(Asset::Database, &put("a.sql", dump)), Outcome::Passed(_)));
    assert!(matches!(test(Asset::Database, &put("b.sql", &dump[..dump.len() - 30])), Outcome::Failed(_)));
    assert!(matches!(test(Asset::Database, &put("c.sql", "-- PostgreSQL database dump complete\n")), Outcome::Failed(_)));
    let rules = "table inet f {\n chain input {\n  type filter hook input priority 0; policy drop;\n }\n}\n";
    assert!(matches!(test(Asset::Firewall, &put("a.nft", rules)), Outcome::Passed(_)), "{:?}", test(Asset::Firewall, &put("a.nft", rules)));
    assert!(matches!(test(Asset::Firewall, &put("b.nft", &rules[..60])), Outcome::Failed(_)));
    assert!(matches!(test(Asset::Firewall, &put("c.nft", "")), Outcome::Failed(_)));
    assert!(matches!(test(Asset::Metadata, &put("m.cbor", "x")), Outcome::Failed(_)));
}
