//! Container engines on machines of a random site: ports published in the engine's own chains, as Docker writes them, and a guest
//! behind each machine that hears what is forwarded. In come a number and the site's ports, out come the site with engines on
//! some of its machines, their guests and rules, and where a packet for a published port must land. Never: reads a ruleset.

use crate::{
    build::Lab,
    error::LabError,
    packet::{Body, Packet, flag},
    random::Dice,
    topology::{Node, Port, Role},
    truth::{Case, Fate},
};
use ipnet::IpNet;
use reach::Link;
use site::model::{Firewall, Model};
use std::{fmt::Write, net::IpAddr};
use words::{Family, HostName, Proto};

/// The bridge Docker makes first.
const DEVICE: &str = "docker0";
/// Machines of a hundred that have an engine.
const ENGINES_OF_100: usize = 40;

/// A published port.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Publication {
    proto: Proto,
    /// At one address, or at every one the machine has.
    at: Option<IpAddr>,
    port: u16,
    inside: u16,
}

/// An engine on a machine, with one guest.
#[derive(Debug, Clone)]
pub struct Engine {
    /// The machine.
    pub host: HostName,
    /// UFW is the machine's firewall.
    pub ufw: bool,
    number: usize,
    published: Vec<Publication>,
}

/// Engines for some of a site's machines, written into the site.
pub fn engines(dice: &mut Dice, model: &mut Model) -> Vec<Engine> {
    let flows = model.flows.iter().filter(|f| matches!(f.target.proto, Proto::Tcp | Proto::Udp));
    let used = flows.filter_map(|f| f.target.ports.ranges().first().map(|r| (f.target.proto, r.first())));
    let mut ports: Vec<(Proto, u16)> =
        used.filter(|(_, p)| *p > 22 && *p < 49_000).chain([(Proto::Tcp, 8500), (Proto::Udp, 123)]).collect();
    ports.sort_unstable();
    ports.dedup();
    let mut all = Vec::new();
    for (number, host) in model.hosts.values_mut().filter(|h| h.managed && !h.edge).enumerate() {
        if !dice.chance(ENGINES_OF_100) {
            continue;
        }
        host.coexist = vec!["docker".to_owned()];
        let ufw = dice.chance(40);
        if ufw {
            host.firewall = Firewall::Ufw;
        }
        let own: Vec<IpAddr> = host.addresses().collect();
        let mut published: Vec<Publication> = Vec::new();
        for (proto, port) in &ports {
            if !dice.chance(60) {
                continue;
            }
            let at = if dice.chance(40) { dice.pick(&own).copied() } else { None };
            // Two ports are one inside: what the rules ask must be the port before translation.
            published.push(Publication { proto: *proto, at, port: *port, inside: [*port, 80][dice.below(2)] });
        }
        all.push(Engine { host: host.name.clone(), ufw, number, published });
    }
    all
}

impl Engine {
    /// The guest's name.
    pub fn guest(&self) -> String {
        format!("{}-guest", self.host)
    }
    fn address(&self, family: Family, last: u8) -> IpAddr {
        let n = u8::try_from(self.number).unwrap_or(u8::MAX);
        match family {
            Family::V4 => IpAddr::from([172, 17, n, last]),
            Family::V6 => IpAddr::from([0xfd00, 0x17, u16::from(n), 0, 0, 0, 0, u16::from(last)]),
        }
    }
    fn net(&self, family: Family, last: u8) -> Option<IpNet> {
        IpNet::new(self.address(family, last), if family == Family::V4 { 24 } else { 64 }).ok()
    }
    /// The wire to its guests, for the proof: no zone of the site has it.
    pub fn link(&self) -> Link {
        let nets = Family::ALL.into_iter().filter_map(|f| Some(self.net(f, 0)?.trunc())).collect();
        Link { device: DEVICE.to_owned(), nets, default: false }
    }

    /// Builds the guest, and lets the machine forward as engines do.
    pub fn build(&self, lab: &mut Lab) -> Result<(), LabError> {
        let port = Port {
            segment: self.guest(),
            device: "eth0".to_owned(),
            mac: [0x02, 0x52, 0x57, 0, u8::try_from(self.number).unwrap_or(u8::MAX), 2],
            addresses: Family::ALL.into_iter().filter_map(|f| self.net(f, 2)).collect(),
        };
        let node = Node { name: self.guest(), role: Role::Guest, managed: false, ports: vec![port], routes: Vec::new() };
        let gateways: Vec<IpNet> = Family::ALL.into_iter().filter_map(|f| self.net(f, 1)).collect();
        lab.add_guest(self.host.as_str(), node, DEVICE, &gateways)
    }

    /// Writes the engine's rules, after the machine's own: an engine starts when the firewall stands.
    pub fn load(&self, lab: &Lab) -> Result<(), LabError> {
        let space = lab.space(self.host.as_str())?;
        for knob in ["net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"] {
            space.sysctl(&[(knob.to_owned(), "1".to_owned())])?;
        }
        for (family, program) in [(Family::V4, "iptables-nft-restore"), (Family::V6, "ip6tables-nft-restore")] {
            space.program(program, &["--noflush"], Some(&self.script(family)))?;
        }
        Ok(())
    }

    fn script(&self, family: Family) -> String {
        let guest = self.address(family, 2);
        let (mut nat, mut filter) = (String::new(), String::new());
        let mine = |p: &&Publication| p.at.is_none_or(|a| Family::of(&a) == family);
        for Publication { proto, at, port, inside } in self.published.iter().filter(mine) {
            let at = at.map(|a| format!(" -d {a}")).unwrap_or_default();
            let to = if guest.is_ipv6() { format!("[{guest}]:{inside}") } else { format!("{guest}:{inside}") };
            let _ = writeln!(nat, "-A DOCKER{at} ! -i {DEVICE} -p {proto} -m {proto} --dport {port} -j DNAT --to-destination {to}");
            let _ = writeln!(filter, "-A DOCKER -d {guest} ! -i {DEVICE} -o {DEVICE} -p {proto} -m {proto} --dport {inside} -j ACCEPT");
        }
        format!(
            "*nat\n:PREROUTING ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n:DOCKER - [0:0]\n-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER\n\
             -A DOCKER -i {DEVICE} -j RETURN\n{nat}COMMIT\n\
             *filter\n:FORWARD DROP [0:0]\n:DOCKER - [0:0]\n:DOCKER-USER - [0:0]\n{filter}-A DOCKER-USER -j RETURN\n\
             -I FORWARD -i {DEVICE} ! -o {DEVICE} -j ACCEPT\n-I FORWARD -o {DEVICE} -j DOCKER\n\
             -I FORWARD -o {DEVICE} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n-I FORWARD -j DOCKER-USER\nCOMMIT\n"
        )
    }

    /// Whether a packet opens a published port of this machine, whoever may.
    pub fn publishes(&self, model: &Model, packet: &Packet) -> bool {
        let own = |a: IpAddr| model.hosts.get(&self.host).is_some_and(|h| h.addresses().any(|x| x == a));
        opens(packet).is_some_and(|(proto, port)| own(packet.dst) && self.takes(packet.dst, proto, port))
    }

    fn takes(&self, dst: IpAddr, proto: Proto, port: u16) -> bool {
        self.published.iter().any(|p| (p.proto, p.port) == (proto, port) && p.at.is_none_or(|a| a == dst))
    }
}

/// Where cases land with these engines: what a flow lets come to a published port is the guest's. Nothing else changes.
pub fn turned(model: &Model, all: &[Engine], cases: &mut [Case]) {
    for case in cases {
        let Fate::Lands { on, .. } = &mut case.fate else { continue };
        let Some(engine) = all.iter().find(|e| e.host.as_str() == on) else { continue };
        let Some((proto, port)) = opens(&case.shot.packet) else { continue };
        let dst = case.shot.packet.dst;
        let outer = model.flows.iter().filter(|f| f.target.proto == proto).flat_map(|f| &f.publish).find(|d| (d.at, d.port) == (dst, port));
        let (dst, port) = outer.map_or((dst, port), |d| (d.to, d.to_port));
        if engine.takes(dst, proto, port) {
            *on = engine.guest();
        }
    }
}

/// Whether a case lands on a guest.
pub fn is_guests(all: &[Engine], case: &Case) -> bool {
    matches!(&case.fate, Fate::Lands { on, .. } if all.iter().any(|e| e.guest() == *on))
}

/// What a packet opens; only that is translated.
pub fn opens(packet: &Packet) -> Option<(Proto, u16)> {
    match packet.body {
        Body::Tcp { dport, flags: flag::SYN, .. } => Some((Proto::Tcp, dport)),
        Body::Udp { dport, .. } => Some((Proto::Udp, dport)),
        _ => None,
    }
}
