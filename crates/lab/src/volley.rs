//! Fires many single packets and accounts for every one: it landed somewhere, its sender's own filter refused it, or a rule
//! counted it away.
//!
//! In come shots; out comes, for each, where it landed, and what each dropping rule counted. Raw sockets hear a packet
//! only after the input filter let it pass, whether anybody listens on its port or not, so no listener is needed and the
//! kernel's verdict on every port can be asked. Never: takes silence for a verdict; what is unaccounted for is said.

use crate::{
    build::Lab,
    count::{self, Readings},
    error::LabError,
    packet::{Packet, find_mark, find_quoted_mark},
};
use rustix::{
    buffer::spare_capacity,
    event::epoll,
    io::Errno,
    net::{
        AddressFamily, Protocol, RawProtocol, RecvFlags, SendFlags, SocketAddrV4, SocketAddrV6, SocketFlags, SocketType, bind, ipproto,
        recvfrom, sendto, socket_with, sockopt,
    },
    time::Timespec,
};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

/// Protocols heard on every node: ICMP, TCP, UDP, ICMPv6, VRRP.
const HEARD: [(bool, u8); 8] = [(false, 1), (false, 6), (false, 17), (false, 112), (true, 6), (true, 17), (true, 58), (true, 112)];
/// Receive buffer of each listening socket, bytes: a few thousand small packets.
const EAR_BUFFER: usize = 4 << 20;
/// Shots between two rounds of listening; well below what the buffers and the kernel's backlog (1,000 packets) hold.
const ROUND: usize = 128;
/// How long nothing must arrive before the counters are read.
const SILENCE: Duration = Duration::from_millis(30);
/// The same for a single packet, whose counters are few and soon read again.
const SHORT_SILENCE: Duration = Duration::from_millis(4);
/// How long a packet may take before it is called unaccounted for.
const PATIENCE: Duration = Duration::from_secs(2);
/// Events taken from the kernel at once.
const EVENTS: usize = 256;

/// One packet and who sends it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shot {
    /// Sending node.
    pub node: String,
    /// What it sends.
    pub packet: Packet,
}

/// What became of sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sent {
    /// Left the sender.
    Out,
    /// The sender's own filter refused it (EPERM); a rule there counted it.
    Refused,
    /// The sender has no route for it; no filter was asked.
    Unroutable,
}

/// What became of a shot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// Of sending.
    pub sent: Sent,
    /// Nodes it landed on, past their input filters, with the source address it bore there.
    pub landed: BTreeMap<String, IpAddr>,
}

/// What became of a volley.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Per shot, in order.
    pub outcomes: Vec<Outcome>,
    /// What every rule and element counted meanwhile.
    #[serde(skip)]
    pub counted: Readings,
    /// Packets that dropping rules counted.
    pub dropped: u64,
    /// Shots that left a sender, landed nowhere and were counted by no dropping rule; negative where rules counted more.
    pub unaccounted: i64,
}

/// A listening raw socket.
#[derive(Debug)]
struct Ear {
    node: String,
    v6: bool,
    proto: u8,
    socket: OwnedFd,
}

/// Raw sockets everywhere in a lab.
#[derive(Debug)]
pub struct Range<'a> {
    lab: &'a Lab,
    poll: OwnedFd,
    ears: Vec<Ear>,
    guns: BTreeMap<(String, IpAddr), OwnedFd>,
    next_id: u64,
    readings: Option<Readings>,
    counting: Vec<String>,
    silence: Duration,
    patience: Duration,
    elements: bool,
}

impl<'a> Range<'a> {
    /// Opens ears on every node. `counting` are the nodes whose counters are read: those with a filter.
    pub fn open(lab: &'a Lab, counting: Vec<String>) -> Result<Self, LabError> {
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(LabError::os("create an epoll"))?;
        let mut ears = Vec::new();
        for node in lab.topology.nodes.keys() {
            let opened = lab.space(node)?.run(|| HEARD.iter().map(|(v6, proto)| ear(node, *v6, *proto)).collect::<Result<Vec<_>, _>>())?;
            for ear in opened {
                let data = epoll::EventData::new_u64(ears.len() as u64);
                epoll::add(&poll, &ear.socket, data, epoll::EventFlags::IN).map_err(LabError::os("watch a raw socket"))?;
                ears.push(ear);
            }
        }
        Ok(Self {
            lab,
            poll,
            ears,
            guns: BTreeMap::new(),
            next_id: 1,
            readings: None,
            counting,
            silence: SILENCE,
            patience: PATIENCE,
            elements: true,
        })
    }

    /// Whether elements' counters are read as well; they are by default.
    pub fn count_elements(&mut self, yes: bool) {
        self.elements = yes;
        self.readings = None;
    }

    /// Forgets the last reading of the counters; to be called after rulesets changed.
    pub fn rulesets_changed(&mut self) {
        self.readings = None;
    }

    /// Fires and accounts, reading only these nodes' counters: for single shots whose way is known.
    pub fn fire_past(&mut self, shots: &[Shot], counting: Vec<String>) -> Result<Report, LabError> {
        self.readings = None;
        let all = std::mem::replace(&mut self.counting, counting);
        let silence = std::mem::replace(&mut self.silence, SHORT_SILENCE);
        let elements = std::mem::replace(&mut self.elements, false);
        let report = self.fire(shots);
        self.counting = all;
        self.silence = silence;
        self.elements = elements;
        self.readings = None;
        report
    }

    /// Fires what is known to vanish in a kernel, where no rule counts it: listens for a while, and accounts for nothing.
    pub fn fire_into_silence(&mut self, shots: &[Shot]) -> Result<Report, LabError> {
        let patience = std::mem::replace(&mut self.patience, SILENCE);
        let report = self.fire_past(shots, Vec::new());
        self.patience = patience;
        report
    }

    /// Fires and accounts.
    pub fn fire(&mut self, shots: &[Shot]) -> Result<Report, LabError> {
        let before = match self.readings.take() {
            Some(r) => r,
            None => self.read_counters()?,
        };
        let first = self.next_id;
        self.next_id += shots.len() as u64;
        let mut outcomes: Vec<Outcome> = Vec::with_capacity(shots.len());
        for (round, chunk) in shots.chunks(ROUND).enumerate() {
            for (i, shot) in chunk.iter().enumerate() {
                let id = first + (round * ROUND + i) as u64;
                let sent = self.send(shot, id)?;
                outcomes.push(Outcome { sent, landed: BTreeMap::new() });
            }
            self.listen(Duration::ZERO, first, &mut outcomes)?;
        }
        self.settle(first, outcomes, &before)
    }

    /// Listens until every shot is accounted for or patience ends.
    fn settle(&mut self, first: u64, mut outcomes: Vec<Outcome>, before: &Readings) -> Result<Report, LabError> {
        let start = Instant::now();
        loop {
            while self.listen(self.silence, first, &mut outcomes)? > 0 {}
            let after = self.read_counters()?;
            let counted = count::difference(before, &after);
            let dropped = count::dropped(&counted);
            let fired = outcomes.iter().filter(|o| o.sent != Sent::Unroutable && o.landed.is_empty()).count();
            let unaccounted = i64::try_from(fired).unwrap_or(i64::MAX) - i64::try_from(dropped).unwrap_or(i64::MAX);
            if unaccounted <= 0 || start.elapsed() > self.patience {
                self.readings = Some(after);
                return Ok(Report { outcomes, counted, dropped, unaccounted });
            }
        }
    }

    fn read_counters(&self) -> Result<Readings, LabError> {
        let nodes = self.counting.iter().map(String::as_str);
        if self.elements { count::read(self.lab, nodes) } else { count::read_rules(self.lab, nodes) }
    }

    /// Takes what has arrived; waits at most `wait` for the first. Returns how many marked packets came.
    fn listen(&self, wait: Duration, first: u64, outcomes: &mut [Outcome]) -> Result<usize, LabError> {
        let mut came = 0;
        let mut wait = wait;
        loop {
            let mut events = Vec::with_capacity(EVENTS);
            let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(wait.subsec_nanos()) };
            match epoll::wait(&self.poll, spare_capacity(&mut events), Some(&timeout)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(e) => return Err(LabError::os("wait for packets")(e)),
            }
            if events.is_empty() {
                return Ok(came);
            }
            for event in events {
                let ear = usize::try_from(event.data.u64()).ok().and_then(|i| self.ears.get(i));
                let Some(ear) = ear else { continue };
                came += drain(ear, |id, from| {
                    let shot = id.checked_sub(first).and_then(|i| usize::try_from(i).ok()).and_then(|i| outcomes.get_mut(i));
                    shot.is_some_and(|o| o.landed.insert(ear.node.clone(), from).is_none())
                });
            }
            wait = Duration::ZERO;
        }
    }

    fn send(&mut self, shot: &Shot, id: u64) -> Result<Sent, LabError> {
        let datagrams = shot.packet.datagrams(id)?;
        let gun = self.gun(&shot.node, shot.packet.src)?;
        for datagram in &datagrams {
            let to = SocketAddr::new(shot.packet.dst, 0);
            let result = match to {
                SocketAddr::V4(a) => sendto(gun, datagram, SendFlags::empty(), &a),
                SocketAddr::V6(a) => sendto(gun, datagram, SendFlags::empty(), &a),
            };
            match result {
                Ok(_) => {}
                Err(Errno::PERM) => return Ok(Sent::Refused),
                Err(Errno::NETUNREACH | Errno::HOSTUNREACH | Errno::INVAL | Errno::ACCESS) => return Ok(Sent::Unroutable),
                Err(e) => return Err(LabError::os(format!("send from {} to {}", shot.node, shot.packet.dst))(e)),
            }
        }
        Ok(Sent::Out)
    }

    /// A sending socket; bound to the source where that is the node's own, so that routing goes by it.
    fn gun(&mut self, node: &str, src: IpAddr) -> Result<&OwnedFd, LabError> {
        let own = self.lab.topology.nodes.get(node).is_some_and(|n| n.ports.iter().any(|p| p.addresses.iter().any(|a| a.addr() == src)));
        let unbound: IpAddr = if src.is_ipv4() { [0u8; 4].into() } else { [0u8; 16].into() };
        let bound = if own { src } else { unbound };
        let key = (node.to_owned(), bound);
        if !self.guns.contains_key(&key) {
            let socket = self.lab.space(node)?.run(|| gun(bound))?;
            self.guns.insert(key.clone(), socket);
        }
        self.guns.get(&key).ok_or_else(|| LabError::Other("a socket just made is gone".into()))
    }
}

fn raw(v6: bool, protocol: Protocol) -> Result<OwnedFd, LabError> {
    let family = if v6 { AddressFamily::INET6 } else { AddressFamily::INET };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socket_with(family, SocketType::RAW, flags, Some(protocol)).map_err(LabError::os("open a raw socket"))
}

fn ear(node: &str, v6: bool, proto: u8) -> Result<Ear, LabError> {
    let number = RawProtocol::new(u32::from(proto)).ok_or_else(|| LabError::Packet("protocol 0".into()))?;
    let socket = raw(v6, Protocol::from_raw(number))?;
    // Beyond the machine's limit only with the right over the first namespace; what the limit allows is enough then.
    if sockopt::set_socket_recv_buffer_size_force(&socket, EAR_BUFFER).is_err() {
        let _ = sockopt::set_socket_recv_buffer_size(&socket, EAR_BUFFER);
    }
    Ok(Ear { node: node.to_owned(), v6, proto, socket })
}

/// `IPPROTO_RAW` means that the header is ours, in both families.
fn gun(bound: IpAddr) -> Result<OwnedFd, LabError> {
    let socket = raw(bound.is_ipv6(), ipproto::RAW)?;
    if !bound.is_unspecified() {
        match bound {
            IpAddr::V4(a) => bind(&socket, &SocketAddrV4::new(a, 0)),
            IpAddr::V6(a) => bind(&socket, &SocketAddrV6::new(a, 0, 0, 0)),
        }
        .map_err(LabError::os(format!("bind a raw socket to {bound}")))?;
    }
    Ok(socket)
}

/// Reads everything a socket holds; counts the marked packets `take` says are new.
fn drain(ear: &Ear, mut take: impl FnMut(u64, IpAddr) -> bool) -> usize {
    /// Header, options, transport and mark of the longest packet the lab writes.
    const LONGEST: usize = 512;
    let mut came = 0;
    let mut buffer = [0u8; LONGEST];
    while let Ok((n, _, from)) = recvfrom(&ear.socket, &mut buffer, RecvFlags::empty()) {
        let bytes = buffer.get(..n).unwrap_or_default();
        let Some(Ok(from)) = from.map(SocketAddr::try_from) else { continue };
        // Errors quote the packet they are about, mark included: only a mark of errors is one there.
        let plain = if is_icmp_error(ear, bytes) { None } else { find_mark(bytes) };
        if plain.or_else(|| find_quoted_mark(bytes)).is_some_and(|id| take(id, from.ip())) {
            came += 1;
        }
    }
    came
}

/// ICMP errors quote the packet they are about, mark included. Raw v4 sockets see the IP header, v6 ones do not.
fn is_icmp_error(ear: &Ear, bytes: &[u8]) -> bool {
    /// v4 types: unreachable, source quench, redirect, time exceeded, parameter problem.
    const ERRORS4: [u8; 5] = [3, 4, 5, 11, 12];
    /// v6 types below this are errors (RFC 4443, section 2.1).
    const FIRST_INFORMATIONAL6: u8 = 128;
    match (ear.v6, ear.proto) {
        (true, 58) => bytes.first().is_some_and(|t| *t < FIRST_INFORMATIONAL6),
        (false, 1) => {
            let header = bytes.first().map_or(0, |v| usize::from(v & 15) * 4);
            bytes.get(header).is_some_and(|t| ERRORS4.contains(t))
        }
        _ => false,
    }
}
