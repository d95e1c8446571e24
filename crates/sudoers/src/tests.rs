//! Small policies with known answers.

use super::*;
use crate::command::Asked;
use facts::SudoersLine;
use proptest::prelude::*;

fn policy(text: &str) -> Policy {
    let lines: Vec<SudoersLine> =
        facts::sudo::lines(text).into_iter().map(|(line, text)| SudoersLine { file: "/etc/sudoers".into(), line, text }).collect();
    Policy::read(&lines)
}

fn who(name: &str, uid: u32, groups: &[(&str, u32)]) -> Who {
    Who { name: name.into(), uid, groups: groups.iter().map(|(n, g)| ((*n).to_owned(), *g)).collect() }
}

fn answer(text: &str) -> Answer {
    policy(text).may(&lotus(), &root(), &machine()).answer
}

fn lotus() -> Who {
    who("lotus", 990, &[("lotus", 990), ("render", 105)])
}

fn root() -> Who {
    who("root", 0, &[("root", 0)])
}

fn machine() -> Machine {
    Machine { host: "daemon1".into(), addresses: vec!["10.20.20.11/24".parse().expect("address")] }
}

#[test]
fn the_last_match_decides() {
    for (text, expected) in [
        ("lotus ALL=(ALL) ALL", Answer::Yes),
        ("lotus ALL=(ALL) ALL\nlotus ALL=(ALL) !ALL", Answer::No),
        ("lotus ALL=(ALL) !ALL\nlotus ALL=(ALL) ALL", Answer::Yes),
        ("lotus ALL=(ALL) ALL, !ALL", Answer::No),
        ("lotus ALL=(ALL) !ALL, /bin/ls", Answer::Yes),
        ("lotus ALL=/bin/ls, !/bin/ls", Answer::No),
        ("lotus ALL=/bin/ls, !/bin/ls -l", Answer::Yes),
        ("lotus ALL=(ops) ALL", Answer::No),
        ("lotus ALL=(ALL, !root) ALL", Answer::No),
        ("lotus ALL=(#0) ALL", Answer::Yes),
        ("#990 ALL=ALL", Answer::Yes),
        ("%#105 ALL=ALL", Answer::Yes),
        ("%render ALL=ALL", Answer::Yes),
        ("%sudo ALL=ALL", Answer::No),
        ("ALL, !lotus ALL=ALL", Answer::No),
        ("!lotus, ALL ALL=ALL", Answer::Yes),
        ("+wheel ALL=ALL", Answer::Unknown),
        ("lotus other=ALL", Answer::No),
        ("lotus 10.20.20.0/24=ALL", Answer::Yes),
        ("lotus 10.20.21.0/24=ALL", Answer::No),
        ("lotus daemon1=ALL : other=!ALL", Answer::Yes),
        ("lotus ALL=sudoedit /etc/motd", Answer::Yes),
        ("lotus ALL=list", Answer::No),
        ("lotus ALL=NOTAFTER=20200101000000Z ALL", Answer::Unknown),
        ("lotus ALL=sha256:aabbccddeeff00112233445566778899aabbccddeeff00112233445566778899 /bin/ls", Answer::Unknown),
        ("lotus ALL=^/bin/.*$", Answer::Unknown),
        ("lotus ALL=() ALL", Answer::No),
        ("lotus ALL=(:disk) ALL", Answer::No),
        ("lotus ALL=(root) /bin/ls : !", Answer::Yes),
        ("LOTUS ALL=ALL", Answer::Unknown),
        ("lotus ALL = garbage", Answer::Unknown),
        ("Defaults runas_default=ops\nlotus ALL=ALL", Answer::Unknown),
        ("\"lotus\" ALL = ALL", Answer::Yes),
        ("lo\\x74us ALL = ALL", Answer::Yes),
        ("lotus ALL = \\\n ALL # all\n", Answer::Yes),
        ("# lotus ALL=ALL \\\nlotus ALL=/bin/ls", Answer::Yes),
    ] {
        assert_eq!(answer(text), expected, "{text}");
    }
}

#[test]
fn aliases_nest_and_a_ring_of_them_ends() {
    let text = "User_Alias A = lotus : B = A, !C : C = ops\nCmnd_Alias SH = /bin/sh, /bin/bash : ANY = SH, ALL\nB ALL = ANY, !SH\n";
    let ruling = policy(text).may(&lotus(), &root(), &machine());
    assert_eq!(ruling.answer, Answer::Yes);
    assert!(ruling.grants.iter().all(Grant::everything), "{ruling:?}");
    assert_eq!(ruling.grants[0].place.line, 3);
    let _ = answer("User_Alias A = B : B = A\nA ALL=ALL\n");
    let mut ring = String::from("User_Alias A0 = lotus, lotus\n");
    for n in 1..60 {
        ring += &format!("User_Alias A{n} = !A{}, A{}, !A{}\n", n - 1, n - 1, n - 1);
    }
    assert_ne!(answer(&(ring + "A59 ALL=ALL\n")), Answer::No);
}

#[test]
fn passwords_follow_tags_and_settings() {
    let of = |text: &str| policy(text).may(&lotus(), &root(), &machine()).grants[0].password;
    assert_eq!(of("lotus ALL=NOPASSWD: ALL"), Answer::No);
    assert_eq!(of("lotus ALL=NOPASSWD: /bin/ls, /bin/cat"), Answer::No);
    assert_eq!(of("lotus ALL=ALL"), Answer::Yes);
    assert_eq!(of("Defaults !authenticate\nlotus ALL=ALL"), Answer::No);
    assert_eq!(of("Defaults authenticate\nDefaults:lotus !authenticate\nlotus ALL=ALL"), Answer::No);
    assert_eq!(of("Defaults:lotus !authenticate\nDefaults authenticate\nlotus ALL=ALL"), Answer::Yes, "the order of lines");
    assert_eq!(of("Defaults>root !authenticate\nlotus ALL=ALL"), Answer::No);
    assert_eq!(of("Defaults>root !authenticate\nDefaults authenticate\nlotus ALL=ALL"), Answer::Unknown, "versions differ");
    assert_eq!(of("Defaults exempt_group=render\nlotus ALL=PASSWD: ALL"), Answer::Unknown);
    assert_eq!(of("Defaults:ops !authenticate\nlotus ALL=ALL"), Answer::Yes);
    assert_eq!(of("Defaults!/bin/ls !authenticate\nlotus ALL=ALL"), Answer::Unknown);
    assert_eq!(of("Defaults !authenticate\nlotus ALL=PASSWD: ALL"), Answer::Yes);
    assert_eq!(of("Defaults exempt_group=render\nlotus ALL=ALL"), Answer::Unknown);
}

#[test]
fn groups_are_asked_on_their_own() {
    let may = |text: &str| policy(text).may_group(&lotus(), &("disk".to_owned(), 6), &machine()).answer;
    assert_eq!(may("lotus ALL=(:disk) ALL"), Answer::Yes);
    assert_eq!(may("lotus ALL=(root:ALL, !disk) ALL"), Answer::No);
    assert_eq!(may("lotus ALL=(root) ALL"), Answer::No);
}

#[test]
fn one_command_is_judged_on_its_own() {
    let may = |text: &str, path: &str, arguments: &str| {
        policy(text).may_run(&lotus(), &root(), &machine(), &Asked { path: path.into(), arguments: arguments.into() })
    };
    assert_eq!(may("lotus ALL=/bin/cat /var/log/*", "/bin/cat", "/var/log/../../etc/shadow"), Answer::Yes, "as the manual warns");
    assert_eq!(may("lotus ALL=/bin/cat \"\"", "/bin/cat", "x"), Answer::No);
    assert_eq!(may("lotus ALL=/usr/bin/ls", "/bin/ls", ""), Answer::Unknown, "may be one file");
    assert_eq!(may("lotus ALL=/usr/bin/", "/usr/bin/ls", "x"), Answer::Yes);
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "(\\PC|[\\\\\"#:,=!%+()/ \n*\\[]|ALL|lotus|Defaults|_Alias|User_Alias|Cmnd_Alias|NOPASSWD:|sha256:|sudoedit|\\^){0,80}") {
        let ruling = policy(&text).may(&lotus(), &root(), &machine());
        prop_assert!(ruling.answer != Answer::Yes || !ruling.grants.is_empty());
    }

    #[test]
    fn a_longer_policy_is_read_to_its_end(names in proptest::collection::vec("[a-z]{1,8}", 1..40)) {
        let text: String = names.iter().map(|n| format!("{n} ALL=(root) /bin/{n}\n")).collect();
        prop_assert_eq!(policy(&text).specs.len(), names.len());
    }
}
