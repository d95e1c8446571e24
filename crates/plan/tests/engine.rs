//! A container engine's published ports on the kernel: with the engine's own rules in place (as Docker writes them), what
//! no flow allows does not reach the container, what a flow allows does; the same outwards. The machine forwards because
//! of its engine, and is still no way from one network to another or to a container's own address. Without our table
//! everything goes through, which shows that the probe works.

mod common;

use plan::{Devices, Options};
use ruleset::TableFamily;
use std::process::Command;
use words::HostName;

/// The host with an engine, a container behind `docker0` and a neighbour in the zone, each in a namespace of its own.
/// Nobody listens: a refused connection has reached its host, a lost one has not.
const STAGE: &str = r#"
unshare -n sleep 60 & c=$!
unshare -n sleep 60 & w=$!
unshare -n sleep 60 & o=$!
trap 'kill $c $w $o' EXIT
for n in $c $w $o; do while [ "$(readlink /proc/$n/ns/net)" = "$(readlink /proc/self/ns/net)" ]; do sleep 0.02; done; done
at() { n=$1; shift; nsenter --net=/proc/$n/ns/net "$@"; }
ip link set lo up
ip link add docker0 type bridge
ip addr add 172.17.0.1/16 dev docker0
ip link set docker0 up
ip link add veth1 type veth peer name eth0
ip link set eth0 netns $c
ip link set veth1 master docker0 up
at $c ip link set lo up
at $c ip addr add 172.17.0.2/16 dev eth0
at $c ip link set eth0 up
at $c ip route add default via 172.17.0.1
ip link add dmz type veth peer name peer
ip link set peer netns $w
ip addr add 10.20.10.12/24 dev dmz
ip link set dmz up
at $w ip link set lo up
at $w ip addr add 10.20.10.11/24 dev peer
at $w ip link set peer up
ip link add other type veth peer name far
ip link set far netns $o
ip addr add 10.20.99.1/24 dev other
ip link set other up
at $o ip link set lo up
at $o ip addr add 10.20.99.2/24 dev far
at $o ip link set far up
at $o ip route add default via 10.20.99.1
at $w ip route add 10.20.99.0/24 via 10.20.10.12
at $w ip route add 172.17.0.0/16 via 10.20.10.12
echo 1 > /proc/sys/net/ipv4/ip_forward
iptables -t nat -N DOCKER
iptables -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
for p in 8080 8081; do iptables -t nat -A DOCKER ! -i docker0 -p tcp --dport $p -j DNAT --to-destination 172.17.0.2:80; done
iptables -t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
try() { if at $1 timeout 1 bash -c "exec 3<>/dev/tcp/$2/$3" 2>&1 | grep -q refused; then echo "$4 reached"; else echo "$4 lost"; fi; }
try $w 10.20.10.12 8080 before/in
try $c 10.20.10.11 9 before/out
try $w 10.20.99.2 9 before/router
try $w 172.17.0.2 80 before/direct
nft -f "$RULES"
try $w 10.20.10.12 8080 denied/in
try $w 10.20.10.12 8081 allowed/in
try $c 10.20.10.11 9 denied/out
try $c 10.20.10.11 9100 allowed/out
try $w 10.20.99.2 9 denied/router
try $w 172.17.0.2 80 denied/direct
nft list table inet ravelin | grep 'counter packets' | grep -e deny/ingress -e deny/egress -e deny/forward
"#;

#[test]
fn published_ports_obey_the_model() {
    let plan = plan::plan(&common::model(), &Devices::default(), Options::default());
    let machine = &plan.machines[&HostName::new("docker1").expect("name")];
    let script = emit::nft::script(&machine.ruleset, TableFamily::Inet, plan::TABLE);
    let path = std::env::temp_dir().join(format!("ravelin-engine-{}.nft", std::process::id()));
    std::fs::write(&path, script).expect("written");
    let out = Command::new("unshare").args(["-Urn", "bash", "-ec", STAGE]).env("RULES", &path).output().expect("unshare");
    std::fs::remove_file(&path).expect("removed");
    let text = String::from_utf8_lossy(&out.stdout);
    let trouble = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{text}\n{trouble}");
    let lines = [
        "before/in reached",
        "before/out reached",
        "before/router reached",
        "before/direct reached",
        "denied/in lost",
        "allowed/in reached",
        "denied/out lost",
        "allowed/out reached",
        "denied/router lost",
        "denied/direct lost",
    ];
    for line in lines {
        assert!(text.lines().any(|l| l == line), "{line}\n{text}\n{trouble}");
    }
    // A negative is proven by the counter of the rule that refused it.
    for id in ["deny/ingress", "deny/egress", "deny/forward"] {
        let counted = text.lines().any(|l| l.contains(id) && l.contains("drop") && !l.contains("packets 0 "));
        assert!(counted, "{id}\n{text}");
    }
}

/// A machine of LXD's kind: `lxdbr0` with a guest that is reached and leaves under its own address, nothing translated.
const ROUTED: &str = r#"
unshare -n sleep 60 & c=$!
unshare -n sleep 60 & w=$!
trap 'kill $c $w' EXIT
for n in $c $w; do while [ "$(readlink /proc/$n/ns/net)" = "$(readlink /proc/self/ns/net)" ]; do sleep 0.02; done; done
at() { n=$1; shift; nsenter --net=/proc/$n/ns/net "$@"; }
ip link set lo up
ip link add lxdbr0 type bridge
ip addr add 10.200.0.1/24 dev lxdbr0
ip addr add fd42::1/64 dev lxdbr0 nodad
ip link set lxdbr0 up
ip link add veth1 type veth peer name eth0
ip link set eth0 netns $c
ip link set veth1 master lxdbr0 up
at $c ip link set lo up
at $c ip addr add 10.200.0.2/24 dev eth0
at $c ip addr add fd42::2/64 dev eth0 nodad
at $c ip link set eth0 up
at $c ip route add default via 10.200.0.1
at $c ip -6 route add default via fd42::1
ip link add dmz type veth peer name peer
ip link set peer netns $w
ip addr add 10.20.10.12/24 dev dmz
ip addr add fd43::1/64 dev dmz nodad
ip link set dmz up
at $w ip link set lo up
at $w ip addr add 10.20.10.11/24 dev peer
at $w ip addr add fd43::2/64 dev peer nodad
at $w ip link set peer up
at $w ip route add 10.200.0.0/24 via 10.20.10.12
at $w ip -6 route add fd42::/64 via fd43::1
echo 1 > /proc/sys/net/ipv4/ip_forward
echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
nft 'table inet lxd { chain pst.lxdbr0 { type nat hook postrouting priority 100; }; chain fwd.lxdbr0 { type filter hook forward priority 0; oifname lxdbr0 accept; iifname lxdbr0 accept; }; }'
try() { if at $1 timeout 1 bash -c "exec 3<>/dev/tcp/$2/$3" 2>&1 | grep -q refused; then echo "$4 reached"; else echo "$4 lost"; fi; }
# IPv6 neighbours are found once the bridge has done with its own addresses.
for i in $(seq 40); do at $w timeout 1 bash -c 'exec 3<>/dev/tcp/fd42::2/80' 2>&1 | grep -q refused && break; sleep 0.1; done
try $w 10.200.0.2 80 before/guest
try $w fd42::2 80 before/guest6
try $c 10.20.10.11 9 before/site
try $c fd43::2 9 before/site6
nft -f "$RULES"
try $w 10.200.0.2 80 denied/guest
try $w fd42::2 80 denied/guest6
try $c 10.20.10.11 9 denied/site
try $c fd43::2 9 denied/site6
nft add rule inet lxd pst.lxdbr0 ip saddr 10.200.0.0/24 oifname != lxdbr0 masquerade
try $c 10.20.10.11 9 denied/masqueraded
try $c 10.20.10.11 9100 allowed/masqueraded
nft list table inet ravelin | grep 'counter packets' | grep -e deny/egress -e deny/forward
"#;

#[test]
fn routed_guests_are_no_neighbours_of_the_site() {
    for engine in ["lxd", "libvirt", "k3s"] {
        let mut model = common::model();
        let name = HostName::new("docker1").expect("name");
        model.hosts.get_mut(&name).expect("host").coexist = vec![engine.into()];
        let plan = plan::plan(&model, &Devices::default(), Options::default());
        let script = emit::nft::script(&plan.machines[&name].ruleset, TableFamily::Inet, plan::TABLE);
        let path = std::env::temp_dir().join(format!("ravelin-routed-{}.nft", std::process::id()));
        std::fs::write(&path, script).expect("written");
        let out = Command::new("unshare").args(["-Urn", "bash", "-ec", ROUTED]).env("RULES", &path).output().expect("unshare");
        std::fs::remove_file(&path).expect("removed");
        let text = String::from_utf8_lossy(&out.stdout);
        let trouble = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{engine}: {text}\n{trouble}");
        let reached = ["before/guest", "before/guest6", "before/site", "before/site6", "allowed/masqueraded"];
        let lost = ["denied/guest", "denied/guest6", "denied/site", "denied/site6", "denied/masqueraded"];
        let lines = reached.map(|l| format!("{l} reached")).into_iter().chain(lost.map(|l| format!("{l} lost")));
        for line in lines {
            assert!(text.lines().any(|l| l == line), "{engine}: {line}\n{text}\n{trouble}");
        }
        for id in ["deny/egress", "deny/forward"] {
            let counted = text.lines().any(|l| l.contains(id) && l.contains("drop") && !l.contains("packets 0 "));
            assert!(counted, "{engine}: {id}\n{text}");
        }
    }
}

/// The same machine behind UFW: Docker's rules stand before UFW's chains in FORWARD, as Docker puts them there, so that UFW alone does
/// not see a published port. Docker's restart empties its own chains and leaves our table.
const BEHIND_UFW: &str = r#"
iptables -N DOCKER-USER; iptables -N DOCKER
iptables -I FORWARD -o docker0 -j DOCKER
iptables -I FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
iptables -I FORWARD -i docker0 ! -o docker0 -j ACCEPT
iptables -I FORWARD -j DOCKER-USER
iptables -A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp --dport 80 -j ACCEPT
try $w 10.20.10.12 8080 bypass/in
try $w 10.20.10.12 9 bypass/input
nft -f "$RULES"
try $w 10.20.10.12 8080 denied/in
try $w 10.20.10.12 8081 allowed/in
try $w 10.20.10.12 9 denied/input
try $c 10.20.10.11 9 denied/out
try $c 10.20.10.11 9100 allowed/out
try $w 10.20.99.2 9 denied/router
iptables -F DOCKER
iptables -A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp --dport 80 -j ACCEPT
try $w 10.20.10.12 8080 restarted/in
nft list table inet ravelin | grep 'counter packets' | grep -e deny/published -e deny/egress
"#;

#[test]
fn published_ports_do_not_bypass_ufw() {
    let mut model = common::model();
    let name = HostName::new("docker1").expect("name");
    model.layers.network = site::model::Mode::Enforce;
    model.hosts.get_mut(&name).expect("host").firewall = site::model::Firewall::Ufw;
    let plan = plan::plan(&model, &Devices::default(), Options::default());
    let machine = &plan.machines[&name];
    let ufw = machine.ufw.as_ref().expect("UFW");
    let dir = std::env::temp_dir().join(format!("ravelin-ufw-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("directory");
    let put = |n: &str, text: String| {
        std::fs::write(dir.join(n), text).expect("written");
        dir.join(n)
    };
    let rules = put("ravelin.nft", emit::nft::script(&machine.ruleset, TableFamily::Inet, plan::TABLE));
    let v4 = put("v4", emit::ufw::whole(ufw, words::Family::V4));
    let stage = STAGE.split("try $w 10.20.10.12 8080 before/in").next().expect("stage");
    let tries = STAGE.lines().find(|l| l.starts_with("try()")).expect("try");
    assert!(stage.contains(tries));
    let script = format!("{stage}\niptables-restore --noflush < {}\n{BEHIND_UFW}", v4.display());
    let out = Command::new("unshare").args(["-Urn", "bash", "-ec", &script]).env("RULES", &rules).output().expect("unshare");
    std::fs::remove_dir_all(&dir).expect("removed");
    let (text, trouble) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{text}\n{trouble}");
    for line in [
        "bypass/in reached",
        "bypass/input lost",
        "denied/in lost",
        "allowed/in reached",
        "denied/input lost",
        "denied/out lost",
        "allowed/out reached",
        "denied/router lost",
        "restarted/in lost",
    ] {
        assert!(text.lines().any(|l| l == line), "{line}\n{text}\n{trouble}");
    }
    for id in ["deny/published", "deny/egress"] {
        assert!(text.lines().any(|l| l.contains(id) && l.contains("drop") && !l.contains("packets 0 ")), "{id}\n{text}");
    }
}
