//! Many machines, five of them hung or dead: namespaces with the real applier and nft. Everybody else goes back at once, the five by their own
//! timers within the time that is stated, and the report names them. Then the operator's connection breaks when everything is staged: all of
//! them go back by themselves. Twenty machines in an ordinary run, a hundred with RAVELIN_LONG=1.
#![expect(clippy::print_stdout, reason = "a test tells what it saw")]

mod common;

use common::*;
use rollout::{
    Driver, Outcome, Partial, Place, Report, Setup, Step, Times, Transport, Unreachable, Unwatched, Watch,
    ask::Answer,
    ledger::{Context, Ledger},
    transport::Namespaces,
};
use std::{
    collections::BTreeSet,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use words::HostName;

const FEW: usize = 20;
const MANY: usize = 100;
const OLD: &str = "22, 80";
const NEW: &str = "22, 80, 443";

/// How each of the five fails when it is told to apply.
const VICTIMS: [&str; 5] = ["hangs before the commit", "hangs after it", "killed", "never answers", "unreachable"];

struct Some5 {
    inner: Namespaces,
    victims: Vec<HostName>,
    /// The operator's own connection is gone.
    cut: Arc<AtomicBool>,
}

impl Transport for Some5 {
    fn call(&self, machine: &HostName, words: &[String], input: &[u8], within: Duration) -> Result<Answer, Unreachable> {
        if self.cut.load(Ordering::SeqCst) {
            return Err(Unreachable("the connection broke".into()));
        }
        let asked = || self.inner.call(machine, words, input, within);
        let inject = |what: &str| self.inner.call(machine, &[words, &[what.to_owned()]].concat(), input, within);
        let applies = words.first().is_some_and(|v| v == "apply");
        let Some(victim) = self.victims.iter().position(|v| v == machine) else { return asked() };
        if applies {
            std::fs::write(format!("/tmp/{machine}.told"), "").expect("writes");
        }
        match victim {
            0 if applies => inject("--inject=track=hang"),
            1 if applies => inject("--inject=commit=hang"),
            2 if applies => inject("--inject=commit=kill"),
            // From then on its applier is a program that never answers; of the last one nothing is heard.
            3 if self.told(machine) => {
                let mut sleep = Command::new("sleep");
                sleep.arg("1000");
                rollout::transport::run(sleep, input, within)
            }
            4 if self.told(machine) => Err(Unreachable("no route to it".into())),
            _ => asked(),
        }
    }
    fn console(&self) -> Option<String> {
        self.inner.console()
    }
}

impl Some5 {
    fn told(&self, machine: &HostName) -> bool {
        Path::new(&format!("/tmp/{machine}.told")).exists()
    }
}

struct Cuts(Arc<AtomicBool>);

impl Watch for Cuts {
    fn begins(&self, step: Step, _: Option<usize>, _: usize, _: usize) {
        if step == Step::Last {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    fn at(&self, _: &HostName, _: &Place) {}
}

fn roll(nodes: &[Node], waves: Vec<Vec<usize>>, times: Times, transport: Some5, watch: &dyn Watch) -> Report {
    let mut ledger = Ledger::open(Path::new("/tmp/ledger"), Context::default(), None).expect("opens");
    let setup = Setup {
        id: ledger.next_id(),
        machines: nodes.iter().map(|n| n.name.clone()).collect(),
        partial: Partial::Refuse,
        dry: false,
        times,
    };
    let mut change = Change { nodes: nodes.to_vec(), waves, ports: NEW.into(), last: None, tries: (80, 0, 0) };
    Driver { transport: Arc::new(transport), book: &mut ledger, watch, inject: None }.run(setup, &mut change)
}

/// Waits until nothing is under way on any machine, by then at the latest, and looks whether each holds what it held before. The files are
/// looked at while waiting, since a hundred appliers that are asked would be what is measured.
fn old_again(nodes: &[Node], by: Instant) -> Duration {
    let begun = Instant::now();
    while let Some(node) = nodes.iter().find(|n| n.state().join("pending/meta.json").exists()) {
        assert!(Instant::now() < by + TIMER_GRACE, "{} does not go back", node.name);
        std::thread::sleep(Duration::from_millis(50));
    }
    let waited = begun.elapsed();
    for node in nodes {
        node.settles(Duration::ZERO);
        assert!(node.live().contains(&format!("dport {{ {OLD} }}")), "{} holds {}", node.name, node.live());
        assert_eq!(node.status().confirmed.map(|c| c.generation.0), Some(1), "{}", node.name);
    }
    waited
}

#[test]
fn five_of_many_are_hung_or_dead() {
    if !inside("five_of_many_are_hung_or_dead") {
        return;
    }
    let many = std::env::var_os("RAVELIN_LONG").is_some();
    let count = if many { MANY } else { FEW };
    // Twenty-five appliers at once on two processors need some seconds; a hung one must not be waited for much longer.
    let times = Times { ask: 20, apply: if many { 40 } else { 15 }, probe: 20, record: 1, margin: 1, pause_ms: 500, longest: 1000 };
    let begun = Instant::now();
    let nodes = nodes(count, OLD);
    println!("{count} machines hold their first generation after {:.1} s", begun.elapsed().as_secs_f32());

    // A wave goes well, the next one has the five in it.
    let half = count / 4;
    let waves = vec![(0..half).collect(), (half..2 * half).collect(), (2 * half..count).collect()];
    let victims: Vec<HostName> = (half..half + VICTIMS.len()).map(|n| nodes[n].name.clone()).collect();
    let transport = || Some5 { inner: transport(), victims: victims.clone(), cut: Arc::default() };
    let begun = Instant::now();
    let report = roll(&nodes, waves, times, transport(), &Unwatched);
    let took = begun.elapsed();
    assert_eq!(report.outcome, Outcome::TakenBack, "{report:#?}");
    let named: BTreeSet<HostName> = report.failures.iter().filter_map(|f| f.machine.clone()).collect();
    let lost: BTreeSet<&HostName> = report.machines.iter().filter(|(_, p)| matches!(p, Place::Lost { .. })).map(|(m, _)| m).collect();
    println!("taken back after {:.1} s; named: {named:?}; still lost: {lost:?}", took.as_secs_f32());
    for failure in &report.failures {
        println!("  {failure}");
    }
    // Those that answer say so themselves that they are back; the report names nobody else.
    let all: BTreeSet<HostName> = victims.iter().cloned().collect();
    assert!(named.is_subset(&all), "{named:?}");
    assert!(lost.iter().all(|m| all.contains(*m)), "{lost:?}");
    let back: Vec<&HostName> = report.machines.iter().filter(|(_, p)| **p == Place::Old).map(|(m, _)| m).collect();
    assert_eq!(back.len() + lost.len() + report.machines.values().filter(|p| **p == Place::Unasked).count(), count);
    let within = report.machines.values().filter_map(|p| if let Place::Lost { back_within, .. } = p { *back_within } else { None }).max();
    let by = Instant::now() + Duration::from_secs(within.unwrap_or(0));
    let waited = old_again(&nodes, by);
    println!(
        "all {count} hold what they held before {:.1} s after the report, which stated {} s",
        waited.as_secs_f32(),
        within.unwrap_or(0)
    );
    assert_eq!(named, all, "each of the five is named");

    // Nobody fails, and the operator's connection breaks when everything is staged.
    let times = Times { ask: 5, apply: if many { 40 } else { 10 }, probe: if many { 15 } else { 5 }, ..times };
    let cut = Arc::new(AtomicBool::new(false));
    let broken = Some5 { victims: vec![], cut: Arc::clone(&cut), ..transport() };
    let waves = vec![(0..count / 2).collect(), (count / 2..count).collect()];
    let began = Instant::now();
    let report = roll(&nodes, waves, times, broken, &Cuts(Arc::clone(&cut)));
    assert!(cut.load(Ordering::SeqCst), "it came as far as that: {report:#?}");
    assert_eq!(report.outcome, Outcome::TakenBack, "{report:#?}");
    assert!(report.machines.values().all(|p| matches!(p, Place::Lost { back_within: Some(_), .. })), "{report:#?}");
    let still = nodes.iter().filter(|n| n.state().join("pending/meta.json").exists()).count();
    let by = began + Duration::from_secs(report.within) + Duration::from_secs(times.apply);
    let report_at = began.elapsed();
    let waited = old_again(&nodes, by);
    println!(
        "the connection broke with {still} of {count} waiting: the last one holds what it held before {:.1} s after the rollout began; stated were {} s from when it is told",
        (report_at + waited).as_secs_f32(),
        report.within
    );
    assert!(still > 0);
}
