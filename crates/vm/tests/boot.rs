//! A machine boots under SELinux, runs scripts with their output, codes and times, keeps what was flushed over a power cut, and
//! leaves the cached image as it was.

#![expect(clippy::print_stdout, reason = "the times are part of what the test says")]

use std::{
    process::Command,
    time::{Duration, Instant},
};
use vm::{Code, Disk, Image, Machine, Mode, Options, Switch, cache};

fn image() -> Image {
    Image::ready(&cache::directory(), &|what| println!("{what}"))
        .unwrap_or_else(|e| panic!("{e} ({:?}) {:?}", std::error::Error::source(&e), e.help()))
}

fn digest(image: &Image) -> String {
    let out = Command::new("sha256sum").arg(image.disk()).output().expect("coreutils");
    assert!(out.status.success());
    String::from_utf8_lossy(&out.stdout).into_owned()
}

fn boot(image: &Image, disk: &Disk, options: &Options) -> Machine {
    let machine = Machine::boot(image, disk, options).unwrap_or_else(|e| panic!("{e}"));
    println!("booted in {:.1} s", machine.booted_in().as_secs_f64());
    machine
}

#[test]
fn scripts_run_under_selinux_and_a_power_cut_keeps_what_was_flushed() {
    let image = image();
    let before = digest(&image);
    let disk = Disk::new(&image).expect("a disk");
    let begun = Instant::now();
    let mut machine = boot(&image, &disk, &Options::default());

    assert_eq!(machine.enforcing().expect("answers"), Some(Mode::Enforcing));
    assert_eq!(machine.must("cat /proc/1/comm").expect("runs").trim(), "systemd");
    let kernel = machine.must("cat /proc/cmdline").expect("reads");
    assert!(kernel.split_whitespace().any(|word| word == "no_timer_check"), "{kernel}");
    assert_eq!(machine.must("systemctl --failed --no-legend --plain").expect("runs"), "", "units that failed");
    println!("scripts run as {}", machine.must("id -Z").expect("runs").trim());
    println!("refused while booting: {}", machine.must("journalctl -b -o cat | grep -c 'avc:  denied'; true").expect("runs").trim());
    // Root of the agent is not confined: it may do what tests plant.
    machine
        .must("modprobe 8021q && useradd planted && userdel planted && systemctl daemon-reload && nft add table inet x")
        .expect("may all");

    let ran = machine.run("echo out; echo err >&2; exit 7").expect("runs");
    assert_eq!((ran.code, ran.out.as_slice(), ran.err.as_slice()), (Code::Exit(7), b"out\n".as_slice(), b"err\n".as_slice()));
    let every: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
    let ran = machine.run_with("cat", &every, Duration::from_secs(60)).expect("runs");
    assert!(ran.out == every, "a megabyte of every byte comes back");
    machine.put("/srv/a file's name", 0o640, b"content").expect("writes");
    assert_eq!(machine.get("/srv/a file's name").expect("reads"), b"content");
    assert!(machine.get("/srv/not there").is_err());

    let late = Instant::now();
    let ran = machine.run_within("echo begun; sleep 1000 & sleep 1000", Duration::from_secs(3)).expect("an answer");
    assert_eq!((ran.code, ran.text().as_str()), (Code::Late, "begun\n"));
    assert!(late.elapsed() < Duration::from_secs(30), "{:?}", late.elapsed());
    assert_eq!(machine.run("exit 124").expect("runs").code, Code::Exit(124), "a code like timeout's own is no lateness");

    machine.must("echo kept >/root/kept; sync; echo lost >/dev/shm/lost").expect("writes");
    machine.cut();
    let mut machine = boot(&image, &disk, &Options::default());
    assert_eq!(machine.get("/root/kept").expect("reads"), b"kept\n");
    assert!(machine.get("/dev/shm/lost").is_err());
    machine.power_off().expect("a clean end");

    let other = Disk::new(&image).expect("a disk");
    let mut machine = boot(&image, &other, &Options { mode: Mode::Plain, ..Options::default() });
    assert_eq!(machine.enforcing().expect("answers"), None, "SELinux is off");
    assert!(machine.get("/root/kept").is_err(), "another disk is another machine");
    drop(machine);

    assert_eq!(digest(&image), before, "the cached image was written");
    println!("three boots and their scripts took {:.1} s", begun.elapsed().as_secs_f64());
}

#[test]
fn machines_on_one_switch_meet_in_their_tagged_network_only() {
    let image = image();
    let begun = Instant::now();
    let switch = Switch::new().expect("a switch");
    let options = Options { mode: Mode::Plain, networks: vec![switch], ..Options::default() };
    let disks = [Disk::new(&image).expect("a disk"), Disk::new(&image).expect("a disk")];
    let mut machines = std::thread::scope(|scope| {
        let both = disks.each_ref().map(|disk| scope.spawn(|| boot(&image, disk, &options)));
        both.map(|b| b.join().expect("boots"))
    });
    for (n, machine) in machines.iter_mut().enumerate() {
        let own = n + 1;
        machine
            .must(&format!(
                "set -e; modprobe 8021q; for n in $(seq 120); do d=$(ls /sys/class/net | grep -v lo) && break; sleep 0.5; done; ip link set $d up
                for tag in 10 20; do ip link add v$tag link $d type vlan id $tag; ip link set v$tag up; done
                ip address add 10.0.10.{own}/24 dev v10"
            ))
            .expect("configures");
    }
    machines[0].must("ping -c 1 -W 10 10.0.10.2").expect("its neighbour in VLAN 10 answers");
    // Linux answers for any address of its own on any device: the one in VLAN 10 has to go.
    machines[1].must("ip link del v10; ip address add 10.0.10.2/24 dev v20").expect("moves");
    machines[0].must("ip neigh flush all").expect("forgets");
    assert!(!machines[0].run("ping -c 1 -W 5 10.0.10.2").expect("runs").ok(), "another VLAN is another network");
    println!("two machines on one switch took {:.1} s", begun.elapsed().as_secs_f64());
}
