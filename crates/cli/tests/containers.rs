//! Containers of Podman in a machine of the VM lab. Two bad ones run a stand-in: one is privileged, root, in the host's network, with the
//! engine's socket and the host's root mounted; one publishes its port on every address. Each fault is named, and what a takeover
//! tries works. Then what `ravelin containers` writes is put in place and started by systemd: both serve, on their addresses alone, as
//! nobody special, what is tried fails, and nothing is named any more.

#![expect(clippy::print_stdout, reason = "what was tried is the test's result")]

#[path = "../../stub/tests/common/mod.rs"]
mod stand_in;

use serde_json::{Value, json};
use stand_in::lab::{self, Lab, SETTING_UP};
use std::{collections::BTreeMap, fs, path::Path};
use vm::{Mode, Options};

/// The machine is its `box1`.
const SITE: &str = "/root/site.toml";

/// Somebody outside on two networks; accounts; what a takeover needs to be there.
const MACHINE: &str = "set -e
    ip netns add outside; ip link add lan0 type veth peer name out0 netns outside
    ip address add 10.0.1.11/24 dev lan0; ip address add 10.0.99.11/24 dev lan0; ip link set lan0 up
    ip -n outside address add 10.0.1.12/24 dev out0; ip -n outside address add 10.0.99.12/24 dev out0; ip -n outside link set out0 up
    for a in lotus boost; do useradd --system --user-group --home-dir /var/lib/$a --shell /usr/sbin/nologin $a; chown -R $a: /srv/$a; done
    cp $(find /lib/modules -name nlmon.ko | head -1) /srv/lotus/trial.ko
    sysctl -q kernel.perf_event_paranoid=-1 || true
    systemctl start podman.socket";

/// No registry is reachable: one program is the whole image.
const IMAGE: &str = "set -e
    mkdir -p /root/image/bin /root/image/tmp /root/image/mnt; cp /usr/local/bin/ravelin-stub /root/image/bin/; chmod -R a+rX /root/image
    tar -C /root/image -c . | podman import --quiet --change 'ENTRYPOINT [\"/bin/ravelin-stub\"]' - docker.io/filecoin/lotus:v1.36.2
    podman tag docker.io/filecoin/lotus:v1.36.2 docker.io/filecoin/boostd:v2.5.2";

/// As it is found in the wild.
const BAD: &str = "set -e
    podman run --detach --quiet --name lotus --privileged --network host --volume /run/podman/podman.sock:/run/podman/podman.sock \
      --volume /:/host --volume /srv/lotus:/var/lib/lotus --env RAVELIN_STUB_PROFILE=/var/lib/lotus/profile.json \
      --env RAVELIN_STUB_ORDERS=/var/lib/lotus/orders docker.io/filecoin/lotus:v1.36.2
    podman run --detach --quiet --name boostd --publish 1288:1288 --volume /srv/boost:/var/lib/boost \
      --env RAVELIN_STUB_PROFILE=/var/lib/boost/profile.json docker.io/filecoin/boostd:v2.5.2";

/// What was written, with the original's environment beside it.
const GOOD: &str = "set -e
    install -m 644 -t /etc/systemd/system /root/narrow/lotus.service /root/narrow/boostd.service
    edit() { mkdir -p /etc/systemd/system/$1.service.d; printf '[Service]\\nEnvironment=\"OPTIONS=%s\"\\n' \"$2\" >/etc/systemd/system/$1.service.d/own.conf; }
    edit lotus '--env=RAVELIN_STUB_PROFILE=/var/lib/lotus/profile.json --env=RAVELIN_STUB_ORDERS=/var/lib/lotus/orders'
    edit boostd '--env=RAVELIN_STUB_PROFILE=/var/lib/boost/profile.json'
    rm -f /srv/lotus/orders; systemd-analyze verify --man=no --recursive-errors=no /etc/systemd/system/lotus.service /etc/systemd/system/boostd.service
    systemctl daemon-reload; systemctl start lotus.service boostd.service";

/// What a takeover of the first tries.
const ORDERS: [&str; 17] = [
    "read=/host/etc/shadow",
    "write=/host/etc/systemd/system/evil.service",
    "write=/etc/evil",
    "read=/dev/vda",
    "node=/tmp",
    "mount=/mnt",
    "raw",
    "packet",
    "address",
    "listen=80",
    "module=/var/lib/lotus/trial.ko",
    "bpf",
    "counters",
    "clock",
    "become=0",
    "engine=/run/podman/podman.sock,/v4.0.0/libpod/containers/create,/var/lib/lotus/evil.json",
    "engine=/run/podman/podman.sock,/v4.0.0/libpod/containers/evil/start",
];

/// What the audit has to say of them.
const NAMED: [(&str, &str, &str); 7] = [
    ("AUD024", "lotus", "privileged"),
    ("AUD024", "lotus", "holds the engine's socket"),
    ("AUD024", "lotus", "root with the host's network"),
    ("AUD085", "lotus", "/:/host"),
    ("AUD011", "boostd", "1288/tcp published on 0.0.0.0"),
    ("AUD024", "boostd", "runs as root inside"),
    ("AUD087", "boostd", "no-new-privileges is not set, capabilities are not dropped"),
];

/// What the takeover left is there, and is taken away.
const UNDONE: &str = "set -e
    for n in $(seq 60); do [ -e /root/by-the-engine ] && break; sleep 1; done
    rm /root/by-the-engine /etc/systemd/system/evil.service; rmmod nlmon; ip address del 127.99.0.1/32 dev lo
    podman rm --force --ignore evil >/dev/null";

fn profile(service: &str, endpoint: &str, port: u16) -> Vec<u8> {
    let listens = [json!({"endpoint": endpoint, "at": {"udp": false, "port": port}, "loopback": false})];
    let none: [u8; 0] = [];
    json!({"service": service, "instance": service, "listens": listens, "places": none, "stores": none, "peers": none,
        "outside": none, "needs": none})
    .to_string()
    .into_bytes()
}

/// A second container, with the host's disk in it, that leaves a file there.
fn evil() -> Vec<u8> {
    json!({"name": "evil", "image": "docker.io/filecoin/lotus:v1.36.2", "privileged": true, "remove": true,
        "mounts": [{"type": "bind", "source": "/", "destination": "/host", "options": ["rbind"]}],
        "command": ["orders", "/host/srv/lotus/evil-orders"]})
    .to_string()
    .into_bytes()
}

/// Addresses and ports that somebody outside knocks at.
const DOORS: [(&str, u16); 4] = [("10.0.1.11", 1234), ("10.0.99.11", 1234), ("10.0.1.11", 1288), ("10.0.99.11", 1288)];

/// What is to be seen of both containers at one time.
#[derive(Debug, Default)]
struct Seen {
    /// Faults by container, as `ravelin containers` names them.
    faults: BTreeMap<String, Vec<String>>,
    /// What `ravelin audit` finds in containers: code, subject, evidence.
    findings: Vec<String>,
    /// Doors with who answered somebody outside; nobody is left out.
    answers: BTreeMap<String, String>,
    /// Where `ravelin sockets` proves that somebody outside reaches the two ports.
    reachable: BTreeMap<u16, Vec<String>>,
    /// What a takeover tried, and whether it worked.
    tried: BTreeMap<String, bool>,
    /// The main processes: `/proc/PID/status`, cut down, and the control group.
    status: String,
}

impl Seen {
    fn found(&self, code: &str, container: &str, words: &str) -> bool {
        self.findings.iter().any(|f| f.starts_with(&format!("{code} container {container}: ")) && f.contains(words))
    }
}

/// A verb's JSON.
fn ravelin(lab: &mut Lab, verb: &str) -> Value {
    let ran = lab.machine.run_within(&format!("ravelin {verb} --json"), SETTING_UP).unwrap_or_else(|e| panic!("{e}"));
    serde_json::from_str(&ran.text()).unwrap_or_else(|e| panic!("{verb}: {e}: {}", ran.said()))
}

fn list<'a>(of: &'a Value, name: &str) -> &'a [Value] {
    of[name].as_array().unwrap_or_else(|| panic!("{name}: {of}"))
}

fn look(lab: &mut Lab, when: &str) -> Seen {
    let mut seen = Seen::default();
    let word = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    for c in list(&ravelin(lab, &format!("containers --site {SITE} --host box1")), "containers") {
        seen.faults.insert(word(&c["name"]), list(c, "findings").iter().map(|f| word(&f["fault"])).collect());
    }
    for f in list(&ravelin(lab, "audit"), "findings") {
        let text = format!("{} {}: {}", word(&f["code"]), word(&f["subject"]), f["evidence"]);
        if text.contains("container ") {
            seen.findings.push(text);
        }
    }
    for (address, port) in DOORS {
        let heard = lab.must(&format!("ip netns exec outside timeout 20 nc -w 5 {address} {port} </dev/null || true"), SETTING_UP);
        if !heard.trim().is_empty() {
            seen.answers.insert(format!("{address}:{port}"), heard.trim().to_owned());
        }
    }
    for s in list(&ravelin(lab, "sockets --reachable --reveal"), "sockets") {
        let ends = ["socket", "forwarded"].map(|kind| &s["end"][kind]);
        let text = ends[0]["local"].as_str().map(str::to_owned);
        let at = text.or_else(|| ends[1]["port"].as_u64().map(|p| format!("{}:{p}", ends[1]["at"].as_str().unwrap_or("0.0.0.0"))));
        for port in [1234, 1288] {
            seen.reachable.entry(port).or_default().extend(at.iter().filter(|a| a.ends_with(&format!(":{port}"))).cloned());
        }
    }
    seen.tried = taken_over(lab, when);
    let status = "for c in lotus boostd; do p=$(podman inspect -f '{{.State.Pid}}' $c)
        echo $c $(grep -E '^(Uid|CapPrm|CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/$p/status) $(cat /proc/$p/cgroup); done";
    seen.status = lab.must(status, SETTING_UP);
    println!("{when}: {seen:#?}");
    seen
}

/// Gives orders to the first, and hears how each went.
fn taken_over(lab: &mut Lab, name: &str) -> BTreeMap<String, bool> {
    let orders = format!("{name}\n{}\nend\n", ORDERS.join("\n"));
    lab.machine.put("/srv/lotus/next", 0o644, orders.as_bytes()).expect("puts");
    let script = format!(
        "# waits for what a takeover tries
        mv /srv/lotus/next /srv/lotus/orders
        until podman logs lotus 2>&1 | grep -qF '{{\"done\":\"{name}\"}}'; do sleep 1; done
        podman logs lotus 2>&1"
    );
    let text = lab.must(&script, SETTING_UP);
    let mut out = lab::outcomes(&stub::said::read(&text));
    out.retain(|what, _| ORDERS.contains(&what.as_str()));
    text.lines().filter(|l| ORDERS.iter().any(|o| l.contains(o))).for_each(|l| println!("{l}"));
    out
}

#[test]
fn bad_containers_are_named_and_what_they_can_do_ends_with_the_narrower_form() {
    let mut lab = Lab::boot(&Options { mode: Mode::Plain, ..Options::default() });
    lab.ravelin(env!("CARGO_BIN_EXE_ravelin"));
    lab.programs(&[]);
    let site = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../emit/tests/containers/site.toml")).expect("site");
    let file = |path: &str, bytes: Vec<u8>| (path.to_owned(), bytes);
    lab.unpack(&BTreeMap::from([
        file("root/site.toml", site),
        file("srv/lotus/profile.json", profile("lotus", "api", 1234)),
        file("srv/lotus/evil.json", evil()),
        file("srv/lotus/evil-orders", b"evil\nwrite=/host/root/by-the-engine\nend\n".to_vec()),
        file("srv/boost/profile.json", profile("boostd", "api", 1288)),
    ]));
    for script in [MACHINE, IMAGE, BAD] {
        lab.must(script, SETTING_UP);
    }
    let bad = look(&mut lab, "before");
    assert_eq!(
        bad.faults["lotus"],
        ["root", "privileged", "host-network", "engine-socket", "engine-socket", "host-directory", "new-privileges"]
    );
    assert_eq!(bad.faults["boostd"], ["root", "open-port", "new-privileges"]);
    for (code, container, words) in NAMED {
        assert!(bad.found(code, container, words), "{code} {container}: {words}: {:#?}", bad.findings);
    }
    assert_eq!(bad.answers.len(), DOORS.len(), "the probe works: {:?}", bad.answers);
    assert!(bad.reachable.values().all(|at| at.iter().any(|a| a.starts_with("0.0.0.0:"))), "{:?}", bad.reachable);
    let idle: Vec<&str> = ORDERS.into_iter().filter(|o| bad.tried.get(*o) != Some(&true)).collect();
    assert!(idle.is_empty(), "a takeover of the bad one cannot: {idle:?}");
    // The second container, started by the first through the engine's socket, wrote to the machine's own disk.
    lab.must(UNDONE, SETTING_UP);

    let written = lab.machine.run_within(&format!("ravelin containers --site {SITE} --host box1 --write /root/narrow"), SETTING_UP);
    println!("{}", written.unwrap_or_else(|e| panic!("{e}")).said());
    lab.must(GOOD, SETTING_UP);
    let good = look(&mut lab, "after");
    assert!(good.faults.len() == 2 && good.faults.values().all(Vec::is_empty), "{:?}", good.faults);
    assert_eq!(good.findings, [""; 0]);
    assert_eq!(good.answers, BTreeMap::from([("10.0.1.11:1234".to_owned(), "lotus.api".to_owned())]), "its users' address alone");
    // Loopback's are named since a neighbour on the wire may route to a container's own address, which the packet filter is for.
    assert_eq!(good.reachable[&1234], ["10.0.1.11:1234", "127.0.0.1:1234"]);
    assert_eq!(good.reachable[&1288], ["127.0.0.1:1288"]);
    let works: Vec<&str> = ORDERS.into_iter().filter(|o| good.tried.get(*o) != Some(&false)).collect();
    assert!(works.is_empty(), "still works, or was not tried: {works:?}");
    for (container, account) in [("lotus", "lotus"), ("boostd", "boost")] {
        let uid = lab.must(&format!("id -u {account}"), SETTING_UP);
        let uid = uid.trim();
        let none = "0000000000000000";
        let wanted = format!(
            "{container} Uid: {uid} {uid} {uid} {uid} CapPrm: {none} CapEff: {none} CapBnd: {none} NoNewPrivs: 1 Seccomp: 2 0::/system.slice/{container}.service/"
        );
        assert!(good.status.lines().any(|l| l.starts_with(&wanted)), "{wanted}: {}", good.status);
    }
}
