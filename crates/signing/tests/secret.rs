//! Keys on disk: who may read them, what is taken, and that what they sign is believed.

use bundle::{
    Bundle, Draft, Widens,
    content::{Artefact, Expected, Management, SCHEMA},
    key::Domain,
    trust::{Role, Rule, Trust, Trusted},
};
use proptest::prelude::*;
use signing::{
    Error, Passphrase, Secret,
    secret::{sign_bundle, sign_trust},
};
use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};
use words::{Digest, Generation, HostName, KeyName};

fn nobody_asks() -> Result<Option<Passphrase>, Error> {
    panic!("a key without passphrase asks for none")
}

fn says(text: &str) -> impl FnOnce() -> Result<Option<Passphrase>, Error> + use<> {
    let text = Passphrase::new(text.to_owned());
    || Ok(Some(text))
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("is there").permissions().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("its mode")
}

fn bundle() -> Bundle {
    Bundle::seal(Draft {
        schema: SCHEMA,
        machine: HostName::new("here").expect("a name"),
        generation: Generation(1),
        parent: None,
        site: Digest::of(b"site"),
        layers: Default::default(),
        artefacts: vec![Artefact::Nft { text: "table inet ravelin {\n}\n".into() }],
        expected: Expected::default(),
        management: Management::default(),
        break_glass: "table inet ravelin {\n}\n".into(),
        probes: vec![],
        seeds: vec![],
    })
    .expect("seals")
}

#[test]
fn a_key_is_its_owners_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("alice.key");
    let made = Secret::generate().expect("random numbers");
    made.write(&path, None).expect("writes");
    assert_eq!(mode(&path), 0o600);
    assert!(matches!(made.write(&path, None), Err(Error::Exists(_))), "no key is overwritten");
    assert_eq!(Secret::read(&path, nobody_asks).expect("reads").id(), made.id());
    for open in [0o640, 0o604, 0o660, 0o644, 0o601] {
        set_mode(&path, open);
        assert!(matches!(Secret::read(&path, nobody_asks), Err(Error::Open { mode, .. }) if mode == open), "{open:o}");
    }
    set_mode(&path, 0o400);
    assert!(Secret::read(&path, nobody_asks).is_ok());
    assert!(matches!(Secret::read(dir.path(), nobody_asks), Err(Error::NoFile(_))));
    assert!(matches!(Secret::read(&dir.path().join("none"), nobody_asks), Err(Error::Io { .. })));
    assert_ne!(Secret::generate().expect("random numbers").id(), made.id());
}

#[test]
fn a_passphrase_is_needed_where_there_is_one() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("alice.key");
    let made = Secret::generate().expect("random numbers");
    assert!(matches!(made.write(&path, Some(&Passphrase::new(String::new()))), Err(Error::EmptyPassphrase)));
    made.write(&path, Some(&Passphrase::new("correct horse".into()))).expect("writes");
    assert_eq!(mode(&path), 0o600);
    assert_eq!(Secret::read(&path, says("correct horse")).expect("reads").id(), made.id());
    assert!(matches!(Secret::read(&path, says("wrong horse")), Err(Error::Passphrase(_))));
    assert!(matches!(Secret::read(&path, || Ok(None)), Err(Error::NoPassphrase(_))));
    let file = dir.path().join("passphrase");
    fs::write(&file, "correct horse\n").expect("writes");
    set_mode(&file, 0o644);
    assert!(matches!(signing::passphrase_in(&file), Err(Error::Open { .. })));
    set_mode(&file, 0o600);
    let ask = || signing::passphrase_in(&file).map(Some);
    assert_eq!(Secret::read(&path, ask).expect("reads").id(), made.id());
}

#[test]
fn other_tools_read_the_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let (ours, theirs) = (dir.path().join("ours.key"), dir.path().join("theirs.key"));
    let made = Command::new("openssl").args(["genpkey", "-algorithm", "ed25519", "-out"]).arg(&theirs).output();
    assert!(made.expect("openssl is installed").status.success());
    set_mode(&theirs, 0o600);
    let read = Secret::read(&theirs, nobody_asks).expect("reads what openssl writes");
    read.write(&ours, None).expect("writes");
    let public = |path: &Path| Command::new("openssl").args(["pkey", "-pubout", "-in"]).arg(path).output().expect("openssl").stdout;
    let theirs = public(&theirs);
    assert!(!theirs.is_empty() && public(&ours) == theirs, "openssl reads what we write as the same key");
}

#[test]
fn nothing_of_the_secret_is_shown() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("alice.key");
    let made = Secret::generate().expect("random numbers");
    made.write(&path, None).expect("writes");
    assert_eq!(format!("{made:?}"), format!("Secret({})", made.id()));
    let body = fs::read_to_string(&path).expect("reads").lines().nth(1).expect("a line").to_owned();
    fs::write(&path, format!("-----BEGIN PRIVATE KEY-----\n{body}damaged\n-----END PRIVATE KEY-----\n")).expect("writes");
    let error = Secret::read(&path, nobody_asks).expect_err("damaged");
    assert!(!format!("{error:?} {error}").contains(&body[..16]));
}

#[test]
fn what_is_signed_is_believed() {
    let [a, b] = [(), ()].map(|()| Secret::generate().expect("random numbers"));
    let key = |s: &Secret, name: &str| s.public(KeyName::new(name).expect("a name")).expect("a key");
    let trusted = |s: &Secret, name: &str| Trusted { key: key(s, name), role: Role::Apply };
    let keys = [trusted(&a, "a"), trusted(&b, "b")];
    let trust = |epoch| Trust::new("lab", epoch, Rule::Two, keys.clone()).expect("a trust");
    let (id_a, id_b) = (a.id(), b.id());
    let (sig, line) = (a.sign_record(b"a line"), Digest::of(b"a line"));
    assert!(key(&a, "a").made(&sig.1, Domain::Record, &line) && !key(&b, "b").made(&sig.1, Domain::Record, &line));
    let both = [a, b];
    let signed = sign_bundle(bundle(), &both).expect("signs");
    let mut by = signed.verify(&trust(1), &Widens::No).expect("believed");
    by.sort();
    let mut all = vec![id_a, id_b];
    all.sort();
    assert_eq!(by, all);
    assert!(trust(1).accepts(&sign_trust(trust(2), &both).expect("signs")).is_ok());
    assert!(sign_bundle(bundle(), []).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_file_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "[A-Za-z0-9+/=\n]{0,200}") {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("key");
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n").into_bytes();
        for content in [bytes, pem] {
            fs::write(&path, content).expect("writes");
            set_mode(&path, 0o600);
            prop_assert!(Secret::read(&path, || Ok(None)).is_err());
        }
    }
}
