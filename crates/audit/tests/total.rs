//! No text from a machine makes a rule panic: sudoers, unit files, configuration, rulesets, names.

use facts::{Account, Directive, Facts, File, Process, Rulesets, SudoersLine, Unit};
use proptest::prelude::*;

/// Words that rules look for, so that random texts get past their first question.
const WORDS: [&str; 24] = [
    "lotus",
    "ALL",
    "=",
    ",",
    "%",
    "#",
    "NOPASSWD:",
    "User_Alias",
    "Defaults",
    " ",
    "\t",
    "(",
    "Match",
    "PermitRootLogin yes",
    "\n",
    "{",
    "\"nftables\":[",
    "}",
    "FIL_PROOFS_PARAMETER_CACHE=",
    "ü",
    "/tcp/",
    "LISTENADDRESSES=",
    "é\u{301}",
    "[redacted: default password]",
];

fn text() -> impl Strategy<Value = String> {
    let word = prop_oneof![proptest::sample::select(WORDS.to_vec()).prop_map(str::to_owned), "\\PC{0,6}"];
    proptest::collection::vec(word, 0..12).prop_map(|w| w.concat())
}

proptest! {
    #[test]
    fn any_text_is_judged(a in text(), b in text(), c in text(), d in text(), mode in any::<u32>()) {
        let directive = |key: &str, value: &str| Directive { section: "Service".into(), key: key.into(), value: value.into(), ..Directive::default() };
        let file = |path: &str, text: &str| File { path: path.into(), text: Some(text.into()), mode, ..File::default() };
        let facts = Facts {
            processes: vec![
                Process { pid: 7, comm: "lotus".into(), user: Some("lotus".into()), unit: Some("lotus.service".into()), argv: vec![a.clone()], ..Process::default() },
                Process { pid: 8, comm: a.clone(), exe: b.clone(), user: Some(c.clone()), ..Process::default() },
            ],
            accounts: vec![Account { name: "lotus".into(), uid: 990, gid: 990, shell: a.clone(), ..Account::default() }],
            sudoers: vec![SudoersLine { text: a.clone(), ..SudoersLine::default() }, SudoersLine { text: format!("lotus {b}"), ..SudoersLine::default() }],
            units: vec![Unit {
                name: "lotus.service".into(),
                enabled: true,
                directives: vec![directive("Environment", &b), directive("PrivateTmp", "yes"), directive(&c, &d), directive("EnvironmentFile", &a)],
                ..Unit::default()
            }],
            files: vec![file("/etc/ssh/sshd_config", &c), file("/root/.lotus/config.toml", &d), file(&a, &b)],
            rulesets: Rulesets { nft_json: Some(d.clone()), iptables_save: Some(c.clone()), ip6tables_save: Some(b.clone()), unread: Vec::new() },
            ..Facts::default()
        };
        let report = audit::run(&facts, None);
        prop_assert!(report.text().ends_with('\n'));
        prop_assert!(report.sarif()["runs"][0]["results"].is_array());
        // A proposal from the same machine is TOML, whatever the machine is called.
        let proposed = site::propose(&[Facts { host: a, ..facts }]);
        prop_assert!(toml::from_str::<toml::Table>(&proposed).is_ok(), "{}", proposed);
    }
}
