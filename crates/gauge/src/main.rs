//! `gauge ruleset | commit`: in come the extents, out come tables on standard output. Never: runs outside namespaces of its own.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command for the terminal")]

use gauge::{
    Error, auditing, commit, inspection,
    policy::Policy,
    race::{self, Cost, Extent, Load, Variant},
    sender::Sender,
    stage::{self, Place},
    stats::Median,
    variants::{self, Pairs},
    whole,
};
use std::{
    fs,
    io::{self, BufReader, IsTerminal},
    process::ExitCode,
};

const HELP: &str = "gauge COMMAND

  ruleset [ROUNDS [PACKETS [LAP]]] [NAME...]   cost of a packet through each ruleset (or those named), by turns
  shape [ROUNDS [PACKETS [LAP]]] [NAME...]     the same with parts of the emitted shape left out
  check PROGRAM [HOSTS...]     time and memory of `PROGRAM check` on generated sites
  audit PROGRAM [TIMES]        time and memory of `PROGRAM audit`, as root, as nobody, and on a large firewall
  ips PROGRAM RULES CAPTURES... [COPIES [ROUNDS]]
                               processor time of `PROGRAM ips pcap` over copies of captures, beside the peer's where it is installed
  text [HOSTS]                 what an edge node of a generated site holds, as nft reads it
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
/// Hosts of the site whose ruleset is printed where none are given.
const TEXT: usize = 10;

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
    let (numbers, names): (Vec<_>, Vec<_>) = rest.iter().map(|a| a.parse::<usize>().map_err(|_| a.clone())).partition(Result::is_ok);
    let numbers: Vec<usize> = numbers.into_iter().flatten().collect();
    let names: Vec<String> = names.into_iter().filter_map(Result::err).collect();
    if command == "text" {
        print!("{}", gauge::emitted::edge(numbers.first().copied().unwrap_or(TEXT))?.script());
        return Ok(ExitCode::SUCCESS);
    }
    if command == "listen" {
        return auditing::listen(|word| println!("{word}")).map(|()| ExitCode::SUCCESS);
    }
    if command == "audit" {
        return audits(names.first(), numbers.first().copied().unwrap_or(AUDITS)).map(|()| ExitCode::SUCCESS);
    }
    if command == "ips" {
        return inspections(&names, &numbers).map(|()| ExitCode::SUCCESS);
    }
    if command == "check" {
        return checks(names.first(), &numbers).map(|()| ExitCode::SUCCESS);
    }
    if !["ruleset", "shape", "commit"].contains(&command) {
        print!("{HELP}");
        return Ok(ExitCode::from(2));
    }
    if let Place::Done(status) = stage::enter()? {
        return Ok(status.code().and_then(|c| u8::try_from(c).ok()).map_or(ExitCode::FAILURE, ExitCode::from));
    }
    match command {
        "ruleset" => ruleset(&numbers, &names, variants::rulesets()?),
        "shape" => ruleset(&numbers, &names, variants::shapes()?),
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

fn ruleset(numbers: &[usize], names: &[String], (mut variants, pairs): (Vec<Variant>, Pairs)) -> Result<(), Error> {
    variants.retain(|v| names.is_empty() || names.contains(&v.name));
    let extent = Extent {
        rounds: numbers.first().copied().unwrap_or(ROUNDS),
        packets: numbers.get(1).copied().unwrap_or(PACKETS),
        lap: numbers.get(2).copied().unwrap_or(LAP),
        held: HELD,
    };
    for variant in &variants {
        let Policy { permits, lines, zones, .. } = &variant.policy;
        println!("# {}: {} exact permissions of {} lines, {} zones", variant.name, permits.len(), lines.len(), zones.len());
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
    for (a, b) in pairs.iter().filter(|(a, b)| race::ratio(&costs, Load::New, a, b).is_some()) {
        let cells = Load::ALL.map(|l| race::ratio(&costs, l, a, b).map_or("-".into(), |m| show(m, 3)));
        println!("| {a} / {b} | {} |", cells.join(" | "));
    }
    verdict(&costs, &pairs);
    Ok(())
}

/// The goal: a hundred times the hosts cost no more than a tenth more per packet.
const GOAL: f64 = 1.10;

fn verdict(costs: &[Cost], pairs: &Pairs) {
    let Some((large, small)) = pairs.first() else { return };
    for load in [Load::New, Load::Established] {
        if let Some(m) = race::ratio(costs, load, large, small) {
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
    let mut taken = 0;
    let mut refused = None;
    for &elements in sizes {
        let first = commit::load(elements, false, LOADS)?;
        let cell = |l: &commit::Load| match &l.result {
            Ok(seconds) => format!("{} s | {}", show(*seconds, 3), l.held),
            Err(message) => format!("{message} | {}", l.held),
        };
        let replacement = if first.result.is_ok() {
            taken = taken.max(elements);
            cell(&commit::load(elements, true, LOADS)?)
        } else {
            refused = Some(refused.unwrap_or(elements).min(elements));
            "- | -".into()
        };
        println!("| {elements} | {} | {replacement} |", cell(&first));
    }
    if let Some(refused) = refused.filter(|r| *r > taken) {
        println!("\nlargest batch the socket takes: {} elements", commit::limit(taken, refused)?);
    }
    Ok(())
}

/// Loads of each size.
const LOADS: usize = 5;

/// Sizes of sites where none are given.
const SITES: [usize; 4] = [10, 100, 1_000, 5_000];

/// Runs of the audit where none are asked for.
const AUDITS: usize = 21;

/// The audit's goal without its sweep, in seconds.
const AUDIT_WITHIN: f64 = 1.0;

fn audits(program: Option<&String>, times: usize) -> Result<(), Error> {
    let program = program.ok_or_else(|| Error::Invalid("which program? `gauge audit PROGRAM [TIMES]`".into()))?;
    let all = auditing::audits(std::path::Path::new(program), times)?;
    println!(
        "| place | seconds, median of {times} | processor s | largest memory | rules decided | unknown |\n|---|---:|---:|---:|---:|---:|"
    );
    for a in &all {
        let (seconds, cpu, mib) = (show(a.cost.seconds, 3), show(a.cost.cpu, 2), a.cost.memory / 1024);
        println!("| {} | {seconds} | {cpu} | {mib} MiB | {} | {} |", a.place, a.decided, a.unknown);
    }
    for a in &all {
        println!("\ngoal {AUDIT_WITHIN} s, {}: {}", a.place, if a.cost.seconds.value < AUDIT_WITHIN { "met" } else { "missed" });
    }
    Ok(())
}

/// Copies of the captures where none are asked for: some 2 GB out of a usual collection.
const COPIES: usize = 20;
/// Pairs of runs where none are asked for.
const PAIRS: usize = 15;

fn inspections(names: &[String], numbers: &[usize]) -> Result<(), Error> {
    let [program, rules, captures @ ..] = names else {
        return Err(Error::Invalid("which? `gauge ips PROGRAM RULES CAPTURES... [COPIES [ROUNDS]]`".into()));
    };
    let copies = numbers.first().copied().unwrap_or(COPIES);
    let copies = u8::try_from(copies).map_err(|_| Error::Invalid(format!("{copies} copies: at most 255 have addresses of their own")))?;
    let rounds = numbers.get(1).copied().unwrap_or(PAIRS);
    let paths: Vec<_> = captures.iter().map(Into::into).collect();
    let files = ips_io::capture::files(&paths).map_err(|e| Error::Invalid(e.to_string()))?;
    let course = inspection::Course::lay(program.as_ref(), &files, rules.as_ref(), copies)?;
    let mixed = course.mixed;
    println!(
        "# {} frames, {} bytes ({} a frame), {copies} copies of {} captures; {rounds} pairs by turns, processor time of the packets alone\n",
        mixed.frames,
        mixed.bytes,
        mixed.bytes / mixed.frames.max(1),
        files.len()
    );
    println!("| output | engine | seconds | Gbit/s of a core | largest memory | events |\n|---|---|---:|---:|---:|---:|");
    for output in [inspection::Output::Alerts, inspection::Output::Everything] {
        let race = course.race(output, rounds, |round| {
            if io::stderr().is_terminal() {
                eprint!("\r\x1b[K{output:?}: round {round}");
            }
        })?;
        for e in &race.engines {
            let seconds = gauge::stats::median(&e.seconds).map_or("-".into(), |m| show(m, 2));
            let rate = e.rate.map_or("-".into(), |m| show(m, 2));
            println!("| {output:?} | {} | {seconds} | {rate} | {} MB | {} |", e.name, e.memory / 1024, e.events);
        }
        if let Some(ratio) = race.ratio {
            println!("| {output:?} | peer's time over ours | {} | | | |", show(ratio, 2));
        }
    }
    Ok(())
}

fn checks(program: Option<&String>, numbers: &[usize]) -> Result<(), Error> {
    let program = program.ok_or_else(|| Error::Invalid("which program? `gauge check PROGRAM [HOSTS...]`".into()))?;
    println!(
        "| hosts | lines | seconds, median of {LOADS} | processor s | largest memory | exit | verdict |\n|---:|---:|---:|---:|---:|---:|---|"
    );
    for &hosts in if numbers.is_empty() { &SITES[..] } else { numbers } {
        let c = whole::check(std::path::Path::new(program), hosts, LOADS)?;
        let code = c.code.map_or("killed".into(), |c| c.to_string());
        println!(
            "| {hosts} | {} | {} | {} | {} MB | {code} | {} |",
            c.lines,
            show(c.seconds, 3),
            show(c.cpu, 2),
            c.memory / 1024,
            c.verdict
        );
    }
    Ok(())
}
