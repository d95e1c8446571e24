//! Hosts with container engines. Ports an engine publishes are translated before the input hook and forwarded past it, so
//! the host's policy also stands where engines cannot go around it: before their destination translation (priority -100)
//! for what comes in, and after their source translation (100) for what goes out under the host's address. An engine turns
//! forwarding on for the whole machine: the forwarding chain passes what belongs to containers and refuses the rest, or a
//! host in two zones would be a way around the edge. In comes such a host, out come the three chains. Never: touches an
//! engine's own tables, or filters between containers.

use crate::build::{Build, is, is_not, one_of};
use crate::grant::admit;
use crate::host::{Side, grants};
use ruleset::{ChainKind, Hook, Key, Op, Policy, Rule, Statement, Value, Verdict};
use site::model::Host;

/// Before destination translation, after connection tracking (-200).
const BEFORE_DSTNAT: i32 = -110;
/// After source translation (100).
const AFTER_SRCNAT: i32 = 110;

/// Software that forwards to containers or virtual machines on the same host.
const ENGINES: &[&str] = &["docker", "podman", "containerd", "kubernetes", "k3s", "lxc", "lxd", "incus", "libvirt", "nomad"];

/// Connection status bit: its destination was translated.
const DNAT: u128 = 32;

/// Devices behind which containers and virtual machines stand, tunnels between the machines of one cluster among them (their
/// outer packets are judged like any other); `lo` is the host itself.
const INNER: &[&str] = &[
    "lo",
    "docker*",
    "br-*",
    "veth*",
    "podman*",
    "cni*",
    "flannel*",
    "cali*",
    "vxlan.calico",
    "cilium*",
    "lxc*",
    "lxd*",
    "incus*",
    "virbr*",
    "vnet*",
    "nomad*",
];

/// Whether something on the host forwards.
pub(crate) fn engine(host: &Host) -> bool {
    host.coexist.iter().any(|c| ENGINES.contains(&c.as_str())) || host.instances.iter().any(|i| i.container.is_some())
}

pub(crate) fn inner(key: &Key) -> Vec<Vec<Statement>> {
    INNER
        .iter()
        .map(|n| match n.strip_suffix('*') {
            Some(start) => vec![is(key.clone(), [Value::NamePrefix(start.to_owned())])],
            None => vec![is(key.clone(), [Value::Name((*n).to_owned())])],
        })
        .collect()
}

/// New connections of protocols with ports or without: ICMP and neighbour discovery are the input chain's.
fn new_connections() -> Vec<Statement> {
    vec![
        one_of(Key::CtState, &[8]),
        Statement::Match { key: Key::L4Proto, mask: None, op: Op::NotIn, values: vec![Value::one(1u8), Value::one(58u8)] },
    ]
}

/// The chains around the engines' translations.
pub(crate) fn chains(b: &mut Build<'_>) {
    let what = "leaves what containers and the machine itself open to the engine and to the input chain";
    let why = "only what comes from outside is judged here";
    let mut rules = vec![crate::essential::established(b, "ingress")];
    for s in inner(&Key::Iifname) {
        rules.push(b.builtin("inner/ingress", what, why, [s, vec![Statement::Verdict(Verdict::Accept)]].concat()));
    }
    // What is not addressed to this machine is not published by it.
    rules.push(b.builtin(
        "local/ingress",
        "leaves what is not addressed to this machine to the forwarding chains",
        "published ports are ports of this machine",
        vec![is_not(Key::FibDaddrType, [Value::one(2u8)]), Statement::Verdict(Verdict::Accept)],
    ));
    let management = grants(b, Side::In, true);
    rules.extend(admit(b, "management/ingress", &management));
    let flows = grants(b, Side::In, false);
    rules.extend(admit(b, "ingress", &flows));
    let dhcp = if crate::host::dynamic(b) { crate::essential::dhcp(b, true) } else { Vec::new() };
    rules.extend(dhcp);
    let deny = b.refuse(
        "deny/ingress",
        "refuses ports an engine publishes and no flow allows",
        "engines publish past the input chain",
        new_connections(),
    );
    rules.extend(deny);
    b.base("engine-in", ChainKind::Filter, Hook::Prerouting, BEFORE_DSTNAT, Policy::Accept, rules);

    egress(b);
    forward(b);
}

/// What containers open, judged after the engine's source translation: they leave under the host's address.
pub(crate) fn egress(b: &mut Build<'_>) {
    let mut rules: Vec<Rule> = vec![crate::essential::established(b, "egress")];
    let (what, why) = ("leaves what stays on the machine alone", "only what comes from outside is judged here");
    for s in inner(&Key::Oifname) {
        rules.push(b.builtin("inner/egress", what, why, [s, vec![Statement::Verdict(Verdict::Accept)]].concat()));
    }
    let flows = grants(b, Side::Out, false);
    rules.extend(admit(b, "egress", &flows));
    let outer = new_connections();
    for device in INNER.iter().filter(|d| **d != "lo") {
        let start = device.trim_end_matches('*').to_owned();
        let when = [vec![is(Key::Iifname, [Value::NamePrefix(start)])], outer.clone()].concat();
        rules.extend(b.refuse(
            "deny/egress",
            "refuses what containers open and no flow of this host allows",
            "containers leave under the host's address",
            when,
        ));
    }
    b.base("engine-out", ChainKind::Filter, Hook::Postrouting, AFTER_SRCNAT, Policy::Accept, rules);
}

/// What an engine's machine forwards: from containers, and to containers what it translated. From one network to another
/// it is no router, and a guest's own address is not for those outside, whether its engine translates (Docker, Podman) or
/// routes (LXD, libvirt, k3s): no flow of the site names it, so nothing is derived for it.
fn forward(b: &mut Build<'_>) {
    let mut rules = vec![crate::essential::established(b, "forward")];
    rules.extend(crate::essential::related(b, "forward"));
    // Nothing is forwarded through `lo`, the first of them.
    let accept = || vec![Statement::Verdict(Verdict::Accept)];
    for s in inner(&Key::Iifname).into_iter().skip(1) {
        let (what, why) = ("leaves what containers open to the engine and to `engine-out`", "it is judged where it leaves");
        rules.push(b.builtin("inner/forward", what, why, [s, accept()].concat()));
    }
    for s in inner(&Key::Oifname).into_iter().skip(1) {
        let (what, why) = ("leaves what goes to containers to the engine", "published ports were judged in `engine-in`");
        let dnat = Statement::Match { key: Key::CtStatus, mask: Some(DNAT), op: Op::NotIn, values: vec![Value::one(0u8)] };
        rules.push(b.builtin("published/forward", what, why, [s, vec![dnat], accept()].concat()));
    }
    let why = "this machine is no router, and containers are reached by published ports";
    rules.extend(b.refuse("deny/forward", "refuses to forward", why, Vec::new()));
    b.base("forward", ChainKind::Filter, Hook::Forward, 0, Policy::Drop, rules);
}
