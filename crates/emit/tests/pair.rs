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

/// The link between the nodes, as the example has it.
const LINK: &str = "10.255.0.0/30";

fn model() -> site::Model {
    model_over(LINK)
}

/// The example with another link between its nodes.
fn model_over(link: &str) -> site::Model {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/small/site.toml");
    let text = fs::read_to_string(path).expect(path);
    assert!(text.contains(LINK), "{path}");
    site::read(&SourceFile::new("site.toml", text.replace(LINK, link)), "2026-11-22").model.expect("model")
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

/// Two nodes with their rulesets in force and keepalived running elect one and stay so, over a link of either family: what one says the
/// other one must hear.
#[test]
fn one_node_is_active_over_a_link_of_either_family() {
    /// Ten looks in a row with the same one active, a tenth of a second apart: several advertisements; given up after two hundred.
    const SETTLES: &str = "
        same=0 last=
        for _ in $(seq 200); do
            now=; for n in fw-a fw-b; do ip -n $n -o address show | grep -qF \" $address/\" && now=\"$now $n\"; done
            if [ \"$now\" = \"$last\" ] && [ $(echo $now | wc -w) = 1 ]; then same=$((same + 1)); else same=0; fi
            last=$now
            [ $same = 10 ] && break
            sleep 0.1
        done
        echo \"ACTIVE$last SAME $same\"
        kill $pids; wait";
    for link in [LINK, "2001:db8:255::/64"] {
        let directory = tempfile::tempdir().expect("directory");
        let model = model_over(link);
        let plan = plan::plan(&model, &Devices::default(), Options::default());
        let nodes = files(&plan);
        let mut script = String::from("exec 2>&1\nmount -t tmpfs none /run\nip netns add fw-a && ip netns add fw-b\n");
        for device in nodes[0].1.watched.iter().chain([&nodes[0].1.link]) {
            script += &format!("ip link add {device} netns fw-a type veth peer name {device} netns fw-b\n");
        }
        for (host, pair, files) in &nodes {
            assert_eq!(pair.link, "sync");
            let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).expect("written");
            write(&format!("{host}.conf"), of(files, Daemon::Keepalived));
            let machine = plan.machines.values().find(|m| m.host.as_str() == host).expect("machine");
            write(&format!("{host}.nft"), &emit::nft::script(&machine.ruleset, ruleset::TableFamily::Inet, plan::TABLE));
            for device in &pair.watched {
                script += &format!("ip -n {host} link set {device} up\n");
            }
            let (length, nodad) = if pair.here.is_ipv4() { (30, "") } else { (64, "nodad") };
            script += &format!(
                "ip -n {host} link set lo up && ip -n {host} link set sync up && ip -n {host} address add {}/{length} dev sync {nodad}
                ip netns exec {host} nft -f \"$1/{host}.nft\" || exit 3\n",
                pair.here
            );
        }
        for (host, ..) in &nodes {
            script += &format!(
                "ip netns exec {host} keepalived --dont-fork --vrrp --use-file=\"$1/{host}.conf\" --pid=/run/{host}.pid --vrrp_pid=/run/{host}.vrrp &\npids=\"$pids $!\"\n"
            );
        }
        let advertised = nodes[0].1.advertised().expect("address").address.addr();
        script += &format!("address={advertised}\n{SETTLES}");
        let spaces = if is_root() { "-nm" } else { "-Urnm" };
        let out = Command::new("unshare").args([spaces, "sh", "-c", &script, "sh"]).arg(directory.path()).output().expect("unshare");
        let said = String::from_utf8_lossy(&out.stdout);
        assert!(said.contains("SAME 10"), "{link}: {said}");
    }
}

/// Sixty services published at one address: more origins than a line of the daemon holds.
#[test]
fn an_address_with_many_reasons_is_one_the_daemon_takes() {
    let directory = tempfile::tempdir().expect("directory");
    for (host, mut pair, _) in files(&planned(Mode::Enforce)) {
        let first = pair.addresses[0].origins.first().cloned().expect("origin");
        for address in &mut pair.addresses {
            address.origins = vec![first.clone(); 60];
        }
        pair.addresses[1].why = format!("a \"quoted\" \\ ${{reason}} @host \u{a0} {}", "ä".repeat(2000));
        let text = emit::keepalived::file(&words::HostName::new(&host).expect("name"), &pair);
        assert!(text.contains(" more)") && text.lines().all(|l| l.len() <= bundle::pair::MAX_LINE), "{text}");
        let file = OwnFile { path: Daemon::Keepalived.path().into(), mode: 0o644, content: text.clone() };
        assert_eq!(bundle::file::check([&file]), Ok(()), "{text}");
        let checked = inside(&pair, "keepalived --config-test --use-file=\"$1\"", &written(directory.path(), &text));
        assert_eq!(checked, (Some(0), String::new()), "{text}");
    }
}

/// Whatever is lost, a node that is drained is worth less than one that is not, and every loss counts.
#[test]
fn a_drained_node_is_worth_less_than_any_other() {
    let priority = i16::from(emit::keepalived::PRIORITY);
    let drained = priority + bundle::pair::DRAINED;
    assert!(drained > 1, "{drained}");
    for (host, pair, _) in files(&planned(Mode::Enforce)) {
        for links in 1..=199 {
            let pair = PairPlan { watched: (0..links).map(|n| format!("v{n}")).collect(), ..pair.clone() };
            let text = emit::keepalived::file(&words::HostName::new(&host).expect("name"), &pair);
            let weights: Vec<i16> = text
                .lines()
                .filter_map(|l| l.split_once("v").and(l.split_once(" weight ")))
                .map(|(_, n)| n.parse().expect("weight"))
                .collect();
            assert_eq!(weights.len(), links);
            assert!(weights.iter().all(|w| *w < 0) && priority + weights.iter().sum::<i16>() > drained, "{links}: {weights:?}");
        }
    }
}

/// The limit that the kernel kills by is the one of the file. Only root may ask for a place before others.
#[test]
fn the_election_is_not_killed_for_a_long_turn() {
    if !is_root() {
        return;
    }
    let directory = tempfile::tempdir().expect("directory");
    let (host, pair, _) = files(&planned(Mode::Enforce)).remove(0);
    let text = emit::keepalived::file(&words::HostName::new(&host).expect("name"), &pair);
    let script = "mkdir /run/ravelin-vrrp
        timeout 20 keepalived --dont-fork --vrrp --use-file=\"$1\" --pid=/run/ravelin-vrrp/keepalived.pid --vrrp_pid=/run/ravelin-vrrp/vrrp.pid &
        for _ in $(seq 100); do
            [ -s /run/ravelin-vrrp/vrrp.pid ] && limit=$(grep realtime.timeout /proc/$(cat /run/ravelin-vrrp/vrrp.pid)/limits) || limit=
            case \"$limit\" in *unlimited*|'') sleep 0.1;; *) break;; esac
        done
        echo LIMIT $limit
        kill $! && wait";
    let (_, said) = inside(&pair, script, &written(directory.path(), &text));
    // The daemon is warned at half of it.
    let most = emit::keepalived::REALTIME_LIMIT_US;
    let wanted = format!("LIMIT Max realtime timeout {} {most} us", most / 2);
    assert!(said.contains(&wanted), "{said}");
}

/// Why its unit waits for the network and never gives up: without an address on the link the daemon ends at once.
#[test]
fn conntrackd_ends_where_its_link_has_no_address() {
    /// What `timeout` says when it had to end the program: it ran.
    const ENDED: i32 = 124;
    let directory = tempfile::tempdir().expect("directory");
    let (_, pair, _) = files(&planned(Mode::Enforce)).remove(0);
    let script = format!("ip address flush dev {}; timeout 5 conntrackd -C \"$1\"", pair.link);
    let root = is_root();
    let text: String =
        emit::conntrackd::file(&pair).lines().filter(|l| root || !l.contains("SocketBuffer")).map(|l| format!("{l}\n")).collect();
    let (code, said) = inside(&pair, &script, &written(directory.path(), &text));
    assert!(code.is_some_and(|c| c != 0 && c != ENDED), "{code:?} {said}");
}

/// The kernel forgets a connection over UDP that was never answered after 30 seconds: the other node must be told again before, even if
/// it missed one telling.
#[test]
fn states_are_told_again_before_the_other_node_forgets() {
    /// `nf_conntrack_udp_timeout`, as the kernel has it and the plan leaves it.
    const FORGOTTEN: u64 = 30;
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../packaging/ravelin-states.timer");
    let text = fs::read_to_string(path).expect(path);
    let value = |key: &str| -> u64 { text.lines().find_map(|l| l.strip_prefix(key)).expect(key).parse().expect("seconds") };
    for key in ["OnActiveSec=", "OnUnitActiveSec="] {
        assert!(2 * (value(key) + value("AccuracySec=")) < FORGOTTEN, "{key}");
    }
    for machine in planned(Mode::Enforce).machines.values() {
        assert!(!machine.sysctls.iter().any(|s| s.key.ends_with("nf_conntrack_udp_timeout")), "another time to forget");
    }
}

/// What the catalogue says of the daemons' files is what is written.
#[test]
fn the_catalogue_knows_the_modes_of_the_daemons_files() {
    let plan = planned(Mode::Enforce);
    let (_, _, files) = files(&plan).remove(0);
    for daemon in Daemon::ALL {
        let file = files.iter().find(|f| f.path == daemon.path()).expect("its file");
        let known: Vec<_> = catalog::builtin().values().flat_map(|s| &s.paths).filter(|p| p.path == daemon.path()).collect();
        assert!(!known.is_empty() && known.iter().all(|p| p.mode.as_deref() == Some(format!("{:04o}", file.mode).as_str())), "{known:?}");
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
