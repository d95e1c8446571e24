//! A pair's daemons: golden texts under `pair/`, held by the bundle's own check and by the tools. keepalived checks its file;
//! conntrackd has no such word and is started, in namespaces of its own. `UPDATE_EXPECT=1` writes the texts anew.

mod common;

use bundle::{OwnFile, pair::Daemon};
use common::hold;
use plan::{Devices, Options, PairPlan, Plan};
use site::model::Mode;
use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
};
use words::SourceFile;

fn model() -> site::Model {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/small/site.toml");
    let source = SourceFile::new("site.toml", fs::read_to_string(path).expect(path));
    site::read(&source, "2026-11-22").model.expect("model")
}

fn planned(mode: Mode) -> Plan {
    let mut model = model();
    model.layers.network = mode;
    plan::plan(&model, &Devices::default(), Options::default())
}

/// The files of every node, by its name.
fn files(plan: &Plan) -> Vec<(String, PairPlan, Vec<OwnFile>)> {
    let one = |(h, m): (&words::HostName, &plan::MachinePlan)| {
        let files = emit::pair::files(m);
        m.pair.clone().map(|p| (h.to_string(), p, files))
    };
    plan.machines.iter().filter_map(one).collect()
}

fn of(files: &[OwnFile], daemon: Daemon) -> &str {
    &files.iter().find(|f| f.path == daemon.path()).expect("its file").content
}

/// Both link addresses in IPv6.
fn over_v6(pair: &PairPlan) -> PairPlan {
    let swap = |a: std::net::IpAddr| match a {
        std::net::IpAddr::V4(a) => format!("2001:db8:255::{}", a.octets()[3]).parse().expect("address"),
        v6 => v6,
    };
    PairPlan { here: swap(pair.here), there: swap(pair.there), own: pair.own.iter().copied().map(swap).collect(), ..pair.clone() }
}

#[test]
fn both_nodes_of_a_pair_are_told_and_nobody_else() {
    let plan = planned(Mode::Enforce);
    let all = files(&plan);
    assert_eq!(all.iter().map(|(h, ..)| h.as_str()).collect::<Vec<_>>(), ["fw-a", "fw-b"]);
    for (host, pair, files) in &all {
        assert_eq!(files.len(), 4);
        bundle::file::check(files).unwrap_or_else(|e| panic!("{host}: {e}"));
        for daemon in Daemon::ALL {
            let name = format!("pair/{host}-{}.conf", daemon.unit().trim_end_matches(".service"));
            hold(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name), of(files, daemon));
        }
        assert!(!pair.watched.contains(&pair.link), "{pair:?}");
    }
    let [(_, a, _), (_, b, _)] = all.as_slice() else { panic!("two") };
    assert_eq!((a.here, a.there, a.port), (b.there, b.here, b.port));
    let moved = |p: &PairPlan| p.addresses.iter().map(|a| (a.zone.clone(), a.address)).collect::<Vec<_>>();
    assert_eq!(moved(a), moved(b), "what one node gives up the other one takes");
    assert!(a.addresses.iter().any(|x| x.address.addr().is_ipv6()) && a.addresses.iter().any(|x| x.address.addr().is_ipv4()));
    let rendered = emit::render::files(&model(), &plan, &Devices::default());
    assert!(rendered.contains_key("fw-b/pair/etc/systemd/system/keepalived.service.d/10-ravelin.conf"));
}

#[test]
fn while_the_layer_observes_it_is_a_proposal_and_off_it_is_nothing() {
    assert!(files(&planned(Mode::Off)).is_empty());
    let plan = planned(Mode::Observe);
    let same = |(_, p, f): &(String, PairPlan, Vec<OwnFile>)| p.proposed && f.len() == 4;
    assert!(files(&plan).len() == 2 && files(&plan).iter().all(same));
    assert!(plan.machines.values().all(|m| m.elected_addresses().is_empty()), "nothing is elected that was not before");
    let mut model = model();
    model.layers.network = Mode::Observe;
    let rendered = emit::render::files(&model, &plan, &Devices::default());
    assert!(rendered.contains_key("fw-a/proposed/etc/keepalived/ravelin.conf") && !rendered.keys().any(|p| p.starts_with("fw-a/pair/")));
}

/// Runs a script with the node's devices there, in namespaces of its own with a `/run` of its own. Out come exit code and everything said.
fn inside(pair: &PairPlan, script: &str, argument: &Path) -> (Option<i32>, String) {
    let mut setup = String::from("exec 2>&1\nmount -t tmpfs none /run && mkdir /run/ravelin-sync && ip link set lo up\n");
    for device in pair.watched.iter().chain([&pair.link]) {
        setup += &format!("ip link add {device} type veth peer name p-{device} && ip link set {device} up\n");
    }
    let a = pair.here;
    setup +=
        &format!("ip address add {a}/{} dev {} {}\n", if a.is_ipv4() { 30 } else { 64 }, pair.link, if a.is_ipv4() { "" } else { "nodad" });
    let spaces = if is_root() { "-nm" } else { "-Urnm" };
    let out =
        Command::new("unshare").args([spaces, "sh", "-c", &format!("{setup}{script}"), "sh"]).arg(argument).output().expect("unshare");
    (out.status.code(), String::from_utf8_lossy(&out.stdout).into_owned())
}

fn is_root() -> bool {
    fs::metadata("/proc/self").expect("proc").uid() == 0
}

fn written(directory: &Path, text: &str) -> PathBuf {
    let path = directory.join("file.conf");
    fs::write(&path, text).expect("written");
    path
}

#[test]
fn keepalived_takes_its_file_and_would_refuse_a_wrong_one() {
    let directory = tempfile::tempdir().expect("directory");
    let check = |pair: &PairPlan, text: &str| inside(pair, "keepalived --config-test --use-file=\"$1\"", &written(directory.path(), text));
    for (host, pair, _) in files(&planned(Mode::Enforce)) {
        for pair in [pair.clone(), over_v6(&pair)] {
            let name = words::HostName::new(&host).expect("name");
            let text = emit::keepalived::file(&name, &pair);
            assert_eq!(check(&pair, &text), (Some(0), String::new()), "{text}");
            let wrong = text.replace("virtual_router_id 1\n", "virtual_router_id 1\n    virtual_routers 2\n");
            assert!(check(&pair, &wrong).1.contains("virtual_routers"), "a wrong word was taken");
            let wrong = text.replace("unicast_src_ip ", "unicast_src_ip x");
            assert_ne!(check(&pair, &wrong).0, Some(0), "a wrong address was taken");
        }
    }
}

#[test]
fn conntrackd_starts_with_its_file_and_would_not_with_a_wrong_one() {
    /// What `timeout` says when it had to end the program: it ran.
    const ENDED: i32 = 124;
    let directory = tempfile::tempdir().expect("directory");
    let script = "timeout 2 conntrackd -C \"$1\"";
    // In a user namespace nobody may go past the kernel's bounds for buffers, or before others.
    let root = is_root();
    let kept = |l: &&str| root || !l.contains("SocketBuffer");
    for (_, pair, _) in files(&planned(Mode::Enforce)) {
        for pair in [pair.clone(), over_v6(&pair)] {
            let text = emit::conntrackd::file(&pair).lines().filter(kept).collect::<Vec<_>>().join("\n") + "\n";
            let (code, said) = inside(&pair, script, &written(directory.path(), &text));
            assert!(code == Some(ENDED) && said.contains("initialization completed"), "{code:?} {said}\n{text}");
            assert!(said.contains("disabling external cache") && (!root || !said.contains("warning")), "{said}");
            let (code, said) = inside(&pair, script, &written(directory.path(), &text.replace("Mode FTFW", "Mode FTFX")));
            assert_ne!(code, Some(ENDED), "a wrong mode was taken: {said}");
        }
    }
}

#[test]
fn systemd_takes_both_drop_ins_over_the_distribution_s_units() {
    let root = tempfile::tempdir().expect("directory");
    let units = root.path().join("etc/systemd/system");
    fs::create_dir_all(&units).expect("made");
    let verify = || {
        let mut command = Command::new("systemd-analyze");
        command.args(["verify", "--man=no", "--recursive-errors=no"]).env("SYSTEMD_UNIT_PATH", format!("{}:", units.display()));
        let out = command.args(Daemon::ALL.map(Daemon::unit)).output().expect("systemd-analyze");
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        // What the machine's own units say is not about ours.
        said.lines().filter(|l| l.contains("keepalived") || l.contains("conntrackd")).collect::<Vec<_>>().join("\n")
    };
    for daemon in Daemon::ALL {
        let directory = units.join(format!("{}.d", daemon.unit()));
        fs::create_dir(&directory).expect("made");
        fs::write(directory.join(bundle::file::DROP_IN), bundle::pair::drop_in(daemon)).expect("written");
    }
    assert_eq!(verify(), "");
    let path = units.join("keepalived.service.d").join(bundle::file::DROP_IN);
    fs::write(&path, bundle::pair::drop_in(Daemon::Keepalived).replace("ProtectSystem=strict", "ProtectSystem=stricter")).expect("written");
    assert!(verify().contains("stricter"), "a wrong value was taken");
}
