//! `gauge ruleset | commit`: in come the extents, out come tables on standard output. Never: runs outside namespaces of its own.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command for the terminal")]

use gauge::{
    Error, commit,
    emitted::{self, Shape},
    lists,
    policy::{self, Policy},
    race::{self, Cost, Extent, Load, Ruleset, Variant},
    sender::Sender,
    stage::{self, Place},
    stats::Median,
};
use std::{
    fs,
    io::{self, BufReader, IsTerminal},
    process::ExitCode,
};

const HELP: &str = "gauge COMMAND

  ruleset [ROUNDS [PACKETS]]   cost of a packet through each ruleset, variants by turns
  shape [ROUNDS [PACKETS]]     the same with parts of the emitted shape left out
  commit [ELEMENTS...]         time of one load and of one replacement, or what the socket refused
";

/// Rounds where none are asked for: enough for an interval of a few per cent on a shared machine, in about two minutes.
const ROUNDS: usize = 61;
/// Packets of one variant in a round: a few milliseconds, so that neighbours on the machine hit whole rounds.
const PACKETS: usize = 2_000;
/// Packets before each measured slice: as many as the large site has permissions, so that each is used once.
const LAP: usize = 20_000;
/// Connections that stand while established traffic is measured.
const HELD: usize = 2_000;
/// Sizes of the commit table where none are given.
const ELEMENTS: [usize; 6] = [100, 1_000, 5_000, 10_000, 20_000, 100_000];
/// The two sites that are compared.
const SMALL: usize = 10;
/// See [`SMALL`].
const LARGE: usize = 1_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(code) => code,
        Err(error) => {
            let mut message = error.to_string();
            let mut source = std::error::Error::source(&error);
            while let Some(cause) = source {
                message += &format!(": {cause}");
                source = cause.source();
            }
            eprintln!("gauge: {message}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &[String]) -> Result<ExitCode, Error> {
    let (command, rest) = arguments.split_first().map_or(("help", &[][..]), |(c, r)| (c.as_str(), r));
    if command == "world" {
        return world(rest.first().map_or("", String::as_str)).map(|()| ExitCode::SUCCESS);
    }
    let numbers =
        rest.iter().map(|a| a.parse()).collect::<Result<Vec<usize>, _>>().map_err(|e| Error::Invalid(format!("a number: {e}")))?;
    if !["ruleset", "shape", "commit"].contains(&command) {
        print!("{HELP}");
        return Ok(ExitCode::from(2));
    }
    if let Place::Done(status) = stage::enter()? {
        return Ok(status.code().and_then(|c| u8::try_from(c).ok()).map_or(ExitCode::FAILURE, ExitCode::from));
    }
    match command {
        "ruleset" => ruleset(&numbers, variants()),
        "shape" => ruleset(&numbers, shapes()),
        _ => commits(&numbers),
    }?;
    Ok(ExitCode::SUCCESS)
}

/// The process in a variant's world.
fn world(path: &str) -> Result<(), Error> {
    let text = fs::read_to_string(path).map_err(Error::call(format!("policy {path}")))?;
    let policy: Policy = serde_json::from_str(&text).map_err(|e| Error::Invalid(format!("policy {path}: {e}")))?;
    Sender::open(&policy)?.serve(BufReader::new(io::stdin()), io::stdout())
}

fn variants() -> Vec<Variant> {
    let mut out = vec![
        Variant { name: "no ruleset".into(), policy: policy::mesh(LARGE), ruleset: Ruleset::None, refuses: false, slow: false },
        Variant { name: "tracking only".into(), policy: policy::mesh(LARGE), ruleset: Ruleset::Nft(emitted::tracking()), refuses: false, slow: false },
    ];
    for hosts in [SMALL, LARGE] {
        let policy = policy::mesh(hosts);
        let mut add = |name: &str, ruleset| {
            out.push(Variant { name: format!("{name}, {hosts} hosts"), policy: policy.clone(), slow: hosts == LARGE && matches!(ruleset, Ruleset::Iptables(_)), ruleset, refuses: true })
        };
        add("ravelin", Ruleset::Nft(emitted::ravelin(&policy, Shape::EMITTED)));
        add("linear iptables", Ruleset::Iptables(lists::linear(&policy)));
        add("ufw", Ruleset::Iptables(lists::ufw(&policy)));
    }
    out
}

/// Variants that leave something out of the emitted shape; the first two show what the traffic alone costs.
fn shapes() -> Vec<Variant> {
    let (small, large) = (policy::mesh(SMALL), policy::mesh(LARGE));
    let variant = |name: &str, policy: &Policy, text: String, refuses| Variant {
        name: name.into(),
        policy: policy.clone(),
        ruleset: Ruleset::Nft(text),
        refuses,
        slow: false,
    };
    let mut out = vec![
        variant("tracking only, traffic of 10 hosts", &small, emitted::tracking(), false),
        variant("tracking only, traffic of 1000 hosts", &large, emitted::tracking(), false),
    ];
    let emitted = Shape::EMITTED;
    for (name, shape) in [
        ("as emitted", emitted),
        ("growing hash", Shape { sized: false, ..emitted }),
        ("no counters", Shape { counters: false, ..emitted }),
        ("no ids", Shape { ids: false, ..emitted }),
        ("neither counters nor ids", Shape { counters: false, ids: false, ..emitted }),
    ] {
        for policy in [&small, &large] {
            let name = format!("{name}, {} hosts", policy.hosts);
            out.push(variant(&name, policy, emitted::ravelin(policy, shape), true));
        }
    }
    out
}

fn ruleset(numbers: &[usize], variants: Vec<Variant>) -> Result<(), Error> {
    let extent =
        Extent { rounds: numbers.first().copied().unwrap_or(ROUNDS), packets: numbers.get(1).copied().unwrap_or(PACKETS), lap: numbers.get(2).copied().unwrap_or(LAP), held: HELD };
    for variant in &variants {
        println!("# {}: {} permissions between {} zones", variant.name, variant.policy.permits.len(), variant.policy.zones.len());
    }
    let mut progress = |message: &str| {
        if io::stderr().is_terminal() {
            eprint!("\r\x1b[K{message}");
        }
    };
    let costs = race::run(variants, extent, &mut progress)?;
    progress("");
    println!(
        "# {} rounds of {} packets, {} connections held; CPU ns per packet over the whole way, median [95 %]\n",
        extent.rounds, extent.packets, extent.held
    );
    println!("| ruleset | {} |\n|---|---:|---:|---:|", ["new", "established", "refused"].join(" | "));
    let mut names: Vec<&str> = costs.iter().map(|c| c.name.as_str()).collect();
    names.dedup();
    let mut seen = std::collections::BTreeSet::new();
    for name in names.into_iter().filter(|n| seen.insert(*n)) {
        let cells = Load::ALL.map(|l| costs.iter().find(|c| c.name == name && c.load == l).map_or("-".into(), |c| show(c.nanos, 0)));
        println!("| {name} | {} |", cells.join(" | "));
    }
    println!("\n| ratio of cost | new | established | refused |\n|---|---:|---:|---:|");
    for (a, b) in PAIRS.into_iter().filter(|p| race::ratio(&costs, Load::New, p.0, p.1).is_some()) {
        let cells = Load::ALL.map(|l| race::ratio(&costs, l, a, b).map_or("-".into(), |m| show(m, 3)));
        println!("| {a} / {b} | {} |", cells.join(" | "));
    }
    verdict(&costs);
    Ok(())
}

/// What is compared.
const PAIRS: [(&str, &str); 12] = [
    ("ravelin, 1000 hosts", "ravelin, 10 hosts"),
    ("ravelin, 1000 hosts", "tracking only"),
    ("linear iptables, 1000 hosts", "linear iptables, 10 hosts"),
    ("linear iptables, 1000 hosts", "ravelin, 1000 hosts"),
    ("ufw, 1000 hosts", "ravelin, 1000 hosts"),
    ("ufw, 10 hosts", "ravelin, 10 hosts"),
    ("tracking only, traffic of 1000 hosts", "tracking only, traffic of 10 hosts"),
    ("as emitted, 1000 hosts", "as emitted, 10 hosts"),
    ("growing hash, 1000 hosts", "growing hash, 10 hosts"),
    ("no counters, 1000 hosts", "no counters, 10 hosts"),
    ("no ids, 1000 hosts", "no ids, 10 hosts"),
    ("neither counters nor ids, 1000 hosts", "neither counters nor ids, 10 hosts"),
];

/// The goal: a hundred times the hosts cost no more than a tenth more per packet.
const GOAL: f64 = 1.10;

fn verdict(costs: &[Cost]) {
    for load in [Load::New, Load::Established] {
        if let Some(m) = race::ratio(costs, load, PAIRS[0].0, PAIRS[0].1) {
            let word = if m.high <= GOAL {
                "met"
            } else if m.low > GOAL {
                "missed"
            } else {
                "open: the interval holds it"
            };
            println!("\ngoal {GOAL} on {load:?}: {word} ({})", show(m, 3));
        }
    }
}

fn show(m: Median, digits: usize) -> String {
    format!("{:.digits$} [{:.digits$}, {:.digits$}]", m.value, m.low, m.high)
}

fn commits(numbers: &[usize]) -> Result<(), Error> {
    let sizes = if numbers.is_empty() { &ELEMENTS[..] } else { numbers };
    println!("# {}\n", if stage::rootless() { "in a user namespace: the socket's own limit holds" } else { "as the machine's root" });
    println!("| elements | first load | held after | replacement | held after |\n|---:|---:|---:|---:|---:|");
    for &elements in sizes {
        let first = commit::load(elements, false)?;
        let cell = |l: &commit::Load| match &l.result {
            Ok(seconds) => format!("{seconds:.3} s | {}", l.held),
            Err(message) => format!("{message} | {}", l.held),
        };
        let replacement = if first.result.is_ok() { cell(&commit::load(elements, true)?) } else { "- | -".into() };
        println!("| {elements} | {} | {replacement} |", cell(&first));
    }
    Ok(())
}
