//! Dies at every step: the coordinator, an applier, a machine, at each step of the code's own list and each wave, on the way to the decision and
//! on the way back. The coordinator is a process of its own with the real driver and ledger, the machines have the real applier and nft.
//! Afterwards, after all timers and, where the ledger says that it is decided, a resumed run: all-old or all-new.
#![expect(clippy::print_stdout, reason = "the count is part of what the test says")]

mod common;

use common::*;
use rollout::{
    Driver, Injection, Outcome, Partial, Place, Setup, Step, Times, Transport, Unreachable, Watch,
    ask::Answer,
    ledger::{Context, Ledger},
    transport::Namespaces,
};
use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use words::HostName;

const COORDINATOR: &str = "RAVELIN_TEST_COORDINATOR";
const LEDGER: &str = "/tmp/ledger";
/// Short, so that all of it takes minutes. A probe of what is closed waits 3 s: only where the rollout is to fail.
fn times(fails: bool) -> Times {
    Times { ask: 3, apply: 3, probe: if fails { 5 } else { 2 }, record: 1, margin: 0, pause_ms: 200, longest: 600 }
}
/// Machines, and the one that fails.
const MACHINES: usize = 3;
const VICTIM: usize = 1;
const OLD: &str = "22, 80";
const NEW: &str = "22, 80, 443";

/// Who dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Coordinator,
    Applier,
    Machine,
}

impl Who {
    const ALL: [Who; 3] = [Who::Coordinator, Who::Applier, Who::Machine];
}

/// A death, and whether the rollout was going to fail anyway, so that the steps of going back are met.
#[derive(Debug, Clone, Copy)]
struct Case {
    who: Who,
    step: Step,
    time: usize,
    fails: bool,
}

/// What happens to the victim, from the moment its step begins.
#[derive(Debug, Default)]
struct Fault {
    applier: bool,
    machine: bool,
}

struct Faulty {
    inner: Namespaces,
    fault: Arc<Mutex<Fault>>,
}

impl Transport for Faulty {
    fn call(&self, machine: &HostName, words: &[String], input: &[u8], within: Duration) -> Result<Answer, Unreachable> {
        let victim = machine.as_str() == format!("m{}", VICTIM + 1);
        let mut fault = self.fault.lock().expect("nobody panics with it");
        if victim && fault.machine {
            return Err(Unreachable("the machine is gone".into()));
        }
        let dies = victim && std::mem::take(&mut fault.applier);
        drop(fault);
        if !dies {
            return self.inner.call(machine, words, input, within);
        }
        // In the middle of what it does: the verbs that change something are killed after they have begun to.
        let inject = match words.first().map(String::as_str) {
            Some("apply") => Some("--inject=files=kill"),
            Some("confirm") => Some("--inject=persist=kill"),
            _ => None,
        };
        match inject {
            Some(inject) => self.inner.call(machine, &[words, &[inject.to_owned()]].concat(), input, within),
            None => Ok(Answer::default()),
        }
    }
    fn console(&self) -> Option<String> {
        self.inner.console()
    }
}

struct Watcher {
    case: Case,
    fault: Arc<Mutex<Fault>>,
    victim: Node,
    taken: Mutex<BTreeMap<Step, usize>>,
    asks: Vec<Step>,
}

impl Watch for Watcher {
    fn begins(&self, step: Step, _: Option<usize>, _: usize, _: usize) {
        let mut taken = self.taken.lock().expect("nobody panics with it");
        let time = taken.entry(step).or_default();
        *time += 1;
        // What was met is for the test to count.
        let text = fs::read_to_string("/tmp/met").unwrap_or_default();
        fs::write("/tmp/met", format!("{text}{step}:{time}\n")).expect("writes");
        if (step, *time) != (self.case.step, self.case.time) {
            return;
        }
        let mut fault = self.fault.lock().expect("nobody panics with it");
        match self.case.who {
            Who::Coordinator => {}
            // Where the step asks the machine nothing, the only program of the applier that runs there is its timer.
            Who::Applier if self.asks.contains(&step) => fault.applier = true,
            Who::Applier => kill_timer(&self.victim),
            Who::Machine => {
                fault.machine = true;
                power_off(&self.victim);
            }
        }
    }
    fn at(&self, _: &HostName, _: &Place) {}
}

fn kill_timer(node: &Node) {
    if let Some(pid) = node.timer() {
        let _ = Command::new("kill").args(["-9", &pid.to_string()]).status();
    }
}

/// The kernel forgets its rules; nobody runs there any more.
fn power_off(node: &Node) {
    kill_timer(node);
    node.run("nft flush ruleset");
    fs::write(format!("/tmp/{}.off", node.name), "").expect("writes");
}

fn steps_that_ask() -> Vec<Step> {
    vec![Step::Reach, Step::Before, Step::Stage, Step::Probe, Step::Last, Step::Look, Step::Confirm, Step::Revert, Step::Settle]
}

fn change(fails: bool) -> Change {
    let nodes = existing();
    // A connection that gets through before, and that the new rules of the last machine do not let in.
    let last = fails.then(|| "22, 443".to_owned());
    Change { nodes, waves: vec![vec![0], vec![1, 2]], ports: NEW.into(), last, tries: (80, 0, 0) }
}

fn existing() -> Vec<Node> {
    (1..=MACHINES).map(|n| Node { name: host(&format!("m{n}")), address: format!("10.8.0.{}", n + 1) }).collect()
}

fn setup(id: String, fails: bool) -> Setup {
    Setup { id, machines: existing().into_iter().map(|n| n.name).collect(), partial: Partial::Refuse, dry: false, times: times(fails) }
}

/// The coordinator's whole work, in a process of its own.
fn coordinate(spec: &str) {
    let words: Vec<&str> = spec.split(' ').collect();
    let who = Who::ALL.into_iter().find(|w| format!("{w:?}") == words[0]);
    let context = Context { site_text: "[site]\n".into(), ..Context::default() };
    let mut ledger = Ledger::open(Path::new(LEDGER), context, None).expect("the ledger opens");
    let fault = Arc::new(Mutex::new(Fault::default()));
    let transport = Arc::new(Faulty { inner: transport(), fault: Arc::clone(&fault) });
    let report = match who {
        None => {
            let (id, begun) = ledger.unfinished().expect("reads").expect("something was begun");
            Driver { transport, book: &mut ledger, watch: &rollout::Unwatched, inject: None }.resume(setup(id, false), begun)
        }
        Some(who) => {
            let case =
                Case { who, step: words[1].parse().expect("step"), time: words[2].parse().expect("number"), fails: words[3] == "true" };
            let watch = Watcher { case, fault, victim: existing()[VICTIM].clone(), taken: Mutex::default(), asks: steps_that_ask() };
            let inject = (who == Who::Coordinator).then_some(Injection { after: case.step, time: case.time });
            let id = ledger.next_id();
            Driver { transport, book: &mut ledger, watch: &watch, inject }.run(setup(id, case.fails), &mut change(case.fails))
        }
    };
    fs::write("/tmp/report", serde_json::to_vec(&report).expect("JSON")).expect("writes");
}

/// A copy of this program: what is built meanwhile must not replace it under our feet.
const COPY: &str = "/tmp/coordinator";

fn coordinator(spec: &str) -> ExitStatus {
    let mut command = Command::new(COPY);
    command.args(["--exact", NAME, "--nocapture", "--test-threads=1"]).env(COORDINATOR, spec);
    let out = command.output().expect("starts");
    assert!(out.status.success() || out.status.code().is_none(), "{spec}: {}", String::from_utf8_lossy(&out.stderr));
    out.status
}

fn report() -> rollout::Report {
    serde_json::from_slice(&fs::read("/tmp/report").expect("a report")).expect("a report")
}

/// Most of the time is waiting for timers: several worlds at once wait no longer than one.
const WORLDS: usize = 4;
const WORLD: &str = "RAVELIN_TEST_WORLD";
const NAME: &str = "every_death_at_every_step";

#[test]
fn every_death_at_every_step() {
    if let Ok(spec) = std::env::var(COORDINATOR) {
        coordinate(&spec);
        return;
    }
    if let Ok(world) = std::env::var(WORLD) {
        enter();
        share(world.parse().expect("a number"));
        return;
    }
    let begun = Instant::now();
    build();
    let worlds: Vec<_> = (0..WORLDS)
        .map(|w| outside(NAME).env(WORLD, w.to_string()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("unshare"))
        .collect();
    let mut sum = [0usize; 4];
    for world in worlds {
        let out = world.wait_with_output().expect("ends");
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        assert!(out.status.success(), "{text}{}", String::from_utf8_lossy(&out.stderr));
        let line = text.lines().find_map(|l| Some(l.split_once("COUNTED ")?.1)).expect("it counts");
        sum.iter_mut().zip(line.split(' ')).for_each(|(s, n)| *s += n.parse::<usize>().expect("a number"));
    }
    let [cases, old, new, resumed] = sum;
    println!(
        "{cases} deaths (coordinator, applier, machine) at {} steps of {}: {old} ended all-old, {new} all-new, {resumed} of these after a \
         resumed run; none untested but a pair's handing over (lab); {:.0} s",
        Step::ALL.len() - 2,
        Step::ALL.len(),
        begun.elapsed().as_secs_f32()
    );
    assert!(old > 0 && new > 0 && resumed > 0 && cases == old + new);
}

/// Every so many cases, in namespaces of its own.
fn share(world: usize) {
    fs::copy(std::env::current_exe().expect("own program"), COPY).expect("copies");
    let nodes = nodes(MACHINES, OLD);
    let sides = (OLD.to_owned(), NEW.to_owned());
    // Which steps there are, and how often, is what a run without a death meets; every step of the code must be among them.
    let mut cases = Vec::new();
    for fails in [false, true] {
        reset(&nodes, OLD);
        let _ = fs::remove_file("/tmp/met");
        assert!(coordinator(&format!("Applier close 99 {fails}")).success());
        let outcome = report().outcome;
        assert_eq!(outcome, if fails { Outcome::TakenBack } else { Outcome::Kept }, "{:#?}", report());
        for met in fs::read_to_string("/tmp/met").expect("something was met").lines() {
            let (step, time) = met.split_once(':').expect("step and time");
            let (step, time): (Step, usize) = (step.parse().expect("step"), time.parse().expect("number"));
            // Up to where it fails both runs are the same.
            if !fails || matches!(step, Step::Revert | Step::Settle | Step::Close) {
                cases.extend(Who::ALL.map(|who| Case { who, step, time, fails }));
            }
        }
    }
    let untested: Vec<Step> = Step::ALL.into_iter().filter(|s| !cases.iter().any(|c| c.step == *s)).collect();
    // A pair of nodes hands over and takes it back in the lab's own tests: there is no election here.
    assert_eq!(untested, [Step::Drain, Step::Return]);
    let mine: Vec<&Case> = cases.iter().skip(world).step_by(WORLDS).collect();
    let (mut old, mut new, mut resumed) = (0, 0, 0);
    for case in &mine {
        reset(&nodes, &sides.0);
        let ended = one(case, &nodes, &sides);
        (old, new, resumed) = (old + usize::from(!ended.new), new + usize::from(ended.new), resumed + usize::from(ended.resumed));
    }
    println!("COUNTED {} {old} {new} {resumed}", mine.len());
}

struct Ended {
    new: bool,
    resumed: bool,
}

/// Everybody holds the old rules, confirmed, whatever was before.
fn reset(nodes: &[Node], ports: &str) {
    let _ = fs::remove_dir_all(LEDGER);
    let _ = fs::remove_file("/tmp/report");
    for node in nodes {
        if let Some(pid) = node.timer() {
            let _ = Command::new("kill").args(["-9", &pid.to_string()]).status();
        }
        let _ = fs::remove_file(format!("/tmp/{}.off", node.name));
        fs::remove_dir_all(node.state()).expect("removes");
        node.run("nft flush ruleset");
        let first = sealed(node, ports, 1, None);
        fs::write("/tmp/first", first.to_bytes()).expect("writes");
        node.applied(&["apply", "/tmp/first", "--auto-confirm"]);
    }
}

fn one(case: &Case, nodes: &[Node], sides: &(String, String)) -> Ended {
    let name = format!("{case:?}");
    let Case { who, step, time, fails } = *case;
    let status = coordinator(&format!("{who:?} {step} {time} {fails}"));
    assert_eq!(status.success(), who != Who::Coordinator, "{name}: {status}");
    for node in nodes {
        if Path::new(&format!("/tmp/{}.off", node.name)).exists() {
            // Power comes back: what was not confirmed is forgotten before the network is there.
            node.applied(&["boot"]);
        } else if node.timer().is_none() && node.status().pending.is_some() {
            // A timer that was killed: the next change, or a boot, finds what it left. Here a boot.
            node.run("nft flush ruleset");
            std::thread::sleep(Duration::from_millis(1));
            let _ = node.applier(&["revert"]);
        }
        node.settles(Duration::from_secs(60) + TIMER_GRACE);
    }
    let ledger = |f: &dyn Fn(&Ledger) -> bool| f(&Ledger::open(Path::new(LEDGER), Context::default(), None).expect("the ledger is whole"));
    let decided = Path::new(LEDGER).exists() && ledger(&|l| l.unfinished().expect("reads").is_some_and(|(_, b)| b.decided));
    let begun = Path::new(LEDGER).exists() && ledger(&|l| l.unfinished().expect("reads").is_some());
    if !begun {
        let kept = fs::read("/tmp/report").is_ok() && report().outcome == Outcome::Kept
            || who == Who::Coordinator && step == Step::Close && !fails;
        all(nodes, if kept { &sides.1 } else { &sides.0 }, &name);
        return Ended { new: kept, resumed: false };
    }
    if !decided {
        all(nodes, &sides.0, &name);
    }
    assert!(coordinator("resume").success());
    let outcome = report().outcome;
    assert_eq!(outcome, if decided { Outcome::Kept } else { Outcome::TakenBack }, "{name}: {:#?}", report());
    all(nodes, if decided { &sides.1 } else { &sides.0 }, &name);
    Ended { new: decided, resumed: decided }
}

/// Every machine holds these, confirmed, and nothing else; the kernel too.
fn all(nodes: &[Node], ports: &str, name: &str) {
    for node in nodes {
        let status = node.status();
        assert!(status.pending.is_none() && status.drift.is_empty(), "{name}: {}: {status:?}", node.name);
        assert!(node.live().contains(&format!("dport {{ {ports} }}")), "{name}: {} holds {}", node.name, node.live());
    }
}
