//! No text from a machine makes a rule panic: sudoers, unit files, configuration, rulesets, names.

use facts::{Account, Boot, Directive, Facts, File, Mount, Packages, Process, Repository, Rulesets, SudoersLine, System, Unit};
use proptest::prelude::*;

/// Words that rules look for, so that random texts get past their first question.
const WORDS: [&str; 40] = [
    "Include /etc/ssh/sshd_config.d/*",
    "MaxAuthTries ",
    "Ciphers +3des-cbc,",
    "auth sufficient pam_permit.so",
    "polkit.Result.YES",
    "/srv *(rw,no_root_squash)",
    "-ro,sync ",
    "{\"StoragePaths\":[{\"Path\":\"/",
    "host all all 0.0.0.0/0 trust",
    "[auth.anonymous]",
    "enabled = true",
    "Storage=volatile",
    "APT::Periodic::Unattended-Upgrade \"0\"",
    "FULLNODE_API_INFO=x:/ip4/45.1.1.1/tcp/1/http",
    "AnnounceAddresses = [\"/ip6/",
    "http://[::1]@",
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

/// Files whose text rules read.
const READ: [&str; 18] = [
    "/etc/ssh/sshd_config.d/x.conf",
    "/etc/pam.d/su",
    "/etc/pam.d/common-auth",
    "/etc/polkit-1/rules.d/x.rules",
    "/etc/exports",
    "/etc/docker/daemon.json",
    "/etc/grafana/grafana.ini",
    "/etc/redis/redis.conf",
    "/etc/postgresql/15/main/pg_hba.conf",
    "/etc/postgresql/15/main/postgresql.conf",
    "/etc/systemd/journald.conf",
    "/etc/rsyslog.conf",
    "/etc/audit/rules.d/x.rules",
    "/etc/apt/apt.conf.d/x",
    "/root/.lotusminer/storage.json",
    "/root/.lotus/keystore",
    "/root/.bash_history",
    "/root",
];

/// Settings that rules read.
const SETTINGS: [&str; 6] = [
    "kernel.kptr_restrict",
    "kernel.core_pattern",
    "fs.suid_dumpable",
    "vm.hugetlb_shm_group",
    "user.max_user_namespaces",
    "kernel.perf_event_paranoid",
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
            files: READ.iter().zip([&a, &b, &c, &d].into_iter().cycle()).map(|(p, t)| file(p, t)).chain([file("/etc/ssh/sshd_config", &c), file("/root/.lotus/config.toml", &d), file(&a, &b)]).collect(),
            boot: Boot { parameters: vec![a.clone(), b.clone()], lockdown: Some(c.clone()), signed_modules: None },
            mounts: vec![Mount { at: a.clone(), source: b.clone(), options: vec![c.clone()], ..Mount::default() }, Mount { at: "/".into(), ..Mount::default() }],
            packages: Packages {
                manager: Some("dpkg".into()),
                repositories: vec![Repository { uri: format!("http://{a}"), options: vec![b.clone()], ..Repository::default() }],
                ..Packages::default()
            },
            system: System { os_id: "debian".into(), os_version: c.clone(), lsm: vec![d.clone()], kernel: a.clone(), ..System::default() },
            sysctls: SETTINGS.iter().zip([&a, &b, &c, &d].into_iter().cycle()).map(|(n, v)| ((*n).to_owned(), v.clone())).collect(),
            rulesets: Rulesets { nft_json: Some(d.clone()), iptables_save: Some(c.clone()), ip6tables_save: Some(b.clone()), unread: Vec::new() },
            ..Facts::default()
        };
        let report = audit::run(&facts, None);
        prop_assert!(report.text().ends_with('\n'));
        prop_assert!(report.html(&str::to_owned).ends_with("</body></html>\n"));
        prop_assert!(report.sarif()["runs"][0]["results"].is_array());
        // A proposal from the same machine is TOML, whatever the machine is called.
        let proposed = site::propose(&[Facts { host: a, ..facts }]);
        prop_assert!(toml::from_str::<toml::Table>(&proposed).is_ok(), "{}", proposed);
    }
}
