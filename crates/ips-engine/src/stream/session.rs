//! A connection: which state both ends are in, which packets they take, and whose bytes they are. In come headers and payload with their
//! direction and time, out comes whether the packet was taken, and what was unusual. Never: takes bytes that the receiver would not.

mod handshake;

use super::{
    Settings, Urgent,
    event::{StreamEvent as E, StreamEvents},
    seq::{before, distance, upto},
    side::Side,
};
use ips_proto::Toward;
use ips_wire::tcp::{self, ACK, FIN, RST, SYN, Tcp, URG};

/// State of a connection (RFC 9293, 3.3.2), as an onlooker sees it. In order: later ones are nearer to the end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the standard's names")]
pub enum State {
    #[default]
    None,
    SynSent,
    SynReceived,
    Established,
    FinWait1,
    FinWait2,
    TimeWait,
    LastAck,
    CloseWait,
    Closing,
    Closed,
}

impl State {
    /// As events name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::SynSent => "syn_sent",
            Self::SynReceived => "syn_recv",
            Self::Established => "established",
            Self::FinWait1 => "fin_wait1",
            Self::FinWait2 => "fin_wait2",
            Self::TimeWait => "time_wait",
            Self::LastAck => "last_ack",
            Self::CloseWait => "close_wait",
            Self::Closing => "closing",
            Self::Closed => "closed",
        }
    }
}

/// SYNs with different numbers between the same ends that are usual: the peer's default (`max-syn-queued`).
const MAX_OTHERS: u32 = 10;

/// What became of a packet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Taken {
    /// The ends take it.
    pub valid: bool,
    /// Its bytes went into the stream.
    pub bytes: bool,
    /// The connection was taken up from the wrong end: the flow is to be turned round.
    pub turn: bool,
    /// What was unusual.
    pub events: StreamEvents,
    /// It belongs to a connection whose beginning was not seen.
    pub midstream: bool,
    /// The receiver cannot tell this packet's bytes from what came before: inline it must not pass as it is.
    pub drop: bool,
}

/// Both ends.
#[derive(Debug, Default)]
pub struct Session {
    /// State.
    pub state: State,
    /// Who opened it.
    pub client: Side,
    /// Who was called.
    pub server: Side,
    /// Its beginning was not seen.
    pub midstream: bool,
    /// Only one direction was seen so far, and that is allowed.
    pub one_sided: bool,
    /// A cookie of Fast Open was in the SYN.
    fast_open: bool,
    /// Both ends sent a SYN.
    four_way: bool,
    /// SYNs with other numbers than the first.
    others: u32,
}

/// A packet, as far as a connection is concerned.
#[derive(Clone, Copy)]
struct Segment<'a> {
    tcp: Tcp<'a>,
    options: tcp::Options<'a>,
    payload: &'a [u8],
    seq: u32,
    ack: u32,
    flags: u8,
    toward: Toward,
    now: u64,
}

impl Segment<'_> {
    fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
    /// Behind its last byte.
    fn end(&self) -> u32 {
        self.seq.wrapping_add(u32::try_from(self.payload.len()).unwrap_or(0))
    }
    fn stamp(&self) -> Option<u32> {
        self.options.timestamp.map(|t| t.0)
    }
}

impl Session {
    /// As new, memory kept.
    pub fn clear(&mut self) {
        let (mut client, mut server) = (std::mem::take(&mut self.client), std::mem::take(&mut self.server));
        client.clear();
        server.clear();
        *self = Self { client, server, ..Self::default() };
    }
    /// The sender of what goes this way.
    pub fn side(&self, toward: Toward) -> &Side {
        match toward {
            Toward::Server => &self.client,
            Toward::Client => &self.server,
        }
    }
    /// As [`Session::side`], to change it.
    pub fn side_mut(&mut self, toward: Toward) -> &mut Side {
        match toward {
            Toward::Server => &mut self.client,
            Toward::Client => &mut self.server,
        }
    }
    fn both(&mut self, toward: Toward) -> (&mut Side, &mut Side) {
        match toward {
            Toward::Server => (&mut self.client, &mut self.server),
            Toward::Client => (&mut self.server, &mut self.client),
        }
    }
    /// Up to where bytes of this direction count: what was acknowledged, or inline what is there.
    pub fn edge(&self, toward: Toward, settings: &Settings) -> u64 {
        if settings.inline || self.one_sided { u64::MAX } else { self.side(toward).acked() }
    }
    /// What its buffers hold in memory, in bytes.
    pub fn memory(&self) -> usize {
        self.client.buffer.memory() + self.server.buffer.memory()
    }
    /// Whether a SYN begins another connection between the same ends.
    pub fn begins_anew(&self, tcp: Tcp<'_>, toward: Toward) -> bool {
        let opens = tcp.flags() & (SYN | ACK | FIN | RST) == SYN;
        opens && self.state >= State::LastAck && (toward == Toward::Client || tcp.seq() != self.client.isn)
            || opens && self.state == State::TimeWait && before(self.side(toward).next_seq, tcp.seq())
    }

    /// Takes a packet.
    pub fn take(&mut self, tcp: Tcp<'_>, payload: &[u8], toward: Toward, now: u64, settings: &Settings) -> Taken {
        let segment =
            Segment { tcp, options: tcp.options(), payload, seq: tcp.seq(), ack: tcp.ack(), flags: tcp.flags() & !URG, toward, now };
        if self.state == State::None {
            [self.client.chunk, self.server.chunk] = settings.chunk;
        }
        let mut taken = Taken::default();
        if !segment.has(ACK) && segment.ack != 0 {
            taken.events.add(E::PktBrokenAck);
        }
        if segment.has(SYN) && segment.has(FIN) {
            taken.events.add(E::FinSyn);
            return taken;
        }
        match self.state {
            State::None => self.unopened(&segment, settings, &mut taken),
            State::SynSent => self.syn_sent(&segment, settings, &mut taken),
            State::SynReceived => self.syn_received(&segment, settings, &mut taken),
            State::Closed => self.closed(&segment, &mut taken),
            _ => self.open(&segment, settings, &mut taken),
        }
        // What was turned round belongs to the other end from here on.
        let toward = if taken.turn { toward.other() } else { toward };
        if self.state != State::None {
            self.side_mut(toward).flags |= tcp.flags();
        }
        taken
    }

    fn closed(&mut self, s: &Segment<'_>, taken: &mut Taken) {
        if s.has(RST) || s.has(SYN) && !s.has(ACK) {
            taken.valid = true;
        } else {
            // What was under way when it ended: its numbers fit, its bytes come too late.
            let (from, _) = self.both(s.toward);
            taken.valid = distance(s.seq, from.next_seq).unsigned_abs() <= from.window.max(u32::from(u16::MAX));
            if taken.valid && s.has(ACK) {
                let (_, to) = self.both(s.toward);
                if upto(s.ack, to.next_seq) {
                    let window = to.window;
                    to.acknowledged(s.ack, window);
                }
            }
        }
    }

    /// Whether the receiver takes this RST.
    fn reset(&mut self, s: &Segment<'_>, taken: &mut Taken) -> bool {
        let one_sided = self.one_sided || self.midstream;
        let (from, to) = self.both(s.toward);
        if s.has(ACK) && before(to.next_win, s.ack) && before(to.next_seq, s.ack) {
            taken.events.add(E::RstInvalidAck);
            return false;
        }
        if !from.clock.accepts(s.stamp(), s.now) {
            taken.events.add(E::PktInvalidTimestamp);
            return false;
        }
        // At once only where it stands exactly at the next byte, or at what was acknowledged (RFC 5961, 3.2).
        let fits = s.seq == from.next_seq || s.seq == from.last_ack || from.fin.is_some_and(|f| s.seq == f || s.seq == f.wrapping_add(1));
        if !(fits || one_sided && before(s.seq, from.next_win)) {
            return false;
        }
        taken.valid = true;
        if s.has(ACK) && upto(to.last_ack, s.ack) && upto(s.ack, to.next_seq) {
            let window = to.window;
            to.acknowledged(s.ack, window);
        }
        to.push_raw = true;
        from.push_raw = true;
        true
    }

    fn open(&mut self, s: &Segment<'_>, settings: &Settings, taken: &mut Taken) {
        if s.has(RST) {
            if self.reset(s, taken) {
                self.state = State::Closed;
            }
            return;
        }
        if s.has(SYN) {
            return self.syn_again(s, taken);
        }
        let state = self.state;
        let one_sided = self.one_sided;
        let (from, to) = self.both(s.toward);
        if !from.clock.accepts(s.stamp(), s.now) {
            return taken.events.add(E::PktInvalidTimestamp);
        }
        let fits = one_sided
            || !s.has(ACK)
            || upto(s.ack, to.next_win)
            || upto(s.ack, to.next_seq)
            || to.fin.is_some_and(|f| s.ack == f.wrapping_add(1));
        if !fits {
            taken.events.add(invalid_ack(state));
            return taken.events.add(E::PktInvalidAck);
        }
        let length = s.payload.len();
        let alive = length <= 1 && s.seq == from.next_seq.wrapping_sub(1) && !s.has(FIN) && state == State::Established;
        let end = s.end();
        let inside = one_sided || upto(end, from.next_win) || from.window == 0 && length <= 1;
        if !inside && !alive {
            taken.events.add(out_of_window(state, s.has(FIN)));
            return;
        }
        if length > 0 && !alive {
            if upto(end, from.last_ack) && before(s.seq, from.last_ack) {
                taken.events.add(E::PktSpuriousRetransmission);
            }
            if upto(end, from.next_seq) {
                taken.events.add(E::PktRetransmission);
            }
            // More than a window behind is no repetition.
            if distance(from.last_ack, s.seq) > i32::try_from(from.window.max(1 << 16)).unwrap_or(i32::MAX) && !one_sided {
                taken.events.add(before_last_ack(state));
                return;
            }
        } else if !alive && !s.has(FIN) && before(s.seq, from.last_ack.wrapping_sub(from.window.max(1 << 16))) && !one_sided {
            taken.events.add(before_last_ack(state));
            return;
        }
        if s.has(FIN) && before(end, from.last_ack) && from.fin.is_none() {
            taken.events.add(out_of_window(state, true));
            return;
        }
        taken.valid = true;
        if s.has(ACK) {
            let window = u32::from(s.tcp.window()) << from.scale;
            to.acknowledged(s.ack, window);
        }
        if alive {
            return;
        }
        self.data(s, settings, taken);
        self.step(s);
    }

    /// A SYN after the handshake.
    fn syn_again(&mut self, s: &Segment<'_>, taken: &mut Taken) {
        let closing = self.state > State::Established;
        if s.has(ACK) {
            if s.toward == Toward::Server {
                taken.events.add(E::EstSynackToserver);
            } else if s.ack != self.client.isn.wrapping_add(1) && s.ack != self.client.last_ack {
                taken.events.add(E::EstSynackResendWithDifferentAck);
            } else if s.seq != self.server.isn {
                taken.events.add(E::EstSynackResendWithDiffSeq);
            } else {
                taken.events.add(E::EstSynackResend);
                taken.valid = true;
            }
        } else if closing {
            taken.events.add(E::ShutdownSynResend);
        } else if s.toward == Toward::Client {
            taken.events.add(E::EstSynToclient);
        } else if s.seq != self.client.isn {
            taken.events.add(E::EstSynResendDiffSeq);
        } else {
            taken.events.add(E::EstSynResend);
            taken.valid = true;
        }
    }

    /// The payload goes into the stream.
    fn data(&mut self, s: &Segment<'_>, settings: &Settings, taken: &mut Taken) {
        let (from, _) = self.both(s.toward);
        from.clock.take(s.stamp(), s.now);
        if !s.payload.is_empty() {
            self.put(s, s.seq, settings, taken);
        }
        let end = s.end();
        let (from, _) = self.both(s.toward);
        if s.has(FIN) && from.fin.is_none() {
            from.fin = Some(end);
            from.sent(end.wrapping_add(1));
        }
    }

    fn put(&mut self, s: &Segment<'_>, seq: u32, settings: &Settings, taken: &mut Taken) {
        let edge = self.side(s.toward).acked();
        let (from, _) = self.both(s.toward);
        let mut payload = s.payload;
        let end = seq.wrapping_add(u32::try_from(payload.len()).unwrap_or(0));
        let place = from.offset(seq);
        from.sent(end);
        if from.silent || from.buffer.full {
            return;
        }
        // Before the first byte of all, or before what was acknowledged and given away.
        let mut at = u64::try_from(place).unwrap_or_else(|_| {
            payload = payload.get(usize::try_from(place.unsigned_abs()).unwrap_or(usize::MAX)..).unwrap_or_default();
            0
        });
        let policy = if settings.inline { super::policy::Policy::First } else { settings.policy };
        let mut put = |from: &mut Side, at: u64, bytes: &[u8]| {
            if !bytes.is_empty() {
                let e = from.buffer.insert(at, bytes, edge, policy, settings.depth);
                e.iter().for_each(|e| taken.events.add(e));
                taken.bytes = true;
            }
        };
        let urgent = usize::from(s.tcp.urgent());
        if s.tcp.has(URG)
            && urgent > 0
            && urgent <= payload.len()
            && settings.urgent != Urgent::Inline
            && at == u64::try_from(place).unwrap_or(0)
        {
            // The byte before the one it points at (RFC 6093): not for the application.
            put(from, at, &payload[..urgent - 1]);
            if settings.urgent == Urgent::Drop {
                taken.drop = true;
                taken.valid = false;
            }
            payload = &payload[urgent..];
            at += urgent as u64 - 1;
            if settings.urgent == Urgent::OutOfBand {
                from.without_one();
            } else {
                at += 1;
            }
        }
        put(from, at, payload);
    }

    /// The next state, for what was taken.
    fn step(&mut self, s: &Segment<'_>) {
        let fin = s.has(FIN);
        let toward = s.toward;
        let acks_fin = {
            let (_, to) = self.both(toward);
            s.has(ACK) && to.fin.is_some_and(|f| before(f, s.ack))
        };
        self.state = match (self.state, fin) {
            (State::Established, true) if toward == Toward::Server => State::CloseWait,
            (State::Established, true) => State::FinWait1,
            // The server has ended its bytes first.
            (State::FinWait1, true) if toward == Toward::Server => {
                if acks_fin {
                    State::TimeWait
                } else {
                    State::Closing
                }
            }
            (State::FinWait1, false) if toward == Toward::Server && acks_fin => State::FinWait2,
            (State::FinWait2, true) if toward == Toward::Server => State::TimeWait,
            (State::Closing, false) if acks_fin => State::TimeWait,
            (State::TimeWait, false) if acks_fin => State::Closed,
            // The client has ended its bytes first.
            (State::CloseWait, true) if toward == Toward::Client => State::LastAck,
            (State::LastAck, false) if toward == Toward::Server && acks_fin => State::Closed,
            (state, _) => state,
        };
        if fin {
            let (from, to) = self.both(toward);
            from.push_raw = true;
            to.push_raw = true;
        }
    }
}

fn invalid_ack(state: State) -> E {
    match state {
        State::FinWait1 => E::Fin1InvalidAck,
        State::FinWait2 => E::Fin2InvalidAck,
        State::TimeWait => E::TimewaitInvalidAck,
        State::LastAck => E::LastackInvalidAck,
        State::CloseWait => E::ClosewaitInvalidAck,
        State::Closing => E::ClosingInvalidAck,
        _ => E::EstInvalidAck,
    }
}

fn out_of_window(state: State, fin: bool) -> E {
    match (state, fin) {
        (State::FinWait1, true) => E::Fin1FinWrongSeq,
        (State::FinWait1, false) => E::Fin1AckWrongSeq,
        (State::FinWait2, true) => E::Fin2FinWrongSeq,
        (State::FinWait2, false) => E::Fin2AckWrongSeq,
        (State::TimeWait, _) => E::TimewaitAckWrongSeq,
        (State::LastAck, _) => E::LastackAckWrongSeq,
        (State::CloseWait, true) => E::ClosewaitFinOutOfWindow,
        (State::CloseWait, false) => E::ClosewaitAckOutOfWindow,
        (State::Closing, _) => E::ClosingAckWrongSeq,
        (_, true) => E::FinOutOfWindow,
        _ => E::EstPacketOutOfWindow,
    }
}

fn before_last_ack(state: State) -> E {
    if state == State::CloseWait { E::ClosewaitPktBeforeLastAck } else { E::EstPktBeforeLastAck }
}
