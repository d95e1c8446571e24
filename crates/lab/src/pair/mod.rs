//! A redundant pair in a standing lab, with the daemons a real one has: keepalived and conntrackd run on both edge nodes from the
//! configuration the plan emits. In comes a stage, out come nodes that elect one another and can be drained, killed, stalled and
//! unplugged. Files and sockets lie below the lab's own `/run`; nothing else of the texts is changed. Never: puts an address on itself.

mod drill;
mod event;
pub mod forbidden;
mod traffic;
mod watch;

pub use drill::{Drill, drill};
pub use event::Event;
pub use traffic::{Count, Flows, Gap, Kinds, Opened};
pub use watch::{Roles, Turns};

use crate::{
    enter::{Isolation, isolation},
    error::LabError,
    stage::Stage,
};
use bundle::pair::{CONTROL, DRAINED, Daemon, HEALTH, LOCK};
use plan::PairPlan;
use rustix::process::{Pid, Signal, kill_process_group};
use std::{
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Where the daemons' files lie, below the lab's own `/run`, a directory for each node.
pub const DIRECTORY: &str = "/run/ravelin-pair";
/// The file of a node's health in its directory: what `ravelin pair drain` writes on a real one.
pub const HEALTH_FILE: &str = "health";
/// How long an election may take to settle: twenty times what it takes.
const SETTLES_WITHIN: Duration = Duration::from_secs(5);
/// How long an answer must stay the same to be believed: several advertisements.
const STEADY: Duration = Duration::from_millis(400);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(5);

/// One node.
struct Node {
    name: String,
    plan: PairPlan,
    directory: PathBuf,
    running: Vec<(Daemon, Child)>,
}

/// Both nodes with their daemons.
pub struct Pair<'s> {
    stage: &'s Stage,
    nodes: Vec<Node>,
}

impl Node {
    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
    fn health(&self) -> PathBuf {
        self.path(HEALTH_FILE)
    }
    /// A text as it is emitted, with the places of this node's own files. In a user namespace nobody may go past the kernel's bounds for
    /// buffers.
    fn own(&self, text: &str) -> String {
        let place = |name: &str| self.path(name).display().to_string();
        let text = text.replace(HEALTH, &place(HEALTH_FILE)).replace(LOCK, &place("lock")).replace(CONTROL, &place("control"));
        let kept = |l: &&str| isolation() == Isolation::MachineRoot || !l.contains("SocketBuffer");
        text.lines().filter(kept).map(|l| format!("{l}\n")).collect()
    }
}

impl<'s> Pair<'s> {
    /// Takes the addresses off that were put on by hand, starts everything, and waits until one node is active.
    pub fn start(stage: &'s Stage) -> Result<Self, LabError> {
        let mut nodes = Vec::new();
        for machine in stage.plan.machines.values() {
            let Some(plan) = machine.pair.clone() else { continue };
            let lines: String = plan.addresses.iter().map(|a| format!("address del {} dev {}\n", a.address, a.device)).collect();
            let name = machine.host.to_string();
            if stage.lab.active.as_deref() == Some(name.as_str()) {
                stage.lab.space(&name)?.program("ip", &["-batch", "-"], Some(&lines))?;
            }
            let directory = Path::new(DIRECTORY).join(&name);
            fs::create_dir_all(&directory).map_err(LabError::io(format!("create {}", directory.display())))?;
            let node = Node { name, plan, directory, running: Vec::new() };
            write(&node.path("keepalived.conf"), &node.own(&emit::keepalived::file(&machine.host, &node.plan)))?;
            write(&node.path("conntrackd.conf"), &node.own(&emit::conntrackd::file(&node.plan)))?;
            write(&node.health(), "0\n")?;
            nodes.push(node);
        }
        if nodes.len() != 2 {
            return Err(LabError::Other(format!("{} machines of this site elect one another, not two", nodes.len())));
        }
        let mut pair = Self { stage, nodes };
        for name in pair.names() {
            pair.run(&name)?;
        }
        pair.settled()?;
        Ok(pair)
    }

    /// The nodes' names.
    pub fn names(&self) -> Vec<String> {
        self.nodes.iter().map(|n| n.name.clone()).collect()
    }

    /// The other node.
    pub fn other(&self, name: &str) -> Result<String, LabError> {
        let other = self.nodes.iter().find(|n| n.name != name).map(|n| n.name.clone());
        other.ok_or_else(|| LabError::Other("a pair has two nodes".into()))
    }

    /// Starts a node's daemons, flows before addresses.
    pub fn run(&mut self, name: &str) -> Result<(), LabError> {
        Daemon::ALL.into_iter().try_for_each(|d| self.run_one(name, d))
    }

    /// Starts one of them.
    pub fn run_one(&mut self, name: &str, daemon: Daemon) -> Result<(), LabError> {
        let node = self.node(name)?;
        let (program, arguments) = match daemon {
            Daemon::Conntrackd => {
                // What was killed left it behind.
                let _ = fs::remove_file(node.path("lock"));
                ("conntrackd", vec!["-C".to_owned(), text(&node.path("conntrackd.conf"))])
            }
            Daemon::Keepalived => (
                "keepalived",
                vec![
                    "--dont-fork".to_owned(),
                    "--vrrp".to_owned(),
                    "--log-console".to_owned(),
                    format!("--use-file={}", text(&node.path("keepalived.conf"))),
                    format!("--pid={}", text(&node.path("keepalived.pid"))),
                    format!("--vrrp_pid={}", text(&node.path("vrrp.pid"))),
                ],
            ),
        };
        let log = fs::File::create(node.path(&format!("{program}.log"))).map_err(LabError::io("create a daemon's log"))?;
        let again = log.try_clone().map_err(LabError::io("open a daemon's log"))?;
        let child = self.stage.lab.space(name)?.run(|| {
            let mut command = Command::new(program);
            command.args(&arguments).stdin(Stdio::null()).stdout(log).stderr(again).process_group(0);
            command.spawn().map_err(|source| LabError::Spawn { program: program.into(), source })
        })?;
        self.node_mut(name)?.running.push((daemon, child));
        Ok(())
    }

    fn node(&self, name: &str) -> Result<&Node, LabError> {
        self.nodes.iter().find(|n| n.name == name).ok_or_else(|| LabError::NoNode { name: name.into(), known: self.names().join(", ") })
    }

    fn node_mut(&mut self, name: &str) -> Result<&mut Node, LabError> {
        let known = self.names().join(", ");
        self.nodes.iter_mut().find(|n| n.name == name).ok_or_else(|| LabError::NoNode { name: name.into(), known })
    }

    /// Nodes that hold every address of the pair, and those that hold some.
    pub fn holding(&self) -> Result<(Vec<String>, Vec<String>), LabError> {
        let (mut all, mut some) = (Vec::new(), Vec::new());
        for node in &self.nodes {
            let there = self.stage.lab.space(&node.name)?.run(|| {
                let mut addresses = sys::address::Addresses::open().map_err(|e| LabError::Other(e.to_string()))?;
                addresses.list().map_err(|e| LabError::Other(e.to_string()))
            })?;
            let held = node.plan.addresses.iter().filter(|a| there.iter().any(|e| e.address == a.address.addr())).count();
            if held == node.plan.addresses.len() {
                all.push(node.name.clone());
            }
            if held > 0 {
                some.push(node.name.clone());
            }
        }
        Ok((all, some))
    }

    /// The one active node, once it is the only one for a while.
    pub fn settled(&self) -> Result<String, LabError> {
        let begun = Instant::now();
        let mut since: Option<(Instant, String)> = None;
        loop {
            let (all, some) = self.holding()?;
            match (all.as_slice(), some.as_slice(), &since) {
                ([one], [_], Some((when, who))) if who == one => {
                    if when.elapsed() >= STEADY {
                        return Ok(one.clone());
                    }
                }
                ([one], [_], _) => since = Some((Instant::now(), one.clone())),
                _ => since = None,
            }
            if begun.elapsed() > SETTLES_WITHIN {
                return Err(LabError::Other(format!(
                    "no single node is active: {all:?} hold everything, {some:?} something{}",
                    self.logs()
                )));
            }
            std::thread::sleep(LOOK);
        }
    }

    /// The daemons' last words.
    pub fn logs(&self) -> String {
        let mut out = String::new();
        for n in &self.nodes {
            for program in ["keepalived", "conntrackd"] {
                let text = fs::read_to_string(n.path(&format!("{program}.log"))).unwrap_or_default();
                let last: Vec<&str> = text.lines().rev().take(25).collect();
                out += &format!("\n{} {program}: {}", n.name, last.into_iter().rev().collect::<Vec<_>>().join("\n    "));
            }
        }
        out
    }

    /// Hands everything to the other node, or takes the word back: the node that has it keeps it. The file is replaced, as `ravelin pair
    /// drain` does it.
    pub fn drain(&self, name: &str, on: bool) -> Result<(), LabError> {
        let number = format!("{}\n", if on { DRAINED } else { 0 });
        sys::file::replace_as(&self.node(name)?.health(), number.as_bytes(), 0o644).map_err(|e| LabError::Other(e.to_string()))
    }

    /// A node loses, or gets back, its device in a zone. What configures a machine's network puts its routes back then.
    pub fn plug(&self, name: &str, device: &str, up: bool) -> Result<(), LabError> {
        let space = self.stage.lab.space(name)?;
        space.program("ip", &["link", "set", "dev", device, if up { "up" } else { "down" }], None)?;
        if up {
            let node = self.stage.lab.topology.nodes.get(name);
            for (family, line) in node.iter().flat_map(|n| &n.routes) {
                let flag = if *family == words::Family::V4 { "-4" } else { "-6" };
                // Routes of other devices are there already.
                let _ = space.attempt("ip", &[&[flag], line.split(' ').collect::<Vec<_>>().as_slice()].concat(), None)?;
            }
        }
        Ok(())
    }

    /// Ends a node's daemons at once, without a last word.
    pub fn kill(&mut self, name: &str) -> Result<(), LabError> {
        for (_, mut child) in std::mem::take(&mut self.node_mut(name)?.running) {
            signal(&child, Signal::KILL);
            let _ = child.wait();
        }
        Ok(())
    }

    /// A node is gone: its daemons stand still, all its links go down in one go, its daemons end. None of them has a last word.
    pub fn power_off(&mut self, name: &str) -> Result<(), LabError> {
        self.node(name)?.running.iter().for_each(|(_, c)| signal(c, Signal::STOP));
        let lines: String = self.devices(name)?.iter().map(|d| format!("link set dev {d} down\n")).collect();
        self.stage.lab.space(name)?.program("ip", &["-batch", "-"], Some(&lines))?;
        self.kill(name)
    }

    /// Ends one daemon of a node at once.
    pub fn kill_one(&mut self, name: &str, daemon: Daemon) -> Result<(), LabError> {
        let node = self.node_mut(name)?;
        let (gone, rest) = std::mem::take(&mut node.running).into_iter().partition(|(d, _)| *d == daemon);
        node.running = rest;
        let gone: Vec<(Daemon, Child)> = gone;
        for (_, mut child) in gone {
            signal(&child, Signal::KILL);
            let _ = child.wait();
        }
        Ok(())
    }

    /// Takes the pair's addresses and every tracked connection off a node that was killed, as a boot does.
    pub fn forget(&self, name: &str) -> Result<(), LabError> {
        let node = self.node(name)?;
        let space = self.stage.lab.space(name)?;
        for a in &node.plan.addresses {
            // What is not there needs not be taken off.
            let _ = space.attempt("ip", &["address", "del", &a.address.to_string(), "dev", &a.device], None)?;
        }
        space.program("conntrack", &["-F"], None).map(drop)
    }

    /// Stops a node's daemons for a while; its kernel goes on.
    pub fn stall(&self, name: &str, how_long: Duration) -> Result<(), LabError> {
        let node = self.node(name)?;
        node.running.iter().for_each(|(_, c)| signal(c, Signal::STOP));
        std::thread::sleep(how_long);
        node.running.iter().for_each(|(_, c)| signal(c, Signal::CONT));
        Ok(())
    }

    /// What the timers of both nodes do, one after the other; until the node that is not active knows about as much as the other one.
    pub fn timers(&self) -> Result<(), LabError> {
        let active = self.settled()?;
        let other = self.other(&active)?;
        self.tell_states(&other, false)?;
        self.tell_states(&active, true)?;
        let known = |name: &str| -> Result<u64, LabError> {
            let out = self.stage.lab.space(name)?.program("sysctl", &["-n", "net.netfilter.nf_conntrack_count"], None)?;
            String::from_utf8_lossy(&out.stdout).trim().parse().map_err(|_| LabError::Other("the kernel counts no connections".into()))
        };
        let begun = Instant::now();
        // A tenth are the active node's own, and what comes and goes meanwhile.
        while known(&other)? * 10 < known(&active)? * 9 {
            if begun.elapsed() > SETTLES_WITHIN {
                return Err(LabError::Other(format!("{active} told {other} of its connections, and it knows too few{}", self.logs())));
            }
            std::thread::sleep(10 * LOOK);
        }
        Ok(())
    }

    /// The node whose own address on the link is the higher one: of two that are active it stays so.
    pub fn higher(&self) -> Option<String> {
        self.nodes.iter().max_by_key(|n| n.plan.here).map(|n| n.name.clone())
    }

    /// What the timer does on the active node (`ravelin-applier states`), and on the other one.
    pub fn tell_states(&self, name: &str, active: bool) -> Result<(), LabError> {
        let config = text(&self.node(name)?.path("conntrackd.conf"));
        let space = self.stage.lab.space(name)?;
        // Nodes changed, as far as anybody here knows.
        space.run(|| {
            let forgiven = sys::track::Tracking::open().and_then(|mut t| t.forgive_all());
            forgiven.map_err(|e| LabError::Other(e.to_string()))
        })?;
        let words: &[&[&str]] = if active { &[&["-R"], &["-B"]] } else { &[&["-f", "internal"]] };
        words.iter().try_for_each(|w| space.program("conntrackd", &[&["-C", config.as_str()], *w].concat(), None).map(drop))
    }

    /// The devices of a node's zones.
    pub fn devices(&self, name: &str) -> Result<Vec<String>, LabError> {
        let plan = &self.node(name)?.plan;
        Ok(plan.watched.iter().chain([&plan.link]).cloned().collect())
    }

    /// The device of the link between the nodes.
    pub fn link(&self, name: &str) -> Result<String, LabError> {
        Ok(self.node(name)?.plan.link.clone())
    }
}

impl Drop for Pair<'_> {
    fn drop(&mut self) {
        for name in self.names() {
            let _ = self.kill(&name);
        }
    }
}

fn signal(child: &Child, what: Signal) {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // A group that is gone needs no signal.
        let _ = kill_process_group(group, what);
    }
}

fn write(path: &Path, text: &str) -> Result<(), LabError> {
    fs::write(path, text).map_err(LabError::io(format!("write {}", path.display())))
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
