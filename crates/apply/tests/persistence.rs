//! On a machine with a kernel and an init of its own, SELinux enforcing: the power goes at a step of a change, the machine boots,
//! and the last confirmed generation is in force before its network comes up, its files before its services start, its addresses
//! after the network. Also the revert timer as a unit of systemd.
//!
//! Each step costs a boot under emulation. Ordinary runs take those around which the outcome changes; `RAVELIN_LONG=1` takes
//! all.

#![expect(clippy::print_stdout, reason = "the count is part of what the test says")]

mod common;
#[path = "common/units.rs"]
mod units;

use apply::Step;
use common::*;
use std::time::{Duration, Instant};
use units::UNITS;
use vm::{Disk, Image, Machine, Options, cache};
use words::Digest;

/// Takes every step.
const LONG: &str = "RAVELIN_LONG";
/// Unconfirmed on disk and not in force; in force with its files, beside the confirmed one; confirmed and not yet told to the timer.
const TELLING: [Step; 3] = [Step::Stage, Step::Persist, Step::Confirm];
/// An emulated machine takes its time to get from one step to the next.
const STEP_WITHIN: Duration = Duration::from_secs(120);
/// And this long for a whole apply, systemd reading its units again included.
const SESSION_WITHIN: Duration = Duration::from_secs(150);
/// A service whose account is the generation's.
const SERVICE: &str = "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n";

const RESTORE: &str = "ravelin-restore.service";
const CLOSED: &str = "ravelin-closed.service";

fn image() -> Image {
    Image::ready(&cache::directory(), &|what| println!("{what}")).unwrap_or_else(|e| panic!("{e} {:?}", e.help()))
}

fn boot(image: &Image, disk: &Disk) -> Machine {
    Machine::boot(image, disk, &Options::default()).unwrap_or_else(|e| panic!("{e}"))
}

fn must(machine: &mut Machine, script: &str) -> String {
    machine.must(script).unwrap_or_else(|e| panic!("{e}"))
}

/// Puts the applier and its unit into the machine, as a package would, and a network that comes up at boot.
fn install(machine: &mut Machine) {
    let stripped = tempfile::tempdir().expect("directory");
    let path = stripped.path().join("applier");
    run("strip", &["-o", path.to_str().expect("text"), env!("CARGO_BIN_EXE_ravelin-applier")]);
    machine.put("/usr/sbin/ravelin-applier", 0o755, &std::fs::read(&path).expect("reads")).unwrap_or_else(|e| panic!("{e}"));
    for (name, unit) in UNITS {
        machine.put(&format!("/etc/systemd/system/{name}.service"), 0o644, unit.as_bytes()).unwrap_or_else(|e| panic!("{e}"));
    }
    let network = "[Match]\nName=up0\n[Network]\nAddress=192.0.2.1/24\n";
    let device = "[NetDev]\nName=up0\nKind=dummy\n";
    machine.put("/etc/systemd/network/up0.network", 0o644, network.as_bytes()).unwrap_or_else(|e| panic!("{e}"));
    machine.put("/etc/systemd/network/up0.netdev", 0o644, device.as_bytes()).unwrap_or_else(|e| panic!("{e}"));
    machine.put("/etc/systemd/system/plain.service", 0o644, SERVICE.as_bytes()).unwrap_or_else(|e| panic!("{e}"));
    must(
        machine,
        "systemctl daemon-reload && systemctl enable plain.service ravelin-restore.service systemd-networkd.service nftables.service && ip link add up0 type dummy && sync",
    );
}

/// A generation that lets in the management port and one of its own.
struct Line {
    generation: u64,
    parent: Option<Digest>,
}

impl Line {
    fn port(generation: u64) -> u64 {
        1000 + generation
    }
    fn address(generation: u64) -> String {
        format!("198.51.100.{generation}/32")
    }
    fn account(generation: u64) -> String {
        format!("gen{generation}")
    }
    /// Puts the next bundle into the machine; out comes its digest.
    fn next(&mut self, machine: &mut Machine) -> Digest {
        self.generation += 1;
        let script = ruleset(&format!("22, {}", Self::port(self.generation)));
        let files = own_files(&Self::account(self.generation), &["plain.service"]);
        let bundle = sealed_on(&script, self.generation, self.parent, files, "up0", &[&Self::address(self.generation)]);
        machine.put("/root/bundle", 0o600, &bundle.to_bytes()).unwrap_or_else(|e| panic!("{e}"));
        bundle.digest()
    }
}

fn table(machine: &mut Machine) -> String {
    must(machine, "nft -s list table inet ravelin 2>/dev/null; true")
}

/// The account the service runs under since boot.
fn runs_as(machine: &mut Machine) -> String {
    must(machine, "ps -o user= -p $(systemctl show plain.service -P MainPID)").trim().to_owned()
}

/// Applies and stands still after `step`. Returns when it does, with nothing flushed by us.
fn stop_at(machine: &mut Machine, step: Step) {
    must(
        machine,
        &format!(
            "setsid ravelin-applier apply /root/bundle --auto-confirm --confirm-within 3600 --inject={step}=hang >/root/said 2>&1 & echo $! >/run/applier"
        ),
    );
    let begun = Instant::now();
    loop {
        let state = must(machine, "cut -d' ' -f3 /proc/$(cat /run/applier)/stat 2>/dev/null || cat /root/said");
        match state.trim() {
            "T" => return,
            "R" | "S" | "D" => assert!(begun.elapsed() < STEP_WITHIN, "{step} is not reached"),
            other => panic!("{step}: the applier ended: {other}"),
        }
    }
}

/// The unit ran before anything of the network did, and packets find the management port open and another one closed.
fn held_from_the_start(machine: &mut Machine, unit: &str, name: &str) {
    let stamp = |machine: &mut Machine, unit: &str, property: &str| -> u64 {
        let text = must(machine, &format!("systemctl show {unit} -P {property}"));
        text.trim().parse().unwrap_or_else(|e| panic!("{name}: {unit} {property} `{text}`: {e}"))
    };
    let loaded = stamp(machine, unit, "ExecMainExitTimestampMonotonic");
    let before = stamp(machine, "network-pre.target", "ActiveEnterTimestampMonotonic");
    let network = stamp(machine, "systemd-networkd.service", "ExecMainStartTimestampMonotonic");
    assert!(0 < loaded && loaded <= before && before <= network, "{name}: {loaded} {before} {network}");
    assert_eq!(must(machine, &format!("systemctl show {unit} -P Result")).trim(), "success", "{name}");
    management_is_open(machine, name);
}

/// Once the network is up the generation's address is beside the network's own, and no other one.
fn addresses_are_back(machine: &mut Machine, generation: Option<u64>, name: &str) {
    let begun = Instant::now();
    while must(machine, "systemctl is-active ravelin-addresses.service; true").trim() != "active" {
        let told = "systemctl --no-pager status ravelin-addresses.service systemd-networkd-wait-online.service; networkctl; true";
        assert!(begun.elapsed() < STEP_WITHIN, "{name}: {}", must(machine, told));
        std::thread::sleep(Duration::from_millis(500));
    }
    let listed = must(machine, "ip -o -4 address show dev up0");
    let listed: Vec<&str> = listed.lines().filter_map(|l| l.split_whitespace().nth(3)).collect();
    let mut meant = vec!["192.0.2.1/24".to_owned()];
    meant.extend(generation.map(Line::address));
    assert_eq!(listed, meant, "{name}");
}

/// Real packets, from a namespace of the machine that stands for an administrator's.
fn management_is_open(machine: &mut Machine, name: &str) {
    must(
        machine,
        "set -e; ip netns add out; ip link add o0 type veth peer name o1 netns out; ip address add 10.9.0.1/24 dev o0; ip link set o0 up
        ip -n out address add 10.9.0.2/24 dev o1; ip -n out link set o1 up; systemd-run --quiet --unit=listener nc -lk 8080; sleep 1",
    );
    let tried = must(machine, "for port in 22 8080; do ip netns exec out nc -z -w 5 10.9.0.1 $port && echo $port; done; true");
    let own = must(machine, "nc -z -w 5 127.0.0.1 8080 && echo listens; true");
    assert_eq!((tried.trim(), own.trim()), ("22", "listens"), "{name}: the management port and nothing else");
}

#[test]
fn after_a_power_cut_at_any_step_the_confirmed_generation_holds_before_the_network() {
    let steps: Vec<Step> = if std::env::var_os(LONG).is_some() { Step::ALL.to_vec() } else { TELLING.to_vec() };
    let image = image();
    let disk = Disk::new(&image).expect("a disk");
    let begun = Instant::now();
    let mut machine = boot(&image, &disk);
    install(&mut machine);
    let mut line = Line { generation: 0, parent: None };

    // Nothing was ever confirmed: the machine is as it was before.
    line.next(&mut machine);
    stop_at(&mut machine, Step::Files);
    assert!(table(&mut machine).contains("1001"), "in force before the cut");
    machine.cut();
    let mut machine = boot(&image, &disk);
    assert_eq!(table(&mut machine), "", "nothing was confirmed");
    let restored = "journalctl -b -o cat -u ravelin-restore; ravelin-applier status; ls -R /etc/systemd/system/plain.service.d; ausearch -m avc -i 2>/dev/null | tail -5";
    assert_eq!(
        runs_as(&mut machine),
        "root",
        "its file is gone before the service starts: {}",
        must(&mut machine, &format!("{restored}; true"))
    );
    must(&mut machine, "! test -e /etc/systemd/system/plain.service.d && ! test -e /etc/sysusers.d/ravelin.conf");

    addresses_are_back(&mut machine, None, "nothing was confirmed");

    line.next(&mut machine);
    must(&mut machine, "ravelin-applier apply /root/bundle --auto-confirm");
    let digest = must(&mut machine, "ravelin-applier status --json");
    let status: serde_json::Value = serde_json::from_str(&digest).expect("JSON");
    line.parent = status["confirmed"]["digest"].as_str().map(|d| d.parse().expect("digest"));
    assert!(line.parent.is_some());
    let mut confirmed = line.generation;
    for step in &steps {
        let digest = line.next(&mut machine);
        stop_at(&mut machine, *step);
        machine.cut();
        machine = boot(&image, &disk);
        let name = format!("cut after {step}");
        if *step >= Step::Confirm {
            (line.parent, confirmed) = (Some(digest), line.generation);
        }
        let now = table(&mut machine);
        assert!(now.contains(&format!("{}", Line::port(confirmed))), "{name}: generation {confirmed} is not in force: {now}");
        assert!(confirmed == line.generation || !now.contains(&format!("{}", Line::port(line.generation))), "{name}: {now}");
        assert_eq!(runs_as(&mut machine), Line::account(confirmed), "{name}");
        addresses_are_back(&mut machine, Some(confirmed), &name);
        assert_eq!(must(&mut machine, "ravelin-applier status | grep drift; true"), "", "{name}");
        held_from_the_start(&mut machine, RESTORE, &name);
        println!("{name}: generation {confirmed} was in force before the network");
    }

    // Something on the machine keeps the unit from starting at all.
    must(
        &mut machine,
        "mkdir /etc/systemd/system/ravelin-restore.service.d && echo '[Service]\nBindPaths=/absent:/mnt' >/etc/systemd/system/ravelin-restore.service.d/broken.conf && sync",
    );
    machine.cut();
    let mut machine = boot(&image, &disk);
    let name = "the unit cannot start";
    assert_eq!(must(&mut machine, "systemctl show ravelin-restore.service -P ExecMainStatus").trim(), "226", "{name}");
    held_from_the_start(&mut machine, CLOSED, name);
    println!("{name}: the management path alone was open before the network");
    println!(
        "{} power cuts at {} of {} steps ended in the last confirmed generation; {:.0} s",
        steps.len() + 1,
        if steps.len() < Step::ALL.len() { steps.len() + 1 } else { steps.len() },
        Step::ALL.len(),
        begun.elapsed().as_secs_f64()
    );
}

#[test]
fn the_revert_timer_outlives_its_caller_as_a_unit() {
    let image = image();
    let disk = Disk::new(&image).expect("a disk");
    let begun = Instant::now();
    let mut machine = boot(&image, &disk);
    install(&mut machine);
    let mut line = Line { generation: 0, parent: None };
    line.parent = Some(line.next(&mut machine));
    must(&mut machine, "ravelin-applier apply /root/bundle --auto-confirm");
    let before = table(&mut machine);
    assert!(before.contains("1001"), "{before}");

    // A session that applies and dies with everything in it, as a lost connection does.
    line.next(&mut machine);
    let ran = machine.run_within(
        "systemd-run --quiet --unit=session sh -c 'ravelin-applier apply /root/bundle --confirm-within 60 >/root/said 2>&1; sleep 1000'
        for n in $(seq 120); do grep -q generation /root/said && break; sleep 0.5; done; cat /root/said
        systemctl kill --signal=KILL session.service; nft list table inet ravelin | grep -q 1002",
        SESSION_WITHIN,
    );
    let ran = ran.unwrap_or_else(|e| panic!("{e}"));
    assert!(ran.ok(), "{}", ran.said());
    let units = must(&mut machine, "systemctl list-units --plain --no-legend 'ravelin-revert-*'");
    assert!(units.contains("ravelin-revert-") && units.contains("running"), "the timer is a unit: {units}");
    returned(&mut machine, &before, "its caller's session is gone");

    // The applier itself dies in the middle.
    line.next(&mut machine);
    let ran = machine.run("ravelin-applier apply /root/bundle --confirm-within 3600 --inject=commit=kill").expect("runs");
    assert!(!ran.ok(), "{}", ran.said());
    returned(&mut machine, &before, "the applier was killed after commit");
    println!("the timer as a unit put the old rules back twice; {:.0} s", begun.elapsed().as_secs_f64());
}

fn returned(machine: &mut Machine, before: &str, why: &str) {
    let begun = Instant::now();
    while table(machine) != before || !must(machine, "systemctl list-units --plain --no-legend 'ravelin-revert-*'").is_empty() {
        assert!(begun.elapsed() < STEP_WITHIN, "{why}: {}", must(machine, "ravelin-applier status; journalctl -b -n 40 -o cat"));
        std::thread::sleep(Duration::from_millis(500));
    }
}
