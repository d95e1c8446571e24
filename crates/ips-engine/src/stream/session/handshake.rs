//! The handshake: packets of a connection that is not established yet, both ends' numbers and what they agree on. Never: looks at a
//! connection that both ends have agreed on.

use super::{MAX_OTHERS, Segment, Session, State, Taken};
use crate::stream::{
    Settings,
    event::StreamEvent as E,
    seq::{before, upto},
    side::MAX_SCALE,
};
use ips_proto::Toward;
use ips_wire::tcp::{ACK, FIN, RST, SYN};

impl Session {
    pub(super) fn unopened(&mut self, s: &Segment<'_>, settings: &Settings, taken: &mut Taken) {
        if s.has(RST) {
            return taken.events.add(E::RstButNoSession);
        }
        if s.has(FIN) {
            return taken.events.add(E::FinButNoSession);
        }
        let stamp = s.stamp();
        match s.flags & (SYN | ACK) {
            SYN => {
                self.state = State::SynSent;
                let (client, server) = self.both(s.toward);
                client.start(s.seq);
                client.scales = s.options.window_scale.is_some();
                client.scale = s.options.window_scale.unwrap_or(0);
                client.sack = s.options.sack_permitted;
                client.clock.start(stamp, s.now);
                server.window = u32::from(s.tcp.window());
                taken.valid = true;
                if s.options.fast_open.is_some() {
                    self.fast_open = true;
                    if !s.payload.is_empty() {
                        let first = s.seq.wrapping_add(1);
                        self.put(s, first, settings, taken);
                    }
                }
            }
            flags if flags == SYN | ACK => {
                taken.midstream = true;
                if !settings.midstream && !settings.async_oneside {
                    return;
                }
                // The answer is the first that is seen: who sends it is the server.
                taken.turn = s.toward == Toward::Server;
                self.state = State::SynReceived;
                self.midstream = true;
                self.client.start(s.ack.wrapping_sub(1));
                self.server.start(s.seq);
                self.server.scales = s.options.window_scale.is_some();
                self.server.scale = s.options.window_scale.unwrap_or(0);
                // What the client offered is not known; where the server scales it did.
                self.client.scales = self.server.scales;
                self.client.scale = if self.server.scales { MAX_SCALE } else { 0 };
                self.client.window = u32::from(s.tcp.window());
                self.client.next_win = self.client.last_ack.wrapping_add(self.client.window);
                self.server.clock.start(stamp, s.now);
                self.client.clock.on = stamp.is_some();
                self.server.sack = s.options.sack_permitted;
                taken.valid = true;
            }
            ACK => {
                taken.midstream = true;
                if !settings.midstream {
                    return;
                }
                self.state = State::Established;
                self.midstream = true;
                self.one_sided = settings.async_oneside;
                let window = u32::from(s.tcp.window()) << MAX_SCALE;
                let (from, to) = self.both(s.toward);
                for side in [&mut *from, &mut *to] {
                    side.scales = true;
                    side.scale = MAX_SCALE;
                }
                from.start(s.seq.wrapping_sub(1));
                to.start(s.ack.wrapping_sub(1));
                from.next_win = s.end().wrapping_add(window.max(u32::from(u16::MAX)));
                from.window = window;
                to.window = window;
                to.next_win = s.ack.wrapping_add(window);
                from.clock.start(stamp, s.now);
                to.clock.start(s.options.timestamp.map(|t| t.1), s.now);
                taken.valid = true;
                self.data(s, settings, taken);
            }
            _ => {}
        }
    }

    pub(super) fn syn_sent(&mut self, s: &Segment<'_>, settings: &Settings, taken: &mut Taken) {
        let client = &self.client;
        // Whoever answers with timestamps that were not offered is not the server.
        if s.toward == Toward::Client && !s.has(SYN) && s.stamp().is_some() && !client.clock.on {
            return taken.events.add(E::PktInvalidTimestamp);
        }
        if s.has(RST) {
            let acks = s.toward == Toward::Client && s.has(ACK) && upto(client.next_seq, s.ack) && upto(s.ack, client.next_seq);
            let own = s.toward == Toward::Server && (s.seq == client.isn || s.seq == client.next_seq);
            if acks || own {
                self.state = State::Closed;
                taken.valid = true;
            } else if s.toward == Toward::Client && s.has(ACK) {
                taken.events.add(E::RstInvalidAck);
            }
            return;
        }
        if s.has(FIN) {
            return;
        }
        match (s.flags & (SYN | ACK), s.toward) {
            (f, Toward::Client) if f == SYN | ACK && self.four_way => {
                if s.ack != self.client.isn.wrapping_add(1) {
                    return taken.events.add(E::FourWaySynackWithWrongAck);
                }
                if s.seq != self.server.isn {
                    return taken.events.add(E::FourWaySynackWithWrongSyn);
                }
                self.answered(s, taken);
            }
            (f, Toward::Server) if f == SYN | ACK && self.four_way => {
                if s.ack != self.server.isn.wrapping_add(1) {
                    return taken.events.add(E::FourWaySynackWithWrongAck);
                }
                if s.seq != self.client.isn {
                    return taken.events.add(E::FourWaySynackWithWrongSyn);
                }
                self.state = State::SynReceived;
                let window = u32::from(s.tcp.window());
                self.server.acknowledged(s.ack, window);
                taken.valid = true;
            }
            (f, Toward::Server) if f == SYN | ACK => taken.events.add(E::HandshakeSynackInWrongDirection),
            (f, Toward::Client) if f == SYN | ACK => {
                let plain = self.client.isn.wrapping_add(1);
                if s.ack != self.client.next_seq && s.ack != plain {
                    return taken.events.add(E::HandshakeSynackWithWrongAck);
                }
                // Bytes of Fast Open that were not acknowledged come again.
                if s.ack == plain && self.client.next_seq != plain {
                    taken.events.add(E::HandshakeSynackTfoDataIgnored);
                    let isn = self.client.isn;
                    self.client.buffer.clear();
                    self.client.start(isn);
                }
                self.answered(s, taken);
            }
            (SYN, Toward::Client) => {
                // Both open at once.
                self.four_way = true;
                self.server.start(s.seq);
                self.server.scales = s.options.window_scale.is_some();
                self.server.scale = s.options.window_scale.unwrap_or(0);
                self.server.clock.start(s.stamp(), s.now);
                self.server.sack = s.options.sack_permitted;
                self.client.window = u32::from(s.tcp.window());
                self.client.next_win = self.client.last_ack.wrapping_add(self.client.window);
                taken.valid = true;
            }
            (SYN, Toward::Server) => {
                // Once more, or anew with another number.
                if s.seq != self.client.isn {
                    let isn = s.seq;
                    self.others += 1;
                    if self.others > MAX_OTHERS {
                        taken.events.add(E::HandshakeSynFlood);
                    }
                    self.client.buffer.clear();
                    self.client.start(isn);
                }
                self.client.clock.start(s.stamp(), s.now);
                taken.events.add(E::PktRetransmission);
                taken.valid = true;
            }
            (ACK, Toward::Server) if settings.async_oneside => {
                // Only this end is seen.
                if s.seq != self.client.next_seq {
                    return taken.events.add(E::HandshakeAsyncWrongSeq);
                }
                self.one_sided = true;
                self.state = State::Established;
                self.server.start(s.ack.wrapping_sub(1));
                let window = u32::from(s.tcp.window()) << self.client.scale;
                self.client.window = window.max(u32::from(u16::MAX));
                self.client.next_win = self.client.last_ack.wrapping_add(self.client.window);
                self.server.window = window;
                self.server.next_win = self.server.last_ack.wrapping_add(window);
                taken.valid = true;
                self.data(s, settings, taken);
            }
            _ => {}
        }
    }

    /// The server answered the SYN.
    fn answered(&mut self, s: &Segment<'_>, taken: &mut Taken) {
        self.state = State::SynReceived;
        let (client, server) = (&mut self.client, &mut self.server);
        server.start(s.seq);
        server.scales = s.options.window_scale.is_some();
        server.scale = s.options.window_scale.unwrap_or(0);
        // Both offer it, or nobody scales (RFC 7323, 2.2).
        if !(client.scales && server.scales) {
            (client.scale, server.scale) = (0, 0);
        }
        let both = client.clock.on && s.options.timestamp.is_some();
        client.clock.on = both;
        server.clock.start(s.stamp().filter(|_| both), s.now);
        server.sack = s.options.sack_permitted;
        // Windows of a SYN are not scaled.
        client.acknowledged(s.ack, u32::from(s.tcp.window()));
        server.next_win = server.last_ack.wrapping_add(server.window);
        taken.valid = true;
    }

    pub(super) fn syn_received(&mut self, s: &Segment<'_>, settings: &Settings, taken: &mut Taken) {
        if s.has(RST) {
            if self.reset(s, taken) {
                self.state = State::Closed;
            }
            return;
        }
        if s.flags & (SYN | ACK) == SYN | ACK {
            if s.toward == Toward::Server && !self.four_way {
                taken.events.add(E::HandshakeSynackToserverOnSynRecv);
            } else if s.ack != self.client.last_ack {
                taken.events.add(E::HandshakeSynackResendWithDifferentAck);
            } else if s.seq != self.server.isn {
                // The server may begin anew: its latest answer counts until the client says which.
                taken.events.add(E::HandshakeSynackResendWithDiffSeq);
            } else {
                taken.events.add(E::PktRetransmission);
                taken.valid = true;
            }
            return;
        }
        if s.has(SYN) {
            if s.toward == Toward::Client {
                taken.events.add(E::HandshakeSynToclientOnSynRecv);
            } else if s.seq != self.client.isn {
                taken.events.add(E::HandshakeSynResendDiffSeqOnSynRecv);
            } else {
                taken.events.add(E::PktRetransmission);
                taken.valid = true;
            }
            return;
        }
        if !s.has(ACK) {
            return;
        }
        if s.toward == Toward::Client && !(self.four_way || self.midstream) {
            // The client's answer was not seen where the server says that it has bytes of it.
            let missed = s.seq == self.server.next_seq && before(self.client.isn.wrapping_add(1), s.ack);
            if !missed {
                return taken.events.add(E::HandshakeAckInWrongDir);
            }
        } else {
            let (from, to) = self.both(s.toward);
            let (right_seq, right_ack) = (s.seq == from.next_seq, upto(s.ack, to.next_seq) && before(to.isn, s.ack));
            let inside = !before(s.seq, from.next_seq) && before(s.seq, from.next_seq.wrapping_add(from.window.max(1)));
            match (right_seq, right_ack) {
                (true, true) => {}
                (true, false) => return taken.events.add(E::HandshakeRightSeqWrongAckEvasion),
                (false, false) => return taken.events.add(E::HandshakeWrongSeqWrongAck),
                // Its first packet was lost, or comes later.
                (false, true) if inside || !s.payload.is_empty() && s.end() == from.next_seq => {}
                (false, true) => return,
            }
        }
        if !self.both(s.toward).0.clock.accepts(s.stamp(), s.now) {
            return taken.events.add(E::PktInvalidTimestamp);
        }
        self.state = State::Established;
        if self.midstream && settings.async_oneside {
            self.one_sided = true;
        }
        self.open(s, settings, taken);
    }
}
