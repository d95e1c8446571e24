//! Whom a machine believes: real nft in namespaces of the test's own, real keys.

mod common;

use bundle::{
    Bundle,
    trust::{Role, Rule, Trust, Trusted},
};
use common::*;
use signing::{
    Secret,
    secret::{sign_bundle, sign_trust},
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use words::{Digest, Generation, HostName, KeyName, Proto};

/// A machine with a state directory, and keys to sign for it.
struct Machine {
    dir: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        run("nft", &["flush", "ruleset"]);
        Self { dir: tempfile::tempdir().expect("directory") }
    }
    fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }
    fn write(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.dir.path().join(name);
        fs::write(&path, bytes).expect("writes");
        path.display().to_string()
    }
    fn signed(&self, bundle: &Bundle, by: &[&Secret]) -> String {
        self.write("signed", &sign_bundle(bundle.clone(), by.iter().copied()).expect("signs").to_bytes())
    }
    fn signed_trust(&self, trust: &Trust, by: &[&Secret]) -> String {
        self.write("trust.signed", &sign_trust(trust.clone(), by.iter().copied()).expect("signs").to_bytes())
    }
    fn begin(&self, trust: &Trust) -> String {
        let file = self.write("trust", &trust.to_bytes());
        applied(&self.state(), &["trust", "begin", &file, "--machine", "here"])
    }
    fn apply(&self, bundle: &Bundle, by: &[&Secret]) -> String {
        applied(&self.state(), &["apply", &self.signed(bundle, by), "--auto-confirm"])
    }
    /// The words of a refusal. Nothing in the kernel and nothing in the state directory but the journal is another then.
    fn refuses(&self, arguments: &[&str]) -> String {
        let (kernel, state) = (live(), self.held());
        let out = applier(&self.state(), arguments);
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(1), "{arguments:?} must be refused: {said}");
        assert_eq!(live(), kernel, "{arguments:?} changed the kernel");
        assert_eq!(self.held(), state, "{arguments:?} changed the state");
        said
    }
    fn refuses_bundle(&self, bundle: &Bundle, by: &[&Secret]) -> String {
        self.refuses(&["apply", &self.signed(bundle, by), "--auto-confirm"])
    }
    fn held(&self) -> Vec<(PathBuf, Vec<u8>)> {
        fn walk(dir: &Path, out: &mut Vec<(PathBuf, Vec<u8>)>) {
            for entry in fs::read_dir(dir).expect("lists").map(|e| e.expect("entry").path()) {
                match entry.file_name().and_then(|n| n.to_str()) {
                    Some("journal" | "lock") => {}
                    _ if entry.is_dir() => walk(&entry, out),
                    _ => out.push((entry.clone(), fs::read(&entry).expect("reads"))),
                }
            }
        }
        let mut out = Vec::new();
        walk(&self.state(), &mut out);
        out.sort();
        out
    }
    fn journal(&self) -> String {
        fs::read_to_string(self.state().join("journal")).expect("a journal")
    }
}

fn new() -> Secret {
    Secret::generate().expect("random numbers")
}

fn trust(epoch: u64, rule: Rule, apply: &[(&str, &Secret)], recovery: &[(&str, &Secret)]) -> Trust {
    let of = |all: &[(&str, &Secret)], role| {
        let one = |(name, s): &(&str, &Secret)| Trusted { key: s.public(KeyName::new(name).expect("a name")).expect("a key"), role };
        all.iter().map(one).collect::<Vec<_>>()
    };
    Trust::new("lab", epoch, rule, [of(apply, Role::Apply), of(recovery, Role::Recovery)].concat()).expect("a trust")
}

fn for_machine(name: &str, script: &str, generation: u64, parent: Option<Digest>) -> Bundle {
    let mut with = draft(script, generation, parent);
    with.machine = HostName::new(name).expect("a name");
    Bundle::seal(with).expect("seals")
}

#[test]
fn nothing_unsigned_moves_anything() {
    if !inside("nothing_unsigned_moves_anything") {
        return;
    }
    let (m, alice, mallory) = (Machine::new(), new(), new());
    let plain = sealed(&ruleset("22"), 1, None);
    let file = written(m.dir.path(), "plain", &plain);
    let begun = m.begin(&trust(1, Rule::One, &[("alice", &alice)], &[]));
    assert!(begun.contains("alice") && begun.contains(&alice.id().to_string()) && begun.contains("epoch 1"), "{begun}");

    let said = m.refuses(&["apply", &file, "--auto-confirm"]);
    assert!(said.contains("step verify") && said.contains("not signed") && said.contains("ravelin apply --key FILE"), "{said}");
    assert!(m.journal().contains("failed: the bundle is not signed"), "{}", m.journal());
    let said = m.refuses_bundle(&plain, &[&mallory]);
    assert!(said.contains("not trusted here") && said.contains(&mallory.id().to_string()), "{said}");
    assert!(m.journal().contains(&mallory.id().to_string()));
    assert!(live().is_empty(), "no table of ours came to be");

    // Signed by a key that counts, and changed afterwards.
    let good = fs::read(m.signed(&plain, &[&alice])).expect("reads");
    let other = sealed(&ruleset("22, 80"), 1, None);
    let head = good.split(|b| *b == b'\n').take(3).collect::<Vec<_>>().join(&b'\n');
    let swapped = m.write("swapped", &[head.as_slice(), b"\n", &other.to_bytes()].concat());
    assert!(m.refuses(&["apply", &swapped, "--auto-confirm"]).contains("the content was changed"));
    // A list of flows from elsewhere is nothing signed either.
    let end = |src: &str, dst: &str| facts::Tuple { src: src.parse().expect("v4"), dst: dst.parse().expect("v4"), sport: 5000, dport: 22 };
    let flow = bundle::SeedFlow { proto: Proto::Tcp, original: end("192.0.2.1", "192.0.2.2"), reply: end("192.0.2.2", "192.0.2.1") };
    let flows = m.write("flows", &serde_json::to_vec(&[flow]).expect("JSON"));
    let said = applier(&m.state(), &["apply", &m.signed(&plain, &[&alice]), "--auto-confirm", "--flows", &flows]);
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.contains("would let connections through") && live().is_empty(), "{said}");

    let signed = m.signed(&plain, &[&alice]);
    let said = applied(&m.state(), &["apply", &signed, "--auto-confirm"]);
    assert!(said.contains("is confirmed") && live().contains("dport 22"), "{said}");
    assert!(m.journal().contains(&format!("signed by alice ({})", alice.id())));
    // Boot asks nobody: what is confirmed was believed when it came.
    run("nft", &["flush", "ruleset"]);
    applied(&m.state(), &["boot"]);
    assert!(live().contains("dport 22"));
}

#[test]
fn signed_is_not_enough_where_it_is_older_or_for_others() {
    if !inside("signed_is_not_enough_where_it_is_older_or_for_others") {
        return;
    }
    let (m, alice) = (Machine::new(), new());
    let one = sealed(&ruleset("22"), 1, None);
    let file = written(m.dir.path(), "plain", &one);
    applied(&m.state(), &["apply", &file, "--auto-confirm"]);
    // What this machine is called is held against what it already is.
    let t = m.write("t", &trust(1, Rule::One, &[("alice", &alice)], &[]).to_bytes());
    assert!(m.refuses(&["trust", "begin", &t, "--machine", "there"]).contains("for machine `here`"));
    m.begin(&trust(1, Rule::One, &[("alice", &alice)], &[]));
    assert!(m.refuses(&["trust", "begin", &t, "--machine", "here"]).contains("has a trust already"));

    let two = sealed(&ruleset("22, 80"), 2, Some(one.digest()));
    let three = sealed(&ruleset("22, 81"), 3, Some(two.digest()));
    m.apply(&two, &[&alice]);
    m.apply(&three, &[&alice]);
    for old in [&one, &two] {
        assert!(m.refuses_bundle(old, &[&alice]).contains("stale"));
    }
    // Of another machine: refused although nobody says on the command line what this one is called.
    let there = for_machine("there", &ruleset("22"), 4, Some(three.digest()));
    assert!(m.refuses_bundle(&there, &[&alice]).contains("for machine `there`, this is `here`"));
    let leap = sealed(&ruleset("22"), u64::MAX, Some(three.digest()));
    assert!(m.refuses_bundle(&leap, &[&alice]).contains("too far"));
    assert!(m.apply(&sealed(&ruleset("22"), 4, Some(three.digest())), &[&alice]).contains("is confirmed"));
}

#[test]
fn keys_rotate_are_recovered_and_forgotten() {
    if !inside("keys_rotate_are_recovered_and_forgotten") {
        return;
    }
    let (m, [alice, bob, safe, mallory]) = (Machine::new(), [(); 4].map(|()| new()));
    let first = trust(1, Rule::One, &[("alice", &alice)], &[("safe", &safe)]);
    let change = |t: &Trust, by: &[&Secret]| vec!["trust".to_owned(), "change".to_owned(), m.signed_trust(t, by)];
    let words = |v: &[String]| v.to_vec();
    let refuses = |call: Vec<String>| m.refuses(&call.iter().map(String::as_str).collect::<Vec<_>>());
    let applies = |call: Vec<String>| applied(&m.state(), &call.iter().map(String::as_str).collect::<Vec<_>>());
    let second = trust(2, Rule::One, &[("bob", &bob)], &[("safe", &safe)]);
    applied(&m.state(), &["status"]);
    assert!(refuses(change(&second, &[&alice])).contains("no trust"), "a change needs something to follow");
    m.begin(&first);

    let plain = m.write("plain.trust", &second.to_bytes());
    assert!(m.refuses(&["trust", "change", &plain]).contains("not signed"));
    assert!(refuses(change(&second, &[&bob])).contains("not trusted here"));
    assert!(m.journal().contains("trust refused"));
    assert!(refuses(change(&trust(2, Rule::One, &[("alice", &alice)], &[("mallory", &mallory)]), &[&alice])).contains("recovery"));
    let call = change(&second, &[&alice]);
    assert!(applies(words(&call)).contains("bob"));
    assert!(refuses(call).contains("only a higher one"), "the same once more is no change");

    // The old key counts no more, the new one does.
    let one = sealed(&ruleset("22"), 1, None);
    assert!(m.refuses_bundle(&one, &[&alice]).contains("not trusted here"));
    assert!(m.refuses_bundle(&one, &[&safe]).contains("recovery key alone"));
    m.apply(&one, &[&bob]);

    // Bob's key is stolen: the thief shuts everybody out but the recovery key, which brings alice back.
    applies(change(&trust(3, Rule::One, &[("mallory", &mallory)], &[("safe", &safe)]), &[&bob]));
    let two = sealed(&ruleset("22, 80"), 2, Some(one.digest()));
    assert!(m.refuses_bundle(&two, &[&bob]).contains("not trusted here"));
    applies(change(&trust(4, Rule::One, &[("alice", &alice)], &[("safe", &safe)]), &[&safe]));
    assert!(m.refuses_bundle(&two, &[&mallory]).contains("not trusted here"));
    m.apply(&two, &[&alice]);
    assert!(m.journal().contains("trust changed by safe"));

    // All keys are lost: the console alone, with a reason.
    assert!(m.refuses(&["trust", "forget"]).contains("no reason"));
    let login = Command::new(env!("CARGO_BIN_EXE_ravelin-applier"))
        .env("SSH_CONNECTION", "192.0.2.7 40000 192.0.2.1 22")
        .args(["--state", &m.state().display().to_string(), "trust", "forget", "--from-console", "in tmux"])
        .output()
        .expect("starts");
    assert!(login.status.code() == Some(1) && String::from_utf8_lossy(&login.stderr).contains("it is no console"));
    assert!(m.journal().contains("trust not forgotten"));
    assert!(applied(&m.state(), &["trust", "show"]).contains("epoch 4"));
    applied(&m.state(), &["trust", "forget", "--from-console", "the safe burnt down"]);
    assert!(m.journal().contains("the safe burnt down"));
    assert!(applied(&m.state(), &["trust", "show"]).contains("no trust"));
    let three = sealed(&ruleset("22"), 3, Some(two.digest()));
    applied(&m.state(), &["apply", &written(m.dir.path(), "three", &three), "--auto-confirm"]);
    m.begin(&trust(9, Rule::One, &[("bob", &bob)], &[]));
}

#[test]
fn a_damaged_trust_believes_nobody() {
    if !inside("a_damaged_trust_believes_nobody") {
        return;
    }
    let (m, alice) = (Machine::new(), new());
    m.begin(&trust(1, Rule::One, &[("alice", &alice)], &[]));
    let (path, one) = (m.state().join("trust"), sealed(&ruleset("22"), 1, None));
    let good = fs::read(&path).expect("reads");
    let half = good.len() / 2;
    for bad in [&b""[..], &good[..half], b"ravelin-trust 1\nsite lab\nepoch 1\nrule one\n"] {
        fs::write(&path, bad).expect("writes");
        assert!(m.refuses_bundle(&one, &[&alice]).contains("damaged"));
        let plain = written(m.dir.path(), "plain", &one);
        assert!(m.refuses(&["apply", &plain, "--auto-confirm"]).contains("damaged"));
        assert!(applied(&m.state(), &["status"]).contains("so it takes nothing"), "the rest of the state is shown all the same");
    }
    fs::write(&path, &good).expect("writes");
    fs::remove_file(m.state().join("machine")).expect("removes");
    assert!(m.refuses_bundle(&one, &[&alice]).contains("damaged"));
    applied(&m.state(), &["trust", "forget", "--from-console", "the disk was full"]);
    m.begin(&trust(2, Rule::One, &[("alice", &alice)], &[]));
    m.apply(&one, &[&alice]);
}

/// A table as the emitter writes it, with these elements in a set that only accepts and in one that also drops.
fn table(accepted: &[&str], mixed: &[&str]) -> String {
    let set = |name: &str, all: &[&str]| {
        let lines: String = all.iter().map(|e| format!("\t\t\t{e},\n")).collect();
        let elements = if all.is_empty() { String::new() } else { format!("\t\telements = {{\n{lines}\t\t}}\n") };
        format!("\tset {name} {{\n\t\ttype ipv4_addr . inet_service\n{elements}\t}}\n")
    };
    format!(
        "table inet ravelin {{}}\ndelete table inet ravelin\ntable inet ravelin {{\n{}{}\tchain input {{\n\
         \t\ttype filter hook input priority 0; policy drop;\n\
         \t\tct state established,related accept comment \"NET001\"\n\
         \t\tip saddr . tcp dport @accepted ct state new accept\n\
         \t\tip saddr . tcp dport @mixed drop\n\
         \t\tip saddr 198.51.100.0/24 tcp dport 22 accept\n\
         \t}}\n}}\n",
        set("accepted", accepted),
        set("mixed", mixed)
    )
}

#[test]
fn what_widens_takes_two() {
    if !inside("what_widens_takes_two") {
        return;
    }
    let (m, [alice, bob]) = (Machine::new(), [(); 2].map(|()| new()));
    m.begin(&trust(1, Rule::TwoToWiden, &[("alice", &alice), ("bob", &bob)], &[]));
    let (a, b, c) = ("192.0.2.1 . 22 comment \"f0000001\"", "192.0.2.2 . 22 comment \"f0000002\"", "192.0.2.3 . 22 comment \"f0000003\"");
    let one = sealed(&table(&[a, b], &[a]), 1, None);
    assert!(m.refuses_bundle(&one, &[&alice]).contains("no state is confirmed here yet"));
    m.apply(&one, &[&alice, &bob]);

    let mut last = one;
    let next = |script: &str| sealed(script, last.draft().generation.0 + 1, Some(last.digest()));
    // More in the accepting set, less in the one that drops, another rule: two keys.
    for wider in [table(&[a, b, c], &[a]), table(&[a, b], &[]), table(&[a, b], &[a]).replace("tcp dport 22 accept", "tcp dport 23 accept")]
    {
        let said = m.refuses_bundle(&next(&wider), &[&alice]);
        assert!(said.contains("two keys must sign") && said.contains("may let through more"), "{said}");
        assert!(said.contains("ravelin keys sign"), "the help says how: {said}");
    }
    // What is said to be expected is narrower, what would be loaded is not.
    let mut lying = draft(&table(&[a, b, c], &[a]), 2, Some(last.digest()));
    lying.expected = draft(&table(&[a], &[a]), 2, None).expected;
    assert!(m.refuses_bundle(&Bundle::seal(lying).expect("seals"), &[&alice]).contains("two keys must sign"));

    let narrow = next(&table(&[b], &[a]));
    assert!(m.apply(&narrow, &[&bob]).contains("is confirmed"));
    assert_eq!(live().matches("f0000001").count(), 1, "it stands in the other set alone");
    last = narrow;
    let nothing = sealed(&table(&[], &[a]), 3, Some(last.digest()));
    m.apply(&nothing, &[&alice]);
    // And the way back is wider again.
    let back = sealed(&table(&[b], &[a]), 4, Some(nothing.digest()));
    assert!(m.refuses_bundle(&back, &[&alice]).contains("two keys"));
    m.apply(&back, &[&alice, &bob]);
    assert_eq!(back.draft().generation, Generation(4));
}

#[test]
fn another_state_directory_is_no_way_around() {
    if !inside("another_state_directory_is_no_way_around") {
        return;
    }
    run("mount", &["-t", "tmpfs", "none", "/var/lib"]);
    let (m, alice) = (Machine::new(), new());
    let one = sealed(&ruleset("22"), 1, None);
    let plain = written(m.dir.path(), "plain", &one);
    let t = m.write("t", &trust(1, Rule::One, &[("alice", &alice)], &[]).to_bytes());
    let own = Path::new(apply::state::DEFAULT);
    applied(own, &["trust", "begin", &t, "--machine", "here"]);
    for call in [&["apply", &plain, "--auto-confirm"][..], &["boot"], &["revert"], &["break-glass"]] {
        let out = applier(&m.state(), call);
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.code() == Some(1) && said.contains("is not this machine's state directory"), "{call:?}: {said}");
    }
    assert!(live().is_empty());
    let link = m.dir.path().join("link");
    std::os::unix::fs::symlink(own, &link).expect("links");
    applied(&link, &["apply", &m.signed(&one, &[&alice]), "--auto-confirm"]);
    assert!(live().contains("dport 22"), "the same directory by another name is the same");
}
