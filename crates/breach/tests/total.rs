//! No text from a machine makes the closure panic or run away: cron tables, PAM, polkit, logrotate, linker, sudoers, units, links
//! in rings, names with odd characters.

use facts::{Account, Directive, Facts, File, FileKind, Group, PathFact, Process, SudoersLine, Sweep, Unit};
use proptest::prelude::*;

const WORDS: [&str; 40] = [
    "lotus",
    "root",
    "ALL",
    "=",
    " ",
    "\n",
    "\t",
    "/",
    "/opt/x",
    "/etc",
    "..",
    "*",
    "auth",
    "sufficient",
    "pam_wheel.so",
    "trust",
    "group=",
    "addRule",
    "isInGroup(",
    "Result.YES",
    "\"",
    "'",
    "//",
    "action.id",
    "{",
    "}",
    "su",
    "postrotate",
    "endscript",
    "* * * * *",
    "@daily",
    "run-parts",
    "%",
    "#",
    "\\",
    "ü",
    "é\u{301}",
    "NOPASSWD:",
    "(",
    "\u{0}",
];

fn text() -> impl Strategy<Value = String> {
    let word = prop_oneof![proptest::sample::select(WORDS.to_vec()).prop_map(str::to_owned), "\\PC{0,5}"];
    proptest::collection::vec(word, 0..14).prop_map(|w| w.concat())
}

proptest! {
    #[test]
    fn any_text_is_judged(a in text(), b in text(), c in text(), mode in 0u32..0o10000, uid in prop_oneof![Just(0u32), Just(990), any::<u32>()]) {
        let file = |path: &str, text: &str| File { path: path.into(), text: Some(text.into()), ..File::default() };
        let path = |p: &str, kind: FileKind, target: Option<&str>| PathFact { path: p.into(), kind, mode, uid, gid: 990, target: target.map(str::to_owned), ..PathFact::default() };
        let dir = FileKind::Directory;
        let directive = |key: &str, value: &str| Directive { section: "Service".into(), key: key.into(), value: value.into(), ..Directive::default() };
        let facts = Facts {
            processes: vec![Process { pid: 7, comm: "lotus".into(), user: Some("lotus".into()), uid: 990, gid: 990, capabilities: u64::from(mode) << 8, ..Process::default() }],
            accounts: vec![
                Account { name: "lotus".into(), uid: 990, gid: 990, home: a.clone(), shell: "/bin/sh".into(), ..Account::default() },
                Account { name: b.clone(), uid, home: "/home".into(), shell: "/bin/sh".into(), ..Account::default() },
            ],
            groups: vec![Group { name: c.clone(), gid: 990, members: vec![a.clone()] }, Group { name: "docker".into(), gid: 5, members: vec![b.clone()] }],
            units: vec![Unit { name: a.clone(), files: vec![b.clone()], directives: vec![directive("ExecStart", &a), directive("EnvironmentFile", &b), directive("AmbientCapabilities", &c), directive("User", &c)], ..Unit::default() }],
            sudoers: vec![SudoersLine { text: format!("lotus {a}"), ..SudoersLine::default() }, SudoersLine { text: b.clone(), ..SudoersLine::default() }],
            files: vec![
                file("/etc/cron.d/x", &a), file("/etc/crontab", &b), file("/etc/ld.so.conf", &c), file("/etc/logrotate.d/x", &a), file("/etc/pam.d/su", &b),
                file("/etc/polkit-1/localauthority/10/x.pkla", &a), file("/etc/polkit-1/rules.d/x.rules", &c), file("/etc/ssh/sshd_config", &b), file("/usr/share/polkit-1/actions/x", &c),
                file("/var/spool/cron/crontabs/lotus", &c), file(&a, &b),
            ],
            paths: vec![
                path("/", dir, None), path("/etc", dir, None), path("/etc/cron.d", FileKind::Symlink, Some(&a)), path("/home", FileKind::Symlink, Some("/home/..")),
                path("/opt", FileKind::Symlink, Some("opt/x")), path("/usr", FileKind::Symlink, Some(&b)), path(&c, FileKind::File, None),
            ],
            sweep: Some(Sweep { found: vec![path(&a, FileKind::File, None), path("/usr/local/bin/find", FileKind::File, None)], ..Sweep::default() }),
            ..Facts::default()
        };
        let closure = breach::closure(&facts);
        prop_assert!(closure.text().ends_with('\n'));
        prop_assert!(closure.accounts.iter().all(|a| a.ways.len() <= 200));
        let _ = breach::fixes(&breach::Machine::new(&facts), &closure);
        prop_assert!(breach::wanted_paths(&facts).windows(2).all(|w| w[0] < w[1]));
    }
}
