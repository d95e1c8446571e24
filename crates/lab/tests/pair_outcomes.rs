//! What becomes of a pair and of what goes through it, whatever happens: a table of outcomes, and connections that are not like the others: busy
//! ones that come back, ones that are silent for long, answers that come by the other node, errors that belong to a connection.
#![expect(clippy::print_stdout, reason = "a test tells what it saw")]

mod common;
#[path = "common/pair.rs"]
mod pair_common;

use lab::{
    pair::{Event, Flows, Pair, drill, forbidden},
    stage::Stage,
};
use pair_common::{closed, moved, silent, stage, told};
use std::{
    io::ErrorKind,
    net::{IpAddr, SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

/// Connections held.
const HELD: usize = 300;

/// A table of outcomes: whatever happens, what is forbidden stays so, and who is active is one node in the end.
#[test]
fn whatever_happens_what_is_forbidden_stays_so() {
    if !common::inside("whatever_happens_what_is_forbidden_stays_so") {
        return;
    }
    let stage = stage();
    let mut pair = Pair::start(&stage).expect("started");
    let mut flows = Flows::find(&stage).expect("ways");
    flows.open(HELD).expect("opened");
    for event in Event::all("chain") {
        let d = drill(&mut pair, &mut flows, event.clone()).unwrap_or_else(|e| panic!("{event}: {e}{}", pair.logs()));
        told(&d);
        closed(&d);
        assert!(!event.changes_nodes() || d.from != d.to, "{event}: {:?}", d.roles);
        let lost = d.flows.before - d.flows.survived;
        if lost > 0 {
            flows.open(lost).expect("opened");
        }
        pair.timers().expect("told");
    }
    // The same way is open where there are no rules: what was counted can count.
    for node in pair.names() {
        stage.lab.space(&node).expect("node").program("nft", &["delete", "table", "inet", "ravelin"], None).expect("deleted");
    }
    for node in stage.plan.machines.keys() {
        let _ = stage.lab.space(node.as_str()).expect("node").attempt("nft", &["delete", "table", "inet", "ravelin"], None);
    }
    let open = forbidden::begin(&stage).expect("begun");
    std::thread::sleep(Duration::from_secs(1));
    assert!(open.end().arrived > 0, "what is sent as forbidden arrives nowhere in any case");
}

/// States hold no windows: what a node last saw of a connection it once had is held against it when it comes back.
#[test]
fn a_busy_connection_comes_back_to_a_node_it_was_on_before() {
    if !common::inside("a_busy_connection_comes_back_to_a_node_it_was_on_before") {
        return;
    }
    let stage = stage();
    let mut pair = Pair::start(&stage).expect("started");
    let flows = Flows::find(&stage).expect("ways");
    let first = pair.settled().expect("one");
    let second = pair.other(&first).expect("two");
    let over = |pair: &mut Pair<'_>, from: &str, to: &str| {
        pair.drain(from, true).expect("drained");
        assert_eq!(moved(pair, to), to);
        pair.drain(from, false).expect("returned");
        std::thread::sleep(Duration::from_secs(1));
    };
    // Over and back, with both timers between: nothing is missed. Then back within the time of a timer: it hangs until one runs.
    for timer in [true, false] {
        let stream = flows.probe(words::Proto::Tcp).expect("a stream");
        std::thread::sleep(Duration::from_secs(1));
        over(&mut pair, &first, &second);
        if timer {
            pair.timers().expect("told");
        }
        over(&mut pair, &second, &first);
        let hung = stream.silent();
        println!("over and back, a timer between: {timer}; silent for {:.1} s", hung.as_secs_f64());
        assert_eq!(hung > Duration::from_millis(900), !timer, "silent for {hung:?}");
        pair.timers().expect("told");
        let begun = std::time::Instant::now();
        while stream.silent() > Duration::from_millis(500) {
            assert!(begun.elapsed() < Duration::from_secs(30), "it never comes back: {:?}", stream.silent());
            std::thread::sleep(Duration::from_millis(100));
        }
        println!("longest hole {:?}", stream.end().longest);
    }
    // A stall: the other node has it for a second, and the one that wakes knows nothing of that.
    let stream = flows.probe(words::Proto::Tcp).expect("a stream");
    let active = pair.settled().expect("one");
    pair.stall(&active, Duration::from_secs(1)).expect("stalled");
    pair.settled().expect("one again");
    pair.timers().expect("told");
    let begun = std::time::Instant::now();
    while stream.silent() > Duration::from_millis(500) {
        assert!(begun.elapsed() < Duration::from_secs(30), "it never comes back: {:?}", stream.silent());
        std::thread::sleep(Duration::from_millis(100));
    }
    println!("stalled: longest hole {:?}", stream.end().longest);
}

/// While a change goes from node to node one has the new policy and the other one the old: connections go on whichever is active, and what
/// neither lets pass does not.
#[test]
fn one_node_on_the_new_policy_and_one_on_the_old_keep_connections_and_let_nothing_else_pass() {
    if !common::inside("one_node_on_the_new_policy_and_one_on_the_old_keep_connections_and_let_nothing_else_pass") {
        return;
    }
    let stage = stage();
    let mut pair = Pair::start(&stage).expect("started");
    let mut flows = Flows::find(&stage).expect("ways");
    flows.open(HELD).expect("opened");
    // A published port that moves is both: one closes, another opens.
    let old = include_str!("../../../examples/small/site.toml");
    let new = old.replace("port    = 7777", "port    = 7778");
    assert_ne!(old, new);
    let model = common::read("site.toml", &new).expect("a valid site");
    let plan = plan::plan(&model, &plan::Devices::default(), plan::Options::default());
    let standby = pair.other(&pair.settled().expect("one")).expect("two");
    stage.load(&standby, &lab::stage::script(&plan.machines[standby.as_str()])).expect("loaded");
    for event in [Event::Drain, Event::Kill, Event::Stall] {
        let d = drill(&mut pair, &mut flows, event.clone()).unwrap_or_else(|e| panic!("{event}: {e}{}", pair.logs()));
        told(&d);
        closed(&d);
        assert_eq!(d.flows.survived, HELD, "{event}: {:?}", d.flows);
        pair.timers().expect("told");
    }
}

/// Sets something of the kernel on both nodes.
fn both(stage: &Stage, pair: &Pair<'_>, key: &str, value: &str) {
    for node in pair.names() {
        stage.lab.space(&node).expect("node").sysctl(&[(key.to_owned(), value.to_owned())]).expect("set");
    }
}

/// A connection that is used on one node makes no events, and would end by its timeout on the other.
#[test]
fn a_connection_that_is_long_in_use_outlives_its_timeout_on_the_other_node() {
    if !common::inside("a_connection_that_is_long_in_use_outlives_its_timeout_on_the_other_node") {
        return;
    }
    /// Seconds instead of five days and two minutes; a drill takes some of them.
    const TIMEOUT: u64 = 15;
    let stage = stage();
    let mut pair = Pair::start(&stage).expect("started");
    for key in ["tcp_timeout_established", "udp_timeout_stream", "udp_timeout"] {
        both(&stage, &pair, &format!("net.netfilter.nf_conntrack_{key}"), &TIMEOUT.to_string());
    }
    for timer in [true, false] {
        let mut flows = Flows::find(&stage).expect("ways");
        flows.open(HELD).expect("opened");
        let tcp = flows.open_now().tcp;
        let active = pair.settled().expect("one");
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(TIMEOUT * 3 / 2) {
            assert_eq!(flows.ask().survived, HELD, "in use and lost without any change of nodes");
            if timer {
                pair.tell_states(&active, true).expect("told");
            }
            std::thread::sleep(Duration::from_secs(TIMEOUT / 3));
        }
        let d = drill(&mut pair, &mut flows, Event::Drain).unwrap_or_else(|e| panic!("{e}{}", pair.logs()));
        told(&d);
        closed(&d);
        let lost = d.flows.before - d.flows.survived;
        println!("in use for longer than its timeout, told by the timer: {timer}: {lost} of {HELD} lost, {tcp} of them over TCP");
        assert!(if timer { lost == 0 } else { lost > 0 && lost <= tcp }, "{:?}", d.flows);
        pair.timers().expect("told");
    }
}

/// Sockets at both ends of a way through the edge, over UDP.
fn ends(stage: &Stage, from: (&str, &str), to: (&str, &str)) -> (UdpSocket, UdpSocket, SocketAddr) {
    let bound = |(node, at): (&str, &str)| {
        let at: SocketAddr = at.parse().expect("an address");
        let socket =
            stage.lab.space(node).expect("node").run(|| UdpSocket::bind(at).map_err(lab::error::LabError::io("bind"))).expect("bound");
        socket.set_read_timeout(Some(Duration::from_millis(1500))).expect("set");
        socket
    };
    let (a, b) = (bound(from), bound(to));
    let there = b.local_addr().expect("an address");
    (a, b, there)
}

fn receives(socket: &UdpSocket) -> bool {
    socket.recv_from(&mut [0; 64]).is_ok()
}

/// The host's gateway is the pair's address, so answers come by the active node. One that sends them to the other node's own address is
/// served as well as far as states allow: what was told passes, what was not is refused.
#[test]
fn an_answer_by_the_other_node_passes_where_its_connection_was_told() {
    if !common::inside("an_answer_by_the_other_node_passes_where_its_connection_was_told") {
        return;
    }
    let stage = silent();
    let pair = Pair::start(&stage).expect("started");
    let active = pair.settled().expect("one");
    let other = pair.other(&active).expect("two");
    let own = |node: &str| {
        let ports = &stage.lab.topology.nodes[node].ports;
        let chain = ports.iter().find(|p| p.segment == "chain").expect("in chain");
        chain.addresses.iter().map(ipnet::IpNet::addr).find(IpAddr::is_ipv6).expect("an address").to_string()
    };
    let (client, server, there) = ends(&stage, ("client", "[2600:1f18:2030::30]:0"), ("daemon1", "[2001:db8:20:20::11]:6665"));
    client.send_to(b"first", there).expect("sent");
    let mut bytes = [0; 64];
    let (_, back) = server.recv_from(&mut bytes).expect("it arrives");
    // From here on the server's way out is the node that is not active.
    let daemon = stage.lab.space("daemon1").expect("node");
    daemon.program("ip", &["-6", "route", "replace", "default", "via", &own(&other)], None).expect("moved");
    std::thread::sleep(Duration::from_millis(300));
    server.send_to(b"answer", back).expect("sent");
    assert!(receives(&client), "a connection that was told is known there");
    // Nobody told of this one: it is no answer to anything.
    let stranger: SocketAddr = "[2600:1f18:2030::30]:9".parse().expect("an address");
    let (catcher, _, _) = ends(&stage, ("client", &stranger.to_string()), ("daemon1", "[2001:db8:20:20::11]:0"));
    server.send_to(b"stray", stranger).expect("sent");
    let stray = receives(&catcher);
    println!("an answer by the other node passes; one of no connection: {stray} (the policy lets daemon1 send to any public address)");
    assert_eq!(pair.settled().expect("one"), active);
}

/// No rule gives a connection a helper, so there are no expectations; what belongs to a connection is an error about it.
#[test]
fn an_error_about_a_connection_passes_after_the_nodes_changed() {
    if !common::inside("an_error_about_a_connection_passes_after_the_nodes_changed") {
        return;
    }
    let stage = silent();
    let pair = Pair::start(&stage).expect("started");
    for (from, to) in [("[2600:1f18:2030::30]:0", "[2001:db8:20:20::11]:6665"), ("52.10.20.30:0", "10.20.20.11:6665")] {
        let active = pair.settled().expect("one");
        let other = pair.other(&active).expect("two");
        let (client, server, there) = ends(&stage, ("client", from), ("daemon1", to));
        let published: SocketAddr = if there.is_ipv4() { "203.0.113.5:6665".parse().expect("an address") } else { there };
        client.connect(published).expect("set");
        client.send(b"first").expect("sent");
        let (_, back) = server.recv_from(&mut [0; 64]).expect("it arrives");
        server.send_to(b"answer", back).expect("sent");
        assert!(receives(&client));
        std::thread::sleep(Duration::from_millis(300));
        pair.drain(&active, true).expect("drained");
        assert_eq!(moved(&pair, &other), other);
        pair.drain(&active, false).expect("returned");
        // Nobody listens there any more: the host says so, and translation gives the error back as the client knows the connection.
        drop(server);
        client.send(b"second").expect("sent");
        let error = client.recv(&mut [0; 64]).expect_err("nobody listens").kind();
        assert_eq!(error, ErrorKind::ConnectionRefused, "{from} {to}");
        std::thread::sleep(Duration::from_secs(1));
    }
    // And nothing is expected anywhere.
    for node in pair.names() {
        let out = stage.lab.space(&node).expect("node").program("conntrack", &["-L", "expect"], None).expect("listed");
        assert!(out.stdout.is_empty(), "{}", String::from_utf8_lossy(&out.stdout));
    }
}
