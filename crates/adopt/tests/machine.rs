//! On a machine with systemd and SELinux enforcing: a small service that runs as root is moved to its account with the unit the plan
//! has for it, works there, and is moved back; one that cannot work there returns by itself. The power goes at two points of a move (three
//! with RAVELIN_LONG=1): the service is held until the next boot has gone on. This program is also the service and the mover inside of the machine.

#![expect(clippy::print_stdout, reason = "the times are part of what the test says")]

#[path = "machine/places.rs"]
mod places;

use adopt::{
    Adoption, Error, Progress,
    door::Door,
    host::Host,
    person::Person,
    run::{self, Record},
};
use std::{
    io::Read,
    net::TcpListener,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};
use vm::{Disk, Image, Machine, Options, cache};

/// Says what this program is inside of the machine.
const PART: &str = "RAVELIN_TEST_PART";
/// Says where the mover stands still for good: at which call of the machine's, or among the files.
const STANDS: &str = "RAVELIN_TEST_STANDS";
const STATE: &str = "/root/state";
/// Where the site file has the repository.
const REPO: &str = "/data/lotus";
/// What the mover makes when it stands still, and what the one at boot waits for.
const REACHED: &str = "/root/reached";
const GO: &str = "/root/go";
/// The tests of this program boot one machine at a time: two processors emulate two badly.
static ONE_MACHINE: std::sync::Mutex<()> = std::sync::Mutex::new(());
/// Stopping, moving, starting under emulation, on a busy machine.
const WITHIN: Duration = Duration::from_secs(300);
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

/// The service's account as somebody's login, with a key.
const PEOPLE: &str = "set -e; usermod -s /bin/bash -d /home/lotus lotus; install -d -m 700 -o lotus -g lotus /home/lotus /home/lotus/.ssh
    test -e /root/key || ssh-keygen -q -t ed25519 -N '' -f /root/key
    install -m 600 -o lotus -g lotus /root/key.pub /home/lotus/.ssh/authorized_keys; ! selinuxenabled || restorecon -R /home/lotus; systemctl start ssh";
/// Who a login is, and whether one that wants no shell forwards a port.
const ENTERS: &str = "o='-i /root/key -o StrictHostKeyChecking=no -o BatchMode=yes'; ssh $o lotus@127.0.0.1 id -un 2>/dev/null | tr '\n' ' '
    ssh $o -N -L 2222:127.0.0.1:22 lotus@127.0.0.1 2>/dev/null & p=$!
    for n in $(seq 40); do nc -z 127.0.0.1 2222 && echo forwarded && break; kill -0 $p 2>/dev/null || break; sleep 0.5; done; kill $p 2>/dev/null; true";

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
    println!("ran as uid {}", rustix::process::geteuid().as_raw());
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

/// The machine itself, and a point at which nothing goes on.
struct Standing {
    host: Host,
    at: Option<String>,
}

impl Standing {
    fn new() -> Self {
        let own = std::env::current_exe().expect("own program").display().to_string();
        let wait =
            format!("until test -e {GO}; do sleep 0.2; done; exec env {PART}=go-on {own} --exact the_mover --nocapture --test-threads=1");
        let goes_on = ["/bin/sh", "-c", &wait].map(str::to_owned).to_vec();
        Self { host: Host { goes_on }, at: std::env::var(STANDS).ok() }
    }
    fn here(&self, point: &str) {
        if self.at.as_deref() == Some(point) {
            std::fs::write(REACHED, point).expect("writes");
            loop {
                std::thread::park();
            }
        }
    }
}

impl adopt::Machine for Standing {
    fn accounts(&mut self, plan: &Adoption) -> Result<(u32, u32), Error> {
        self.host.accounts(plan)
    }
    fn account(&self, name: &str) -> Option<(u32, u32)> {
        self.host.account(name)
    }
    fn stop(&mut self, unit: &str) -> Result<(), Error> {
        self.here("stop");
        self.host.stop(unit)
    }
    fn start(&mut self, unit: &str) -> Result<(), Error> {
        self.host.start(unit)
    }
    fn hold(&mut self, plan: &Adoption) -> Result<(), Error> {
        self.host.hold(plan)
    }
    fn release(&mut self, plan: &Adoption) -> Result<(), Error> {
        self.here("release");
        self.host.release(plan)
    }
    fn ended(&mut self, plan: &Adoption) -> Result<(), Error> {
        self.host.ended(plan)
    }
    fn door(&self, account: &str) -> Result<Door, Error> {
        self.host.door(account)
    }
    fn set_door(&mut self, account: &str, door: &Door) -> Result<(), Error> {
        self.host.set_door(account, door)
    }
    fn reload(&mut self) -> Result<(), Error> {
        self.here("reload");
        self.host.reload()
    }
    fn healthy(&mut self, plan: &Adoption, uid: u32) -> Result<(), Error> {
        self.host.healthy(plan, uid)
    }
}

/// The mover: carries out what lies in its state directory.
#[test]
fn the_mover() {
    if part("administrator") {
        let ada = Person::here("lotus", "ada").expect("nothing stands against it");
        println!("{:?}", ada.holders());
        ada.make().unwrap_or_else(|e| panic!("{}", run::chain(&e)));
        assert!(Person::here("lotus", "ada").is_err(), "it is there");
    }
    if part("look") {
        let plan: Adoption = serde_json::from_slice(&std::fs::read("/root/plan.json").expect("reads")).expect("a plan");
        println!("looked: {}", run::survey(&plan, &Host::default()).map_or_else(|e| run::chain(&e), |s| format!("{s:?}")));
    }
    if part("begin") {
        let plan: Adoption = serde_json::from_slice(&std::fs::read("/root/plan.json").expect("reads")).expect("a plan");
        println!("{:?}", run::survey(&plan, &Host::default()).expect("nothing stands against it"));
        drop(Record::begin(Path::new(STATE), plan).expect("begins"));
    }
    if part("undo") {
        Record::find(Path::new(STATE), "lotus", true).expect("looks").expect("a move").back("asked for").expect("marks");
    }
    if part("begin") || part("undo") || part("go-on") {
        let record = Record::find(Path::new(STATE), "lotus", false).expect("looks").expect("one to go on with");
        let mut machine = Standing::new();
        let among = Standing::new();
        let progress = &mut |p| {
            if matches!(p, Progress::Inodes(1.., _)) {
                among.here("files")
            }
        };
        println!("ended: {:?}", run::carry_out(&record, &mut machine, progress).unwrap_or_else(|e| panic!("{}", run::chain(&e))));
    }
}

/// What the plan has for this service, with its repository at a place.
fn adoption(repo: &str) -> Adoption {
    let source = words::SourceFile::new("site.toml", SITE.replace(REPO, repo));
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
        roots: vec![repo.to_owned()],
        relocation: None,
        accounts: emit::accounts::sysusers(&system),
        directories: emit::accounts::directories(&system),
        files: emit::own::of_unit(unit, None),
        port,
        within: 60,
        closes: false,
        deadlines: Some("a test".into()),
    }
}

/// Puts this program and the service's unit into the machine.
fn install(machine: &mut Machine) {
    let dir = tempfile::tempdir().expect("directory");
    let small = dir.path().join("small");
    let own = std::env::current_exe().expect("own program");
    assert!(Command::new("strip").arg("-o").arg(&small).arg(own).status().expect("binutils").success());
    machine.put("/usr/local/bin/lotus", 0o755, &std::fs::read(&small).expect("reads")).unwrap_or_else(|e| panic!("{e}"));
    machine.put("/etc/systemd/system/lotus-daemon.service", 0o644, UNIT.as_bytes()).unwrap_or_else(|e| panic!("{e}"));
}

/// What the mover is to do.
fn give(machine: &mut Machine, plan: &Adoption) {
    machine.put("/root/plan.json", 0o600, &serde_json::to_vec(plan).expect("JSON")).unwrap_or_else(|e| panic!("{e}"));
}

fn must(machine: &mut Machine, script: &str) -> String {
    let ran = machine.run_within(script, WITHIN).unwrap_or_else(|e| panic!("{e}"));
    assert!(ran.ok(), "{script}: {}", ran.said());
    ran.text()
}

fn runs_as(machine: &mut Machine) -> String {
    must(machine, "ps -o user= -p $(systemctl show lotus-daemon.service -P MainPID)").trim().to_owned()
}

fn tree(machine: &mut Machine) -> String {
    must(machine, "cd /data/lotus; find . ! -name written -printf '%p %u:%g %m\\n' | sort; getfacl -R . | grep -v written")
}

fn mover(machine: &mut Machine, part: &str) -> String {
    let script = format!("{PART}={part} /usr/local/bin/lotus --exact the_mover --nocapture --test-threads=1");
    let ran = machine.run_within(&script, WITHIN).unwrap_or_else(|e| panic!("{e}"));
    assert!(ran.ok(), "{}\n{}", ran.said(), must(machine, "journalctl -b -o cat -n 30 -u lotus-daemon; true"));
    ran.said()
}

/// Starts the mover, which stands still at a point, and cuts the power there.
fn cut_at(mut machine: Machine, part: &str, point: &str) {
    must(
        &mut machine,
        &format!(
            "rm -f {REACHED} {GO}; sync; {PART}={part} {STANDS}={point} setsid /usr/local/bin/lotus --exact the_mover --nocapture --test-threads=1 >/root/said 2>&1 &
            for n in $(seq 300); do test -e {REACHED} && exit 0; sleep 0.3; done; cat /root/said; exit 1"
        ),
    );
    machine.cut();
}

/// After a cut: the service is held, whoever starts it is told, and it runs once the one at boot has gone on; as whom, from the first start on.
fn held_then_gone_on(machine: &mut Machine, point: &str) -> String {
    let ran = machine.run("systemctl start lotus-daemon.service").unwrap_or_else(|e| panic!("{e}"));
    let why = must(machine, "systemctl show lotus-daemon.service -P ActiveState; journalctl -b -o cat -u lotus-daemon");
    assert!(!ran.ok() && why.starts_with("inactive") && !why.contains("ran as uid"), "{point}: {}{why}", ran.said());
    assert!((ran.said() + &why).contains("ssert"), "{point}: who starts it is not told why not: {}{why}", ran.said());
    must(
        machine,
        &format!(
            "touch {GO}; for n in $(seq 300); do test -e /etc/systemd/system/ravelin-adopt-lotus-at-boot.service || break; sleep 0.3; done
            ! systemctl -q is-failed ravelin-adopt-lotus-at-boot.service || (journalctl -b -o cat -u ravelin-adopt-lotus-at-boot.service; exit 1)
            for n in $(seq 100); do nc -z 127.0.0.1 1234 && break; sleep 0.3; done; nc -z 127.0.0.1 1234"
        ),
    );
    must(
        machine,
        "! ls /etc/systemd/system/multi-user.target.wants | grep ravelin-adopt && ! ls /etc/systemd/system/lotus-daemon.service.d/90-* 2>/dev/null",
    );
    must(
        machine,
        "journalctl -b -o cat -u lotus-daemon | sed -n 's/.*ran as uid \\([0-9]*\\).*/\\1/p' | sort -u | while read -r uid; do getent passwd $uid | cut -d: -f1; done",
    )
}

#[test]
fn a_service_that_runs_as_root_gets_its_account_and_goes_back() {
    if std::env::var_os(PART).is_some() {
        return;
    }
    let _alone = ONE_MACHINE.lock();
    let image = Image::ready(&cache::directory(), &|what| println!("{what}")).unwrap_or_else(|e| panic!("{e} {:?}", e.help()));
    let disk = Disk::new(&image).expect("a disk");
    let begun = Instant::now();
    let mut machine = Machine::boot(&image, &disk, &Options::default()).unwrap_or_else(|e| panic!("{e}"));
    install(&mut machine);
    give(&mut machine, &adoption(REPO));
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
    assert_eq!((runs_as(&mut machine), tree(&mut machine)), ("root".to_owned(), before.clone()));
    println!("moved, moved back, and returned by itself; {:.0} s", begun.elapsed().as_secs_f64());

    must(&mut machine, "rm -r /data/needs; systemctl restart lotus-daemon.service");
    let boot = || Machine::boot(&image, &disk, &Options::default()).unwrap_or_else(|e| panic!("{e}"));
    let long = std::env::var_os("RAVELIN_LONG").is_some();
    let cuts = [("begin", "files", "lotus"), ("undo", "reload", "root"), ("begin", "release", "lotus")];
    for (part, point, ends_as) in cuts.into_iter().take(if long { 3 } else { 2 }) {
        cut_at(machine, part, point);
        machine = boot();
        assert_eq!(held_then_gone_on(&mut machine, point).trim(), ends_as, "{part}, cut at {point}: another account ran it first");
        assert_eq!(runs_as(&mut machine), ends_as, "{part}, cut at {point}");
        if ends_as == "root" {
            assert_eq!(tree(&mut machine), before, "{part}, cut at {point}");
        }
        println!("{part}, cut at {point}: held, gone on with at boot, runs as {ends_as}; {:.0} s", begun.elapsed().as_secs_f64());
    }

    // People logged in as the account until now.
    if long {
        mover(&mut machine, "undo");
    }
    give(&mut machine, &Adoption { closes: true, ..adoption(REPO) });
    must(&mut machine, PEOPLE);
    let door = "getent passwd lotus; getent shadow lotus";
    let (open, enters) = (must(&mut machine, door), |machine: &mut Machine| must(machine, ENTERS));
    assert_eq!(enters(&mut machine).trim(), "lotus forwarded");
    println!("{}", mover(&mut machine, "administrator"));
    let ada = "ssh -i /root/key -o StrictHostKeyChecking=no -o BatchMode=yes ada@127.0.0.1 'id -un; sudo -n id -un'";
    assert_eq!(must(&mut machine, ada), "ada\nroot\n");
    mover(&mut machine, "begin");
    assert_eq!((enters(&mut machine).trim(), runs_as(&mut machine).as_str()), ("", "lotus"));
    mover(&mut machine, "undo");
    assert_eq!((enters(&mut machine).trim(), must(&mut machine, door)), ("lotus forwarded", open));
    println!("an account people logged in as: closed, and opened again; {:.0} s", begun.elapsed().as_secs_f64());
}
