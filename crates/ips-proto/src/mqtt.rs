//! MQTT 3.1 to 5: packets of both directions in, a transaction for each exchange out: a question with its answer, a publication with what
//! confirms it. Packets over a limit are passed over and told as cut.

mod describe;
mod packet;
#[cfg(test)]
mod tests;

use crate::{
    held,
    open::{Open, many},
    transaction::{Input, Parser, Piece, Step, Toward, Transaction},
};
use ips_rules::{buffer::Buffer, condition::Quantity, header::App};
use packet::{Body, Packet};

/// Longest packet that is read in bytes: the peer's default of `max-msg-length`.
const PACKET: usize = 1 << 20;
/// Exchanges that wait to be looked at, as in the peer.
const OPEN: usize = 1024;
/// Packets of one exchange.
const PACKETS: usize = 16;

/// What may be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest packet that is read, in bytes.
    pub packet: usize,
    /// Bytes of a text that events tell.
    pub text: usize,
    /// Events tell passwords.
    pub passwords: bool,
}

impl Default for Limits {
    fn default() -> Self {
        // The peer's `string-log-limit` of 1 kB.
        Self { packet: PACKET, text: 1024, passwords: true }
    }
}

/// An exchange.
#[derive(Debug)]
struct Exchange {
    id: u64,
    limits: Limits,
    packets: Vec<Packet>,
    complete: bool,
    over: bool,
    events: Vec<&'static str>,
}

/// One direction.
#[derive(Debug, Default)]
struct Side {
    held: Vec<u8>,
    skip: usize,
}

/// A conversation.
pub struct Mqtt {
    limits: Limits,
    sides: [Side; 2],
    open: Open<Exchange>,
    /// Version that the client wants; 0 before it said.
    version: u8,
    connected: bool,
}

impl Mqtt {
    /// Begins one.
    pub fn new(limits: Limits) -> Self {
        Self { limits, sides: Default::default(), open: Open::default(), version: 0, connected: false }
    }

    fn begin(&mut self, packet: Packet, complete: bool) -> &mut Exchange {
        let limits = self.limits;
        self.open.begin(OPEN, |id| Exchange { id, limits, packets: vec![packet], complete, over: false, events: Vec::new() })
    }

    /// Puts an answer to its question; without one it stands by itself, and that is told.
    fn answers(&mut self, packet: Packet, wanted: impl Fn(&Exchange) -> bool, complete: bool, missing: &'static str) {
        let found = self.open.iter_mut().rev().find(|e| !e.complete && e.packets.len() < PACKETS && wanted(e));
        match found {
            Some(e) => {
                e.packets.push(packet);
                e.complete = complete;
            }
            None => self.begin(packet, true).events.push(missing),
        }
    }

    fn take(&mut self, packet: Packet) {
        let kind = packet.kind;
        let id = packet.id();
        let early = !self.connected && !matches!(kind, packet::CONNECT | packet::CONNACK | packet::AUTH);
        if packet.cut.is_some() {
            self.begin(packet, true);
            return;
        }
        let same = move |kind: u8| move |e: &Exchange| e.packets[0].kind == kind && e.packets[0].id() == id;
        match kind {
            packet::CONNECT => {
                let twice = self.connected;
                if let Body::Connect { version, .. } = &packet.body {
                    self.version = *version;
                }
                let e = self.begin(packet, false);
                if twice {
                    e.events.push("mqtt.double_connect");
                }
            }
            packet::CONNACK => {
                self.answers(packet, |e| e.packets[0].kind == packet::CONNECT, true, "mqtt.missing_connect");
                self.connected = true;
            }
            packet::PUBLISH => {
                let quality = packet.quality;
                let e = self.begin(packet, quality == 0 || quality > 2);
                if quality > 2 {
                    e.events.push("mqtt.invalid_qos_level");
                }
            }
            packet::SUBSCRIBE | packet::UNSUBSCRIBE => {
                self.begin(packet, false);
            }
            packet::PUBACK | packet::PUBCOMP => self.answers(packet, same(packet::PUBLISH), true, "mqtt.missing_publish"),
            packet::PUBREC | packet::PUBREL => self.answers(packet, same(packet::PUBLISH), false, "mqtt.missing_publish"),
            packet::SUBACK => self.answers(packet, same(packet::SUBSCRIBE), true, "mqtt.missing_subscribe"),
            packet::UNSUBACK => self.answers(packet, same(packet::UNSUBSCRIBE), true, "mqtt.missing_unsubscribe"),
            0 => {
                self.begin(packet, true).events.push("mqtt.unassigned_msg_type");
                return;
            }
            _ => {
                self.begin(packet, true);
            }
        }
        if early
            && let Some(e) = self.open.back_mut()
            && !e.events.contains(&"mqtt.unintroduced_message")
        {
            e.events.push("mqtt.unintroduced_message");
        }
    }

    fn packets(&mut self, toward: Toward, rest: &mut &[u8]) -> bool {
        let s = toward.index();
        loop {
            let skip = self.sides[s].skip.min(rest.len());
            self.sides[s].skip -= skip;
            *rest = &rest[skip..];
            let Some(head) = packet::head(rest) else { return true };
            let Ok((from, length)) = head else { return false };
            if length > self.limits.packet {
                let cut = Packet::cut(toward, rest[0], from + length);
                *rest = &rest[from..];
                self.sides[s].skip = length;
                self.take(cut);
                continue;
            }
            let Some(body) = rest.get(from..from + length) else { return true };
            match packet::read(toward, rest[0], body, self.version) {
                Some(p) => self.take(p),
                None => {
                    let cut = Packet::cut(toward, rest[0], from + length);
                    self.begin(cut, true).events.push("mqtt.malformed_traffic");
                }
            }
            *rest = &rest[from + length..];
        }
    }

    fn read(&mut self, toward: Toward, bytes: &[u8]) -> bool {
        let s = toward.index();
        let waits = std::mem::take(&mut self.sides[s].held);
        let (waits, good) = held::read(waits, bytes, |rest| self.packets(toward, rest));
        self.sides[s].held = waits;
        good
    }
}

impl Parser for Mqtt {
    fn feed(&mut self, toward: Toward, input: Input<'_>) -> Step {
        let good = match input {
            Input::Bytes(bytes) => self.read(toward, bytes),
            Input::Gap(lost) => {
                let side = &mut self.sides[toward.index()];
                let lost = usize::try_from(lost).unwrap_or(usize::MAX);
                let within = lost <= side.skip;
                side.skip = side.skip.saturating_sub(lost);
                within
            }
            Input::End => {
                self.open.iter_mut().for_each(|e| e.over = true);
                true
            }
        };
        if good {
            return Step::Going;
        }
        self.open.iter_mut().for_each(|e| e.over = true);
        Step::Failed
    }

    many!(open);
}

impl Transaction for Exchange {
    fn app(&self) -> App {
        App::Mqtt
    }

    fn id(&self) -> u64 {
        self.id
    }

    // Rules look at an exchange as a whole.
    fn done(&self, _toward: Toward) -> bool {
        self.complete || self.over
    }

    fn ready(&self, _buffer: Buffer, _toward: Toward) -> bool {
        self.complete || self.over
    }

    fn piece<'a>(&'a self, buffer: Buffer, _toward: Toward, index: usize, _scratch: &'a mut Vec<u8>) -> Option<Piece<'a>> {
        let mut all = self.packets.iter().flat_map(|p| p.texts(buffer));
        all.nth(index).map(|bytes| Piece { bytes, offset: 0, last: true })
    }

    fn quantity(&self, quantity: Quantity, _toward: Toward, index: usize) -> Option<u64> {
        match quantity {
            Quantity::MqttQuality => self.packets.get(index).map(|p| u64::from(p.quality)),
            Quantity::MqttVersion => self.packets.iter().filter_map(Packet::version).nth(index).map(u64::from),
            Quantity::MqttReason => self.packets.iter().flat_map(Packet::reasons).nth(index).map(u64::from),
            _ => None,
        }
    }

    fn named(&self, keyword: &str, value: &str) -> Option<bool> {
        let flags = |of: &dyn Fn(&Packet, &str) -> Option<bool>| {
            let holds = |p: &Packet| {
                value.split(',').map(str::trim).all(|f| {
                    let (negated, name) = f.strip_prefix('!').map_or((false, f), |n| (true, n.trim()));
                    of(p, name).is_some_and(|is| is != negated)
                })
            };
            self.packets.iter().any(holds)
        };
        Some(match keyword {
            "mqtt.type" => self.packets.iter().any(|p| packet::name(p.kind).eq_ignore_ascii_case(value)),
            "mqtt.flags" => flags(&|p, name| match name {
                "retain" => Some(p.retain),
                "dup" => Some(p.again),
                _ => None,
            }),
            "mqtt.connect.flags" => flags(&|p, name| p.flag(name)),
            "mqtt.connack.session_present" => {
                let want = matches!(value, "yes" | "true");
                self.packets.iter().any(|p| matches!(p.body, Body::Connack { session, .. } if session == want))
            }
            _ => return None,
        })
    }

    fn events(&self) -> &[&'static str] {
        &self.events
    }

    fn describe(&self, out: &mut Vec<u8>) {
        describe::write(self, out);
    }
}
