//! From packets to verdicts: which flow, which stream, which application, and what rules say of it.

use crate::{
    engine::{self, Manner},
    expect::Expectations,
    flow::{Fate, Flow, Reason},
    inspect::{Around, Inspector},
    key::{Ends, Key},
    output::{At, Dropped, Output},
    settings::{Checksums, Settings},
    standing::{Judged, Standing},
    stats::Stats,
    stream::{Exception, Session, State, StreamEvent, StreamEvents, buffer::Next},
    table::{Phase, Table},
};
use ips_detect::{Memory, Scratch, Tables};
use ips_proto::{Parsers, Toward, identify::Ports};
use ips_rules::header::App;
use ips_wire::{
    Packet,
    checksum::{self, Sum},
    packet::Transport,
};
use std::sync::Arc;

/// Packets after which it is decided whether checksums mean anything, and the share that must be right.
const SAMPLE: u64 = 1000;
/// One in so many wrong is too many.
const WRONG: u64 = 10;
/// Sessions kept for later flows.
const MAX_POOL: usize = 4096;
/// Flows that are closed with one packet at the most.
const CLOSE_AT_ONCE: usize = 8;
/// Times that the two directions of a stream are gone through with one packet: each time one of them found what is spoken.
const MAX_TURNS: usize = 4;

/// The worker's state.
pub struct Core {
    settings: Settings,
    flows: Table<Flow>,
    // Boxes are handed from flow to flow as they are.
    #[expect(clippy::vec_box, reason = "a session moves between flow and pool without being copied")]
    pool: Vec<Box<Session>>,
    parsers: Parsers,
    expectations: Expectations,
    inspector: Inspector,
    stats: Stats,
    /// Bytes that buffers of streams hold.
    held: usize,
    number: u64,
    checked: u64,
    wrong: u64,
    /// How the frame comes.
    manner: Manner,
    /// Packets of the frame, and the flow of the last.
    packets: u32,
    standing: Option<Standing>,
    slot: Option<u32>,
    /// Rules were exchanged so often: what older ones kept with a flow means nothing to these.
    edition: u32,
}

impl Core {
    pub(crate) fn new(settings: Settings, tables: Arc<Tables>, mut parsers: Parsers) -> Self {
        parsers.digest(tables.digests());
        Self {
            flows: Table::new(settings.flows.clone(), settings.seed, size_of::<Session>()),
            pool: Vec::new(),
            parsers,
            expectations: Expectations::default(),
            inspector: Inspector::new(tables, settings.stream.inline),
            stats: Stats::default(),
            held: 0,
            number: 0,
            checked: 0,
            wrong: 0,
            manner: Manner::default(),
            packets: 0,
            standing: None,
            slot: None,
            edition: 0,
            settings,
        }
    }
    pub(crate) fn stats(&self) -> &Stats {
        &self.stats
    }
    pub(crate) fn memory(&mut self) -> &mut Memory {
        &mut self.inspector.memory
    }
    pub(crate) fn scratch(&self) -> &Scratch {
        &self.inspector.scratch
    }
    pub(crate) fn flows(&self) -> usize {
        self.flows.len()
    }
    pub(crate) fn exchange(&mut self, tables: Arc<Tables>, memory: Memory) -> (Arc<Tables>, Memory) {
        self.parsers.digest(tables.digests());
        self.edition = self.edition.wrapping_add(1);
        self.inspector.exchange(tables, memory)
    }
    pub(crate) fn leave(&mut self) {
        let Some(flow) = self.slot.and_then(|s| self.flows.get_mut(s)) else { return };
        flow.left = true;
        let Some(session) = &mut flow.session else { return };
        let before = session.memory();
        for side in [Toward::Server, Toward::Client] {
            let side = session.side_mut(side);
            side.silent = true;
            side.buffer.clear();
            side.buffer.shrink();
        }
        self.held = (self.held + session.memory()).saturating_sub(before);
    }
    pub(crate) fn begin(&mut self, length: usize, manner: Manner) {
        (self.manner, self.packets, self.standing, self.slot) = (manner, 0, None, None);
        (self.inspector.tell, self.inspector.would_drop) = ((false, false), false);
        self.number += 1;
        self.stats.frames += 1;
        self.stats.bytes += length as u64;
    }
    pub(crate) fn end(&mut self, drop: bool) -> Judged {
        if drop {
            self.stats.dropped += 1;
        } else {
            self.stats.passed += 1;
        }
        let tell = if drop { self.inspector.tell } else { (false, false) };
        let standing = self.standing.filter(|_| self.packets == 1);
        let fate = if drop { engine::Fate::Drop } else { engine::Fate::Accept };
        Judged { fate, tell, would_drop: self.inspector.would_drop, standing }
    }

    /// Takes a packet; true where it must not go on.
    pub(crate) fn packet(&mut self, packet: &Packet<'_>, out: &mut dyn Output) -> bool {
        self.stats.count(packet);
        self.packets += 1;
        let alone = Around { number: self.number, manner: self.manner, ..Around::default() };
        if packet.invalid || !packet.flow {
            return self.inspector.packet(packet, None, alone, &mut self.stats, out);
        }
        self.expire(packet.time, out);
        self.stats.payload += packet.payload.len() as u64;
        let ends = Ends::of(packet);
        let Some(slot) = self.slot(packet, &ends, out) else {
            return self.inspector.packet(packet, None, alone, &mut self.stats, out);
        };
        let Some(flow) = self.flows.get_mut(slot) else { return false };
        self.slot = Some(slot);
        flow.up_to(self.edition);
        let mut toward = flow.toward(&ends);
        flow.count(packet, toward);
        let inline = self.settings.stream.inline && self.manner.enforce;
        if inline && flow.fate == Fate::Dropped {
            let (kind, phase, now, exception) = (flow.kind(), flow.phase, packet.time, flow.exception);
            let at = At { packet, number: self.number, flow: Some(flow), toward };
            let why = if exception { Dropped::Exception } else { Dropped::Flow };
            self.stats.reasons[why.index()] += 1;
            out.dropped(&at, why, None);
            self.standing = Some(Standing::of(flow));
            self.flows.touch(slot, kind, phase, now);
            return true;
        }
        let mut around = Around { toward, ..alone };
        let before = flow.session.as_ref().is_some_and(|s| s.state >= State::Established);
        around.established = before || flow.protocol != 6 && flow.phase == Phase::Established;
        let mut refused = None;
        match packet.transport {
            Transport::Tcp(_) if ends.is_tcp() => {
                refused = self.tcp(packet, slot, &mut toward, &mut around);
            }
            Transport::Udp(_) => {
                let ports = Ports { client: flow.client.1, server: flow.server.1 };
                flow.app.datagram(toward, packet.payload, ports, &self.parsers);
            }
            _ => {}
        }
        around.toward = toward;
        let Some(flow) = self.flows.get_mut(slot) else { return false };
        let over_tcp = usize::from(flow.protocol != 6);
        let (found, failed) = std::mem::take(&mut flow.app.news);
        if let Some(s) = found.and_then(|app| self.stats.apps.of_mut(app)) {
            s.flows[over_tcp] += 1;
        }
        if let Some(s) = failed.and_then(|app| self.stats.apps.of_mut(app)) {
            s.failed[over_tcp] += 1;
        }
        while let Some(expected) = flow.app.expected() {
            let listener = if expected.listener == Toward::Server { flow.server.0 } else { flow.client.0 };
            self.expectations.add(expected, listener, packet.time);
        }
        let mut drop = self.inspector.packet(packet, Some(flow), around, &mut self.stats, out);
        if let Some(why) = refused.filter(|_| inline && !drop) {
            let at = At { packet, number: self.number, flow: Some(flow), toward };
            self.stats.reasons[why.index()] += 1;
            out.dropped(&at, why, None);
            drop = true;
        }
        let (kind, phase, last) = (flow.kind(), flow.phase, flow.last);
        if let Some(session) = &mut flow.session {
            let before = session.memory();
            tidy(session, &self.settings.stream);
            self.held = (self.held + session.memory()).saturating_sub(before);
        }
        self.standing = Some(Standing::of(flow));
        // A clock that goes back makes nobody old.
        self.flows.touch(slot, kind, phase, packet.time.max(last));
        drop
    }

    /// The flow of a packet, made where there is none.
    fn slot(&mut self, packet: &Packet<'_>, ends: &Ends, out: &mut dyn Output) -> Option<u32> {
        let key = Key::of(packet, ends, self.settings.apart);
        if let Some(slot) = self.flows.find(&key) {
            let reason = if self.flows.is_over(slot, packet.time) {
                Some(Reason::Timeout)
            } else {
                let flow = self.flows.get(slot)?;
                let anew = packet.tcp().zip(flow.session.as_ref()).is_some_and(|(t, s)| s.begins_anew(t, flow.toward(ends)));
                anew.then_some(Reason::Reused)
            };
            match reason {
                None => return Some(slot),
                Some(reason) => self.close(slot, reason, out),
            }
        }
        // An error that belongs to no flow begins none.
        if matches!(packet.transport, Transport::Icmpv4([3 | 4 | 5 | 11 | 12, ..])) {
            return None;
        }
        if self.flows.len() >= self.flows.most() {
            if !self.flows.emergency() {
                self.stats.emergencies += 1;
            }
            let least = self.flows.least_worth()?;
            self.stats.flows_forced += 1;
            self.close(least, Reason::Forced, out);
        }
        self.stats.flows += 1;
        match ends.protocol {
            6 => self.stats.flows_tcp += 1,
            17 => self.stats.flows_udp += 1,
            1 | 58 => self.stats.flows_icmp += 1,
            _ => {}
        }
        let mut flow = Flow::new(self.id(), packet, ends);
        flow.up_to(self.edition);
        flow.emergency = self.flows.emergency();
        if ends.is_tcp()
            && let Some(expected) = self.expectations.take(ends.destination.0, ends.destination.1, packet.time)
        {
            flow.app.announced(&expected, &self.parsers);
        }
        let kind = flow.kind();
        self.flows.insert(key, kind, packet.time, flow)
    }

    /// A number for a flow: the same capture gives the same numbers.
    fn id(&self) -> u64 {
        // Spread (an odd factor near the golden ratio), below 2^53 so that every reader of JSON keeps it.
        (self.stats.flows.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 11).max(1)
    }

    /// Whether checksums count.
    fn sums_count(&self) -> bool {
        self.settings.stream.checksums
            && self.manner.sums
            && match self.settings.checksums {
                Checksums::Verify => true,
                Checksums::Ignore => false,
                Checksums::Auto => self.checked < SAMPLE || self.wrong * WRONG < self.checked,
            }
    }

    /// The packet into its connection, what it acknowledged to the application. Why it must not go on, where the receiver
    /// would not take it.
    fn tcp(&mut self, packet: &Packet<'_>, slot: u32, toward: &mut Toward, around: &mut Around) -> Option<Dropped> {
        let tcp = packet.tcp()?;
        if self.sums_count() {
            let right = checksum::right(packet, Sum::Tcp) != Some(false);
            self.checked += 1;
            if !right {
                self.wrong += 1;
                self.stats.checksum_wrong += 1;
                around.wrong_sum = true;
                return Some(Dropped::Stream);
            }
        }
        let flow = self.flows.get_mut(slot)?;
        let mut fresh = false;
        let session = flow.session.get_or_insert_with(|| {
            fresh = true;
            self.pool.pop().unwrap_or_default()
        });
        let held = session.memory();
        let taken = session.take(tcp, packet.payload, *toward, packet.time, &self.settings.stream);
        if fresh && session.state != State::None {
            self.stats.sessions += 1;
            self.stats.midstream += u64::from(session.midstream);
        }
        around.stream_events = taken.events;
        around.in_stream = taken.bytes;
        flow.phase = match session.state {
            State::None | State::SynSent | State::SynReceived => Phase::New,
            State::TimeWait | State::LastAck | State::Closed => Phase::Closed,
            _ => Phase::Established,
        };
        if session.state >= State::Established && !packet.payload.is_empty() {
            around.established = true;
        }
        if taken.bytes {
            self.held = (self.held + session.memory()).saturating_sub(held);
        }
        if self.held > self.settings.stream.memory {
            // No room: this connection is let go, its flow stays.
            self.stats.stream_memory += 1;
            self.held = self.held.saturating_sub(session.memory());
            for side in [Toward::Server, Toward::Client] {
                session.side_mut(side).silent = true;
                session.side_mut(side).buffer.clear();
            }
        }
        if taken.turn {
            flow.turn();
            *toward = toward.other();
        }
        let unseen = taken.midstream.then(|| {
            self.stats.unseen[self.settings.stream.midstream_policy.index()] += 1;
            unseen(flow, &self.settings.stream, self.manner.enforce)
        });
        if taken.valid && !flow.detect.bypassed {
            deliver(flow, *toward, false, &self.settings, &self.parsers, &mut around.stream_events, &mut self.stats);
        }
        if let Some(Some(why)) = unseen {
            return Some(why);
        }
        // What belongs to no connection is for the rules to say.
        let refused = taken.drop || !taken.valid && !taken.midstream && self.settings.stream.drop_invalid;
        refused.then_some(Dropped::Stream)
    }

    fn expire(&mut self, now: u64, out: &mut dyn Output) {
        for _ in 0..CLOSE_AT_ONCE {
            let Some(slot) = self.flows.over(now) else { return };
            self.close(slot, Reason::Timeout, out);
        }
    }

    /// A flow is over: what was still to be looked at is, and it is told.
    fn close(&mut self, slot: u32, reason: Reason, out: &mut dyn Output) {
        let Some(mut flow) = self.flows.remove(slot) else { return };
        flow.up_to(self.edition);
        let mut events = StreamEvents::NONE;
        if let Some(session) = &flow.session {
            self.held = self.held.saturating_sub(session.memory());
        }
        let gives = flow.session.as_ref().is_some_and(|s| s.state >= State::Established) && !flow.detect.bypassed;
        // One direction after the other, as if a packet came for each.
        for toward in [Toward::Server, Toward::Client] {
            let mut found = false;
            if gives {
                let mut turns = 0;
                while deliver_one(&mut flow, toward, true, &self.settings, &self.parsers, &mut events, &mut self.stats) && turns < MAX_TURNS
                {
                    turns += 1;
                    found = true;
                }
                // What waited of the other direction comes now that it is known what is spoken.
                if found && toward == Toward::Client {
                    deliver_one(&mut flow, Toward::Server, true, &self.settings, &self.parsers, &mut events, &mut self.stats);
                }
            } else {
                flow.app.end(toward);
            }
            self.inspector.last(&mut flow, toward, self.manner, &mut self.stats, out);
            if found && toward == Toward::Client {
                self.inspector.last(&mut flow, Toward::Server, self.manner, &mut self.stats, out);
            }
        }
        self.inspector.rest(&mut flow, &mut self.stats, out);
        if !flow.quiet {
            out.flow(&flow, reason);
        }
        if let Some(mut session) = flow.session.take()
            && self.pool.len() < MAX_POOL
        {
            session.clear();
            for side in [Toward::Server, Toward::Client] {
                session.side_mut(side).buffer.shrink();
            }
            self.pool.push(session);
        }
    }

    pub(crate) fn finish(&mut self, out: &mut dyn Output) {
        let slots: Vec<u32> = self.flows.slots().collect();
        for slot in slots {
            self.close(slot, Reason::Shutdown, out);
        }
    }
}

/// What becomes of a flow whose beginning was not seen.
fn unseen(flow: &mut Flow, settings: &crate::stream::Settings, enforce: bool) -> Option<Dropped> {
    flow.unseen = Some(match settings.midstream_policy {
        Exception::Auto if settings.midstream || settings.async_oneside => Exception::Ignore,
        other => other,
    });
    match settings.midstream_policy {
        Exception::PassFlow => flow.detect.passed = true,
        Exception::Bypass => flow.detect.bypassed = true,
        Exception::Auto if settings.midstream || settings.async_oneside => {}
        Exception::DropFlow | Exception::Reject | Exception::Auto if settings.inline && enforce => {
            flow.fate = Fate::Dropped;
            flow.exception = true;
            return Some(Dropped::Midstream);
        }
        _ => {}
    }
    None
}

/// Gives the application what both directions have for it. `all`: nothing more comes, what was not acknowledged counts too.
fn deliver(
    flow: &mut Flow,
    toward: Toward,
    all: bool,
    settings: &Settings,
    parsers: &Parsers,
    events: &mut StreamEvents,
    stats: &mut Stats,
) {
    // What was acknowledged by this packet comes before what it brings.
    let mut turns = 0;
    let mut found = true;
    while std::mem::take(&mut found) && turns < MAX_TURNS {
        turns += 1;
        for side in [toward.other(), toward] {
            found |= deliver_one(flow, side, all, settings, parsers, events, stats);
        }
    }
}

/// One direction; true where it was just found what is spoken.
fn deliver_one(
    flow: &mut Flow,
    toward: Toward,
    all: bool,
    settings: &Settings,
    parsers: &Parsers,
    events: &mut StreamEvents,
    stats: &mut Stats,
) -> bool {
    let ports = Ports { client: flow.client.1, server: flow.server.1 };
    let Some(session) = &mut flow.session else { return false };
    let state = session.state;
    let edge = if all || state == State::Closed { u64::MAX } else { session.edge(toward, &settings.stream) };
    let side = session.side_mut(toward);
    let mut fed = false;
    loop {
        if side.silent {
            break;
        }
        let acked = if all || state == State::Closed { u64::MAX } else { side.acked() };
        match side.buffer.next_app(edge, acked) {
            Next::Bytes(from, to) => {
                if !flow.app.wants(toward) {
                    side.buffer.app = to;
                    continue;
                }
                let read = flow.app.stream(toward, side.buffer.bytes(from, to), ports, parsers);
                fed = true;
                side.buffer.app += read.used as u64;
                if read.found {
                    return true;
                }
                if read.used == 0 {
                    // More would tell what is spoken, and more does not come.
                    if !matches!(side.buffer.behind(to, edge, acked), Next::Gap(_)) {
                        break;
                    }
                    flow.app.gap(toward, 0);
                }
            }
            Next::Gap(bytes) => {
                flow.app.gap(toward, bytes);
                side.buffer.app += bytes;
                side.buffer.lost += bytes;
                if !std::mem::replace(&mut flow.gap_told, true) {
                    stats.gaps += 1;
                }
                events.add(StreamEvent::ReassemblySeqGap);
            }
            Next::Nothing => break,
        }
    }
    let over = side.fin.is_some_and(|f| u64::try_from(side.offset(f)).is_ok_and(|o| side.buffer.app >= o));
    if all || over || side.buffer.full || state == State::Closed {
        flow.app.end(toward);
        side.push_raw = true;
    }
    if fed {
        // A whole message is looked at as one.
        // But for FTP, whose commands the peer looks at as they gather.
        side.push_raw |= flow.app.conversations.last().is_some_and(|c| {
            let open = c.parser.count();
            open > 0 && c.app != App::Ftp && c.parser.get(open - 1).done(toward)
        });
    }
    if flow.app.opaque {
        for toward in [Toward::Server, Toward::Client] {
            session.side_mut(toward).silent = true;
        }
    }
    false
}

/// Forgets bytes that everybody has seen.
fn tidy(session: &mut Session, settings: &crate::stream::Settings) {
    for toward in [Toward::Server, Toward::Client] {
        let keep = if settings.inline { settings.chunk[toward.index()] } else { 0 };
        let side = session.side_mut(toward);
        let acked = side.acked();
        if side.silent {
            let end = side.buffer.end();
            side.buffer.app = side.buffer.app.max(end);
        }
        let mut upto = side.buffer.app.min(side.buffer.raw.saturating_sub(keep));
        if settings.inline {
            upto = upto.min(acked);
        }
        side.buffer.slide(upto);
    }
}
