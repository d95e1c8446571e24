//! The redundant pair on two machines of the VM lab: a stock kernel, systemd with the emitted drop-ins, zones as tagged networks, the real
//! applier. A third machine holds the hosts and the provider's router in namespaces. Connections go through the pair all the while, over
//! TCP and UDP, translated both ways and not, and packets that the policy forbids are sent throughout. What is shown are functions:
//! emulation beside other work says nothing of milliseconds, and nodes may change there because one of them got no processor.

#![expect(clippy::print_stdout, reason = "what was seen is part of what the test says")]

use bundle::{Artefact, Bundle, Draft};
use emit::bundle::Link;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};
use vm::{Disk, Image, Machine, Mode, Options, Switch, cache};
use words::{Digest, HostName};

const SITE: &str = include_str!("two_nodes/site.toml");
const EDGE: &str = include_str!("two_nodes/edge.sh");
const HOSTS: &str = include_str!("two_nodes/hosts.sh");
const FLOWS: &str = include_str!("two_nodes/flows.py");
/// The date the site is read on.
const TODAY: &str = "2026-11-22";
/// systemd, two daemons and a ruleset need no more.
const MEMORY: u32 = 512;
/// What a script may take on an emulated machine beside others.
const SCRIPT: Duration = Duration::from_secs(420);
/// How long a state may take to come about: seconds on an idle machine.
const SOON: Duration = Duration::from_secs(240);
/// A boot of an emulated machine beside two others.
const BOOT: Duration = Duration::from_secs(420);

/// Longer than a timer takes to tell the other node what it does not know.
const TOLD: Duration = Duration::from_secs(15);

/// What goes on from beginning to end: name, protocol, from, to, port.
const INBOUND: [(&str, &str); 4] = [
    ("in-tcp4", "tcp,45.83.64.66,203.0.113.5,6665"),
    ("in-udp4", "udp,45.83.64.66,203.0.113.5,6665"),
    ("in-tcp6", "tcp,2a0b:f4c2:6666::66,2001:db8:20:20::11,6665"),
    ("in-udp6", "udp,2a0b:f4c2:6666::66,2001:db8:20:20::11,6665"),
];
const OUTBOUND: [(&str, &str); 3] = [
    ("out-tcp4", "tcp,10.20.20.11,45.83.64.66,4001"),
    ("out-udp4", "udp,10.20.20.11,45.83.64.66,4001"),
    ("out-tcp6", "tcp,2001:db8:20:20::11,2a0b:f4c2:6666::66,4001"),
];
const ANSWERS: [(&str, &str); 2] = [
    ("isp", "tcp 45.83.64.66 4001 udp 45.83.64.66 4001 tcp 2a0b:f4c2:6666::66 4001"),
    (
        "daemon1",
        "tcp 10.20.20.11 6665 udp 10.20.20.11 6665 tcp 2001:db8:20:20::11 6665 udp 2001:db8:20:20::11 6665 tcp 2001:db8:20:20::11 1234 udp 2001:db8:20:20::11 1234",
    ),
];
/// The node's RPC, from the Internet and from another zone; somebody listens there.
const FORBIDDEN: [(&str, &str); 2] = [
    ("isp", "tcp,2a0b:f4c2:6666::66,2001:db8:20:20::11,1234 udp,2a0b:f4c2:6666::66,2001:db8:20:20::11,1234"),
    ("market1", "tcp,2001:db8:20:10::11,2001:db8:20:20::11,1234 udp,2001:db8:20:10::11,2001:db8:20:20::11,1234"),
];

/// A machine that can be gone for a while.
struct Guest {
    name: &'static str,
    disk: Disk,
    options: Options,
    machine: Option<Machine>,
}

impl Guest {
    fn boot(&mut self, image: &Image) {
        let machine = Machine::boot(image, &self.disk, &self.options).unwrap_or_else(|e| panic!("{}: {e}", self.name));
        println!("{} booted in {:.0} s", self.name, machine.booted_in().as_secs_f64());
        self.machine = Some(machine);
    }
    fn machine(&mut self) -> &mut Machine {
        self.machine.as_mut().expect("a machine that runs")
    }
    fn ran(&mut self, script: &str) -> vm::Ran {
        let name = self.name;
        self.machine().run_within(script, SCRIPT).unwrap_or_else(|e| panic!("{name}: {e}"))
    }
    fn must(&mut self, script: &str) -> String {
        let ran = self.ran(script);
        assert!(ran.ok(), "{}: {script}\n{:?}: {}", self.name, ran.code, ran.said());
        ran.text()
    }
    fn put(&mut self, path: &str, mode: u32, content: &[u8]) {
        let name = self.name;
        self.machine().put(path, mode, content).unwrap_or_else(|e| panic!("{name}: {e}"));
    }
}

/// Both nodes and the machine with the hosts.
struct Site {
    image: Image,
    begun: Instant,
    nodes: [Guest; 2],
    hosts: Guest,
}

impl Site {
    fn say(&self, what: &str) {
        println!("{:4.0} s  {what}", self.begun.elapsed().as_secs_f64());
    }

    /// Three machines on one switch with tags, and a cable between two of them.
    fn boot() -> Self {
        let image = Image::ready(&cache::directory(), &|what| println!("{what}")).unwrap_or_else(|e| panic!("{e} {:?}", e.help()));
        let (trunk, cable) = (Switch::new().expect("a switch"), Switch::new().expect("a cable"));
        let new = |name, networks| {
            let options = Options { mode: Mode::Plain, memory: MEMORY, networks, boot_within: BOOT, ..Options::default() };
            Guest { name, disk: Disk::new(&image).expect("a disk"), options, machine: None }
        };
        let both = || vec![trunk.clone(), cable.clone()];
        let mut site = Self {
            nodes: [new("fw-a", both()), new("fw-b", both())],
            hosts: new("hosts", vec![trunk.clone()]),
            begun: Instant::now(),
            image: image.clone(),
        };
        let units = units();
        let (ravelin, applier) = (stripped("ravelin"), stripped("ravelin-applier"));
        std::thread::scope(|s| {
            for (node, last) in site.nodes.iter_mut().zip([2, 3]) {
                let (image, units, ravelin, applier) = (&image, &units, &ravelin, &applier);
                s.spawn(move || {
                    node.boot(image);
                    node.put("/usr/sbin/ravelin-applier", 0o755, applier);
                    node.put("/usr/bin/ravelin", 0o755, ravelin);
                    node.put("/root/site.toml", 0o600, SITE.as_bytes());
                    units.iter().for_each(|(name, text)| node.put(&format!("/etc/systemd/system/{name}"), 0o644, text));
                    node.must(&format!("set -- {last} {}\n{EDGE}", node.name));
                });
            }
            let (image, hosts) = (&image, &mut site.hosts);
            s.spawn(move || {
                hosts.boot(image);
                hosts.put("/root/flows.py", 0o755, FLOWS.as_bytes());
                hosts.must(HOSTS);
            });
        });
        site.say("three machines stand, zones are tagged networks");
        site
    }

    /// Nodes that hold all of the pair's addresses, and those that hold some.
    fn holders(&mut self) -> (Vec<usize>, Vec<usize>) {
        let (mut all, mut some) = (vec![], vec![]);
        for (n, node) in self.nodes.iter_mut().enumerate().filter(|(_, n)| n.machine.is_some()) {
            let there = node.must("ip -o address | grep -cE ' (203.0.113.[15]|10.20.[0-9]+.1)/32| 2001:db8:20:[0-9f]+::1/128'; true");
            let count: usize = there.trim().parse().expect("a number");
            // Five of IPv4, four of IPv6.
            if count == 9 {
                all.push(n);
            }
            if count > 0 {
                some.push(n);
            }
        }
        (all, some)
    }

    /// The one active node, once there is one.
    fn active(&mut self) -> usize {
        let begun = Instant::now();
        loop {
            match self.holders() {
                (all, some) if all.len() == 1 && some == all => return all[0],
                other => assert!(begun.elapsed() < SOON, "no single node is active: {other:?}{}", self.logs()),
            }
            std::thread::sleep(Duration::from_secs(1));
        }
    }

    fn logs(&mut self) -> String {
        let told = "journalctl -b --no-pager -o cat -u keepalived -u conntrackd -u ravelin-states | tail -40; ip -br address";
        let running = self.nodes.iter_mut().filter(|n| n.machine.is_some());
        running
            .map(|n| {
                let said = n.must(told);
                format!("\n--- {}\n{said}", n.name)
            })
            .collect()
    }

    /// Begins what goes on from here to the end.
    fn traffic(&mut self) {
        let run = |space: &str, words: &str| {
            format!("setsid ip netns exec {space} python3 /root/flows.py {words} >/root/{space}.log 2>&1 </dev/null &\n")
        };
        let hold = |flows: &[(&str, &str)]| flows.iter().map(|(name, way)| format!("{name}={way} ")).collect::<String>();
        let mut script: String = "cd /root\n".into();
        script += &ANSWERS.map(|(space, words)| run(space, &format!("answer {words}"))).concat();
        script += "until [ $(ip netns exec daemon1 ss -Hltn | wc -l) -ge 3 ] && [ $(ip netns exec isp ss -Hltn | wc -l) -ge 2 ]; do sleep 1; done\n";
        script += &run("isp", &format!("hold {}", hold(&INBOUND)));
        script += &run("daemon1", &format!("hold {}", hold(&OUTBOUND)));
        script += &FORBIDDEN.map(|(space, words)| run(space, &format!("forbidden {space} {words}"))).concat();
        self.hosts.must(&script);
        self.all_go_on("they opened");
    }

    /// What `flows.py` says, by connection.
    fn seen(&mut self) -> BTreeMap<String, Value> {
        let text = self.hosts.must("cd /root; for f in *.json; do echo \"${f%.json} $(cat $f)\"; done");
        let line = |l: &str| l.split_once(' ').and_then(|(name, json)| Some((name.to_owned(), serde_json::from_str(json).ok()?)));
        text.lines().filter_map(line).collect()
    }

    /// Every connection is answered from here on, none was reset, and what is forbidden has not passed.
    fn all_go_on(&mut self, after: &str) {
        let begun = Instant::now();
        let names = INBOUND.iter().chain(&OUTBOUND).map(|(n, _)| *n);
        let answered = |seen: &BTreeMap<String, Value>, name: &str| seen.get(name).and_then(|f| f["answered"].as_u64()).unwrap_or(0);
        let before = self.seen();
        loop {
            let seen = self.seen();
            for (name, f) in &seen {
                assert!(f["reset"].as_u64().unwrap_or(0) == 0, "{after}: {name} {f}{}", self.logs());
                assert!(f["through"].as_u64().unwrap_or(0) == 0, "{after}: what is forbidden passed: {f}");
            }
            let silent: Vec<&str> = names.clone().filter(|n| answered(&seen, n) <= answered(&before, n)).collect();
            if silent.is_empty() {
                let tried: u64 = FORBIDDEN.iter().filter_map(|(space, _)| seen.get(*space)?["tried"].as_u64()).sum();
                self.say(&format!("{after}: all {} connections go on; {tried} forbidden ones tried", names.count()));
                return;
            }
            assert!(begun.elapsed() < SOON, "{after}: {silent:?} have no answer: {seen:?}{}", self.logs());
            std::thread::sleep(Duration::from_secs(1));
        }
    }
}

/// The units a package puts beside the applier.
fn units() -> Vec<(String, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging");
    let files = std::fs::read_dir(directory).expect("packaging").flatten();
    files.map(|f| (f.file_name().to_string_lossy().into_owned(), std::fs::read(f.path()).expect("reads"))).collect()
}

/// A program as it was built, without debug information.
fn stripped(name: &str) -> Vec<u8> {
    let built = PathBuf::from(env!("CARGO_BIN_EXE_ravelin")).with_file_name(name);
    let directory = tempfile::tempdir().expect("directory");
    let small = directory.path().join(name);
    assert!(Command::new("strip").arg("-o").arg(&small).arg(&built).status().expect("strip runs").success(), "{}", built.display());
    std::fs::read(small).expect("reads")
}

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
