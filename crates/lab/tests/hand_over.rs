//! A rollout over both nodes of a pair whose daemons run: the standby first, the active one after it has handed over, and not one connection is
//! lost. Then one that fails on the second node: both go back, and the word to hand over is taken back.
#![expect(clippy::print_stdout, reason = "a test tells what it saw")]

mod common;

use bundle::{Bundle, pair::DRAINED};
use lab::{
    build::Neighbours,
    demo, enter, listen,
    pair::{DIRECTORY, Flows, HEALTH_FILE, Pair},
    stage::{self, Stage},
};
use plan::{Devices, Options};
use rollout::{
    Agreed, Book, Bundles, Driver, Line, Outcome, Partial, Place, Prove, Setup, Step, Target, Times, Transport, Unreachable, Watch,
    ask::{Answer, Status},
    order,
    transport::Namespaces,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    path::Path,
    process::Command,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use words::{Generation, HostName};

const HELD: usize = 200;

/// Namespaces of the pair; handing over is written where this pair's daemons look, since `/etc` is everybody's in a lab.
struct Edge {
    inner: Namespaces,
    elected: Vec<IpAddr>,
    /// Fails when it is told to apply.
    fails: Option<HostName>,
}

impl Edge {
    fn holds(&self, machine: &HostName) -> bool {
        let net = format!("--net={}/{machine}", enter::NETNS_DIR);
        let out = Command::new("nsenter").args([net.as_str(), "--", "ip", "-o", "address", "show"]).output().expect("ip");
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        let held: BTreeSet<&str> = text.lines().filter_map(|l| l.split_whitespace().nth(3)?.split('/').next()).collect();
        self.elected.iter().any(|a| held.contains(a.to_string().as_str()))
    }
}

impl Transport for Edge {
    fn call(&self, machine: &HostName, words: &[String], input: &[u8], within: Duration) -> Result<Answer, Unreachable> {
        match words.first().map(String::as_str) {
            Some("drain") => {
                let back = words.iter().any(|w| w == "--return");
                let path = Path::new(DIRECTORY).join(machine.as_str()).join(HEALTH_FILE);
                let number = if back { 0 } else { DRAINED };
                sys::file::replace_as(&path, format!("{number}\n").as_bytes(), 0o644).map_err(|e| Unreachable(e.to_string()))?;
                let begun = Instant::now();
                while !back && self.holds(machine) {
                    if begun.elapsed() > Duration::from_secs(5) {
                        return Err(Unreachable("it keeps its addresses".into()));
                    }
                    std::thread::sleep(Duration::from_millis(20));
                }
                Ok(Answer { status: Some(0), ..Answer::default() })
            }
            Some("apply") if self.fails.as_ref() == Some(machine) => {
                self.inner.call(machine, &[words, &["--inject=commit=kill".to_owned()]].concat(), input, within)
            }
            _ => self.inner.call(machine, words, input, within),
        }
    }
    fn console(&self) -> Option<String> {
        self.inner.console()
    }
}

/// Both nodes get the same rules under a new number, with another management path each time: something changes.
struct Planner<'a> {
    stage: &'a Stage,
    plan: plan::Plan,
    active: HostName,
}

impl Prove for Planner<'_> {
    fn prove(&mut self, statuses: &BTreeMap<HostName, Status>, _: &BTreeMap<HostName, String>) -> Result<(Agreed, Bundles), Vec<String>> {
        let active: Vec<&HostName> = statuses.iter().filter(|(_, s)| s.active == Some(true)).map(|(m, _)| m).collect();
        assert_eq!(active, [&self.active], "the applier says which node holds the addresses");
        let (mut agreed, mut bundles) = (Agreed::default(), Bundles::new());
        for (machine, status) in statuses {
            let before = status.confirmed.as_ref().map(|c| c.digest);
            let draft = self.stage.draft(&self.plan.machines[machine], status.next_generation, before, &[]);
            let bundle = Bundle::seal(draft).expect("seals");
            let (digest, generation) = (bundle.digest(), bundle.draft().generation);
            agreed.targets.insert(machine.clone(), Target { digest, generation, before, unchanged: false });
            bundles.insert(machine.clone(), bundle.to_bytes());
        }
        agreed.waves = order::waves(&self.stage.model, &statuses.keys().cloned().collect(), Some(&self.active));
        Ok((agreed, bundles))
    }
}

struct NoBook;

impl Book for NoBook {
    fn record(&mut self, _: &str, _: &Line, _: &Bundles) -> Result<(), String> {
        Ok(())
    }
}

#[derive(Default)]
struct Steps(Mutex<Vec<Step>>);

impl Watch for Steps {
    fn begins(&self, step: Step, _: Option<usize>, _: usize, _: usize) {
        self.0.lock().expect("nobody panics with it").push(step);
    }
    fn at(&self, _: &HostName, _: &Place) {}
}

#[test]
fn a_rollout_hands_over_and_loses_no_connection() {
    if !enter::is_inside() {
        let built = Command::new(env!("CARGO")).args(["build", "--quiet", "--package", "apply", "--bin", "ravelin-applier"]).status();
        assert!(built.expect("cargo").success());
    }
    if !common::inside("a_rollout_hands_over_and_loses_no_connection") {
        return;
    }
    let stage = Stage::build(common::example("small"), Options::default(), Neighbours::Dynamic).expect("built");
    let mut ports = demo::ports(&stage);
    ports.values_mut().for_each(|p| p.extend([(words::Proto::Tcp, 443), (words::Proto::Udp, 443)]));
    listen::serve(&stage.lab, &ports).expect("listeners");
    stage.apply_all(Generation(1), &[]).expect("applied");
    let pair = Pair::start(&stage).expect("started");
    let mut flows = Flows::find(&stage).expect("ways");
    flows.open(HELD).expect("opened");

    // The same site without what one machine asks of others: both nodes of the edge get other rules.
    let mut model = stage.model.clone();
    model.flows.change(|all| {
        let first = all.iter().position(|f| f.kind == site::model::FlowKind::Derived && f.from.to_string() == "mon1").expect("a flow");
        all.remove(first);
    });
    let planned = plan::plan(&model, &Devices::default(), Options::default());
    let elected = stage
        .plan
        .machines
        .values()
        .filter_map(|m| m.pair.as_ref())
        .flat_map(|p| &p.addresses)
        .map(|a| a.address.addr())
        .collect::<Vec<_>>();
    let roll = |active: &str, plan: &plan::Plan, fails: Option<&str>, steps: &Steps| {
        let host = |n: &str| HostName::new(n).expect("name");
        let inner = Namespaces {
            enter: vec![],
            handles: enter::NETNS_DIR.into(),
            states: stage::STATE.into(),
            applier: stage::applier_beside(),
            reason: "a test".into(),
        };
        let transport = Arc::new(Edge { inner, elected: elected.clone(), fails: fails.map(host) });
        let machines = pair.names().iter().map(|n| host(n)).collect();
        let setup = Setup { id: "1".into(), machines, partial: Partial::Refuse, dry: false, times: Times::default() };
        let mut planner = Planner { stage: &stage, plan: plan.clone(), active: host(active) };
        Driver { transport, book: &mut NoBook, watch: steps, inject: None }.run(setup, &mut planner)
    };

    let first = pair.settled().expect("settled");
    let second = pair.other(&first).expect("two");
    let steps = Steps::default();
    let report = roll(&first, &planned, None, &steps);
    assert_eq!(report.outcome, Outcome::Kept, "{report:#?}{}", pair.logs());
    let met = steps.0.lock().expect("nobody panics with it").clone();
    let at = |s: Step| met.iter().position(|m| *m == s).unwrap_or_else(|| panic!("{s} was not met: {met:?}"));
    assert!(at(Step::Stage) < at(Step::Drain) && at(Step::Confirm) < at(Step::Return), "{met:?}");
    assert_eq!(pair.settled().expect("settled"), second, "the other node is active, and stays so");
    let count = flows.ask();
    println!("handed over from {first} to {second}: {count:?} of {HELD} connections");
    assert_eq!((count.before, count.survived), (HELD, HELD), "{count:?}{}", pair.logs());
    pair.timers().expect("told");

    // Back to the rules of before; the second node of the order, which is the active one, does not live through it.
    let report = roll(&second, &stage.plan, Some(&second), &Steps::default());
    assert_eq!(report.outcome, Outcome::TakenBack, "{report:#?}");
    assert!(report.machines.values().all(|p| *p == Place::Old), "{report:#?}");
    let health = std::fs::read_to_string(Path::new(DIRECTORY).join(&second).join(HEALTH_FILE)).expect("there");
    assert_eq!(health.trim(), "0", "the word is taken back");
    pair.settled().expect("one node is active");
    let count = flows.ask();
    println!("taken back with {second} drained: {count:?} of {HELD} connections");
    assert_eq!((count.before, count.survived), (HELD, HELD), "{count:?}{}", pair.logs());
}
