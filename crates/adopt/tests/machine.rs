//! On a machine with systemd and SELinux enforcing: a small service that runs as root is moved to its account with the unit the plan
//! has for it, works there, and is moved back; one that cannot work there returns by itself. This program is also the service and the
//! mover inside of the machine.

#![expect(clippy::print_stdout, reason = "the times are part of what the test says")]

use adopt::{
    Adoption,
    host::Host,
    run::{self, Record},
};
use std::{io::Read, net::TcpListener, path::Path, process::Command, time::Instant};
use vm::{Disk, Image, Machine, Options, cache};

/// Says what this program is inside of the machine.
const PART: &str = "RAVELIN_TEST_PART";
const STATE: &str = "/root/state";
const SITE: &str = r#"
[site]
name = "one"
miners = ["f01"]
management = { from = ["198.51.100.7/32"] }
[layers]
system = "enforce"
[zones]
lan = { subnets = ["10.0.9.0/24"] }
[edge]
kind = "external"
[hosts.node1]
address = "10.0.9.10"
runs = [{ service = "lotus", repo = "/data/lotus" }]
"#;
/// A service as upstream ships it: as root.
const UNIT: &str = "[Service]
ExecStart=/usr/local/bin/lotus --exact the_service --nocapture --test-threads=1
Environment=RAVELIN_TEST_PART=service LOTUS_PATH=/data/lotus
Restart=on-failure
RestartSec=1
[Install]
WantedBy=multi-user.target
";

fn part(name: &str) -> bool {
    std::env::var(PART).is_ok_and(|p| p == name)
}

/// The service: reads its token and what else it is told to need, writes into its repository, listens on its port.
#[test]
fn the_service() {
    if !part("service") {
        return;
    }
    let repo = std::env::var("LOTUS_PATH").expect("its repository");
    let read = |path: &str| {
        std::fs::File::open(path).and_then(|mut f| f.read_to_string(&mut String::new())).unwrap_or_else(|e| panic!("{path}: {e}"))
    };
    read(&format!("{repo}/token"));
    if Path::new("/data/needs").exists() {
        read("/data/needs/key");
    }
    std::fs::write(format!("{repo}/written"), "as whoever I am").expect("writes");
    let listener = TcpListener::bind("127.0.0.1:1234").expect("binds");
    listener.incoming().for_each(drop);
}

/// The mover: carries out what lies in its state directory.
#[test]
fn the_mover() {
    if part("begin") {
        let plan: Adoption = serde_json::from_slice(&std::fs::read("/root/plan.json").expect("reads")).expect("a plan");
        println!("{:?}", run::survey(&plan, &Host).expect("nothing stands against it"));
        drop(Record::begin(Path::new(STATE), plan).expect("begins"));
    }
    if part("undo") {
        Record::find(Path::new(STATE), "lotus", true).expect("looks").expect("a move").back("asked for").expect("marks");
    }
    if part("begin") || part("undo") {
        let record = Record::find(Path::new(STATE), "lotus", false).expect("looks").expect("one to go on with");
        println!("ended: {:?}", run::carry_out(&record, &mut Host, &mut |_| {}).unwrap_or_else(|e| panic!("{}", run::chain(&e))));
    }
}

/// What the plan has for this service.
fn adoption() -> Adoption {
    let source = words::SourceFile::new("site.toml", SITE.to_owned());
    let outcome = site::read(&source, "2026-11-22");
    let told = outcome.render(&source);
    let plan = plan::plan(&outcome.model.unwrap_or_else(|| panic!("{told}")), &plan::Devices::default(), plan::Options::default());
    let system = plan.machines.values().next().and_then(|m| m.system.clone()).expect("a plan");
    let unit = system.units.iter().find(|u| u.name == "lotus-daemon.service").expect("its unit");
    let port = unit.health.as_ref().and_then(|h| h.port);
    assert_eq!(port, Some(1234));
    Adoption {
        service: "lotus".into(),
        unit: unit.name.clone(),
        active: true,
        account: "lotus".into(),
        from: ("root".into(), 0, 0),
        roots: vec!["/data/lotus".into()],
        relocation: None,
        accounts: emit::accounts::sysusers(&system),
        directories: emit::accounts::directories(&system),
        files: emit::own::of_unit(unit, None),
        port,
        within: 60,
        deadlines: Some("a test".into()),
    }
}

fn must(machine: &mut Machine, script: &str) -> String {
    machine.must(script).unwrap_or_else(|e| panic!("{e}"))
}

fn runs_as(machine: &mut Machine) -> String {
    must(machine, "ps -o user= -p $(systemctl show lotus-daemon.service -P MainPID)").trim().to_owned()
}

fn tree(machine: &mut Machine) -> String {
    must(machine, "cd /data/lotus; find . ! -name written -printf '%p %u:%g %m\\n' | sort; getfacl -R . | grep -v written")
}

fn mover(machine: &mut Machine, part: &str) -> String {
    let script = format!("{PART}={part} /usr/local/bin/lotus --exact the_mover --nocapture --test-threads=1");
    let ran = machine.run_within(&script, std::time::Duration::from_secs(180)).unwrap_or_else(|e| panic!("{e}"));
    assert!(ran.ok(), "{}\n{}", ran.said(), must(machine, "journalctl -b -o cat -n 30 -u lotus-daemon; true"));
    ran.said()
}

#[test]
fn a_service_that_runs_as_root_gets_its_account_and_goes_back() {
    if std::env::var_os(PART).is_some() {
        return;
    }
    let image = Image::ready(&cache::directory(), &|what| println!("{what}")).unwrap_or_else(|e| panic!("{e} {:?}", e.help()));
    let disk = Disk::new(&image).expect("a disk");
    let begun = Instant::now();
    let mut machine = Machine::boot(&image, &disk, &Options::default()).unwrap_or_else(|e| panic!("{e}"));
    let dir = tempfile::tempdir().expect("directory");
    let small = dir.path().join("small");
    let own = std::env::current_exe().expect("own program");
    assert!(Command::new("strip").arg("-o").arg(&small).arg(own).status().expect("binutils").success());
    machine.put("/usr/local/bin/lotus", 0o755, &std::fs::read(&small).expect("reads")).unwrap_or_else(|e| panic!("{e}"));
    machine.put("/etc/systemd/system/lotus-daemon.service", 0o644, UNIT.as_bytes()).unwrap_or_else(|e| panic!("{e}"));
    let plan = serde_json::to_vec(&adoption()).expect("JSON");
    machine.put("/root/plan.json", 0o600, &plan).unwrap_or_else(|e| panic!("{e}"));
    must(
        &mut machine,
        "set -e; mkdir -p /data/lotus/keystore /data/lotus/datastore; cd /data/lotus; echo t >token; chmod 600 token; echo k >keystore/key
        chmod 600 keystore/key; setfacl -m u:backup:r token; for n in $(seq 500); do echo $n >datastore/$n; done
        systemctl daemon-reload; systemctl enable --now lotus-daemon.service; for n in $(seq 60); do nc -z 127.0.0.1 1234 && break; sleep 0.5; done",
    );
    assert_eq!(runs_as(&mut machine), "root");
    let before = tree(&mut machine);

    println!("{}", mover(&mut machine, "begin"));
    assert_eq!(runs_as(&mut machine), "lotus");
    let owners = must(&mut machine, "stat -c %U /data/lotus/token /data/lotus/datastore/500 /data/lotus/written | sort -u");
    assert_eq!(owners.trim(), "lotus");
    must(&mut machine, "nc -z 127.0.0.1 1234 && systemctl show lotus-daemon.service -P NoNewPrivileges | grep -q yes");

    println!("{}", mover(&mut machine, "undo"));
    assert_eq!((runs_as(&mut machine), tree(&mut machine)), ("root".to_owned(), before.clone()));
    must(&mut machine, "! test -e /etc/systemd/system/lotus-daemon.service.d");

    // It needs a file that is root's and that nobody declared: as its account it ends again and again, and returns.
    must(&mut machine, "mkdir /data/needs; echo k >/data/needs/key; chmod 600 /data/needs/key; systemctl restart lotus-daemon.service");
    let said = mover(&mut machine, "begin");
    assert!(said.contains("Returned"), "{said}");
    assert_eq!((runs_as(&mut machine), tree(&mut machine)), ("root".to_owned(), before));
    println!("moved, moved back, and returned by itself; {:.0} s", begun.elapsed().as_secs_f64());
}
