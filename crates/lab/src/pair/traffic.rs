//! Traffic through a pair: connections that are held open, new ones that arrive, and a probe a thousand times a second. In come ways of
//! the model that work, out come what became of each connection and the longest hole in the probe. Never: calls a connection lost that
//! was not asked.

use crate::{
    attempt::{Deed, Expected, legitimate},
    connect::{self, Fate, Held},
    error::LabError,
    listen,
    stage::Stage,
};
use serde::Serialize;
use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};
use words::Proto;

/// Between two packets of the probe.
const TICK: Duration = Duration::from_millis(1);
/// How long all connections together have to answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(8);

/// A way of the model through the pair, as an honest program takes it.
#[derive(Debug, Clone)]
struct Way {
    node: String,
    src: IpAddr,
    dst: SocketAddr,
    proto: Proto,
    /// One of its addresses is another one behind the edge.
    translated: bool,
}

/// Connections that are open.
pub struct Flows<'s> {
    stage: &'s Stage,
    ways: Vec<Way>,
    /// With the way each takes.
    held: Vec<(usize, Held)>,
}

/// How many connections are open, by what is different about them; one may count in several.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Kinds {
    /// Over TCP.
    pub tcp: usize,
    /// Over UDP.
    pub udp: usize,
    /// Over IPv6.
    pub v6: usize,
    /// Translated by the edge, at either end.
    pub translated: usize,
}

/// What became of connections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Asked.
    pub before: usize,
    /// Answered.
    pub survived: usize,
    /// Reset, or refused by an error.
    pub reset: usize,
    /// Silent.
    pub silent: usize,
}

impl<'s> Flows<'s> {
    /// Finds the ways that cross the edge and work now. `listen` must have been told of the stage's ports.
    pub fn find(stage: &'s Stage) -> Result<Self, LabError> {
        let (all, _) = legitimate::attempts(&stage.model, &stage.lab.topology);
        let edge = |name: &str| stage.lab.topology.edges.iter().any(|e| e == name);
        let mut ways = Vec::new();
        for a in all {
            let (Deed::Connect { src, dst, proto }, Expected::Reaches(to)) = (&a.deed, &a.expected) else { continue };
            let node = &stage.lab.topology.nodes[&a.node];
            let direct = node.ports.iter().flat_map(|p| &p.addresses).any(|n| n.contains(&dst.ip()));
            if direct || edge(&a.node) || edge(to) {
                continue;
            }
            if connect::keep(stage.lab.space(&a.node)?, Some(*src), *dst, *proto)?.is_ok() {
                let published = !stage.lab.topology.nodes[to].ports.iter().flat_map(|p| &p.addresses).any(|n| n.addr() == dst.ip());
                // Nobody outside has a way back to a private address.
                let private = |a: IpAddr| matches!(a, IpAddr::V4(a) if a.is_private());
                let translated = published || private(*src) && dst.is_ipv4() && !private(dst.ip());
                ways.push(Way { node: a.node.clone(), src: *src, dst: *dst, proto: *proto, translated });
            }
        }
        if ways.is_empty() {
            return Err(LabError::Other("no flow of this site crosses the edge and works".into()));
        }
        Ok(Self { stage, ways, held: Vec::new() })
    }

    /// Opens so many more connections, spread over all ways; every one of them must open.
    pub fn open(&mut self, more: usize) -> Result<(), LabError> {
        for n in 0..more {
            let number = n % self.ways.len();
            let way = &self.ways[number];
            let space = self.stage.lab.space(&way.node)?;
            let mut opened = connect::keep(space, Some(way.src), way.dst, way.proto)?;
            if opened.is_err() {
                opened = connect::keep(space, Some(way.src), way.dst, way.proto)?;
            }
            match opened {
                Ok(held) => self.held.push((number, held)),
                Err(answer) => {
                    return Err(LabError::Other(format!("{} -> {} {} did not open: {answer:?}", way.node, way.dst, way.proto)));
                }
            }
        }
        Ok(())
    }

    /// How many are open.
    pub fn open_now(&self) -> Kinds {
        let count = |of: &dyn Fn(&Way) -> bool| self.held.iter().filter(|(w, _)| of(&self.ways[*w])).count();
        Kinds {
            tcp: count(&|w| w.proto == Proto::Tcp),
            udp: count(&|w| w.proto == Proto::Udp),
            v6: count(&|w| w.dst.is_ipv6()),
            translated: count(&|w| w.translated),
        }
    }

    /// Asks every connection; those that are gone are held no longer.
    pub fn ask(&mut self) -> Count {
        let fates = connect::ask_all(self.held.iter().map(|(_, h)| h), ANSWERS_WITHIN);
        let mut count = Count { before: fates.len(), ..Count::default() };
        for fate in &fates {
            match fate {
                Fate::Answers => count.survived += 1,
                Fate::Reset => count.reset += 1,
                Fate::Silent => count.silent += 1,
            }
        }
        let mut fates = fates.into_iter();
        self.held.retain(|_| fates.next() == Some(Fate::Answers));
        count
    }

    /// Ports that are asked along the ways, by node: where nobody needs the others, fewer sockets listen.
    pub fn ports(stage: &Stage, any: u16) -> listen::Ports {
        let (all, _) = legitimate::attempts(&stage.model, &stage.lab.topology);
        let mut ports = listen::Ports::new();
        for a in all {
            if let (Deed::Connect { dst, proto, .. }, Expected::Reaches(to)) = (&a.deed, &a.expected) {
                // A published port is another one behind the edge: both are opened.
                let behind = stage.model.publishes.iter().map(|p| p.host_port);
                ports.entry(to.clone()).or_default().extend(behind.chain([dst.port(), any]).map(|port| (*proto, port)));
            }
        }
        ports
    }

    /// A probe along the first way over this protocol, from now until it is ended: packets of no connection that others wait for over
    /// UDP, a stream over TCP, whose holes are as long as the sender's own retransmissions make them.
    pub fn probe(&self, proto: Proto) -> Result<Probe, LabError> {
        let way = self.ways.iter().find(|w| w.proto == proto);
        let way = way.ok_or_else(|| LabError::Other(format!("no way over {proto} crosses the edge")))?;
        let held = connect::keep(self.stage.lab.space(&way.node)?, Some(way.src), way.dst, proto)?
            .map_err(|a| LabError::Other(format!("the probe's way is closed: {a:?}")))?;
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        held.at_once();
        let begun = Instant::now();
        let last = Arc::new(AtomicU64::new(0));
        let say = Arc::clone(&last);
        let thread = std::thread::Builder::new().name("pair-probe".into()).spawn(move || beat(&held, begun, &told, &say));
        Ok(Probe { stop, begun, last, thread: thread.map_err(LabError::io("start the probe"))? })
    }

    /// New connections, one after another, from now until it is ended.
    pub fn arrivals(&self) -> Result<Arrivals, LabError> {
        let way =
            self.ways.iter().find(|w| w.proto == Proto::Tcp).ok_or_else(|| LabError::Other("no way over TCP crosses the edge".into()))?;
        let space = crate::space::Space::open(&way.node)?;
        let (src, dst) = (way.src, way.dst);
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("pair-arrivals".into()).spawn(move || {
            let mut seen = Opened::default();
            while !told.load(Ordering::Relaxed) {
                let open = || connect::keep(&space, Some(src), dst, Proto::Tcp).is_ok_and(|answer| answer.is_ok());
                match (open(), &open) {
                    (true, _) => seen.opened += 1,
                    (false, again) if again() => seen.again += 1,
                    _ => seen.refused += 1,
                }
                std::thread::sleep(10 * TICK);
            }
            seen
        });
        Ok(Arrivals { stop, thread: thread.map_err(LabError::io("start new connections"))? })
    }
}

/// Packets a thousand times a second; the moments of their answers.
fn beat(held: &Held, begun: Instant, stop: &AtomicBool, say: &AtomicU64) -> Gap {
    let mut last: Option<Instant> = None;
    let mut gap = Gap::default();
    let mut next = begun;
    while !stop.load(Ordering::Relaxed) {
        held.beat();
        gap.sent += 1;
        next += TICK;
        while held.heard() {
            gap.heard += 1;
            let now = Instant::now();
            if let Some(before) = last.replace(now) {
                gap.longest = gap.longest.max(now - before);
            }
            say.store(u64::try_from((now - begun).as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    // A hole that never ended counts as well.
    gap.longest = gap.longest.max(last.unwrap_or(begun).elapsed());
    gap
}

/// What a probe saw.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// Packets sent.
    pub sent: u64,
    /// Answers heard.
    pub heard: u64,
    /// The longest time without an answer.
    pub longest: Duration,
}

/// A probe under way.
pub struct Probe {
    stop: Arc<AtomicBool>,
    begun: Instant,
    /// When it was answered last, in milliseconds since it began.
    last: Arc<AtomicU64>,
    thread: JoinHandle<Gap>,
}

impl Probe {
    /// How long it has had no answer.
    pub fn silent(&self) -> Duration {
        self.begun.elapsed().saturating_sub(Duration::from_millis(self.last.load(Ordering::Relaxed)))
    }

    /// Ends it.
    pub fn end(self) -> Gap {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_default()
    }
}

/// What became of new connections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Opened {
    /// Opened at the first try.
    pub opened: u64,
    /// Opened at the second.
    pub again: u64,
    /// Did not at either.
    pub refused: u64,
}

/// New connections under way.
pub struct Arrivals {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Opened>,
}

impl Arrivals {
    /// Ends them.
    pub fn end(self) -> Opened {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_default()
    }
}
