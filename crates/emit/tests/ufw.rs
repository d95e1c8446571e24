//! UFW's rule files: golden texts by case, and the real UFW as oracle. It reads what Ravelin wrote, shows it in its status with the
//! owner, writes it again to the letter, and the kernel holds what the plan says. In namespaces of its own.

mod common;

use plan::MachinePlan;
use ruleset::{Ruleset, TableFamily, ufw as file};
use std::{fs, path::Path, process::Command};
use words::Family;

fn cases() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ufw"))
}

/// UFW with files of its own package, in namespaces; `$1` is a directory for what goes in and out.
const UFW: &str = r#"
ip link set lo up
mount -t tmpfs none /mnt
mkdir -p /mnt/ufw/applications.d
cp /usr/share/ufw/iptables/*.rules /usr/share/ufw/*.init /etc/ufw/sysctl.conf /etc/ufw/ufw.conf /mnt/ufw
chmod 640 /mnt/ufw/*.rules
mount --bind /mnt/ufw /etc/ufw
mount -t tmpfs none /run
ufw --force enable
ufw reload
"#;

/// Runs a script after [`UFW`] in a directory; gives what it printed.
fn run(dir: &Path, script: &str) -> String {
    let script = format!("{UFW}cd \"$1\"\n{script}");
    let out = Command::new("unshare")
        .args(["-Urnm", "--propagation", "private", "bash", "-ec", &script, "bash"])
        .arg(dir)
        .output()
        .expect("unshare runs");
    let (text, trouble) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{text}\n{trouble}");
    text.into_owned()
}

fn machines() -> Vec<(String, MachinePlan)> {
    let planned = common::planned(cases()).into_iter();
    let all = planned.flat_map(|(case, _, plan)| plan.machines.into_iter().map(move |(h, m)| (format!("{case}/{h}"), m)));
    all.filter(|(_, m)| m.ufw.is_some()).collect()
}

#[test]
fn every_machine_of_the_cases_has_these_files() {
    for (case, _, plan) in common::planned(cases()) {
        let mut made = String::new();
        for (host, machine) in plan.machines.iter().filter(|(_, m)| m.ufw.is_some()) {
            let ufw = machine.ufw.as_ref().expect("UFW");
            for family in Family::ALL {
                made += &format!("==> {host} {}{}\n", emit::ufw::file_name(family), emit::ufw::block(ufw, family));
            }
            emit::ufw::profiles(ufw).iter().for_each(|(n, t)| made += &format!("==> {host} applications.d/{n}\n{t}\n"));
            made += &format!("==> {host} ravelin.nft\n{}\n", emit::nft::script(&machine.ruleset, TableFamily::Inet, plan::TABLE));
        }
        common::hold(&cases().join(&case).join("expected.txt"), &made);
    }
}

#[test]
fn what_is_written_is_what_the_plan_says() {
    for (name, machine) in machines() {
        let ufw = machine.ufw.as_ref().expect("UFW");
        for family in Family::ALL {
            assert_eq!(file::foreign(&emit::ufw::block(ufw, family), family), None, "{name}");
            let text = emit::ufw::whole(ufw, family);
            let read = Ruleset { tables: ruleset::iptables::read(&text, family).expect("reads"), unread: vec![] };
            let kind = if family == Family::V4 { TableFamily::Ip } else { TableFamily::Ip6 };
            let planned = Ruleset { tables: machine.ruleset.tables.iter().filter(|t| t.family == kind).cloned().collect(), unread: vec![] };
            assert_eq!(ruleset::compare(&planned, &read), [], "{name}");
        }
    }
}

#[test]
fn the_frame_is_what_ufw_loads() {
    let dir = tempfile::tempdir().expect("directory");
    run(dir.path(), "iptables-save -t filter > save4\nip6tables-save -t filter > save6");
    let empty = Ruleset { tables: plan::ufw::frame::empty(), unread: vec![] };
    let mut tables = Vec::new();
    for (family, name) in [(Family::V4, "save4"), (Family::V6, "save6")] {
        tables.extend(ruleset::iptables::read(&fs::read_to_string(dir.path().join(name)).expect("saved"), family).expect("reads"));
    }
    assert_eq!(ruleset::compare(&empty, &Ruleset { tables, unread: vec![] }), []);
}

/// The operator's own rules stand before; then Ravelin's files are put in place and loaded as UFW loads them; then UFW is told to
/// add a rule, which makes it write everything anew.
const ORACLE: &str = r#"
cp user.rules user6.rules /etc/ufw
cp applications.d/* /etc/ufw/applications.d 2>/dev/null || true
iptables-restore -n < /etc/ufw/user.rules
ip6tables-restore -n < /etc/ufw/user6.rules
iptables-save -t filter > save4
ip6tables-save -t filter > save6
ufw status verbose > status
for p in $(ls applications.d); do ufw app info $p; done > apps
ufw allow 9/udp comment "the operator's" >/dev/null 2>&1 || ufw allow 9/udp comment later
cp /etc/ufw/user.rules /etc/ufw/user6.rules again
ufw reload
iptables-save -t filter > reload4
ip6tables-save -t filter > reload6
"#;

#[test]
fn ufw_reads_it_shows_it_and_writes_it_the_same() {
    for (name, machine) in machines() {
        let ufw = machine.ufw.as_ref().expect("UFW");
        let dir = tempfile::tempdir().expect("directory");
        let at = |n: &str| dir.path().join(n);
        let get = |n: &str| fs::read_to_string(at(n)).unwrap_or_else(|e| panic!("{n}: {e}"));
        run(dir.path(), "ufw allow from 192.0.2.1 comment mine\nufw deny out 25/tcp\ncp /etc/ufw/user.rules /etc/ufw/user6.rules .");
        for d in ["again", "applications.d"] {
            fs::create_dir(at(d)).expect("directory");
        }
        for family in Family::ALL {
            let file_name = emit::ufw::file_name(family);
            let merged = file::merge(&get(file_name), &emit::ufw::block(ufw, family)).expect("merges");
            fs::write(at(file_name), merged).expect("written");
        }
        let profiles = emit::ufw::profiles(ufw);
        for (n, text) in &profiles {
            fs::write(at("applications.d").join(n), text).expect("written");
        }
        run(dir.path(), ORACLE);
        let status = get("status");
        for rule in &ufw.rules {
            assert!(status.contains(&format!("# ravelin {}", rule.id)), "{name}: {} in\n{status}", rule.id);
        }
        assert!(status.contains("# mine") && status.contains("25/tcp"), "{name}: the operator's\n{status}");
        for n in profiles.keys() {
            assert!(get("apps").contains(&format!("Profile: {n}")) && status.contains(n.as_str()), "{name}: {n}\n{status}");
        }
        for (family, save, reload) in [(Family::V4, "save4", "reload4"), (Family::V6, "save6", "reload6")] {
            let (file_name, block) = (emit::ufw::file_name(family), emit::ufw::block(ufw, family));
            let again = get(&format!("again/{file_name}"));
            assert_eq!(file::owned(&again), block, "{name}: {file_name} as UFW wrote it");
            let others = |t: &str| file::entries(t).into_iter().filter(|e| e.owned().is_none()).count();
            assert_eq!(others(&again), others(&get(file_name)) + 1, "{name}: {file_name}");
            // File and kernel say the same, loaded in either way.
            for (text, kernel) in [(get(file_name), get(save)), (again, get(reload))] {
                let want = file::people(&file::read(&text, family, file_name).expect("reads"), family);
                let have = file::people(&ruleset::iptables::read(&kernel, family).expect("reads"), family);
                let of = |tables| Ruleset { tables, unread: vec![] };
                assert_eq!(ruleset::compare(&of(want), &of(have)), [], "{name}: {file_name}");
            }
        }
    }
}
