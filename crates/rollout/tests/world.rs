//! The state machine in a made-up world: machines with timers, answers that get lost or come late, machines that restart, a coordinator
//! that dies between any two events. Whatever happens, and whenever: all-old, or all-new, or a decision in the ledger that `resume`
//! turns into all-new.
#![expect(clippy::print_stdout, reason = "the count is part of what the test says")]

use bundle::{Expect, Is, Trial, Tried};
use proptest::prelude::*;
use rollout::{
    Agreed, Event, Line, Machine, Order, Outcome, Partial, Place, Report, Setup, Step, Target, Times, Wave,
    ask::{Ask, Heard, Held, Pending, Status},
    wave::{Class, Planned},
};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap},
};
use words::{Digest, Generation, HostName};

const MACHINES: usize = 7;
const TIMES: Times = Times { ask: 2, apply: 4, probe: 3, record: 1, margin: 1, pause_ms: 2000, longest: 600 };
/// Longer than any timer of a machine, in milliseconds.
const ALL_TIMERS_MS: u64 = 700_000;

fn host(n: usize) -> HostName {
    HostName::new(&format!("m{n}")).expect("name")
}

fn old(n: usize) -> Digest {
    Digest::of(format!("old {n}").as_bytes())
}

fn new(n: usize) -> Digest {
    Digest::of(format!("new {n}").as_bytes())
}

/// What may go wrong with one question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// The question does not arrive.
    NotAsked,
    /// It is done, and the answer gets lost.
    NotHeard,
    /// It is done long after nobody waits for it any more.
    Late,
    /// It is refused.
    Refused,
    /// The machine restarts before it: what was not confirmed is forgotten.
    Restart,
    /// From now on nothing gets to the machine.
    Cut,
    /// A probe shows something else than was proved.
    Wrong,
}

const FAULTS: [Fault; 8] =
    [Fault::None, Fault::NotAsked, Fault::NotHeard, Fault::Late, Fault::Refused, Fault::Restart, Fault::Cut, Fault::Wrong];

#[derive(Debug, Clone)]
struct Host {
    confirmed: Digest,
    pending: Option<(Digest, u64)>,
    cut: bool,
}

impl Host {
    fn timers(&mut self, now: u64) {
        if self.pending.is_some_and(|(_, by)| now >= by) {
            self.pending = None;
        }
    }
    fn holds(&self) -> Digest {
        self.pending.map_or(self.confirmed, |(d, _)| d)
    }
    fn act(&mut self, n: usize, ask: &Ask, wrong: bool, now: u64) -> Heard {
        self.timers(now);
        match ask {
            Ask::Status => Heard::Status(Box::new(Status {
                confirmed: Some(Held {
                    generation: Generation(1),
                    digest: self.confirmed,
                    policy: self.confirmed,
                    layers: BTreeMap::new(),
                }),
                pending: self.pending.map(|(digest, by)| Pending {
                    generation: Generation(2),
                    digest,
                    phase: "waiting".into(),
                    reverts_in: (by - now) / 1000,
                }),
                next_generation: Generation(2),
                drift: vec![],
                trust: None,
                active: None,
            })),
            Ask::Probe(list) => Heard::Tried(list.iter().map(|t| tried(t, self.holds() == new(n), wrong)).collect()),
            Ask::Drain { .. } => Heard::Done,
            Ask::Apply { within_s } => {
                if self.confirmed == new(n) {
                    return Heard::Unchanged;
                }
                if self.pending.is_some() {
                    return Heard::Refused("waits already".into());
                }
                self.pending = Some((new(n), now + within_s * 1000));
                Heard::Done
            }
            Ask::Confirm(digest) => match self.pending {
                Some((d, _)) if d == *digest => {
                    (self.confirmed, self.pending) = (d, None);
                    Heard::Done
                }
                _ => Heard::Refused("nothing waits".into()),
            },
            Ask::Revert(digest) => {
                if self.pending.is_some_and(|(d, _)| d == *digest) {
                    self.pending = None;
                }
                Heard::Done
            }
        }
    }
}

/// New connections get through where the machine holds what is new, gone ones where it does not.
fn tried(t: &Trial, on_new: bool, wrong: bool) -> Tried {
    let open = match t.id.as_str() {
        "n" => on_new,
        "g" => !on_new,
        _ => true,
    };
    let is = if open != wrong { Is::Open } else { Is::Closed };
    Tried { id: t.id.clone(), to: t.to, port: t.port, expect: t.expect, is, why: "made up".into() }
}

struct World {
    hosts: Vec<Host>,
    now: u64,
    /// Questions that reach their machine later than anybody waits.
    late: Vec<(u64, usize, Ask)>,
    ledger: Vec<Line>,
    faults: Vec<u8>,
    fired: usize,
    /// Whose new rules shut the coordinator out.
    shut: Option<usize>,
    /// No machine has a connection to try.
    untried: bool,
}

impl World {
    fn new(faults: Vec<u8>) -> Self {
        let hosts = (0..MACHINES).map(|n| Host { confirmed: old(n), pending: None, cut: false }).collect();
        Self { hosts, now: 1000, late: vec![], ledger: vec![], faults, fired: 0, shut: None, untried: false }
    }

    fn fault(&mut self) -> Fault {
        let drawn = self.faults.get(self.fired).copied().unwrap_or(0);
        self.fired += 1;
        // Most questions go well: one in four draws is a fault.
        FAULTS.get(usize::from(drawn / 4) % 8).copied().filter(|_| drawn % 4 == 3).unwrap_or(Fault::None)
    }

    fn deliver_late(&mut self) {
        let now = self.now;
        let (due, rest) = std::mem::take(&mut self.late).into_iter().partition(|(at, ..)| *at <= now);
        self.late = rest;
        let due: Vec<(u64, usize, Ask)> = due;
        for (at, n, ask) in due {
            self.hosts[n].act(n, &ask, false, at);
        }
        self.hosts.iter_mut().for_each(|h| h.timers(now));
    }

    /// Runs it until it is done or `dies_after` events have gone by. Out comes the report, where there is one.
    fn run(&mut self, machine: &mut Machine, skip: &BTreeSet<usize>, dies_after: usize) -> Option<Report> {
        let mut queue = BinaryHeap::from([Reverse((self.now, 0usize))]);
        let mut events: Vec<Option<Event>> = vec![Some(Event::Start)];
        for _ in 0..dies_after {
            let next = queue.pop();
            let wake = machine.wake_ms().max(self.now + 1);
            let (at, event) = match next {
                Some(Reverse((at, n))) if at <= wake => (at, events[n].take().expect("once")),
                other => {
                    queue.extend(other);
                    (wake, Event::Tick)
                }
            };
            self.now = self.now.max(at);
            self.deliver_late();
            for order in machine.hear(event, self.now) {
                let mut push = |at: u64, e: Event| {
                    events.push(Some(e));
                    queue.push(Reverse((at, events.len() - 1)));
                };
                match order {
                    Order::Begin { .. } | Order::At(..) => {}
                    Order::Tell { machine, round, ask, within_s } => {
                        let n = (0..MACHINES).find(|n| host(*n) == machine).expect("one of ours");
                        let fault = self.fault();
                        let reached = self.now + 10 + 7 * n as u64;
                        if fault == Fault::Cut || skip.contains(&n) {
                            self.hosts[n].cut = true;
                        }
                        let shut = self.shut == Some(n) && self.hosts[n].holds() == new(n);
                        if self.hosts[n].cut || fault == Fault::NotAsked || shut {
                            continue;
                        }
                        if fault == Fault::Restart {
                            self.hosts[n].pending = None;
                        }
                        if fault == Fault::Late {
                            self.late.push((self.now + within_s * 2500, n, ask));
                            continue;
                        }
                        let heard = match fault {
                            Fault::Refused if ask != Ask::Status => Heard::Refused("made up".into()),
                            _ => self.hosts[n].act(n, &ask, fault == Fault::Wrong, reached),
                        };
                        if fault != Fault::NotHeard {
                            push(reached + 5, Event::Said { machine, round, heard });
                        }
                    }
                    Order::Prove { statuses, skipped } => {
                        let hosts: Vec<usize> = (0..MACHINES).filter(|n| statuses.contains_key(&host(*n))).collect();
                        assert!(hosts.len() + skipped.len() == MACHINES);
                        let mut agreed = agreed(&hosts);
                        agreed.probes.retain(|_, _| !self.untried);
                        push(self.now + 50, Event::Proved(Ok(agreed)));
                    }
                    Order::Record(line) => {
                        let fault = self.fault();
                        if fault != Fault::NotAsked {
                            self.ledger.push(*line);
                        }
                        let failed = matches!(fault, Fault::NotAsked | Fault::NotHeard);
                        push(self.now + 3, Event::Recorded(if failed { Err("made up".into()) } else { Ok(()) }));
                    }
                    Order::Done(report) => return Some(*report),
                }
            }
        }
        None
    }

    fn decided(&self) -> bool {
        let kept = |l: &Line| matches!(l, Line::Closed(r) if !matches!(r.outcome, Outcome::Kept | Outcome::Decided));
        self.ledger.iter().any(|l| matches!(l, Line::Decided)) && !self.ledger.iter().any(kept)
    }

    fn opened(&self) -> Option<(Vec<Wave>, BTreeMap<HostName, Target>)> {
        self.ledger
            .iter()
            .find_map(|l| if let Line::Opened { waves, targets, .. } = l { Some((waves.clone(), targets.clone())) } else { None })
    }

    /// Long enough for every timer and every late question.
    fn time_goes_by(&mut self) {
        for _ in 0..20 {
            self.now += ALL_TIMERS_MS / 10;
            self.deliver_late();
        }
    }

    fn all(&self, which: impl Fn(usize) -> Digest, without: &BTreeSet<HostName>) -> bool {
        self.hosts
            .iter()
            .enumerate()
            .filter(|(n, _)| !without.contains(&host(*n)))
            .all(|(n, h)| h.holds() == which(n) && h.pending.is_none())
    }
}

fn agreed(hosts: &[usize]) -> Agreed {
    let wave = |some: &[usize], drained: Option<usize>| Wave {
        machines: some.iter().map(|n| host(*n)).collect(),
        drained: drained.map(host),
        why: "made up".into(),
    };
    let target = |n: usize| Target { digest: new(n), generation: Generation(2), before: Some(old(n)), unchanged: n == 6 };
    let to = "192.0.2.1".parse().expect("address");
    let probe = |id: &str, class, expect| Planned {
        trial: Trial { id: id.into(), proto: words::Proto::Tcp, from: None, to, port: 1, expect },
        class,
        passes: vec![host(0)],
    };
    let probes = [probe("k", Class::Kept, Expect::Open), probe("n", Class::New, Expect::Open), probe("g", Class::Gone, Expect::Closed)];
    let of = |all: &[usize]| -> Vec<usize> { all.iter().copied().filter(|n| hosts.contains(n)).collect() };
    let (first, second, third) = (of(&[0]), of(&[1]), of(&[2, 3, 4, 5, 6]));
    Agreed {
        waves: vec![wave(&first, None), wave(&second, hosts.contains(&1).then_some(1)), wave(&third, None)],
        targets: hosts.iter().map(|n| (host(*n), target(*n))).collect(),
        probes: hosts.iter().map(|n| (host(*n), if *n == 6 { probes[..1].to_vec() } else { probes.to_vec() })).collect(),
        proved: vec![],
        notes: vec![],
    }
}

fn setup(partial: Partial) -> Setup {
    Setup { id: "r1".into(), machines: (0..MACHINES).map(host).collect(), partial, dry: false, times: TIMES }
}

fn whole(faults: Vec<u8>, dies_after: usize, partial: Partial, skip: &BTreeSet<usize>) -> (World, Option<Report>) {
    let mut world = World::new(faults);
    let report = world.run(&mut Machine::new(setup(partial)), skip, dies_after);
    (world, report)
}

fn ends_well(mut world: World, report: Option<Report>) {
    let skipped: BTreeSet<HostName> = world
        .ledger
        .iter()
        .find_map(|l| if let Line::Opened { skipped, .. } = l { Some(skipped.keys().cloned().collect()) } else { None })
        .unwrap_or_default();
    let untouched = |n: usize| if n == 6 { old(n) } else { new(n) };
    world.time_goes_by();
    if let Some(report) = &report {
        match report.outcome {
            Outcome::Kept => assert!(world.all(untouched, &skipped), "kept: {report:#?} {:?}", world.hosts),
            Outcome::Unchanged | Outcome::Planned => panic!("there was something to do"),
            Outcome::Astray => panic!("nobody else changes a machine here: {report:#?}"),
            Outcome::Refused | Outcome::TakenBack => assert!(world.all(old, &BTreeSet::new()), "{report:#?} {:?}", world.hosts),
            Outcome::Decided => assert!(world.decided(), "{report:#?}"),
        }
        assert!(report.outcome == Outcome::Kept || !report.failures.is_empty(), "says why: {report:#?}");
    }
    if report.as_ref().is_some_and(|r| r.outcome != Outcome::Decided) {
        return;
    }
    // The coordinator died, or left some behind. Everybody answers again.
    world.hosts.iter_mut().for_each(|h| h.cut = false);
    world.faults.clear();
    let decided = world.decided();
    let Some((waves, targets)) = world.opened() else {
        assert!(world.all(old, &BTreeSet::new()), "nothing was begun: {:?}", world.hosts);
        return;
    };
    if !decided {
        assert!(world.all(old, &BTreeSet::new()), "not decided, and after all timers: {:?}", world.hosts);
    }
    let machines = targets.keys().cloned().collect();
    let mut again = Machine::resume(Setup { machines, ..setup(Partial::Refuse) }, waves, targets, decided);
    let report = world.run(&mut again, &BTreeSet::new(), 10_000).expect("it ends");
    world.time_goes_by();
    if decided {
        assert_eq!(report.outcome, Outcome::Kept, "{report:#?}");
        assert!(world.all(untouched, &skipped), "resumed: {report:#?} {:?}", world.hosts);
    } else {
        assert_eq!(report.outcome, Outcome::TakenBack, "{report:#?}");
        assert!(world.all(old, &BTreeSet::new()), "resumed: {report:#?} {:?}", world.hosts);
    }
}

#[test]
fn without_a_fault_everything_is_new() {
    let (world, report) = whole(vec![], 10_000, Partial::Refuse, &BTreeSet::new());
    let report = report.expect("it ends");
    assert_eq!((report.outcome, report.failures.len()), (Outcome::Kept, 0), "{report:#?}");
    assert!(report.probed.as_proved > 20 && report.probed.silent == 0, "{:?}", report.probed);
    assert!(report.machines.values().all(|p| *p == Place::New));
    ends_well(world, Some(report));
}

#[test]
fn a_coordinator_that_dies_after_any_event() {
    let mut died = 0;
    for after in 1..10_000 {
        let (world, report) = whole(vec![], after, Partial::Refuse, &BTreeSet::new());
        let over = report.is_some();
        ends_well(world, report);
        if over {
            break;
        }
        died += 1;
    }
    println!("{died} deaths of the coordinator");
    assert!(died > 50);
}

#[test]
fn who_does_not_answer_is_named_or_left_out() {
    let skip = BTreeSet::from([2, 4]);
    let (world, report) = whole(vec![], 10_000, Partial::Refuse, &skip);
    let report = report.expect("it ends");
    assert_eq!(report.outcome, Outcome::Refused);
    let named: BTreeSet<_> = report.failures.iter().filter_map(|f| f.machine.clone()).collect();
    assert_eq!(named, BTreeSet::from([host(2), host(4)]));
    ends_well(world, Some(report));
    let (world, report) = whole(vec![], 10_000, Partial::Skip, &skip);
    let report = report.expect("it ends");
    assert_eq!(report.outcome, Outcome::Kept, "{report:#?}");
    assert!(matches!(report.machines[&host(2)], Place::Skipped { .. }));
    ends_well(world, Some(report));
}

#[test]
fn what_shuts_the_coordinator_out_is_not_kept() {
    let mut world = World::new(vec![]);
    (world.shut, world.untried) = (Some(3), true);
    let report = world.run(&mut Machine::new(setup(Partial::Refuse)), &BTreeSet::new(), 10_000).expect("it ends");
    assert_eq!(report.outcome, Outcome::TakenBack, "{report:#?}");
    assert_eq!((report.failures[0].step, report.failures[0].machine.as_ref()), (Step::Look, Some(&host(3))), "{report:#?}");
    assert!(!world.decided());
    world.time_goes_by();
    assert!(world.all(old, &BTreeSet::new()), "{:?}", world.hosts);
}

#[test]
fn a_machine_that_somebody_else_confirmed_is_called_by_its_name() {
    let mut machine = Machine::resume(
        setup(Partial::Refuse),
        vec![],
        (0..2).map(|n| (host(n), Target { digest: new(n), generation: Generation(2), before: Some(old(n)), unchanged: false })).collect(),
        false,
    );
    let mut world = World::new(vec![]);
    world.hosts[1].confirmed = new(1);
    let report = world.run(&mut machine, &BTreeSet::new(), 10_000).expect("it ends");
    assert_eq!(report.outcome, Outcome::Astray, "{report:#?}");
    assert!(matches!(&report.machines[&host(1)], Place::Astray { why } if why.contains("somebody else confirmed it")), "{report:#?}");
}

#[test]
fn too_many_waves_are_refused_with_the_reason() {
    let mut machine = Machine::new(Setup { times: Times { longest: 20, ..TIMES }, ..setup(Partial::Refuse) });
    let mut world = World::new(vec![]);
    let report = world.run(&mut machine, &BTreeSet::new(), 10_000).expect("it ends");
    assert_eq!(report.outcome, Outcome::Refused);
    assert!(report.failures[0].why.contains("no machine may wait longer than 20 s"), "{report:#?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_all_old_or_all_new(
        faults in proptest::collection::vec(any::<u8>(), 0..60),
        dies_after in 1usize..160,
        skip in any::<bool>(),
    ) {
        let partial = if skip { Partial::Skip } else { Partial::Refuse };
        let (world, report) = whole(faults, dies_after, partial, &BTreeSet::new());
        ends_well(world, report);
    }
}
