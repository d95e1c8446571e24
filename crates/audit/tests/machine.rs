//! A Debian of the VM lab, hardened: the audit finds nothing. The same machine with planted faults, one for every rule: it finds each
//! of them where it was planted. This program is also the audit inside of the machine.

#![expect(clippy::print_stdout, reason = "the times are part of what the test says")]

#[path = "machine/peers.rs"]
mod peers;

use observe::{Interest, Root, backup::Declared, file::Keep};
use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
    time::{Duration, Instant},
};
use vm::{Disk, Image, Machine, Mode, Options, cache};

/// Says what this program is inside of the machine.
const PART: &str = "RAVELIN_AUDIT_PART";
/// Longest time of one script under emulation, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(400);

/// The audit inside of the machine.
#[test]
fn the_audit() {
    let Ok(part) = std::env::var(PART) else { return };
    let began = Instant::now();
    let interests: Vec<Interest> =
        audit::wanted().into_iter().map(|w| Interest { path: w.path, holds: w.holds, keep: Keep::configuration(w.text) }).collect();
    let mut facts = observe::machine(&interests);
    let mut failed = Vec::new();
    facts.paths = observe::path::look(&breach::wanted_paths(&facts), &mut failed);
    facts.failures.extend(failed);
    let declare = |path: &str, copy: Option<&str>| Declared {
        of: facts::Asset::Keystore,
        path: path.into(),
        max_age: 48,
        copy: copy.map(str::to_owned),
    };
    let (declared, tested) = match part.as_str() {
        "good" => (vec![declare("/srv/backup/keys-*.age", Some("backup1"))], true),
        _ => (
            vec![declare("/srv/backup/keys-*.age", None), declare("/srv/backup/plain.tar", None), declare("/srv/backup/none", None)],
            false,
        ),
    };
    let tests: Vec<facts::RestoreTest> = tested
        .then(|| facts::RestoreTest { at: facts.taken_at, path: "/srv/backup/keys-0.age".into(), passed: true, said: String::new() })
        .into_iter()
        .collect();
    facts.backups = observe::backup::look(&Root::machine(), &declared, &facts.mounts, &tests);
    let report = audit::run(&facts, None);
    println!("\nTOOK {}", began.elapsed().as_millis());
    for f in &report.findings {
        let place =
            f.file.as_ref().map_or(String::new(), |file| format!(" at {file}{}", f.line.map_or(String::new(), |l| format!(":{l}"))));
        println!("FOUND {} {}: {}{place}", f.code, f.subject, f.evidence.join("; "));
    }
    println!("{}", report.text());
}

/// What the scripts plant, and with what words a finding has to name it: their lines `#@ CODE WORDS`.
fn planted(script: &'static str) -> BTreeMap<&'static str, Vec<&'static str>> {
    let mut out: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (code, words) in script.lines().filter_map(|l| l.strip_prefix("#@ ")?.split_once(' ')) {
        out.entry(code).or_default().push(words);
    }
    out
}

/// Rules whose fault no script can plant in an emulated machine, each with the reason. None at present.
const NOT_PLANTED: [(&str, &str); 0] = [];

/// Rules that find something in the hardened machine as well, since the emulation is like that.
const EMULATED: [(&str, &str); 2] =
    [("AUD027", "no time server is reachable, so the clock is not synchronised"), ("AUD079", "the machine's one disk is not encrypted")];

fn own_program() -> Vec<u8> {
    let me = std::env::current_exe().expect("own path");
    let small = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("audit-small");
    // Without its debug information the program is a fifth; a machine without strip takes it whole.
    let stripped = Command::new("strip").arg("-o").arg(&small).arg(&me).status().is_ok_and(|s| s.success());
    std::fs::read(if stripped { small } else { me }).expect("reads")
}

/// What the audit found in the machine: codes with what each finding says, how long it took in milliseconds, and the report.
struct Audited {
    found: BTreeMap<String, Vec<String>>,
    took: String,
    report: String,
}

impl Audited {
    fn of(machine: &mut Machine, part: &str) -> Self {
        let script = format!("{PART}={part} /root/audit --exact the_audit --nocapture --test-threads=1 2>&1");
        let ran = machine.run_within(&script, PATIENCE).expect("runs");
        let report = ran.text();
        let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (code, said) in report.lines().filter_map(|l| l.strip_prefix("FOUND ")?.split_once(' ')) {
            found.entry(code.to_owned()).or_default().push(said.to_lowercase());
        }
        let took = report.lines().find_map(|l| l.strip_prefix("TOOK ")).unwrap_or_else(|| panic!("{report}")).trim().to_owned();
        Self { found, took, report }
    }

    /// What was planted and is named by no finding of its rule.
    fn missed(&self, planted: &BTreeMap<&str, Vec<&str>>) -> Vec<String> {
        let named = |code: &str, words: &str| self.found.get(code).is_some_and(|f| f.iter().any(|s| s.contains(&words.to_lowercase())));
        let all = planted.iter().flat_map(|(code, all)| all.iter().map(move |words| (*code, *words)));
        all.filter(|(code, words)| !named(code, words)).map(|(code, words)| format!("{code} {words}: {:?}", self.found.get(code))).collect()
    }
}

fn booted(image: &Image, disk: &Disk, kernel: &str) -> Machine {
    let options = Options { mode: Mode::Plain, kernel: kernel.into(), ..Options::default() };
    let mut machine = Machine::boot(image, disk, &options).unwrap_or_else(|e| panic!("{e}"));
    println!("booted in {:.1} s", machine.booted_in().as_secs_f64());
    machine.put("/root/audit", 0o755, &own_program()).expect("puts");
    machine
}

fn must(machine: &mut Machine, what: &str, script: &str) {
    let ran = machine.run_within(script, PATIENCE).expect("runs");
    println!("{what}: {:?} {}", ran.code, ran.text());
    assert!(ran.ok(), "{what}: {}", ran.said());
}

/// Words of the kernel's command line that take a layer away.
const BAD: &str = "mitigations=off apparmor=0 systemd.debug-shell=1";
const HARDEN: &str = include_str!("machine/harden.sh");
const PLANT: &str = include_str!("machine/plant.sh");
const WORSE: &str = include_str!("machine/worse.sh");

#[test]
fn every_rule_is_planted_or_it_is_said_why_not() {
    let planted: BTreeSet<&str> = planted(PLANT).into_keys().chain(planted(WORSE).into_keys()).collect();
    let excused: BTreeSet<&str> = NOT_PLANTED.into_iter().map(|(code, _)| code).collect();
    let rules: BTreeSet<&str> = audit::rules::RULES.iter().map(|r| r.code.0).collect();
    let named: BTreeSet<&str> = planted.union(&excused).copied().collect();
    assert_eq!(named, rules, "planted or excused, against the rules that are there");
    assert!(planted.is_disjoint(&excused), "planted, and said not to be");
}

#[test]
fn nothing_on_the_hardened_machine_and_everything_planted_on_the_bad_one() {
    if std::env::var_os(PART).is_some() {
        return;
    }
    let image = Image::ready(&cache::directory(), &|what| println!("{what}")).unwrap_or_else(|e| panic!("{e} {:?}", e.help()));
    let disk = Disk::new(&image).expect("a disk");
    let mut machine = booted(&image, &disk, "");
    must(&mut machine, "hardened", HARDEN);
    let good = Audited::of(&mut machine, "good");
    println!("hardened machine: {} ms under emulation", good.took);
    let alarms: Vec<&String> = good.found.keys().filter(|c| EMULATED.iter().all(|(e, _)| c != e)).collect();
    assert!(alarms.is_empty(), "false alarms on the hardened machine: {alarms:?}\n{}", good.report);
    for (code, why) in EMULATED {
        assert!(good.found.contains_key(code), "{code} is said to be found ({why}) and is not");
    }
    machine.cut();

    // What a command line says is planted by the next boot, whose machine is hardened as far as it can be undone.
    let disk = Disk::new(&image).expect("a disk");
    let mut machine = booted(&image, &disk, BAD);
    must(&mut machine, "hardened", &format!("UNLOCKED=1\n{HARDEN}"));
    must(&mut machine, "planted", PLANT);
    let bad = Audited::of(&mut machine, "bad");
    println!("bad machine: {} ms under emulation, {} rules find something", bad.took, bad.found.len());
    let missed = bad.missed(&planted(PLANT));
    assert!(missed.is_empty(), "planted and not found: {missed:#?}\n{}", bad.report);
    must(&mut machine, "planted", WORSE);
    let worse = Audited::of(&mut machine, "bad");
    let missed = worse.missed(&planted(WORSE));
    assert!(missed.is_empty(), "planted and not found: {missed:#?}\n{}", worse.report);
    for report in [&bad.report, &worse.report] {
        assert!(!report.contains("hunter2"), "a planted secret is in the report");
    }
}

/// With a directory of packages, minutes under emulation: see [`peers`].
#[test]
fn what_others_find_on_the_bad_machine() {
    let Some(from) = std::env::var_os(peers::VARIABLE).filter(|_| std::env::var_os(PART).is_none()) else { return };
    let image = Image::ready(&cache::directory(), &|what| println!("{what}")).unwrap_or_else(|e| panic!("{e} {:?}", e.help()));
    let disk = Disk::new(&image).expect("a disk");
    let mut machine = booted(&image, &disk, BAD);
    peers::install(&mut machine, from.as_ref());
    must(&mut machine, "hardened", &format!("UNLOCKED=1\n{HARDEN}"));
    must(&mut machine, "planted", PLANT);
    peers::asked(&mut machine);
}
