//! Two edge nodes, a machine with the hosts, and what goes through all the while. In comes a step's name, out comes that every connection goes on
//! and nothing forbidden passed, or the journals of both nodes.

use serde_json::Value;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};
use vm::{Disk, Image, Machine, Mode, Options, Switch, cache};

/// What both nodes are nodes of.
pub const SITE: &str = include_str!("site.toml");
const EDGE: &str = include_str!("edge.sh");
const HOSTS: &str = include_str!("hosts.sh");
const FLOWS: &str = include_str!("flows.py");
/// systemd, two daemons and a ruleset need no more.
const MEMORY: u32 = 512;
/// What a script may take on an emulated machine beside others.
const SCRIPT: Duration = Duration::from_secs(420);
/// How long a state may take to come about: seconds on an idle machine.
const SOON: Duration = Duration::from_secs(240);
/// A boot of an emulated machine beside two others.
const BOOT: Duration = Duration::from_secs(420);

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
pub struct Guest {
    pub name: &'static str,
    disk: Disk,
    options: Options,
    pub machine: Option<Machine>,
}

impl Guest {
    pub fn boot(&mut self, image: &Image) {
        let machine = Machine::boot(image, &self.disk, &self.options).unwrap_or_else(|e| panic!("{}: {e}", self.name));
        println!("{} booted in {:.0} s", self.name, machine.booted_in().as_secs_f64());
        self.machine = Some(machine);
    }
    pub fn machine(&mut self) -> &mut Machine {
        self.machine.as_mut().expect("a machine that runs")
    }
    pub fn ran(&mut self, script: &str) -> vm::Ran {
        let name = self.name;
        self.machine().run_within(script, SCRIPT).unwrap_or_else(|e| panic!("{name}: {e}"))
    }
    pub fn must(&mut self, script: &str) -> String {
        let ran = self.ran(script);
        assert!(ran.ok(), "{}: {script}\n{:?}: {}", self.name, ran.code, ran.said());
        ran.text()
    }
    pub fn put(&mut self, path: &str, mode: u32, content: &[u8]) {
        let name = self.name;
        self.machine().put(path, mode, content).unwrap_or_else(|e| panic!("{name}: {e}"));
    }
}

/// Both nodes and the machine with the hosts.
pub struct Site {
    pub image: Image,
    begun: Instant,
    pub nodes: [Guest; 2],
    pub hosts: Guest,
}

impl Site {
    pub fn say(&self, what: &str) {
        println!("{:4.0} s  {what}", self.begun.elapsed().as_secs_f64());
    }

    /// Three machines on one switch with tags, and a cable between two of them.
    pub fn boot() -> Self {
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
    pub fn active(&mut self) -> usize {
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
    pub fn traffic(&mut self) {
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
    pub fn all_go_on(&mut self, after: &str) {
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
