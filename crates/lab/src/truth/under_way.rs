//! Packets of connections that are under way, and those that only claim to be: answers, half-open states, errors about
//! them, through translation too. In come cases that open connections and where they landed, out come turns with the fate that the
//! plainest reading gives them. Never: asks the rulesets.

use super::{Case, Ends, Fate};
use crate::{
    expect,
    packet::{Body, Packet, Quoted, Shape, flag},
    random::Dice,
    topology::{Role, Topology},
    volley::{Outcome, Shot},
};
use reach::field::state;
use site::model::{EdgeKind, FlowKind, Model};
use std::{collections::BTreeMap, net::IpAddr};
use words::Proto;

/// First source port of these openings: none of other probes, below the ports that are tried first.
const FIRST_PORT: u16 = 45_000;
/// Openings of a kind per site: a kind is family, transport, and how it is translated.
const OF_A_KIND: usize = 2;
/// A port that nobody asked from.
const UNASKED: u16 = 19_999;
/// Flags of answers to what nobody asked.
const STRANGERS: [u8; 3] = [flag::SYN | flag::ACK, flag::ACK, flag::RST];
/// Errors that every network needs: host unreachable, port unreachable, time exceeded.
const ERRORS4: [(u8, u8); 3] = [(3, 1), (3, 3), (11, 0)];
/// The same in ICMPv6's numbers.
const ERRORS6: [(u8, u8); 3] = [(1, 3), (1, 4), (3, 0)];
/// Redirect for a host, in both.
const REDIRECTS: [(u8, u8); 2] = [(5, 1), (137, 0)];

/// What a turn is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// SYN-ACK to a SYN.
    SynAck,
    /// RST to a SYN.
    Refusal,
    /// An answer to a datagram.
    Datagram,
    /// ACK of the asker's after the SYN-ACK.
    Ack,
    /// The asker's ACK before any answer.
    EarlyAck,
    /// SYN-ACK, ACK or RST to a port nobody asked from.
    Stranger,
    /// The answerer's error about what it was asked.
    ErrorBack,
    /// The asker's error about the answer.
    ErrorForth,
    /// An error about a connection that does not exist.
    ErrorOfNone,
    /// An error about a real connection, sent to somebody who has no part in it.
    ErrorElsewhere,
    /// A redirect about a real connection.
    Redirect,
}

/// A connection that was opened, as both ends see it.
#[derive(Debug, Clone)]
pub struct Connection {
    proto: Proto,
    asker: String,
    answerer: String,
    near: Ends4,
    far: Ends4,
}

/// Addresses and ports in the direction of the opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ends4 {
    src: IpAddr,
    dst: IpAddr,
    sport: u16,
    dport: u16,
}

/// One packet about a connection.
#[derive(Debug, Clone)]
pub struct Turn {
    /// What it is.
    pub class: Class,
    /// What is sent, and what must become of it.
    pub case: Case,
    /// As it looks to its receiver, after translation.
    pub arrives: Packet,
    /// Whom it is for.
    pub to: String,
    /// Its state in tracking, [`reach::field::state`].
    pub state: u128,
    /// Whether it goes over an edge node.
    pub crosses: bool,
    /// Whether its connection is translated.
    pub translated: bool,
}

/// Openings among cases that land by a flow, some of each kind, from ports of their own.
pub fn openings(model: &Model, topology: &Topology, cases: &[Case], dice: &mut Dice) -> Vec<Case> {
    let role = |n: &str| topology.nodes.get(n).map(|x| x.role);
    let mut kinds: BTreeMap<(bool, bool, bool, u8), Vec<&Case>> = BTreeMap::new();
    for case in cases {
        let (Fate::Lands { on, flow: Some(_) }, p) = (&case.fate, &case.shot.packet) else { continue };
        let ports = matches!(p.body, Body::Tcp { flags: flag::SYN, .. } | Body::Udp { .. });
        let edge = [on, &case.shot.node].into_iter().any(|n| role(n) == Some(Role::Edge));
        if !ports || edge || *on == case.shot.node || p.shape != Shape::Whole {
            continue;
        }
        let published = publish(model, p).is_some();
        kinds.entry((published, role(on) == Some(Role::Outside), p.dst.is_ipv6(), p.protocol())).or_default().push(case);
    }
    let mut out: Vec<Case> = Vec::new();
    for mut some in kinds.into_values() {
        for _ in 0..OF_A_KIND.min(some.len()) {
            let mut case = some.swap_remove(dice.below(some.len())).clone();
            let port = FIRST_PORT + u16::try_from(out.len()).unwrap_or_default();
            if let Body::Tcp { sport, .. } | Body::Udp { sport, .. } = &mut case.shot.packet.body {
                *sport = port;
            }
            out.push(case);
        }
    }
    out
}

/// Address and port behind a published one.
fn publish(model: &Model, p: &Packet) -> Option<(IpAddr, u16)> {
    let (proto, dport) = super::target(p)?;
    let found = model.flows.iter().filter(|f| f.target.proto == proto).flat_map(|f| &f.publish);
    let mut found = found.filter(|d| d.at == p.dst && d.port == dport);
    found.next().map(|d| (d.to, d.to_port))
}

/// What openings that landed have become.
pub fn connections(model: &Model, cases: &[Case], outcomes: &[Outcome]) -> Vec<Connection> {
    let mut all = Vec::new();
    for (case, outcome) in cases.iter().zip(outcomes) {
        let p = &case.shot.packet;
        let Some((answerer, src)) = outcome.landed.first_key_value() else { continue };
        let (proto, sport, dport) = match p.body {
            Body::Tcp { sport, dport, .. } => (Proto::Tcp, sport, dport),
            Body::Udp { sport, dport } => (Proto::Udp, sport, dport),
            _ => continue,
        };
        let near = Ends4 { src: p.src, dst: p.dst, sport, dport };
        let (dst, to_port) = publish(model, p).unwrap_or((p.dst, dport));
        // The kernel keeps a source port that nobody else has, and these are nobody else's.
        let far = Ends4 { src: *src, dst, sport, dport: to_port };
        all.push(Connection { proto, asker: case.shot.node.clone(), answerer: answerer.clone(), near, far });
    }
    all
}

/// The asker's packets before any answer, and what answers nothing: none of them belongs to a connection.
pub fn early(model: &Model, topology: &Topology, all: &[Connection]) -> Vec<Turn> {
    let plain = Plain { ends: Ends { model, topology } };
    let mut out = Vec::new();
    for (n, c) in all.iter().enumerate().filter(|(_, c)| c.proto == Proto::Tcp) {
        let management = expect::all_allowing(model, c.far.src, c.far.dst, c.proto, c.far.dport).any(|f| f.kind == FlowKind::Management);
        // The way in is never cut: it is asked about in the site's other packets.
        if !management {
            let near = c.near.packet(tcp(flag::ACK));
            let fate = plain.refused(&c.asker, &c.answerer, near.dst, c, true);
            out.push(plain.turn(Class::EarlyAck, c, true, near, fate, state::INVALID));
        }
        let stranger = Ends4 { sport: UNASKED, ..c.far }.back(tcp(STRANGERS[n % STRANGERS.len()]));
        let fate = plain.refused(&c.answerer, &c.asker, stranger.dst, c, true);
        let mut turn = plain.turn(Class::Stranger, c, false, stranger, fate, state::INVALID);
        turn.arrives = stranger;
        out.push(turn);
    }
    out
}

/// The first answers: every third TCP connection is refused.
pub fn first_answers(model: &Model, topology: &Topology, all: &[Connection]) -> Vec<Turn> {
    let plain = Plain { ends: Ends { model, topology } };
    let turn = |(n, c): (usize, &Connection)| {
        let (class, body) = match c.proto {
            Proto::Tcp if is_refused(n) => (Class::Refusal, tcp(flag::RST | flag::ACK)),
            Proto::Tcp => (Class::SynAck, tcp(flag::SYN | flag::ACK)),
            _ => (Class::Datagram, Body::Udp { sport: 0, dport: 0 }),
        };
        plain.turn(class, c, false, c.far.back(body), lands(&c.asker), state::ESTABLISHED)
    };
    all.iter().enumerate().map(turn).collect()
}

fn is_refused(n: usize) -> bool {
    /// One of so many.
    const REFUSED: usize = 3;
    n % REFUSED == REFUSED - 1
}

/// What follows an answer: the asker's ACK, errors about the connection in both directions.
pub fn follow(model: &Model, topology: &Topology, all: &[Connection], dice: &mut Dice) -> Vec<Turn> {
    let plain = Plain { ends: Ends { model, topology } };
    let mut out = Vec::new();
    for (_, c) in all.iter().enumerate().filter(|(n, c)| c.proto != Proto::Tcp || !is_refused(*n)) {
        if c.proto == Proto::Tcp {
            out.push(plain.turn(Class::Ack, c, true, c.near.packet(tcp(flag::ACK)), lands(&c.answerer), state::ESTABLISHED));
        }
        let back = c.far.back(error(c.near.src, dice, c.far.quoted(c.proto)));
        out.push(plain.turn(Class::ErrorBack, c, false, back, lands(&c.asker), state::RELATED));
        let forth = c.near.packet(error(c.near.src, dice, c.near.reversed().quoted(c.proto)));
        out.push(plain.turn(Class::ErrorForth, c, true, forth, lands(&c.answerer), state::RELATED));
    }
    out
}

/// Errors that must not pass: about nothing, to somebody else, and redirects about what there is.
pub fn forged(model: &Model, topology: &Topology, all: &[Connection], dice: &mut Dice) -> Vec<Turn> {
    let plain = Plain { ends: Ends { model, topology } };
    let mut out = Vec::new();
    for (_, c) in all.iter().enumerate().filter(|(n, c)| c.proto != Proto::Tcp || !is_refused(*n)) {
        let none = Ends4 { sport: UNASKED, ..c.far };
        let packet = c.far.back(error(c.near.src, dice, none.quoted(c.proto)));
        let fate = plain.refused(&c.answerer, &c.asker, packet.dst, c, false);
        let mut turn = plain.turn(Class::ErrorOfNone, c, false, packet, fate, state::INVALID);
        turn.arrives = packet;
        out.push(turn);

        let thirds = topology.nodes.values().filter(|n| n.role == Role::Host && n.name != c.asker && n.name != c.answerer);
        let thirds: Vec<(&str, IpAddr)> = thirds
            .flat_map(|n| super::addresses(n).map(move |a| (n.name.as_str(), a)))
            .filter(|(_, a)| a.is_ipv4() == c.far.dst.is_ipv4())
            .collect();
        if let Some((to, dst)) = dice.pick(&thirds).copied() {
            let packet = Packet { dst, ..c.far.back(error(c.near.src, dice, c.far.quoted(c.proto))) };
            let untranslated = Connection { near: c.far, ..c.clone() };
            let fate = plain.refused(&c.answerer, to, dst, &untranslated, false);
            let mut turn = plain.turn(Class::ErrorElsewhere, &untranslated, false, packet, fate, state::INVALID);
            (turn.to, turn.arrives) = (to.to_owned(), packet);
            out.push(turn);
        }

        let v6 = usize::from(c.far.dst.is_ipv6());
        let (kind, code) = REDIRECTS[v6];
        let packet = c.far.back(Body::Error { kind, code, about: c.far.quoted(c.proto) });
        let fate = plain.refused(&c.answerer, &c.asker, packet.dst, c, true);
        // Where no filter stands, the kernel's own settings decide, which is not asked here.
        if !matches!(fate, Fate::Lands { .. }) {
            out.push(plain.turn(Class::Redirect, c, false, packet, fate, [state::RELATED, state::UNTRACKED][v6]));
        }
    }
    out
}

fn lands(on: &str) -> Fate {
    Fate::Lands { on: on.to_owned(), flow: None }
}

fn tcp(flags: u8) -> Body {
    Body::Tcp { sport: 0, dport: 0, flags }
}

fn error(like: IpAddr, dice: &mut Dice, about: Quoted) -> Body {
    let all = if like.is_ipv4() { ERRORS4 } else { ERRORS6 };
    let (kind, code) = all[dice.below(all.len())];
    Body::Error { kind, code, about }
}

impl Ends4 {
    fn reversed(self) -> Self {
        Self { src: self.dst, dst: self.src, sport: self.dport, dport: self.sport }
    }
    fn quoted(self, proto: Proto) -> Quoted {
        Quoted { src: self.src, dst: self.dst, udp: proto == Proto::Udp, sport: self.sport, dport: self.dport }
    }
    /// A packet between these ends, in this direction; what the body says of ports is filled in.
    fn packet(self, body: Body) -> Packet {
        let body = match body {
            Body::Tcp { flags, .. } => Body::Tcp { sport: self.sport, dport: self.dport, flags },
            Body::Udp { .. } => Body::Udp { sport: self.sport, dport: self.dport },
            other => other,
        };
        Packet { src: self.src, dst: self.dst, body, shape: Shape::Whole }
    }
    fn back(self, body: Body) -> Packet {
        self.reversed().packet(body)
    }
}

/// The plainest reading.
struct Plain<'a> {
    ends: Ends<'a>,
}

impl Plain<'_> {
    fn turn(&self, class: Class, c: &Connection, forth: bool, packet: Packet, fate: Fate, state: u128) -> Turn {
        let translated = c.near != c.far;
        let (from, to) = if forth { (&c.asker, &c.answerer) } else { (&c.answerer, &c.asker) };
        let other = if forth { c.far } else { c.near.reversed() };
        let arrives = Packet { src: other.src, dst: other.dst, ..other.packet(packet.body) };
        let crosses = self.crosses(from, packet.dst, translated);
        let shot = Shot { node: from.clone(), packet };
        Turn { class, case: Case { shot, fate }, arrives, to: to.clone(), state, crosses, translated }
    }

    fn crosses(&self, from: &str, dst: IpAddr, translated: bool) -> bool {
        let from = self.ends.topology.nodes.get(from);
        self.ends.model.edge.kind == EdgeKind::Ravelin && (translated || from.is_some_and(|n| !self.ends.on_link(n, dst)))
    }

    /// The fate of what belongs to no connection. Errors leave their sender, whatever they are about (`own` is false).
    fn refused(&self, from: &str, to: &str, dst: IpAddr, c: &Connection, own: bool) -> Fate {
        let managed = |n: &str| self.ends.topology.nodes.get(n).is_some_and(|n| n.managed);
        if own && managed(from) {
            Fate::Refused
        } else if managed(to) || self.crosses(from, dst, c.near != c.far) {
            Fate::Stopped
        } else {
            lands(to)
        }
    }
}
