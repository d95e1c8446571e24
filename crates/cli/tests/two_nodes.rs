//! The redundant pair on two machines of the VM lab: a stock kernel, systemd with the emitted drop-ins, zones as tagged networks, the real
//! applier. A third machine holds the hosts and the provider's router in namespaces. Connections go through the pair all the while, over
//! TCP and UDP, translated both ways and not, and packets that the policy forbids are sent throughout. What is shown are functions:
//! emulation beside other work says nothing of milliseconds, and nodes may change there because one of them got no processor.

#![expect(clippy::print_stdout, reason = "what was seen is part of what the test says")]

use bundle::{Artefact, Bundle, Draft};
use emit::bundle::Link;
use std::{
    process::Command,
    time::{Duration, Instant},
};
use words::{Digest, HostName};

#[path = "two_nodes/standing.rs"]
mod standing;

use standing::{Guest, SITE, Site};

/// The date the site is read on.
const TODAY: &str = "2026-11-22";
/// Longer than a timer takes to tell the other node what it does not know.
const TOLD: Duration = Duration::from_secs(15);

/// What a node gets, with this in place of the draft's own.
fn bundle(host: &str, generation: u64, parent: Option<Digest>, site: &str, change: impl FnOnce(&mut Draft)) -> Bundle {
    let source = words::SourceFile::new("site.toml", site);
    let model = site::read(&source, TODAY).model.expect("a valid site");
    let (host, devices): (HostName, _) = (host.parse().expect("a name"), plan::Devices::default());
    let plan = plan::plan(&model, &devices, plan::Options::default());
    let machine = &plan.machines[&host];
    let glass = plan::break_glass(&model, &devices, &host).expect("managed");
    let link = Link { generation: words::Generation(generation), parent, ..Link::default() };
    let mut draft = emit::bundle::draft(&model, machine, &glass, Digest::of(site.as_bytes()), link);
    draft.artefacts.extend(emit::pair::files(machine).into_iter().map(Artefact::File));
    // What answers here is no service of the site.
    draft.probes.clear();
    change(&mut draft);
    Bundle::seal(draft).expect("seals")
}

fn apply(node: &mut Guest, bundle: &Bundle, words: &str) {
    node.put("/root/bundle", 0o600, &bundle.to_bytes());
    let ran = node.ran(&format!("ravelin-applier apply /root/bundle --tracking-period 1 {words}"));
    if !ran.ok() {
        let journal = node.must("journalctl -b --no-pager -o cat -u keepalived -u conntrackd | tail -50");
        panic!("{}: {}{journal}", node.name, ran.said());
    }
}

/// Both daemons run as their units have them: started once, as no account of the machine's, under a filter, told apart by nothing else.
fn daemons_run(node: &mut Guest) {
    for (unit, program) in [("conntrackd", "conntrackd"), ("keepalived", "keepalived")] {
        let show = format!("systemctl show {unit} -p ActiveState,UnitFileState,DynamicUser,NRestarts | sort | tr '\\n' ' '");
        let said = node.must(&show);
        let journal = node.must("systemctl --no-pager status keepalived conntrackd; true");
        assert_eq!(said.trim(), "ActiveState=active DynamicUser=yes NRestarts=0 UnitFileState=enabled", "{unit}\n{journal}");
        let process = format!(
            "p=$(systemctl show {unit} -P MainPID); cat /proc/$p/comm; awk '/^Uid|^Seccomp:|^NoNewPrivs/ {{print $2}}' /proc/$p/status | tr '\\n' ' '"
        );
        let said = node.must(&process);
        let words: Vec<&str> = said.split_whitespace().collect();
        let [comm, uid, privileges, filter] = words[..] else { panic!("{unit}: {said}") };
        // systemd's range of dynamic accounts.
        assert!(comm == program && uid.parse::<u32>().is_ok_and(|u| (61184..=65519).contains(&u)), "{unit}: {said}");
        assert_eq!((privileges, filter), ("1", "2"), "{unit}: {said}");
    }
}

/// Exit code and words of `ravelin pair status` on a node.
fn status(node: &mut Guest) -> (vm::Code, String) {
    let ran = node.ran("ravelin pair status /root/site.toml");
    (ran.code, ran.said())
}

#[test]
#[ignore = "three machines under emulation, 12 minutes on a busy machine"]
fn a_pair_on_two_machines_keeps_connections_and_lets_nothing_else_pass() {
    // Testing this package alone does not build another one's program.
    let built = Command::new(env!("CARGO")).args(["build", "--quiet", "--package", "apply", "--bin", "ravelin-applier"]).status();
    assert!(built.expect("cargo").success());
    let mut site = Site::boot();

    // One after the other: who elects first and hears nobody is active.
    let first: Vec<Bundle> = ["fw-a", "fw-b"].iter().map(|n| bundle(n, 1, None, SITE, |_| {})).collect();
    for (node, bundle) in site.nodes.iter_mut().zip(&first) {
        apply(node, bundle, "--auto-confirm");
        daemons_run(node);
    }
    site.say("both nodes have their bundle and run their daemons");
    site.active();
    site.traffic();

    // What a taken-over host says of the election counts nowhere.
    let denied = |node: &mut Guest| -> u64 {
        let rules = node.must(
            "nft list table inet ravelin | grep -E 'comment \"(deny/vrrp/in|spoof|guard)' | grep -o 'packets [0-9]*' | cut -d' ' -f2",
        );
        rules.split_whitespace().filter_map(|n| n.parse::<u64>().ok()).sum()
    };
    let before = site.nodes.each_mut().map(denied);
    site.hosts.must(
        "cd /root; ip netns exec market1 python3 flows.py adverts market1 10.20.10.11 224.0.0.18 10.20.10.2 10.20.10.3
        ip netns exec isp python3 flows.py adverts isp 203.0.113.14 224.0.0.18 203.0.113.2 203.0.113.3",
    );
    let after = site.nodes.each_mut().map(denied);
    assert!(after[0] >= before[0] + 60 && after[1] >= before[1] + 60, "forged advertisements were not refused: {before:?} {after:?}");
    site.active();
    site.all_go_on("forged advertisements");

    // Each node says how it stands; the timers of both have run.
    let [a, b] = &mut site.nodes;
    let (a, b) = std::thread::scope(|s| {
        let other = s.spawn(|| status(b));
        (status(a), other.join().expect("status"))
    });
    println!("{}{}", a.1, b.1);
    let parts = [&a, &b].map(|(_, said)| said.contains(": active, with 9 of the pair's 9")).iter().filter(|x| **x).count();
    assert!(parts == 1 && [&a, &b].iter().any(|(_, said)| said.contains(": standby, with 0 of")), "{a:?} {b:?}");
    assert!([&a, &b].iter().all(|(code, said)| *code == vm::Code::Exit(0) && said.contains("holds the policy")), "{a:?} {b:?}");
    let active = site.active();
    let timers = site
        .nodes
        .each_mut()
        .map(|n| n.must("journalctl -b --no-pager -o cat -u ravelin-states; systemctl is-active ravelin-states.timer"));
    assert!(timers[active].contains("\"told\"") && timers[1 - active].contains("\"forgot\""), "{timers:?}");
    assert!(timers.iter().all(|t| !t.contains("Failed") && t.trim().ends_with("active")), "{timers:?}");

    // A planned handover.
    let drained = site.nodes[active].must("ravelin pair drain");
    assert!(drained.contains("has handed everything over"), "{drained}");
    assert_eq!(site.active(), 1 - active);
    site.all_go_on("a drain");
    site.nodes[active].must("ravelin pair drain --return");

    // The active node loses its power; back, it takes nothing over.
    // The one that was drained has to be told first.
    std::thread::sleep(TOLD);
    let gone = site.active();
    let stays = 1 - gone;
    site.nodes[gone].machine.take().expect("runs").cut();
    assert_eq!(site.active(), stays);
    site.all_go_on("the active node's power cut");
    let image = site.image.clone();
    site.nodes[gone].boot(&image);
    daemons_run(&mut site.nodes[gone]);
    site.active();
    site.all_go_on("it is back");

    // Frozen: the other one takes over, and when it goes on there is one active node again.
    std::thread::sleep(TOLD);
    let frozen = site.active();
    site.nodes[frozen].machine().freeze();
    let begun = Instant::now();
    let machine = site.nodes[frozen].machine.take();
    assert_eq!(site.active(), 1 - frozen, "who is left takes over");
    site.nodes[frozen].machine = machine;
    site.all_go_on("the active node frozen");
    site.say(&format!("frozen for {:.0} s", begun.elapsed().as_secs_f64()));
    site.nodes[frozen].machine().thaw();
    site.active();
    site.all_go_on("it goes on");

    daemons_follow(&mut site, &first);
    site.active();
    site.all_go_on("daemons changed on the standby node");
}

/// The applier and the real systemd: another file is read again without giving anything up, an election that is taken away is stopped, and
/// what is taken back runs as before.
fn daemons_follow(site: &mut Site, first: &[Bundle]) {
    let standby = 1 - site.active();
    let node = &mut site.nodes[standby];
    let main = "systemctl show keepalived -P MainPID";
    let states = "for u in keepalived.service conntrackd.service ravelin-states.timer; do echo $(systemctl is-active $u) $(systemctl is-enabled $u); done | sort -u";
    let before = node.must(main);
    let more = SITE.replace("vip    = { internet = [\"203.0.113.1\",", "vip    = { internet = [\"203.0.113.1\", \"203.0.113.9\",");
    assert_ne!(more, SITE);
    let second = bundle(node.name, 2, Some(first[standby].digest()), &more, |_| {});
    apply(node, &second, "--confirm-within 3000");
    assert!(node.must("cat /etc/keepalived/ravelin.conf").contains("203.0.113.9/32"));
    assert_eq!(node.must(main), before, "read again, not started again");
    node.must("ravelin-applier revert");
    assert!(!node.must("cat /etc/keepalived/ravelin.conf").contains("203.0.113.9/32"));
    assert_eq!((node.must(main), node.must(states)), (before, "active enabled\n".into()));
    let none = bundle(node.name, 3, Some(first[standby].digest()), SITE, |d| {
        d.artefacts.retain(|a| !matches!(a, Artefact::File(_) | Artefact::Addresses { .. }));
    });
    apply(node, &none, "--confirm-within 3000");
    assert_eq!(node.must(states), "inactive disabled\n");
    node.must("! test -e /etc/systemd/system/keepalived.service.d/10-ravelin.conf");
    node.must("ravelin-applier revert");
    daemons_run(node);
    assert_eq!(node.must(states), "active enabled\n");
    site.say("another file, none, and each taken back, with the real systemd");
}
