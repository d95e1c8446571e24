//! A thousand connections that were open before the machine tracked any survive its first apply: v4 and v6, opened from
//! either side, half of them idle; on a host, and through a node that forwards. Afterwards it is strict.

#![expect(clippy::print_stdout, reason = "the counts are part of what the test says")]

#[path = "common/mod.rs"]
mod common;
#[path = "common/net.rs"]
mod net;

use bundle::{Artefact, Bundle, SeedFlow, Setting, seed};
use common::*;
use net::{Namespace, wire};
use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    path::Path,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};

const FLOWS: usize = 1000;
const PATIENCE: Duration = Duration::from_secs(10);
/// Long enough for a packet on a veth pair, and for the first retransmission (200 ms).
const SILENCE: Duration = Duration::from_millis(700);

struct Site {
    here: Namespace,
    there: Namespace,
    /// v4 and v6 of each.
    here_at: [IpAddr; 2],
    there_at: [IpAddr; 2],
}

/// One connection, by the end it was opened from and the end that was called.
struct Flow {
    opener: TcpStream,
    called: TcpStream,
}

impl Flow {
    /// Something in both directions, the called end first: the hard case for a filter that never saw the opening.
    fn speak(&mut self) -> std::io::Result<()> {
        let mut heard = [0; 4];
        self.called.write_all(b"ping")?;
        self.opener.read_exact(&mut heard)?;
        self.opener.write_all(b"pong")?;
        self.called.read_exact(&mut heard)
    }
    fn patience(&self, patience: Duration) {
        for end in [&self.opener, &self.called] {
            end.set_read_timeout(Some(patience)).expect("sets");
        }
    }
}

fn open(site: &Site, count: usize) -> Vec<Flow> {
    let mut flows = Vec::new();
    for family in 0..2 {
        for (from, to, at) in [(&site.here, &site.there, site.there_at), (&site.there, &site.here, site.here_at)] {
            let listener = to.within(|| TcpListener::bind(SocketAddr::new(at[family], 0)).expect("listens"));
            let at = listener.local_addr().expect("address");
            // One at a time: a listener holds no more than 128 that nobody accepted.
            let one = || {
                let opener = TcpStream::connect_timeout(&at, PATIENCE).expect("connects");
                Flow { opener, called: listener.accept().expect("accepts").0 }
            };
            flows.extend(from.within(|| (0..count / 4).map(|_| one()).collect::<Vec<_>>()));
        }
    }
    for f in &flows {
        f.patience(PATIENCE);
        f.opener.set_nodelay(true).expect("sets");
        f.called.set_nodelay(true).expect("sets");
    }
    flows
}

/// Two UDP sockets that are connected to each other and have said nothing for a while.
fn udp_pair(site: &Site) -> (UdpSocket, UdpSocket) {
    let bind = |ns: &Namespace, at| ns.within(|| UdpSocket::bind(SocketAddr::new(at, 0)).expect("binds"));
    let (ours, theirs) = (bind(&site.here, site.here_at[1]), bind(&site.there, site.there_at[1]));
    ours.connect(theirs.local_addr().expect("address")).expect("connects");
    theirs.connect(ours.local_addr().expect("address")).expect("connects");
    ours.set_read_timeout(Some(PATIENCE)).expect("sets");
    (ours, theirs)
}

/// Applies while half of the flows are busy; out comes how many exchanges there were meanwhile.
fn while_busy(flows: &mut [Flow], work: impl FnOnce() + Send) -> usize {
    let (busy, _idle) = flows.split_at_mut(FLOWS / 2);
    let (stop, exchanges) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                for f in &mut *busy {
                    f.speak().expect("a busy connection goes on");
                    exchanges.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        work();
        stop.store(true, Ordering::Relaxed);
    });
    exchanges.into_inner()
}

fn host_site() -> Site {
    let (here, there) = (Namespace::own(), Namespace::new());
    wire(&here, "site0", &there, "site1");
    here.address("site0", &["10.9.0.1/24", "fd09::1/64"]);
    there.address("site1", &["10.9.0.2/24", "fd09::2/64"]);
    Site { here, there, here_at: pair("10.9.0.1", "fd09::1"), there_at: pair("10.9.0.2", "fd09::2") }
}

fn edge_site(edge: &Namespace) -> Site {
    let (here, there) = (Namespace::new(), Namespace::new());
    for (ns, n, device) in [(&here, 1, "left"), (&there, 2, "right")] {
        wire(edge, device, ns, "gate");
        edge.address(device, &[&format!("10.9.{n}.254/24"), &format!("fd09:{n}::fe/64")]);
        ns.address("gate", &[&format!("10.9.{n}.1/24"), &format!("fd09:{n}::1/64")]);
        ns.run(&format!("ip route add default via 10.9.{n}.254"));
        ns.run(&format!("ip -6 route add default via fd09:{n}::fe"));
    }
    edge.run("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
    Site { here, there, here_at: pair("10.9.1.1", "fd09:1::1"), there_at: pair("10.9.2.1", "fd09:2::1") }
}

fn pair(v4: &str, v6: &str) -> [IpAddr; 2] {
    [v4.parse().expect("address"), v6.parse().expect("address")]
}

/// A bundle that is strict about connections nobody saw begin.
fn strict(script: &str, seeds: Vec<SeedFlow>) -> Bundle {
    let mut draft = draft(script, 1, None);
    let loose = Setting { value: "0".into(), at_least: false, required: true };
    draft.artefacts.push(Artefact::Sysctl { settings: BTreeMap::from([("net.netfilter.nf_conntrack_tcp_loose".into(), loose)]) });
    draft.seeds = seeds;
    Bundle::seal(draft).expect("seals")
}

fn apply_in(ns: &Namespace, dir: &Path, bundle: &Bundle, more: &[&str]) -> String {
    let path = written(dir, "bundle", bundle);
    ns.within(|| applied(&dir.join("state"), &[&["apply", &path, "--auto-confirm"], more].concat()))
}

const FORWARD: &str = "table inet ravelin { }\ndelete table inet ravelin\ntable inet ravelin {
  chain forward {
    type filter hook forward priority 0; policy drop;
    ct state established,related accept comment \"NET001\"
    ct state invalid counter drop comment \"NET002\"
    tcp dport 22 ct state new accept comment \"f0000001\"
    counter drop comment \"NET099\"
  }
}
";

/// A bare acknowledgement of nothing, with a right checksum.
fn stray_ack(from: Ipv4Addr, to: Ipv4Addr, port: u16) {
    use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, ipproto, sendto, socket_with};
    let mut tcp = Vec::new();
    tcp.extend_from_slice(&4242u16.to_be_bytes());
    tcp.extend_from_slice(&port.to_be_bytes());
    tcp.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 0x20, 0, 0, 0, 0, 0]);
    let pseudo = [&from.octets()[..], &to.octets()[..], &[0, 6, 0, 20], &tcp].concat();
    let sum: u32 = pseudo.chunks(2).map(|c| u32::from(c[0]) << 8 | u32::from(c[1])).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let check = !u16::try_from((folded & 0xffff) + (folded >> 16)).expect("folded");
    tcp[16..18].copy_from_slice(&check.to_be_bytes());
    let socket = socket_with(AddressFamily::INET, SocketType::RAW, SocketFlags::CLOEXEC, Some(ipproto::TCP)).expect("raw socket");
    sendto(&socket, &tcp, SendFlags::empty(), &SocketAddr::from((to, 0))).expect("sends");
}

/// Packets counted by the rule with this comment.
fn counted(ns: &Namespace, id: &str) -> u64 {
    let text = ns.run("nft list table inet ravelin");
    let line = text.lines().find(|l| l.contains(id)).expect("the rule is there");
    line.split("packets ").nth(1).and_then(|l| l.split(' ').next()?.parse().ok()).expect("it counts")
}

fn tracked(ns: &Namespace) -> usize {
    ns.within(|| observe::track::list().expect("lists").len())
}

/// Strict afterwards: what begins in the middle is dropped by the rule for it, what is allowed opens, the rest does not.
fn strict_afterwards(filter: &Namespace, from: &Namespace, to: &Namespace, at: [IpAddr; 2], source: Ipv4Addr) {
    let IpAddr::V4(v4) = at[0] else { unreachable!("the first is v4") };
    let before = counted(filter, "NET002");
    from.within(|| stray_ack(source, v4, 22));
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(counted(filter, "NET002"), before + 1, "an acknowledgement of nothing is dropped");
    for address in at {
        let open = |port| {
            let listener = to.within(|| TcpListener::bind(SocketAddr::new(address, port)).expect("listens"));
            let outcome = from.within(|| TcpStream::connect_timeout(&SocketAddr::new(address, port), SILENCE));
            drop(listener);
            outcome
        };
        open(22).expect("what is allowed opens");
        let before = counted(filter, "NET099");
        open(23).expect_err("what is not allowed does not");
        assert!(counted(filter, "NET099") > before, "and the last rule says so");
    }
}

#[test]
fn a_host_keeps_what_was_open_before() {
    if !inside("a_host_keeps_what_was_open_before") {
        return;
    }
    let dir = tempfile::tempdir().expect("directory");
    let site = host_site();
    let mut flows = open(&site, FLOWS);
    let (ours, theirs) = udp_pair(&site);
    let stranger = site.there.within(|| UdpSocket::bind(SocketAddr::new(site.there_at[1], 0)).expect("binds"));
    assert_eq!((flows.len(), tracked(&site.here)), (FLOWS, 0), "nothing is tracked yet");
    let bundle = strict(&ruleset("22"), vec![]);
    let mut said = String::new();
    let exchanges = while_busy(&mut flows, || said = apply_in(&site.here, dir.path(), &bundle, &[]));
    let alive = flows.iter_mut().filter_map(|f| f.speak().ok()).count();
    println!("{alive} of {FLOWS} connections alive after the first apply, {exchanges} exchanges meanwhile; {}", said.replace('\n', "; "));
    assert_eq!(alive, FLOWS);
    theirs.send(b"still").expect("sends");
    assert_eq!(ours.recv(&mut [0; 8]).expect("a connected UDP socket goes on hearing its peer"), 5);
    let before = counted(&site.here, "NET099");
    stranger.send_to(b"new", ours.local_addr().expect("address")).expect("sends");
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(counted(&site.here, "NET099"), before + 1, "and nobody else is let in");
    let source = Ipv4Addr::new(10, 9, 0, 2);
    strict_afterwards(&site.here, &site.there, &site.here, site.here_at, source);
    assert!(flows.iter_mut().all(|f| f.speak().is_ok()), "and they go on");
}

#[test]
fn an_edge_keeps_what_was_open_before() {
    if !inside("an_edge_keeps_what_was_open_before") {
        return;
    }
    let dir = tempfile::tempdir().expect("directory");
    let edge = Namespace::own();
    let site = edge_site(&edge);
    let mut flows = open(&site, FLOWS);
    assert_eq!((flows.len(), tracked(&edge)), (FLOWS, 0), "nothing is tracked yet");
    // What the hosts report is all the edge knows about idle connections.
    let sockets: Vec<_> = [&site.here, &site.there].map(|ns| ns.within(|| observe::socket::list().expect("lists"))).into();
    let seeds = seed::from_sockets(sockets.iter().map(Vec::as_slice));
    assert_eq!(seeds.len(), FLOWS);
    let bundle = strict(FORWARD, seeds);
    let mut said = String::new();
    let exchanges = while_busy(&mut flows, || said = apply_in(&edge, dir.path(), &bundle, &["--tracking-period", "1"]));
    let alive = flows.iter_mut().filter_map(|f| f.speak().ok()).count();
    println!("{alive} of {FLOWS} connections through the edge alive, {exchanges} exchanges meanwhile; {}", said.replace('\n', "; "));
    assert_eq!(alive, FLOWS);
    strict_afterwards(&edge, &site.here, &site.there, site.there_at, Ipv4Addr::new(10, 9, 1, 1));
    assert!(flows.iter_mut().all(|f| f.speak().is_ok()), "and they go on");
}

#[test]
fn an_idle_connection_nobody_named_is_what_the_lists_are_for() {
    if !inside("an_idle_connection_nobody_named_is_what_the_lists_are_for") {
        return;
    }
    let dir = tempfile::tempdir().expect("directory");
    let edge = Namespace::own();
    let site = edge_site(&edge);
    let mut flows = open(&site, 4);
    apply_in(&edge, dir.path(), &strict(FORWARD, vec![]), &["--tracking-period", "0"]);
    for f in &mut flows {
        f.patience(SILENCE);
        assert!(f.speak().is_err(), "without a list the edge cannot know it");
    }
}
