//! A machine that UFW filters, with a kernel and an init of its own: the power goes while a change to UFW's files waits to be confirmed,
//! and after the boot files, chains and packets are as they were confirmed, before the network came up.

#![expect(clippy::print_stdout, reason = "the times are part of what the test says")]

#[path = "../../apply/tests/common/units.rs"]
mod units;

use std::{
    collections::BTreeMap,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};
use units::UNITS;
use vm::{Disk, Image, Machine, Mode, Options, cache};

/// One machine on the Internet, managed from one address.
const SITE: &str = include_str!("common/v4-v6.toml");
const NETWORK: [(&str, &str); 2] = [
    ("eno1.netdev", "[NetDev]\nName=eno1\nKind=dummy\n"),
    ("eno1.network", "[Match]\nName=eno1\n[Network]\nAddress=203.0.113.10/24\nAddress=2001:db8:1::10/64\nLinkLocalAddressing=no\n"),
];
/// A whole apply under emulation.
const APPLY_WITHIN: Duration = Duration::from_secs(240);
/// Somebody on the Internet behind a cable, and who listens here, on both ports of which one is open.
const STRANGER: &str =
    "set -e; ip netns add out; ip link add o0 type veth peer name o1 netns out; ip address add 192.0.2.1/24 dev o0; ip link set o0 up
    ip -n out address add 192.0.2.77/24 dev o1; ip -n out link set o1 up; ip -n out route add 203.0.113.0/24 via 192.0.2.1
    for p in 6665 6666; do systemd-run --quiet --unit=listener-$p nc -lk 203.0.113.10 $p; done; sleep 2";

fn must(machine: &mut Machine, script: &str) -> String {
    let begun = Instant::now();
    let said = machine.must(script).unwrap_or_else(|e| panic!("{e}"));
    println!("{:6.1} s  {}", begun.elapsed().as_secs_f64(), script.trim().lines().next().unwrap_or_default());
    said
}

/// Puts programs, units and a network that comes up at boot into the machine, and turns its UFW on.
fn install(machine: &mut Machine) {
    let stripped = tempfile::tempdir().expect("a directory");
    let built = Command::new(env!("CARGO")).args(["build", "--quiet", "--package", "apply", "--bin", "ravelin-applier"]).status();
    assert!(built.expect("cargo").success());
    let ravelin = Path::new(env!("CARGO_BIN_EXE_ravelin"));
    for program in ["ravelin", "ravelin-applier"] {
        let to = stripped.path().join(program);
        let strip = Command::new("strip").arg("-o").arg(&to).arg(ravelin.with_file_name(program)).status();
        assert!(strip.expect("binutils").success());
        machine.put(&format!("/usr/sbin/{program}"), 0o755, &std::fs::read(&to).expect("reads")).unwrap_or_else(|e| panic!("{e}"));
    }
    let units = UNITS.iter().map(|(name, text)| (format!("/etc/systemd/system/{name}.service"), *text));
    let network = NETWORK.iter().map(|(name, text)| (format!("/etc/systemd/network/{name}"), *text));
    for (path, text) in units.chain(network) {
        machine.put(&path, 0o644, text.as_bytes()).unwrap_or_else(|e| panic!("{e}"));
    }
    let on = "systemctl daemon-reload && systemctl enable ravelin-restore.service systemd-networkd.service ufw.service && systemctl restart systemd-networkd
        ufw deny in from 10.66.0.0/16 comment mine && ufw --force enable
        for n in $(seq 60); do ip address show dev eno1 2>/dev/null | grep -q 203.0.113.10 && break; sleep 0.5; done; ip address show dev eno1; sync";
    let ran = machine.run_within(on, APPLY_WITHIN).unwrap_or_else(|e| panic!("{e}"));
    println!("installed");
    assert!(ran.ok() && ran.text().contains("203.0.113.10"), "{}", ran.said());
}

/// `ravelin apply` of this site; out comes its exit code and what it said.
fn apply(machine: &mut Machine, site: &str, more: &str) -> (i32, String) {
    machine.put("/root/site.toml", 0o600, site.as_bytes()).unwrap_or_else(|e| panic!("{e}"));
    let script = format!(
        "SSH_CONNECTION='198.51.100.7 50000 203.0.113.10 22' ravelin apply /root/site.toml --host sp1 --because test --within 3600 {more} 2>&1; echo code=$?"
    );
    let ran = machine.run_within(&script, APPLY_WITHIN).unwrap_or_else(|e| panic!("{e}"));
    let said = ran.said();
    println!("apply {more}: {said}");
    let code = said.lines().find_map(|l| l.strip_prefix("code=")?.parse().ok()).unwrap_or_else(|| panic!("{said}"));
    (code, said)
}

/// UFW's rule files, by name.
fn files(machine: &mut Machine) -> BTreeMap<String, String> {
    let names = ["user.rules", "user6.rules"];
    names.map(|n| (n.to_owned(), must(machine, &format!("cat /etc/ufw/{n}; ls /etc/ufw/applications.d | grep ravelin; true")))).into()
}

/// The ports that a stranger reaches; UFW filters, and its chains are filled before the network comes up.
fn reached(machine: &mut Machine) -> Vec<u16> {
    assert!(must(machine, "ufw status").contains("Status: active"));
    if must(machine, "ip netns list; true").is_empty() {
        must(machine, STRANGER);
    }
    let here = must(machine, "for p in 6665 6666; do nc -z -w 5 203.0.113.10 $p && echo $p; done; true");
    assert_eq!(here.split_whitespace().count(), 2, "both listen: {here}");
    let out = must(machine, "for p in 6665 6666; do ip netns exec out nc -z -w 5 203.0.113.10 $p && echo $p; done; true");
    out.lines().filter_map(|l| l.trim().parse().ok()).collect()
}

#[test]
fn after_a_power_cut_ufw_filters_as_it_was_confirmed() {
    let image = Image::ready(&cache::directory(), &|_| {}).unwrap_or_else(|e| panic!("{e} {:?}", e.help()));
    let disk = Disk::new(&image).expect("a disk");
    let options = Options { mode: Mode::Plain, ..Options::default() };
    let boot = || Machine::boot(&image, &disk, &options).unwrap_or_else(|e| panic!("{e}"));
    let told = |machine: &mut Machine| must(machine, "journalctl -b -o cat -u ravelin-restore -u ufw; ravelin-applier status; true");
    let mut machine = boot();
    install(&mut machine);
    let operators = files(&mut machine);
    assert_eq!(reached(&mut machine), []);

    // Nothing was confirmed yet: the operator's own files are back.
    let (code, said) = apply(&mut machine, SITE, "--yes");
    assert_eq!(code, 5, "{said}");
    assert_eq!(reached(&mut machine), [6665], "{said}");
    assert_ne!(files(&mut machine), operators);
    machine.cut();
    let mut machine = boot();
    assert_eq!(files(&mut machine), operators, "{}", told(&mut machine));
    assert_eq!(reached(&mut machine), [], "{}", told(&mut machine));

    // A confirmed one holds, and one that waited after it is taken back to it.
    let (code, said) = apply(&mut machine, SITE, "--yes --without-probe test");
    assert_eq!(code, 0, "{said}");
    let confirmed = files(&mut machine);
    assert_eq!(reached(&mut machine), [6665]);
    let (code, said) = apply(&mut machine, &SITE.replace("6665", "6666"), "--yes");
    assert_eq!(code, 5, "{said}");
    assert_eq!(reached(&mut machine), [6666], "{said}");
    machine.cut();
    let mut machine = boot();
    assert_eq!(files(&mut machine), confirmed, "{}", told(&mut machine));
    assert_eq!(reached(&mut machine), [6665], "{}", told(&mut machine));
    let stamp = |machine: &mut Machine, unit: &str, property: &str| -> u64 {
        must(machine, &format!("systemctl show {unit} -P {property}")).trim().parse().expect("a time")
    };
    let loaded = stamp(&mut machine, "ravelin-restore.service", "ExecMainExitTimestampMonotonic");
    let network = stamp(&mut machine, "systemd-networkd.service", "ExecMainStartTimestampMonotonic");
    assert!(0 < loaded && loaded <= network, "{loaded} {network}: {}", told(&mut machine));
    assert_eq!(must(&mut machine, "systemctl show ravelin-restore.service -P Result").trim(), "success");
}
