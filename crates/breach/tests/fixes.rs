//! What is proposed and what is left to people: sudo's policy with administrators in it, su, polkit, owners, logrotate. In come facts, out
//! comes what would be done.

use breach::{Fix, Machine, Step, Technique, fix::edit::How};
use facts::{Account, Facts, File, FileKind, Group, PathFact, Process, SudoersLine};

fn account(name: &str, uid: u32, shell: &str) -> Account {
    Account {
        name: name.into(),
        uid,
        gid: uid,
        home: format!("/home/{name}"),
        shell: shell.into(),
        password: Some(uid == 1000),
        ..Account::default()
    }
}

fn group(name: &str, gid: u32, members: &[&str]) -> Group {
    Group { name: name.into(), gid, members: members.iter().map(|m| (*m).to_owned()).collect() }
}

/// Root, two services that run, an administrator with sudo by group.
fn machine(sudoers: &[&str]) -> Facts {
    let service = |pid, name: &str, uid| Process {
        pid,
        comm: name.into(),
        exe: format!("/usr/local/bin/{name}"),
        uid,
        gid: uid,
        user: Some(name.into()),
        ..Process::default()
    };
    let nologin = "/usr/sbin/nologin";
    let lines = (1u32..).zip(sudoers).map(|(line, t)| SudoersLine { file: "/etc/sudoers".into(), line, text: (*t).to_owned() });
    Facts {
        processes: vec![service(7, "lotus", 990), service(8, "curio", 991)],
        accounts: vec![
            account("root", 0, "/bin/bash"),
            account("lotus", 990, nologin),
            account("curio", 991, nologin),
            account("ops", 1000, "/bin/bash"),
        ],
        groups: vec![
            group("root", 0, &[]),
            group("sudo", 27, &["ops"]),
            group("lotus", 990, &[]),
            group("curio", 991, &[]),
            group("filecoin", 800, &["lotus", "curio"]),
            group("ops", 1000, &[]),
        ],
        sudoers: lines.collect(),
        paths: vec![path("/", FileKind::Directory, 0o755, 0)],
        ..Facts::default()
    }
}

fn path(path: &str, kind: FileKind, mode: u32, uid: u32) -> PathFact {
    PathFact { path: path.into(), kind, mode, uid, gid: uid, ..PathFact::default() }
}

fn text(path: &str, text: &str) -> File {
    File { path: path.into(), mode: 0o644, text: Some(text.into()), ..File::default() }
}

fn fixes(facts: &Facts) -> Vec<Fix> {
    breach::fixes(&Machine::new(facts), &breach::closure(facts))
}

/// Edits of one file that are done by themselves.
fn edits(all: &[Fix]) -> Vec<(u32, How)> {
    let steps = breach::fix::steps(all);
    steps.iter().flat_map(|s| if let Step::Edit { edits, .. } = s { edits.clone() } else { Vec::new() }).map(|e| (e.line, e.how)).collect()
}

const ADMIN: &str = "%sudo ALL=(ALL:ALL) ALL";

#[test]
fn lines_of_services_go_and_those_of_people_stay() {
    let all = fixes(&machine(&[
        ADMIN,
        "lotus ALL=(root) NOPASSWD: /usr/bin/env",
        "%filecoin ALL=(root) NOPASSWD: /usr/bin/vi",
        "ops ALL=(ALL) NOPASSWD: ALL",
    ]));
    assert_eq!(edits(&all), [(2, How::Comment), (3, How::Comment)]);
    assert!(all.iter().all(|f| f.by_hand.is_none()), "{all:?}");
}

#[test]
fn out_of_a_line_with_people_the_services_name_goes() {
    let line = "lotus, ops, curio ALL=(root) NOPASSWD: /usr/bin/env";
    assert_eq!(edits(&fixes(&machine(&[ADMIN, line]))), [(2, How::Without(vec!["curio".into(), "lotus".into()]))]);
    let alias = ["User_Alias CREW = ops, lotus", "CREW ALL=(root) NOPASSWD: /usr/bin/env", ADMIN];
    assert_eq!(edits(&fixes(&machine(&alias))), [(1, How::Without(vec!["lotus".into()]))]);
    let both = ["User_Alias CREW = curio, lotus", "CREW ALL=(root) NOPASSWD: /usr/bin/env", ADMIN];
    assert_eq!(edits(&fixes(&machine(&both))), [(2, How::Comment)], "nobody else is meant: the grant goes");
}

#[test]
fn a_service_leaves_the_administrators_group() {
    let mut facts = machine(&["%sudo ALL=(ALL) NOPASSWD: ALL"]);
    facts.groups[1].members.push("lotus".into());
    let steps = breach::fix::steps(&fixes(&facts));
    assert!(steps.contains(&Step::Member { account: "lotus".into(), group: "sudo".into(), leaves: true }), "{steps:?}");
    assert!(!steps.iter().any(|s| s.command().contains("ops")));
}

#[test]
fn what_speaks_of_everybody_or_of_a_person_is_left() {
    for line in ["ALL ALL=(root) NOPASSWD: /usr/bin/env", "ALL, !root ALL=(root) NOPASSWD: ALL", "+crew ALL=(root) NOPASSWD: ALL"] {
        let all = fixes(&machine(&[line]));
        assert!(edits(&all).is_empty() && all.iter().any(|f| f.by_hand.is_some()), "{line}: {all:?}");
    }
    // An administrator who runs a daemon under the own account.
    let mut facts = machine(&["ops ALL=(ALL) NOPASSWD: ALL"]);
    facts.processes[0].user = Some("ops".into());
    facts.processes[0].uid = 1000;
    let all = fixes(&facts);
    assert!(
        breach::fix::steps(&all).is_empty() && all.iter().any(|f| f.by_hand.as_deref().is_some_and(|w| w.contains("person"))),
        "{all:?}"
    );
}

#[test]
fn nobody_else_loses_anything_by_order() {
    // Without the denial for lotus the same list would still be what it is for ops.
    let all = fixes(&machine(&["ops, lotus ALL=(root) NOPASSWD: ALL", "ops ALL=(root) !/usr/bin/passwd", ADMIN]));
    assert_eq!(edits(&all), [(1, How::Without(vec!["lotus".into()]))]);
}

#[test]
fn su_without_password_goes_only_where_an_administrator_has_another_way() {
    let pam = "auth sufficient pam_rootok.so\nauth sufficient pam_permit.so\n";
    let mut facts = machine(&[ADMIN]);
    facts.files.push(text("/etc/pam.d/su", pam));
    assert_eq!(edits(&fixes(&facts)), [(1, How::After("auth required pam_wheel.so use_uid group=sudo".into())), (2, How::Comment)]);
    facts.sudoers.clear();
    let all = fixes(&facts);
    assert!(!edits(&all).iter().any(|(line, _)| *line == 2), "{all:?}");
    // A person who is in no group of administrators would lose su.
    facts.accounts.push(account("guest", 1001, "/bin/bash"));
    assert!(edits(&fixes(&facts)).is_empty());
}

#[test]
fn polkit_says_no_to_the_service_alone() {
    let mut facts = machine(&[]);
    let rule = "polkit.addRule(function(action, subject) {\n  if (action.id == \"org.freedesktop.systemd1.manage-units\" && subject.user == \"lotus\") {\n    return polkit.Result.YES;\n  }\n});\n";
    facts.files.push(text("/etc/polkit-1/rules.d/50-x.rules", rule));
    let steps = breach::fix::steps(&fixes(&facts));
    let [Step::File { path, content, mode: 0o644, there: true }] = steps.as_slice() else { panic!("{steps:?}") };
    assert!(path.ends_with("/00-ravelin-lotus.rules") && content.contains("\"lotus\"") && !content.contains("ops"));
    facts.files.push(text(path, content));
    assert!(breach::closure(&facts).accounts.iter().all(|a| a.ways.is_empty()), "closed");
    facts.files[0].path = "/etc/polkit-1/rules.d/00-a.rules".into();
    facts.files.pop();
    assert!(breach::fix::steps(&fixes(&facts)).is_empty(), "a rule that is asked before ours");
}

#[test]
fn a_file_of_the_system_becomes_roots_and_keeps_no_special_bits() {
    let mut facts = machine(&[]);
    facts.paths.extend([
        path("/etc", FileKind::Directory, 0o755, 0),
        path("/etc/cron.daily", FileKind::Directory, 0o755, 0),
        path("/etc/cron.daily/prune", FileKind::File, 0o4770, 990),
    ]);
    let steps = breach::fix::steps(&fixes(&facts));
    let [Step::Owner { before, after, .. }] = steps.as_slice() else { panic!("{steps:?}") };
    assert_eq!((before.uid, before.mode), (990, 0o4770));
    assert_eq!((after.uid, after.gid, after.mode), (0, 990, 0o750), "read and run as before, by its group");
}

#[test]
fn logrotate_works_as_the_owner_of_the_directory() {
    let mut facts = machine(&[]);
    facts.paths.extend([
        path("/var", FileKind::Directory, 0o755, 0),
        path("/var/log", FileKind::Directory, 0o755, 0),
        path("/var/log/lotus", FileKind::Directory, 0o755, 990),
        path("/var/log/curio", FileKind::Directory, 0o755, 991),
    ]);
    facts.files.push(text("/etc/logrotate.d/sp", "/var/log/lotus/*/*.log {\n  rotate 1\n  create 0644 root root\n}\n"));
    let all = fixes(&facts);
    assert!(all.iter().all(|f| f.by_hand.is_none() && f.technique != Some(Technique::Write)), "{all:?}");
    assert_eq!(edits(&all), [(1, How::After("  su lotus lotus".into())), (3, How::Becomes("create 0644 lotus lotus".into()))]);
    facts.files[0].text = Some("/var/log/lotus/*.log /var/log/curio/*.log {\n  rotate 1\n}\n".into());
    assert!(edits(&fixes(&facts)).is_empty(), "two owners in one block");
}

#[test]
fn a_capability_of_an_interpreter_goes_and_that_of_the_driver_stays() {
    let mut facts = machine(&[]);
    let of = |p: &str| PathFact { capabilities: 1 << 7, ..path(p, FileKind::File, 0o755, 0) };
    facts.sweep = Some(facts::Sweep {
        found: vec![of("/usr/local/bin/perl"), of("/opt/own"), of("/usr/bin/nvidia-modprobe")],
        complete: true,
        ..Default::default()
    });
    let steps = breach::fix::steps(&fixes(&facts));
    assert!(
        matches!(steps.as_slice(), [Step::Capability { path, bits: 128, off: true, .. }] if path == "/usr/local/bin/perl"),
        "{steps:?}"
    );
}
