//! The process in a variant's world. In come commands on standard input, one a line; out comes one line each: packets sent,
//! packets that arrived, nanoseconds of CPU and of wall time.
//!
//! Over virtual cables the receiving half runs in the sender's own context (`netif_rx` raises a soft interrupt that runs as
//! the sender enables them again), so the sender's CPU time is the cost of the whole way: its own system call, the router
//! with the ruleset, and the drop on arrival. What others do on the machine is not in it.

use crate::{
    Error,
    frames::{self, Frame, Head, flag},
    policy::{Permit, Policy},
    stage::cable,
};
use rustix::{
    net::{MMsgHdr, SendAncillaryBuffer, SendFlags, SocketAddrAny, SocketAddrV4, sendmmsg},
    time::{ClockId, clock_gettime},
};
use socket2::{Domain, Protocol, Socket, Type};
use std::{
    fs,
    io::{BufRead, IoSlice, Write},
    time::{Duration, Instant},
};

/// Packets handed to the kernel in one call.
const BATCH: usize = 64;

/// First source port of new connections.
const FIRST_PORT: u16 = 10_000;

/// Port nobody may use: `discard`.
const CLOSED: u16 = 9;

/// Raw sockets carry this protocol number where the caller writes the header (`IPPROTO_RAW`).
const RAW: i32 = 255;

/// Sends and counts.
pub struct Sender<'p> {
    policy: &'p Policy,
    sockets: Vec<Socket>,
    /// Connections made so far: each gets its own permission and source port.
    made: usize,
    /// Packets of connections that stand.
    held: Vec<(usize, Frame)>,
    /// Next of them.
    turn: usize,
}

/// What a slice cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    /// Packets sent.
    pub sent: u64,
    /// Packets that arrived.
    pub arrived: u64,
    /// CPU time, ns.
    pub cpu: u64,
    /// Wall time, ns.
    pub wall: u64,
}

impl Slice {
    /// As it crosses the pipe.
    pub fn line(&self) -> String {
        format!("{} {} {} {}", self.sent, self.arrived, self.cpu, self.wall)
    }
    /// Back again.
    pub fn read(line: &str) -> Option<Self> {
        let mut numbers = line.split_whitespace().map(str::parse);
        let mut next = || numbers.next()?.ok();
        Some(Self { sent: next()?, arrived: next()?, cpu: next()?, wall: next()? })
    }
}

impl<'p> Sender<'p> {
    /// One raw socket per zone, bound to its device.
    pub fn open(policy: &'p Policy) -> Result<Self, Error> {
        let mut sockets = Vec::new();
        for zone in 0..policy.zones.len() {
            let what = || format!("raw socket on {}", cable(zone));
            let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(RAW))).map_err(Error::call(what()))?;
            socket.bind_device(Some(cable(zone).as_bytes())).map_err(Error::call(what()))?;
            sockets.push(socket);
        }
        Ok(Self { policy, sockets, made: 0, held: Vec::new(), turn: 0 })
    }

    /// Answers commands until the input ends.
    pub fn serve(&mut self, input: impl BufRead, mut output: impl Write) -> Result<(), Error> {
        for line in input.lines() {
            let line = line.map_err(Error::call("commands"))?;
            let (command, count) = line.split_once(' ').unwrap_or((&line, "0"));
            let count = count.trim().parse().map_err(|_| Error::Invalid(format!("no count in `{line}`")))?;
            let slice = match command {
                "new" => self.new_connections(count)?,
                "open" => self.open_connections(count)?,
                "held" => self.on_held(count)?,
                "refused" => self.refused(count)?,
                _ => return Err(Error::Invalid(format!("no command `{command}`"))),
            };
            writeln!(output, "{}", slice.line()).and_then(|()| output.flush()).map_err(Error::call("answers"))?;
        }
        Ok(())
    }

    /// First packets of connections that never were before.
    fn new_connections(&mut self, count: usize) -> Result<Slice, Error> {
        let frames: Vec<_> = (0..count).map(|_| self.fresh()).map(|(p, h)| (p.from, frames::build(&h))).collect();
        self.measure(&frames, frames.len())
    }

    /// First packets to a port that is closed.
    fn refused(&mut self, count: usize) -> Result<Slice, Error> {
        let frames: Vec<_> = (0..count).map(|_| self.fresh()).map(|(p, h)| (p.from, frames::build(&Head { dport: CLOSED, ..h }))).collect();
        self.measure(&frames, 0)
    }

    /// Opens connections both ways and keeps their packets for [`Self::on_held`].
    fn open_connections(&mut self, count: usize) -> Result<Slice, Error> {
        let mut packets = Vec::new();
        self.held.clear();
        self.turn = 0;
        for _ in 0..count {
            let (permit, head) = self.fresh();
            let answer = Head {
                src: head.dst,
                dst: head.src,
                sport: head.dport,
                dport: head.sport,
                flags: flag::SYN | flag::ACK,
                seq: 1,
                ack: 2,
                ..head
            };
            let later = Head { flags: flag::ACK, seq: 2, ack: 2, ..head };
            packets.push((permit.from, frames::build(&head)));
            packets.push((permit.to, frames::build(&answer)));
            packets.push((permit.from, frames::build(&later)));
            self.held.push((permit.from, frames::build(&later)));
        }
        // One packet a call: the answer must not overtake the question.
        self.measure_in(&packets, packets.len(), 1)
    }

    /// Packets on connections that stand, by turns.
    fn on_held(&mut self, count: usize) -> Result<Slice, Error> {
        if self.held.is_empty() {
            return Err(Error::Invalid("no connections are open".into()));
        }
        let frames: Vec<_> = (0..count).map(|n| self.held[(self.turn + n) % self.held.len()]).collect();
        self.turn += count;
        self.measure(&frames, count)
    }

    /// The next connection: permissions in an order without pattern, so that no cache line is luckier than in life.
    fn fresh(&mut self) -> (Permit, Head) {
        let permits = &self.policy.permits;
        let permit = permits[scatter(self.made, permits.len())];
        // Every turn over the permissions takes the next source port.
        let sport = FIRST_PORT + u16::try_from(self.made / permits.len() % usize::from(u16::MAX - FIRST_PORT)).unwrap_or_default();
        self.made += 1;
        (
            permit,
            Head { proto: permit.proto, src: permit.src, dst: permit.dst, sport, dport: permit.port, flags: flag::SYN, seq: 1, ack: 0 },
        )
    }

    fn measure(&self, frames: &[(usize, Frame)], expected: usize) -> Result<Slice, Error> {
        self.measure_in(frames, expected, BATCH)
    }

    fn measure_in(&self, frames: &[(usize, Frame)], expected: usize, batch: usize) -> Result<Slice, Error> {
        let before = arrivals()?;
        // Batches of one zone, prepared beforehand; the zones' order within a slice does not matter.
        let mut sorted: Vec<&(usize, Frame)> = frames.iter().collect();
        if batch > 1 {
            sorted.sort_by_key(|(zone, _)| *zone);
        }
        let slices: Vec<(usize, IoSlice<'_>, SocketAddrAny)> =
            sorted.iter().map(|(zone, f)| (*zone, IoSlice::new(f.bytes()), destination(f.bytes()))).collect();
        let (cpu, wall) = (cpu_time(), Instant::now());
        for group in slices.chunk_by(|a, b| a.0 == b.0).flat_map(|g| g.chunks(batch)) {
            self.send(group)?;
        }
        let (cpu, wall) = (cpu_time() - cpu, wall.elapsed());
        let arrived = settle(before, expected as u64)?;
        Ok(Slice { sent: frames.len() as u64, arrived, cpu: nanos(cpu), wall: nanos(wall) })
    }

    fn send(&self, group: &[(usize, IoSlice<'_>, SocketAddrAny)]) -> Result<(), Error> {
        let mut controls: Vec<SendAncillaryBuffer<'_, '_, '_>> = group.iter().map(|_| SendAncillaryBuffer::default()).collect();
        let mut messages: Vec<MMsgHdr<'_>> = group
            .iter()
            .zip(&mut controls)
            .map(|((_, bytes, to), control)| MMsgHdr::new_with_addr(to, std::slice::from_ref(bytes), control))
            .collect();
        let mut done = 0;
        while done < messages.len() {
            done += sendmmsg(&self.sockets[group[0].0], &mut messages[done..], SendFlags::empty())
                .map_err(|e| Error::call("sending packets")(e.into()))?;
        }
        Ok(())
    }
}

/// A permutation of `0..length`: multiplication by a number near the golden section, made prime to the length.
fn scatter(n: usize, length: usize) -> usize {
    let mut step = length * 618 / 1000 + 1;
    while gcd(step, length) != 1 {
        step += 1;
    }
    (n % length) * step % length
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn destination(packet: &[u8]) -> SocketAddrAny {
    let octets: [u8; 4] = packet[16..20].try_into().unwrap_or_default();
    SocketAddrV4::new(octets.into(), 0).into()
}

/// CPU time of this thread.
fn cpu_time() -> Duration {
    let t = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(t.tv_sec.unsigned_abs(), u32::try_from(t.tv_nsec).unwrap_or_default())
}

fn nanos(d: Duration) -> u64 {
    u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)
}

/// Packets that arrived on the world's cables so far.
fn arrivals() -> Result<u64, Error> {
    let text = fs::read_to_string("/proc/self/net/dev").map_err(Error::call("/proc/self/net/dev"))?;
    let received = |line: &str| {
        let (device, counters) = line.split_once(':')?;
        device.trim().strip_prefix('z')?.parse::<usize>().ok()?;
        counters.split_whitespace().nth(1)?.parse::<u64>().ok()
    };
    Ok(text.lines().filter_map(received).sum())
}

/// Longest wait for the last packets of a slice.
const PATIENCE: Duration = Duration::from_millis(200);

fn settle(before: u64, expected: u64) -> Result<u64, Error> {
    let start = Instant::now();
    loop {
        let arrived = arrivals()? - before;
        if arrived >= expected || start.elapsed() > PATIENCE {
            return Ok(arrived);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scattering_visits_everything_once() {
        for length in [1, 2, 7, 60, 1000, 20_000] {
            let mut seen: Vec<usize> = (0..length).map(|n| scatter(n, length)).collect();
            seen.sort_unstable();
            assert_eq!(seen, (0..length).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_slice_survives_the_pipe() {
        let slice = Slice { sent: 1, arrived: 2, cpu: 3, wall: 4 };
        assert_eq!(Slice::read(&slice.line()), Some(slice));
        assert_eq!(Slice::read("1 2 x"), None);
    }
}
