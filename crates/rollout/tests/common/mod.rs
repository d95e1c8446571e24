//! Machines for the tests: network namespaces with the real applier and the real nft, wired to one switch. Nothing here touches the machine's
//! own network; what is left running ends with the test's process namespace.
#![allow(dead_code, reason = "each test program uses a part of it")]

use bundle::{Artefact, Bundle, Draft, Expect, Expected, Management, Trial, content::SCHEMA};
use rollout::{Agreed, Bundles, Class, Planned, Prove, Target, Wave, ask::Status, transport::Namespaces};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::Mutex,
    time::{Duration, Instant},
};
use words::{Digest, Generation, HostName};

pub const INSIDE: &str = "RAVELIN_TEST_INSIDE";
/// Where the applier is, for a copy of the test program.
pub const APPLIER: &str = "RAVELIN_TEST_APPLIER";
/// Where the machines of a test are.
pub const HANDLES: &str = "/run/netns";
pub const STATES: &str = "/run/states";
/// Longest a timer of ours needs beyond its deadline on a busy machine.
pub const TIMER_GRACE: Duration = Duration::from_secs(20);

/// The applier of this build; testing this package alone does not build another one's program.
pub fn applier() -> PathBuf {
    if let Some(known) = std::env::var_os(APPLIER) {
        return known.into();
    }
    let exe = std::env::current_exe().expect("own program");
    exe.ancestors().nth(2).expect("the build's directory").join("ravelin-applier")
}

/// Testing this package alone does not build another one's program.
pub fn build() {
    let built = Command::new(env!("CARGO")).args(["build", "--quiet", "--package", "apply", "--bin", "ravelin-applier"]).status();
    assert!(built.expect("cargo").success());
}

/// The command that runs the test of this name again in namespaces of its own.
pub fn outside(test: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args(["-Urnmpf", "--kill-child", "--mount-proc"]).arg(std::env::current_exe().expect("own program"));
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]);
    command.env(INSIDE, "1").env(APPLIER, applier()).env_remove("SSH_CONNECTION").env_remove("SSH_CLIENT");
    command
}

/// Inside, before anything else.
pub fn enter() {
    run("ip", &["link", "set", "lo", "up"]);
    for place in ["/tmp", "/run"] {
        run("mount", &["-t", "tmpfs", "none", place]);
    }
    for dir in [HANDLES, STATES] {
        fs::create_dir_all(dir).expect("makes");
    }
}

/// Runs the test of this name again in namespaces of its own; `true` inside of them.
pub fn inside(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        enter();
        return true;
    }
    build();
    let status = outside(test).status().expect("unshare is installed");
    assert!(status.success(), "{test} failed in its namespaces");
    false
}

/// Runs a program that must succeed.
pub fn run(program: &str, arguments: &[&str]) -> String {
    let out = Command::new(program).args(arguments).output().unwrap_or_else(|e| panic!("{program}: {e}"));
    assert!(out.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

pub fn host(name: &str) -> HostName {
    HostName::new(name).expect("name")
}

/// A machine of the test.
#[derive(Debug, Clone)]
pub struct Node {
    pub name: HostName,
    pub address: String,
}

impl Node {
    pub fn state(&self) -> PathBuf {
        Path::new(STATES).join(self.name.as_str())
    }
    /// A program in its namespace.
    pub fn attempt(&self, program: &str, arguments: &[&str]) -> Output {
        let net = format!("--net={HANDLES}/{}", self.name);
        Command::new("nsenter").args([net.as_str(), "--", program]).args(arguments).output().expect("nsenter")
    }
    pub fn run(&self, line: &str) -> String {
        let words: Vec<&str> = line.split_whitespace().collect();
        let out = self.attempt(words[0], &words[1..]);
        assert!(out.status.success(), "{}: {line}: {}", self.name, String::from_utf8_lossy(&out.stderr));
        String::from_utf8_lossy(&out.stdout).into_owned()
    }
    /// Runs its applier, which must succeed.
    pub fn applied(&self, arguments: &[&str]) -> String {
        let out = self.applier(arguments);
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        assert!(out.status.success(), "{} {arguments:?}: {text}{}", self.name, String::from_utf8_lossy(&out.stderr));
        text
    }
    pub fn applier(&self, arguments: &[&str]) -> Output {
        let (program, state) = (applier().display().to_string(), self.state().display().to_string());
        self.attempt(&program, &[&["--state", &state], arguments].concat())
    }
    pub fn status(&self) -> Status {
        serde_json::from_str(&self.applied(&["--json", "status"])).expect("a status")
    }
    /// Its table as the kernel has it; empty where it has none.
    pub fn live(&self) -> String {
        String::from_utf8_lossy(&self.attempt("nft", &["-s", "list", "table", "inet", "ravelin"]).stdout).into_owned()
    }
    /// The timer that watches a change under way here.
    pub fn timer(&self) -> Option<u32> {
        let text = fs::read_to_string(self.state().join("pending/timer.json")).ok()?;
        let json: serde_json::Value = serde_json::from_str(&text).ok()?;
        u32::try_from(json["pid"].as_u64()?).ok().filter(|pid| Path::new(&format!("/proc/{pid}")).exists())
    }
    /// Waits until no change is under way.
    pub fn settles(&self, within: Duration) {
        let begun = Instant::now();
        while self.status().pending.is_some() {
            assert!(begun.elapsed() < within, "{} does not go back", self.name);
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Machines on one switch, each with a confirmed first generation that lets `ports` in.
pub fn nodes(count: usize, ports: &str) -> Vec<Node> {
    let _ = Command::new("ip").args(["link", "add", "switch", "type", "bridge", "forward_delay", "0"]).output();
    run("ip", &["link", "set", "switch", "up"]);
    let all: Vec<Node> =
        (1..=count).map(|n| Node { name: host(&format!("m{n}")), address: format!("10.8.{}.{}", n / 250, n % 250 + 1) }).collect();
    for (n, node) in all.iter().enumerate() {
        run("ip", &["netns", "add", node.name.as_str()]);
        run("ip", &["link", "add", &format!("p{n}"), "type", "veth", "peer", "name", "eth0", "netns", node.name.as_str()]);
        run("ip", &["link", "set", &format!("p{n}"), "master", "switch", "up"]);
        node.run("ip link set lo up");
        node.run(&format!("ip address add {}/16 dev eth0", node.address));
        node.run("ip link set eth0 up");
        fs::create_dir_all(node.state()).expect("makes");
        let first = sealed(node, ports, 1, None);
        let path = format!("/tmp/{}.first", node.name);
        fs::write(&path, first.to_bytes()).expect("writes");
        node.applied(&["apply", &path, "--auto-confirm"]);
    }
    all
}

/// A strict ruleset that lets these TCP ports in and everything out.
pub fn ruleset(ports: &str) -> String {
    format!(
        "table inet ravelin {{ }}\ndelete table inet ravelin\ntable inet ravelin {{
  chain input {{
    type filter hook input priority 0; policy drop;
    iifname \"lo\" accept
    ct state established,related accept comment \"NET001\"
    icmp type echo-request accept
    icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert }} accept
    tcp dport {{ {ports} }} ct state new accept comment \"f0000001\"
    counter drop comment \"NET099\"
  }}
}}
"
    )
}

/// What the kernel makes of a script, read in a network namespace of its own.
fn meaning(script: &str) -> ruleset::Ruleset {
    static KNOWN: Mutex<BTreeMap<String, ruleset::Ruleset>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().expect("nobody panics with it");
    known
        .entry(script.to_owned())
        .or_insert_with(|| {
            fs::write("/tmp/meaning.nft", script).expect("writes");
            let json = run("unshare", &["-n", "sh", "-c", "nft -f /tmp/meaning.nft && nft -j list ruleset"]);
            ruleset::nft::read(&json).expect("nft's JSON is understood")
        })
        .clone()
}

/// A bundle that lets these ports in.
pub fn sealed(node: &Node, ports: &str, generation: u64, parent: Option<Digest>) -> Bundle {
    let script = ruleset(ports);
    let draft = Draft {
        schema: SCHEMA,
        machine: node.name.clone(),
        generation: Generation(generation),
        parent,
        site: Digest::of(b"site"),
        layers: BTreeMap::new(),
        artefacts: vec![Artefact::Nft { text: script.clone() }],
        expected: Expected { ruleset: Some(meaning(&script)) },
        management: Management { from: vec!["0.0.0.0/0".parse().expect("net")], ports: vec![22] },
        break_glass: ruleset("22"),
        probes: vec![],
        seeds: vec![],
    };
    Bundle::seal(draft).expect("seals")
}

/// The way to them.
pub fn transport() -> Namespaces {
    Namespaces { enter: vec![], handles: HANDLES.into(), states: STATES.into(), applier: applier(), reason: "a test".into() }
}

/// Plans the same change for all of them: from one list of ports to another.
pub struct Change {
    pub nodes: Vec<Node>,
    pub waves: Vec<Vec<usize>>,
    pub ports: String,
    /// Other ports for the last machine.
    pub last: Option<String>,
    /// Each tries its neighbour: a port that is open before and after, one that only the new plan opens, one that only the old one does.
    pub tries: (u16, u16, u16),
}

impl Prove for Change {
    fn prove(&mut self, statuses: &BTreeMap<HostName, Status>, _: &BTreeMap<HostName, String>) -> Result<(Agreed, Bundles), Vec<String>> {
        let (mut agreed, mut bundles) = (Agreed { proved: vec!["made up".into()], ..Agreed::default() }, Bundles::new());
        for (n, node) in self.nodes.iter().enumerate() {
            let Some(status) = statuses.get(&node.name) else { continue };
            let parent = status.confirmed.as_ref().map(|c| c.digest);
            let other = self.last.as_ref().filter(|_| n + 1 == self.nodes.len());
            let bundle = sealed(node, other.unwrap_or(&self.ports), status.next_generation.0, parent);
            let (digest, generation) = (bundle.digest(), bundle.draft().generation);
            agreed.targets.insert(node.name.clone(), Target { digest, generation, before: parent, unchanged: false });
            bundles.insert(node.name.clone(), bundle.to_bytes());
            let next = &self.nodes[(n + 1) % self.nodes.len()];
            if statuses.contains_key(&next.name) {
                let planned = |port: u16, class, expect| Planned {
                    trial: Trial {
                        id: format!("f{port}"),
                        proto: words::Proto::Tcp,
                        from: None,
                        to: next.address.parse().expect("address"),
                        port,
                        expect,
                    },
                    class,
                    passes: vec![next.name.clone()],
                };
                let (kept, new, gone) = self.tries;
                let all = [
                    planned(kept, Class::Kept, Expect::Open),
                    planned(new, Class::New, Expect::Open),
                    planned(gone, Class::Gone, Expect::Closed),
                ];
                agreed.probes.insert(node.name.clone(), all.into_iter().filter(|p| p.trial.port != 0).collect());
            }
        }
        let named = |wave: &Vec<usize>| wave.iter().map(|n| self.nodes[*n].name.clone()).filter(|m| statuses.contains_key(m)).collect();
        agreed.waves = self.waves.iter().map(|w| Wave { machines: named(w), drained: None, why: "made up".into() }).collect();
        Ok((agreed, bundles))
    }
}
