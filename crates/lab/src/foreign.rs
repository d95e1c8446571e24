//! Somebody else's rules on a machine of a random site: nft tables of every family and priority, what UFW writes, and what
//! Docker and Podman write through iptables-nft. In come a number and the site's ports, out come scripts and, apart from
//! them, what they refuse in the plainest words. Never: reads a ruleset; a table of ours.

use crate::{
    build::Lab,
    error::LabError,
    packet::{Body, Packet},
    random::Dice,
    truth::{Case, Fate},
};
use site::model::Model;
use std::fmt::Write;
use words::Proto;

/// Where others hang their chains, in nft's numbers: before tracking, around translation, before and after our own.
const PRIORITIES: [i32; 8] = [-310, -250, -150, -1, 0, 1, 50, 200];
/// A container network, as Docker takes it first.
const DOCKER: &str = "172.17.0.0/16";

/// Who else writes rules there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writer {
    /// Somebody by hand, with nft.
    Hand,
    /// UFW.
    Ufw,
    /// Docker.
    Docker,
}

/// One machine's foreign rules.
#[derive(Debug, Clone)]
pub struct Foreign {
    /// The machine.
    pub host: String,
    /// Who wrote them.
    pub writer: Writer,
    script: String,
    refuses: Vec<Refusal>,
}

/// What is refused, in plain words.
#[derive(Debug, Clone)]
struct Refusal {
    /// Only this family; `None` is both.
    v6: Option<bool>,
    incoming: bool,
    proto: Option<Proto>,
    ports: Option<(u16, u16)>,
    /// UFW's way: everything but these.
    except: Vec<(Proto, u16)>,
}

impl Refusal {
    fn hits(&self, v6: bool, incoming: bool, proto: Proto, port: u16) -> bool {
        self.incoming == incoming
            && self.v6.is_none_or(|only| only == v6)
            && self.proto.is_none_or(|p| p == proto)
            && self.ports.is_none_or(|(a, b)| (a..=b).contains(&port))
            && !self.except.contains(&(proto, port))
    }
}

/// Rules for some of these machines. `ports` are what the site uses: rules about others would say little.
pub fn foreign(dice: &mut Dice, hosts: &[String], ports: &[(Proto, u16)]) -> Vec<Foreign> {
    let mut all = Vec::new();
    for host in hosts {
        all.push(match dice.below(4) {
            0 => by_hand(dice, host, ports),
            1 => ufw(dice, host, ports),
            2 => docker(host),
            _ => continue,
        });
    }
    all
}

fn by_hand(dice: &mut Dice, host: &str, ports: &[(Proto, u16)]) -> Foreign {
    let (mut script, mut refuses) = (String::new(), Vec::new());
    for n in 0..1 + dice.below(2) {
        let (family, v6) = [("inet", None), ("ip", Some(false)), ("ip6", Some(true))][dice.below(3)];
        let (hook, incoming) = [("prerouting", true), ("input", true), ("output", false), ("postrouting", false)][dice.below(4)];
        let priority = PRIORITIES[dice.below(PRIORITIES.len())];
        let _ = writeln!(script, "table {family} other{n} {{\n chain c {{\n  type filter hook {hook} priority {priority}; policy accept;");
        // An accept of somebody else's never opens what ours refuses; a return is no verdict.
        for _ in 0..1 + dice.below(3) {
            let (proto, port) = dice.pick(ports).copied().unwrap_or((Proto::Tcp, 22));
            let last = port.saturating_add([0, 0, 7][dice.below(3)]).min(49_000).max(port);
            let range = if last == port { port.to_string() } else { format!("{port}-{last}") };
            let verdict = ["drop", "accept", "return"][dice.below(3)];
            let _ = writeln!(script, "  {proto} dport {range} counter {verdict}");
            refuses.push((verdict, Refusal { v6, incoming, proto: Some(proto), ports: Some((port, last)), except: Vec::new() }));
            if verdict != "drop" {
                // The first rule that matches decides, in one chain: nothing after it is about these ports.
                break;
            }
        }
        script.push_str(" }\n}\n");
    }
    let refuses = refuses.into_iter().filter(|(v, _)| *v == "drop").map(|(_, r)| r).collect();
    Foreign { host: host.to_owned(), writer: Writer::Hand, script, refuses }
}

/// Deny by default with some ports allowed: the chains `ufw enable` makes, shortened to those that decide.
fn ufw(dice: &mut Dice, host: &str, ports: &[(Proto, u16)]) -> Foreign {
    let except: Vec<(Proto, u16)> = (0..1 + dice.below(6)).filter_map(|_| dice.pick(ports).copied()).collect();
    let mut script = String::from(
        "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n:ufw-before-input - [0:0]\n:ufw-user-input - [0:0]\n\
         :ufw-skip-to-policy-input - [0:0]\n-A INPUT -j ufw-before-input\n-A INPUT -j ufw-user-input\n-A INPUT -j ufw-skip-to-policy-input\n\
         -A ufw-before-input -i lo -j ACCEPT\n-A ufw-before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n",
    );
    for (proto, port) in &except {
        let _ = writeln!(script, "-A ufw-user-input -p {proto} -m {proto} --dport {port} -j ACCEPT");
    }
    script.push_str("-A ufw-skip-to-policy-input -j DROP\nCOMMIT\n");
    let refusal = Refusal { v6: Some(false), incoming: true, proto: None, ports: None, except };
    Foreign { host: host.to_owned(), writer: Writer::Ufw, script, refuses: vec![refusal] }
}

/// A published port and the chains around it. Nobody is asked on that port: what stands behind it is not in the lab.
fn docker(host: &str) -> Foreign {
    let script = format!(
        "*nat\n:PREROUTING ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:DOCKER - [0:0]\n\
         -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER\n-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER\n\
         -A POSTROUTING -s {DOCKER} ! -o docker0 -j MASQUERADE\n-A DOCKER -i docker0 -j RETURN\n\
         -A DOCKER ! -i docker0 -p tcp -m tcp --dport 18080 -j DNAT --to-destination 172.17.0.2:80\nCOMMIT\n\
         *filter\n:INPUT ACCEPT [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n:DOCKER - [0:0]\n:DOCKER-USER - [0:0]\n\
         -A FORWARD -j DOCKER-USER\n-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n-A FORWARD -o docker0 -j DOCKER\n\
         -A FORWARD -i docker0 ! -o docker0 -j ACCEPT\n-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT\n\
         -A DOCKER-USER -j RETURN\nCOMMIT\n"
    );
    Foreign { host: host.to_owned(), writer: Writer::Docker, script, refuses: Vec::new() }
}

impl Foreign {
    /// Puts the rules on their machine, by the tool that writes them there.
    pub fn load(&self, lab: &Lab) -> Result<(), LabError> {
        let space = lab.space(&self.host)?;
        let (program, arguments): (&str, &[&str]) =
            if self.writer == Writer::Hand { ("nft", &["-f", "-"]) } else { ("iptables-nft-restore", &["--noflush"]) };
        space.program(program, arguments, Some(&self.script)).map(drop)
    }

    fn refuses(&self, packet: &Packet, incoming: bool, port: u16) -> bool {
        let proto = match packet.body {
            Body::Tcp { .. } => Proto::Tcp,
            Body::Udp { .. } => Proto::Udp,
            _ => return false,
        };
        self.refuses.iter().any(|r| r.hits(packet.dst.is_ipv6(), incoming, proto, port))
    }
}

/// The fates of cases with these rules in place as well: what only narrows, and nothing that opens.
pub fn narrow(model: &Model, all: &[Foreign], cases: &mut [Case]) {
    let of = |host: &str| all.iter().find(|f| f.host == host);
    for case in cases {
        let Fate::Lands { on, .. } = &case.fate else { continue };
        let p = &case.shot.packet;
        let (Body::Tcp { dport, .. } | Body::Udp { dport, .. }) = p.body else { continue };
        let inner = model.publishes.iter().find(|x| x.at.contains(&p.dst) && x.port == dport).map_or(dport, |x| x.host_port);
        if of(&case.shot.node).is_some_and(|f| f.refuses(p, false, dport)) {
            case.fate = Fate::Refused;
        } else if of(on).is_some_and(|f| f.refuses(p, true, inner)) {
            case.fate = Fate::Stopped;
        }
    }
}
