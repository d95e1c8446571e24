//! Expectations on single packets, made from the model and never from the plan.

use reach::{Field, Packet, Past, Place, trace};
use ruleset::{Hook, Ruleset};
use site::model::Model;
use std::net::IpAddr;
use words::{Family, HostName, ZoneName};

/// What must become of a packet at a hook.
pub struct Expectation {
    what: String,
    hook: Hook,
    packet: Packet,
    want: Want,
}

enum Want {
    Passes,
    /// By the rule of this id.
    RefusedBy(String),
    /// Leaves under this source.
    SeenAs(IpAddr),
    /// Leaves with this hop limit, whatever the program asked for.
    Hops(u128),
}

const ESTABLISHED: u128 = 1;
const RELATED: u128 = 2;
const INVALID: u128 = 0;
const UNTRACKED: u128 = 4;

impl Expectation {
    pub fn check(&self, rules: &Ruleset, place: &Place) -> Result<(), String> {
        // The answer that disappoints, where the past leaves one open.
        let wanted = matches!(self.want, Want::RefusedBy(_));
        let t = trace::hook(rules, place, Past::Quiet, self.hook, self.packet, wanted);
        let last = t.steps.last().and_then(|s| s.id.clone());
        let good = match &self.want {
            Want::Passes => t.passed,
            Want::RefusedBy(id) => !t.passed && last.as_ref() == Some(id),
            Want::SeenAs(a) => t.passed && t.packet.src() == *a,
            Want::Hops(n) => t.passed && t.packet.get(Field::Hop) == *n,
        };
        let want = match &self.want {
            Want::Passes => "passes".to_owned(),
            Want::RefusedBy(id) => format!("is refused by {id}"),
            Want::SeenAs(a) => format!("leaves as {a}"),
            Want::Hops(n) => format!("leaves with hop limit {n}"),
        };
        if good {
            Ok(())
        } else {
            Err(format!("{} at {:?}: expected that it {want}; passed {}, last {last:?}", self.what, self.hook, t.passed))
        }
    }
}

fn icmp(family: Family, kind: u128) -> Packet {
    Packet::opening(family).with(Field::Proto, if family == Family::V4 { 1 } else { 58 }).with(Field::Type, kind)
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("address")
}

fn on(p: Packet, device: &str) -> Packet {
    p.with(Field::In, reach::field::device(device))
}

fn out(p: Packet, device: &str) -> Packet {
    p.with(Field::Out, reach::field::device(device))
}

/// Port nobody has.
const NOBODY: u128 = 9;

struct List(Vec<Expectation>);

impl List {
    fn add(&mut self, hook: Hook, what: impl Into<String>, packet: Packet, want: Want) {
        self.0.push(Expectation { what: what.into(), hook, packet, want });
    }
    fn passes(&mut self, hook: Hook, what: &str, packet: Packet) {
        self.add(hook, what, packet, Want::Passes);
    }
    fn refused(&mut self, hook: Hook, what: &str, packet: Packet, id: &str) {
        self.add(hook, what, packet, Want::RefusedBy(id.to_owned()));
    }
}

/// Everything expected of a machine.
pub fn of(model: &Model, host: &HostName) -> Vec<Expectation> {
    let mut l = List(Vec::new());
    let host = &model.hosts[host];
    let device = |z: &ZoneName| plan::Devices::default().device(host, z);
    let first = host.interfaces.first().expect("interface");
    let dev = device(&first.zone);
    let own: Vec<IpAddr> = host.addresses().collect();
    let gateway_known = |i: &site::model::Interface| model.zones[&i.zone].gateways.iter().any(IpAddr::is_ipv6);
    let learns = if host.edge { model.edge.wan_dynamic } else { !host.interfaces.iter().all(gateway_known) };
    ends(&mut l, &own, &dev, learns);
    if host.edge {
        edge(&mut l, model, host, &device);
    } else {
        let from = |a: &IpAddr| on(Packet::opening(Family::of(a)).from(*a).to(*a), &dev);
        for a in &own {
            l.refused(Hook::Input, &format!("own source {a}"), from(a), "spoof/own");
        }
        let through = on(Packet::opening(Family::V4).from(ip("198.51.100.9")).to(ip("198.51.100.10")), &dev);
        l.refused(Hook::Forward, "forwarded", out(through, "x0"), "deny/forward");
    }
    l.0
}

/// Input and output, the same on every machine.
fn ends(l: &mut List, own: &[IpAddr], dev: &str, learns: bool) {
    for family in Family::ALL {
        let Some(me) = own.iter().find(|a| Family::of(a) == family).copied() else { continue };
        let v4 = family == Family::V4;
        let stranger = if v4 { ip("198.51.100.99") } else { ip("2001:db8:ffff::99") };
        let link_local = ip("fe80::9");
        let tcp_in = on(Packet::opening(family).from(stranger).to(me), dev).with(Field::Dport, NOBODY);
        let tcp_out = out(Packet::opening(family).from(me).to(stranger), dev).with(Field::Dport, NOBODY).with(Field::Proto, 132);
        let (echo, errors): (u128, &[u128]) = if v4 { (8, &[3, 11, 12]) } else { (128, &[1, 2, 3, 4]) };
        l.refused(Hook::Input, "a port nobody has", tcp_in, "deny/input");
        l.refused(Hook::Input, "out of state", tcp_in.with(Field::State, INVALID), "invalid/input");
        l.passes(Hook::Input, "established", tcp_in.with(Field::State, ESTABLISHED));
        l.refused(Hook::Output, "a port nobody has", tcp_out, "deny/output");
        l.refused(Hook::Output, "out of state", tcp_out.with(Field::State, INVALID), "invalid/output");
        l.passes(Hook::Output, "established", tcp_out.with(Field::State, ESTABLISHED));
        l.passes(Hook::Input, "loopback", on(Packet::opening(family).from(me).to(me), "lo"));
        l.passes(Hook::Output, "loopback", out(Packet::opening(family).from(me).to(me), "lo"));
        l.passes(Hook::Input, "echo", on(icmp(family, echo).from(stranger).to(me), dev));
        for &e in errors {
            let p = icmp(family, e).from(stranger).to(me);
            l.passes(Hook::Input, "related error", on(p, dev).with(Field::State, RELATED));
            l.refused(Hook::Input, "error about nothing", on(p, dev), "deny/input");
            l.passes(Hook::Output, "own error", out(icmp(family, e).from(me).to(stranger), dev).with(Field::State, INVALID));
        }
        if !v4 {
            for kind in [135, 136] {
                let p = icmp(family, kind).with(Field::State, UNTRACKED);
                l.passes(Hook::Input, "neighbour discovery", on(p.from(link_local).to(me), dev).with(Field::Hop, 255));
                l.refused(Hook::Input, "routed neighbour discovery", on(p.from(link_local).to(me), dev).with(Field::Hop, 64), "deny/input");
                l.passes(Hook::Output, "neighbour discovery", out(p.from(me).to(link_local), dev).with(Field::Hop, 255));
            }
            let query = icmp(family, 130).with(Field::State, UNTRACKED).from(link_local).to(ip("ff02::1"));
            l.passes(Hook::Input, "listener query", on(query, dev));
            let report = icmp(family, 143).with(Field::State, UNTRACKED).from(link_local).to(ip("ff02::16"));
            l.passes(Hook::Output, "listener report", out(report, dev));
            let advert = on(icmp(family, 134).from(link_local).to(me), dev).with(Field::State, UNTRACKED).with(Field::Hop, 255);
            // A host may learn its gateway where the site file does not know it; an edge node only with a leased address.
            if learns {
                l.passes(Hook::Input, "router advertisement", advert);
            } else {
                l.refused(Hook::Input, "router advertisement", advert, "deny/input");
            }
        }
    }
}

fn edge(l: &mut List, model: &Model, host: &site::model::Host, device: &dyn Fn(&ZoneName) -> String) {
    let zones: Vec<&site::model::Zone> = model.zones.values().filter(|z| host.interface(&z.name).is_some()).collect();
    for zone in &zones {
        guard(l, model, host, zone, &device(&zone.name));
    }
    // Addresses nobody has, by zone.
    let somebody = |z: &site::model::Zone, family: Family| -> Option<IpAddr> {
        let outside = if family == Family::V4 { ip("198.51.100.99") } else { ip("2001:db8:ffff::99") };
        if z.name.is_internet() {
            return Some(outside);
        }
        let net = z.subnets.iter().find(|n| Family::of(&n.addr()) == family)?;
        net.hosts().nth(230).or_else(|| net.hosts().last())
    };
    let routed: Vec<_> = zones.iter().filter(|z| z.routed).collect();
    for from in &routed {
        for to in &routed {
            let id = format!("deny/{}/{}", from.name, to.name);
            for family in Family::ALL {
                let (Some(a), Some(b)) = (somebody(from, family), somebody(to, family)) else { continue };
                let p = out(on(Packet::opening(family).from(a).to(b), &device(&from.name)), &device(&to.name)).with(Field::Dport, NOBODY);
                l.refused(Hook::Forward, &id, p, &id);
            }
        }
    }
    let (a, b) = (&routed[0], &routed[1]);
    for family in Family::ALL {
        let (Some(x), Some(y)) = (somebody(a, family), somebody(b, family)) else { continue };
        let p = out(on(Packet::opening(family).from(x).to(y), &device(&a.name)), &device(&b.name)).with(Field::Dport, NOBODY);
        l.passes(Hook::Forward, "established", p.with(Field::State, ESTABLISHED));
        l.refused(Hook::Forward, "out of state", p.with(Field::State, INVALID), "invalid/forward");
        l.refused(Hook::Forward, "from no zone", on(p, "nowhere"), "deny/forward");
        let errors: &[u128] = if family == Family::V4 { &[3, 11, 12] } else { &[1, 2, 3, 4] };
        for &e in errors {
            let p = out(on(icmp(family, e).from(x).to(y), &device(&a.name)), &device(&b.name));
            l.passes(Hook::Forward, "related error", p.with(Field::State, RELATED));
        }
    }
    pair(l, model, host, device);
    translation(l, model, &somebody, device);
}

fn guard(l: &mut List, model: &Model, host: &site::model::Host, zone: &site::model::Zone, dev: &str) {
    let spoof = format!("spoof/{}", zone.name);
    let internet = zone.name.is_internet();
    let from = |a: IpAddr| on(Packet::opening(Family::of(&a)).from(a).to(a), dev);
    let h = Hook::Prerouting;
    for a in host.interface(&zone.name).into_iter().flat_map(|i| &i.addresses).map(|n| n.addr()) {
        l.refused(h, &format!("own {a} on {dev}"), from(a), &spoof);
        let kind = if a.is_ipv4() { 3 } else { 1 };
        l.refused(h, &format!("icmp of own {a} on {dev}"), on(icmp(Family::of(&a), kind).from(a), dev), &spoof);
    }
    l.passes(h, &format!("link-local on {dev}"), from(ip("fe80::1")));
    for kind in [131, 133, 135, 143] {
        l.passes(h, &format!("without address on {dev}"), on(icmp(Family::V6, kind).from(ip("::")), dev));
    }
    l.refused(h, &format!("no address on {dev}"), from(ip("::")), &spoof);
    if !internet {
        for other in ["198.51.100.99", "2001:db8:ffff::99", "192.168.250.250", "10.250.0.1"] {
            l.refused(h, &format!("{other} on {dev}"), from(ip(other)), &spoof);
        }
        return;
    }
    for ordinary in ["198.51.100.99", "2001:db8:ffff::99"] {
        l.passes(h, "an ordinary source", from(ip(ordinary)));
    }
    for inner in model.zones.values().filter(|z| !z.name.is_internet()) {
        for net in inner.subnets.iter().filter(|n| !site::special::is_public(&n.addr())) {
            let a = net.hosts().nth(200).or_else(|| net.hosts().last()).expect("host");
            let ordinary = if a.is_ipv4() { "198.51.100.99" } else { "2001:db8:ffff::99" };
            l.refused(h, &format!("to {a} from outside"), from(ip(ordinary)).to(a), "deny/inner");
            l.passes(h, "what stands, to an inner address", from(ip(ordinary)).to(a).with(Field::State, ESTABLISHED));
        }
    }
    let own = host.interfaces.iter().filter(|i| !i.zone.is_internet()).flat_map(|i| i.addresses.iter().map(|n| n.addr()));
    let shared = model.edge.vip.iter().filter(|(z, _)| !z.is_internet()).flat_map(|(_, a)| a.iter().copied());
    for a in own.chain(shared) {
        let ordinary = if a.is_ipv4() { "198.51.100.99" } else { "2001:db8:ffff::99" };
        l.refused(h, &format!("to its inner {a} from outside"), from(ip(ordinary)).to(a), "deny/inner");
    }
    for net in site::special::NOT_PUBLIC_V4.iter().chain(&site::special::NOT_PUBLIC_V6) {
        // Not the first address: it may be the neighbour's of another entry.
        l.refused(h, &format!("{net} from outside"), from(net.network()), &spoof);
        l.refused(h, &format!("{net} from outside"), from(net.broadcast()), &spoof);
    }
    l.refused(h, "a unique local address", from(ip("fd00::1")), &spoof);
    for inner in model.zones.values().filter(|z| !z.name.is_internet()) {
        for net in &inner.subnets {
            let a = net.hosts().nth(200).or_else(|| net.hosts().last()).expect("host");
            l.refused(h, &format!("{a} from outside"), from(a), &spoof);
            // Inside addresses not even with ICMP of an upstream router.
            let kind = if net.addr().is_ipv4() { 3 } else { 1 };
            l.refused(h, &format!("icmp of {a} from outside"), on(icmp(Family::of(&a), kind).from(a), dev), &spoof);
        }
    }
    for net in &model.edge.public {
        // The last but one: outside of every zone in the examples.
        let a = net.hosts().last().expect("host");
        l.refused(h, &format!("public {a} from outside"), from(a), &spoof);
        let family = Family::of(&a);
        let kinds: &[u128] = if family == Family::V4 { &[0, 3, 8, 11, 12] } else { &[1, 2, 3, 4, 128, 129, 134, 135, 136] };
        for &k in kinds {
            l.passes(h, "icmp of the upstream router", on(icmp(family, k).from(a), dev));
        }
    }
    for peer in model.edge.nodes.iter().filter(|n| **n != host.name).filter_map(|n| model.hosts[n].interface(&zone.name)) {
        for a in peer.addresses.iter().map(|n| n.addr()) {
            l.passes(h, "the other node", from(a));
        }
    }
    for net in &model.management.nets {
        l.passes(h, "an operator outside", from(net.network()));
    }
}

/// What the nodes of a pair say to one another, and everybody who says it in their name.
fn pair(l: &mut List, model: &Model, host: &site::model::Host, device: &dyn Fn(&ZoneName) -> String) {
    let [a, b] = model.edge.nodes.as_slice() else { return };
    let peer = &model.hosts[if *a == host.name { b } else { a }];
    let sync = ZoneName::new("sync").expect("name");
    let address = |h: &site::model::Host, z: &ZoneName, f: Family| {
        h.interface(z).into_iter().flat_map(|i| &i.addresses).map(|n| n.addr()).find(|x| Family::of(x) == f)
    };
    let near = |p: Packet| p.with(Field::Hop, 255);
    type Kind = fn(Packet) -> Packet;
    let kinds: [(&str, Kind); 2] =
        [("vrrp", |p| p.with(Field::Proto, 112)), ("sync", |p| p.with(Field::Proto, 17).with(Field::Dport, 3780))];
    for (word, kind) in kinds {
        let deny = format!("deny/{word}/in");
        for state in [0, 1, 2, 3, 4] {
            for f in Family::ALL {
                let (Some(mine), Some(theirs)) = (address(host, &sync, f), address(peer, &sync, f)) else { continue };
                let p = kind(Packet::opening(f)).with(Field::State, state);
                let heard = on(p.from(theirs).to(mine), &device(&sync));
                l.passes(Hook::Input, &format!("the other node's {word}"), near(heard));
                for hop in [254, 64, 1] {
                    l.refused(Hook::Input, &format!("routed {word}"), heard.with(Field::Hop, hop), &deny);
                }
                let said = out(p.from(mine).to(theirs), &device(&sync));
                // The daemons ask for no hop limit of their own, or not in both families; the other node asks for 255.
                for hop in [64, 255] {
                    l.add(Hook::Output, format!("own {word}"), said.with(Field::Hop, hop), Want::Hops(255));
                }
                let neighbour = match mine {
                    IpAddr::V4(_) => ip("10.255.0.250"),
                    IpAddr::V6(_) => ip("2001:db8:255::250"),
                };
                l.refused(Hook::Input, &format!("{word} of a stranger on the link"), near(heard.from(neighbour)), &deny);
            }
            // From every zone: as anybody, as the other node there, as the other node's address of the link.
            for i in &host.interfaces {
                let dev = device(&i.zone);
                for mine in i.addresses.iter().map(|n| n.addr()).filter(|_| i.zone != sync) {
                    let f = Family::of(&mine);
                    let (link, group) = if f == Family::V4 { ("10.255.0.2", "224.0.0.18") } else { ("fe80::7", "ff02::12") };
                    let sources = [address(peer, &i.zone, f), Some(ip(link)), address(peer, &sync, f)];
                    for src in sources.into_iter().flatten() {
                        let places = [Some(mine), Some(ip(group)), address(host, &sync, f)];
                        for dst in places.into_iter().flatten() {
                            let p = near(on(kind(Packet::opening(f)).from(src).to(dst), &dev)).with(Field::State, state);
                            l.refused(Hook::Input, &format!("{word} of {src} from {}", i.zone), p, &deny);
                        }
                    }
                    // The link's address is gone, and the default route leads here.
                    for dst in [Some(ip(group)), address(peer, &sync, f)].into_iter().flatten() {
                        let p = near(out(kind(Packet::opening(f)).from(mine).to(dst), &dev)).with(Field::State, state);
                        l.refused(Hook::Output, &format!("{word} to {}", i.zone), p, &format!("deny/{word}/out"));
                    }
                }
            }
        }
    }
}

fn translation(
    l: &mut List,
    model: &Model,
    somebody: &dyn Fn(&site::model::Zone, Family) -> Option<IpAddr>,
    device: &dyn Fn(&ZoneName) -> String,
) {
    let internet = ZoneName::internet();
    let shared = model.edge.egress_address.or_else(|| model.edge.vip.get(&internet)?.iter().find(|a| a.is_ipv4()).copied());
    for zone in model.zones.values().filter(|z| z.routed && !z.name.is_internet()) {
        if let (Some(a), Some(shared)) = (somebody(zone, Family::V4), shared) {
            let p = out(on(Packet::opening(Family::V4).from(a).to(ip("198.51.100.99")), &device(&zone.name)), &device(&internet));
            l.add(Hook::Postrouting, format!("from {} outwards", zone.name), p, Want::SeenAs(shared));
            let inwards = out(p, &device(&zone.name));
            l.add(Hook::Postrouting, format!("within {}", zone.name), inwards, Want::SeenAs(a));
        }
    }
    for d in model.flows.iter().flat_map(|f| &f.publish).filter(|d| d.at != d.to) {
        let p = out(Packet::opening(Family::V4).from(d.to).to(ip("198.51.100.99")), &device(&internet));
        l.add(Hook::Postrouting, format!("published {} outwards", d.to), p, Want::SeenAs(d.at));
    }
}
