//! A Debian of the VM lab, hardened: the audit finds nothing. The same machine with planted faults: it finds each of them. Lynis, on
//! the machine with the faults, is timed beside it. This program is also the audit inside of the machine.

#![expect(clippy::print_stdout, reason = "the times are part of what the test says")]

use observe::{Interest, Root, backup::Declared, file::Keep};
use std::{
    collections::BTreeSet,
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
    let codes: BTreeSet<&str> = report.findings.iter().map(|f| f.code.0).collect();
    println!("\nTOOK {}", began.elapsed().as_millis());
    println!("CODES {}", codes.into_iter().collect::<Vec<_>>().join(" "));
    println!("{}", report.text());
}

/// What is planted, rule by rule; each has to be found.
const PLANTED: [&str; 75] = [
    "AUD001", "AUD003", "AUD004", "AUD005", "AUD007", "AUD008", "AUD017", "AUD020", "AUD021", "AUD022", "AUD023", "AUD025", "AUD026",
    "AUD028", "AUD031", "AUD032", "AUD033", "AUD034", "AUD035", "AUD036", "AUD037", "AUD039", "AUD040", "AUD041", "AUD042", "AUD043",
    "AUD044", "AUD045", "AUD046", "AUD047", "AUD048", "AUD049", "AUD050", "AUD051", "AUD052", "AUD053", "AUD054", "AUD055", "AUD056",
    "AUD061", "AUD062", "AUD063", "AUD064", "AUD065", "AUD066", "AUD067", "AUD068", "AUD071", "AUD074", "AUD076", "AUD077", "AUD080",
    "AUD081", "AUD082", "AUD083", "AUD089", "AUD090", "AUD094", "AUD096", "AUD100", "AUD101", "AUD102", "AUD103", "AUD104", "AUD105",
    "AUD106", "AUD107", "AUD109", "AUD110", "AUD113", "AUD114", "AUD115", "AUD119", "AUD120", "AUD121",
];

/// Facts about the emulated machine itself, which no script inside changes: its clock, its disk, how it was started.
const EMULATED: [&str; 4] = ["AUD027", "AUD059", "AUD079", "AUD068"];

fn own_program() -> Vec<u8> {
    let me = std::env::current_exe().expect("own path");
    let small = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("audit-small");
    // Without its debug information the program is a fifth; a machine without strip takes it whole.
    let stripped = Command::new("strip").arg("-o").arg(&small).arg(&me).status().is_ok_and(|s| s.success());
    std::fs::read(if stripped { small } else { me }).expect("reads")
}

fn audited(machine: &mut Machine, part: &str) -> (BTreeSet<String>, String, String) {
    let script = format!("{PART}={part} /root/audit --exact the_audit --nocapture --test-threads=1 2>&1");
    let ran = machine.run_within(&script, PATIENCE).expect("runs");
    let text = ran.text().clone();
    let line = |mark: &str| text.lines().find_map(|l| l.strip_prefix(mark)).unwrap_or_else(|| panic!("{text}")).trim().to_owned();
    (line("CODES").split_whitespace().map(str::to_owned).collect(), line("TOOK"), text.clone())
}

#[test]
fn nothing_on_the_hardened_machine_and_everything_planted_on_the_bad_one() {
    if std::env::var_os(PART).is_some() {
        return;
    }
    let image = Image::ready(&cache::directory(), &|what| println!("{what}")).unwrap_or_else(|e| panic!("{e} {:?}", e.help()));
    let disk = Disk::new(&image).expect("a disk");
    let options = Options { mode: Mode::Plain, kernel: "mitigations=off".into(), ..Options::default() };
    let mut machine = Machine::boot(&image, &disk, &options).unwrap_or_else(|e| panic!("{e}"));
    println!("booted in {:.1} s", machine.booted_in().as_secs_f64());
    machine.put("/root/audit", 0o755, &own_program()).expect("puts");
    let ran = machine.run_within(include_str!("machine/harden.sh"), PATIENCE).expect("runs");
    println!("hardened: {:?} {}", ran.code, ran.text());
    let (found, took, good) = audited(&mut machine, "good");
    println!("hardened machine: {took} ms under emulation");
    let alarms: Vec<&String> = found.iter().filter(|c| !EMULATED.contains(&c.as_str())).collect();

    let ran = machine.run_within(include_str!("machine/plant.sh"), PATIENCE).expect("runs");
    println!("planted: {:?} {} {}", ran.code, ran.text(), String::from_utf8_lossy(&ran.err));
    let (found, took, bad) = audited(&mut machine, "bad");
    println!("bad machine: {took} ms under emulation, {} rules find something", found.len());
    let missed: Vec<&&str> = PLANTED.iter().filter(|c| !found.contains(**c)).collect();
    assert!(alarms.is_empty(), "false alarms on the hardened machine: {alarms:?}\n{good}");
    assert!(missed.is_empty(), "planted and not found: {missed:?}\n{bad}");
    assert!(!bad.contains("hunter2"), "a planted secret is in the report");

    if std::env::var_os("RAVELIN_LYNIS").is_some() {
        let script = "cd /tmp; s=$(date +%s%N); lynis audit system --quick --no-colors --quiet >/dev/null 2>&1; e=$(date +%s%N); \
                      echo \"lynis took $(( (e - s) / 1000000 )) ms\"; grep -E '^(warning|suggestion|vulnerable)' /var/log/lynis-report.dat";
        println!("{}", machine.run_within(script, Duration::from_secs(560)).expect("runs").text());
    }
}
