//! Lynis and OpenSCAP on the same machine as the audit. In come a machine and packages, out comes what they report, in how long and with how
//! much memory. With `RAVELIN_PEERS=DIR`, where DIR holds OpenSCAP's packages and its content for the image's release.

use std::{path::Path, time::Duration};
use vm::Machine;

/// Names the directory.
pub const VARIABLE: &str = "RAVELIN_PEERS";
/// Longest time of one of them under emulation.
const PATIENCE: Duration = Duration::from_secs(900);
/// Runs a command and says seconds, seconds of processor time and the largest resident set of any process in it, in KiB:
/// `getrusage` of its children (getrusage(2): two times of two words, then `ru_maxrss`).
const COST: &str = r#"use Time::HiRes; my $s=Time::HiRes::time; system(@ARGV); my $r="\0"x144; syscall(98,-1,$r); my @u=unpack("q*",$r);
open(F,">/tmp/cost"); printf F "COST %.1f %.1f %d\n", Time::HiRes::time-$s, $u[0]+$u[2]+($u[1]+$u[3])/1e6, $u[4]; close F;"#;
/// All its checks. On a busy machine five minutes were not enough: what it had said by then is shown.
const LYNIS: &str = "cd /tmp; perl /root/cost.pl timeout -s KILL 800 lynis audit system --quick --no-colors --quiet --no-plugins >/dev/null 2>&1; \
                     cat /tmp/cost; grep -E '^(warning|suggestion|vulnerable|details)' /var/log/lynis-report.dat; tail -n 2 /var/log/lynis.log";
/// The audit itself, for its cost beside theirs.
const OWN: &str = "cd /tmp; perl /root/cost.pl sh -c 'RAVELIN_AUDIT_PART=bad /root/audit --exact the_audit --nocapture --test-threads=1 >/tmp/own 2>&1'; \
                   cat /tmp/cost; grep -E '^(TOOK|FOUND)' /tmp/own | cut -c 1-120";
/// The widest profile of the content. What is planted about the release is put right for it: it takes no other. So is the line of apt's
/// sources that is no such line: with it apt's library reads no package, and every rule about packages and what depends on them is left out.
const OPENSCAP: &str = "cp /usr/lib/os-release /tmp/os-now; sed -i 's/^VERSION_ID=.*/VERSION_ID=\"12\"/' /usr/lib/os-release; sed -i '/^dep /d' /etc/apt/sources.list; cd /tmp; \
    perl /root/cost.pl sh -c 'timeout 800 oscap xccdf eval --profile xccdf_org.ssgproject.content_profile_anssi_bp28_high \
        /usr/share/xml/scap/ssg/content/ssg-debian12-ds.xml >/tmp/oscap 2>/tmp/oscap.err'; \
    cat /tmp/cost; tail -n 3 /tmp/oscap.err; cp /tmp/os-now /usr/lib/os-release; awk '/^Rule/ {r = $2} /^Result/ {print $2, r}' /tmp/oscap";

/// Installs the packages.
pub fn install(machine: &mut Machine, from: &Path) {
    let packages = std::fs::read_dir(from).expect("the directory of packages").flatten().map(|e| e.path());
    for p in packages.filter(|p| p.extension().is_some_and(|e| e == "deb")) {
        let name = p.file_name().expect("a name").to_string_lossy().into_owned();
        machine.put(&format!("/root/peers/{name}"), 0o644, &std::fs::read(&p).expect("reads")).expect("puts");
    }
    machine.put("/root/cost.pl", 0o644, COST.as_bytes()).expect("puts");
    let ran = machine.run_within("dpkg -i /root/peers/*.deb >/tmp/dpkg 2>&1 || cat /tmp/dpkg; oscap --version | head -n 1", PATIENCE);
    println!("peers: {}", ran.expect("runs").text().trim());
}

/// Both, on the machine as it is: what each cost, and its lines.
pub fn asked(machine: &mut Machine) {
    for (name, script) in [("ravelin", OWN), ("lynis", LYNIS), ("openscap", OPENSCAP)] {
        let text = machine.run_within(script, PATIENCE).expect("runs").text();
        for line in text.lines() {
            println!("{name}: {line}");
        }
        assert!(text.contains("COST "), "{name} says nothing of its cost");
    }
}
