//! DCERPC over a stream (C706, chapter 12): packets of both directions in, a transaction per call out. It keeps one packet of each side and the
//! arguments of calls within a limit.

use crate::{
    held, json,
    open::{Open, many},
    tls::hello::Bytes,
    transaction::{Input, Interface, Parser, Piece, Step, Toward, Transaction},
};
use ips_rules::{buffer::Buffer, condition::Quantity, header::App};

/// Bytes of arguments or results kept of a call, as in the peer.
const STUB: usize = 1 << 20;
/// Calls that wait to be looked at.
const OPEN: usize = 1024;
/// Interfaces of one bind.
const INTERFACES: usize = 64;
/// Bytes of a packet's header.
const HEADER: usize = 16;

const REQUEST: u8 = 0;
const RESPONSE: u8 = 2;
const FAULT: u8 = 3;
const BIND: u8 = 11;
const BIND_ACK: u8 = 12;
const ALTER: u8 = 14;
const ALTER_ACK: u8 = 15;
const FIRST: u8 = 1;
const LAST: u8 = 2;
const OBJECT: u8 = 0x80;

/// Kinds of packets by the peer's names.
#[rustfmt::skip]
const KINDS: [&str; 20] = [
    "REQUEST", "PING", "RESPONSE", "FAULT", "WORKING", "NOCALL", "REJECT", "ACK", "CL_CANCEL", "FACK", "CANCEL_ACK", "BIND", "BINDACK",
    "BINDNAK", "ALTER_CONTEXT", "ALTER_CONTEXT_RESP", "AUTH3", "SHUTDOWN", "CO_CANCEL", "ORPHANED",
];

/// An interface a client asked for.
#[derive(Debug, Clone)]
struct Offer {
    context: u16,
    uuid: [u8; 16],
    version: u16,
    minor: u16,
    result: Option<(u16, u16)>,
}

/// A side of a call.
#[derive(Debug, Default)]
struct Part {
    kind: Option<u8>,
    fragments: u32,
    stub: Vec<u8>,
    done: bool,
}

/// A call, or a bind.
#[derive(Debug)]
pub(crate) struct Call {
    id: u64,
    number: u32,
    version: (u8, u8),
    opnum: Option<u16>,
    first: bool,
    /// Numbers in what the client sent are little-endian.
    little: bool,
    parts: [Part; 2],
    /// Of a bind those asked for, of a call the one it goes to.
    offers: Vec<Offer>,
    events: Vec<&'static str>,
}

/// Where the calls of a conversation are kept.
pub(crate) trait Calls {
    /// The open call with this number; a fresh one where there is none, or where it is asked for.
    fn call(&mut self, number: u32, version: (u8, u8), fresh: bool) -> &mut Call;
    /// The last call had something malformed in it.
    fn malformed(&mut self);
}

/// A conversation without its calls: packets that are not whole yet, and the interfaces that were asked for.
#[derive(Debug, Default)]
pub(crate) struct Pipe {
    held: [Vec<u8>; 2],
    offers: Vec<Offer>,
}

/// A conversation.
#[derive(Default)]
pub struct Dcerpc {
    pipe: Pipe,
    open: Open<Call>,
}

impl Calls for Open<Call> {
    fn call(&mut self, number: u32, version: (u8, u8), fresh: bool) -> &mut Call {
        let at = if fresh { None } else { self.iter().rposition(|c| c.waits(number)) };
        match at {
            Some(at) => &mut self[at],
            None => self.begin(OPEN, |id| Call::new(id, number, version)),
        }
    }

    fn malformed(&mut self) {
        if let Some(call) = self.back_mut()
            && call.events.is_empty()
        {
            call.events.push("dcerpc.malformed_data");
        }
    }
}

/// Numbers in the sender's order.
#[derive(Clone, Copy)]
struct Order(bool);

impl Order {
    fn u16(self, b: &mut Bytes<'_>) -> Option<u16> {
        let n = *b.take(2)?.first_chunk::<2>()?;
        Some(if self.0 { u16::from_le_bytes(n) } else { u16::from_be_bytes(n) })
    }

    /// A UUID as it is written: its first three parts are numbers in the sender's order.
    fn uuid(self, b: &mut Bytes<'_>) -> Option<[u8; 16]> {
        let mut u = *b.take(16)?.first_chunk::<16>()?;
        if self.0 {
            u[..4].reverse();
            u[4..6].reverse();
            u[6..8].reverse();
        }
        Some(u)
    }
}

/// A UUID in text.
fn text(u: &[u8; 16]) -> String {
    let h = |r: std::ops::Range<usize>| json::hex(&u[r], 0);
    [h(0..4), h(4..6), h(6..8), h(8..10), h(10..16)].join("-")
}

impl Pipe {
    /// A whole packet; none where it is malformed.
    fn packet(&mut self, toward: Toward, packet: &[u8], calls: &mut dyn Calls) -> Option<()> {
        let s = toward.index();
        let [version, minor, kind, flags, order, ..] = packet else { return None };
        let (kind, flags, order) = (*kind, *flags, Order(order & 0x10 != 0));
        let authentication = order.u16(&mut Bytes(packet.get(10..)?))?;
        let number = *packet.get(12..)?.first_chunk::<4>()?;
        let number = if order.0 { u32::from_le_bytes(number) } else { u32::from_be_bytes(number) };
        let mut b = Bytes(packet.get(HEADER..)?);
        let version = (*version, *minor);
        let fresh = toward == Toward::Server && (matches!(kind, BIND | ALTER) || (kind == REQUEST && flags & FIRST != 0));
        match kind {
            BIND | ALTER if toward == Toward::Server => {
                b.take(8)?;
                let count = b.number(1)?;
                b.take(3)?;
                let mut offers = Vec::new();
                for _ in 0..count.min(INTERFACES) {
                    let context = order.u16(&mut b)?;
                    let syntaxes = b.number(1)?;
                    b.take(1)?;
                    let (uuid, version, minor) = (order.uuid(&mut b)?, order.u16(&mut b)?, order.u16(&mut b)?);
                    b.take(20 * syntaxes)?;
                    offers.push(Offer { context, uuid, version, minor, result: None });
                }
                calls.call(number, version, true).offers.clone_from(&offers);
                if kind == BIND {
                    self.offers.clear();
                }
                let room = INTERFACES.saturating_sub(self.offers.len());
                self.offers.extend(offers.into_iter().take(room));
            }
            BIND_ACK | ALTER_ACK if toward == Toward::Client => {
                b.take(8)?;
                let address = usize::from(order.u16(&mut b)?);
                b.take(address)?;
                // What follows stands on a multiple of four.
                let read = packet.len() - b.0.len();
                b.take(read.wrapping_neg() & 3)?;
                let count = b.number(1)?;
                b.take(3)?;
                let mut results = Vec::new();
                for _ in 0..count.min(INTERFACES) {
                    results.push((order.u16(&mut b)?, order.u16(&mut b)?));
                    b.take(20)?;
                }
                let call = calls.call(number, version, false);
                let contexts: Vec<u16> = call.offers.iter().map(|o| o.context).collect();
                for (offer, result) in call.offers.iter_mut().zip(&results) {
                    offer.result = Some(*result);
                }
                for (context, result) in contexts.into_iter().zip(results) {
                    for offer in self.offers.iter_mut().filter(|o| o.context == context && o.result.is_none()) {
                        offer.result = Some(result);
                    }
                }
            }
            REQUEST if toward == Toward::Server => {
                b.take(4)?;
                let (context, opnum) = (order.u16(&mut b)?, order.u16(&mut b)?);
                if flags & OBJECT != 0 {
                    b.take(16)?;
                }
                let offers: Vec<Offer> = self.offers.iter().filter(|o| o.context == context).cloned().collect();
                let call = calls.call(number, version, fresh);
                call.little = order.0;
                call.opnum = Some(opnum);
                call.first = flags & FIRST != 0;
                call.offers = offers;
            }
            RESPONSE if toward == Toward::Client => {
                b.take(8)?;
            }
            _ => {}
        }
        let call = calls.call(number, version, false);
        let part = &mut call.parts[s];
        part.kind = Some(kind);
        part.fragments += 1;
        part.done |= flags & LAST != 0;
        // A call whose answer comes without it was asked in what was lost.
        if toward == Toward::Client {
            part.done |= kind == FAULT;
            let done = part.done;
            call.parts[0].done |= done;
        }
        if matches!(kind, REQUEST | RESPONSE) {
            let tail = if authentication > 0 { usize::from(authentication) + 8 } else { 0 };
            let stub = &b.0[..b.0.len().saturating_sub(tail)];
            let part = &mut call.parts[s];
            let room = STUB.saturating_sub(part.stub.len());
            part.stub.extend_from_slice(&stub[..stub.len().min(room)]);
        }
        Some(())
    }

    /// Takes whole packets off the front; false where there are none.
    fn packets(&mut self, toward: Toward, rest: &mut &[u8], calls: &mut dyn Calls) -> bool {
        while rest.len() >= HEADER {
            let little = rest[4] & 0x10 != 0;
            let n = [rest[8], rest[9]];
            let length = usize::from(if little { u16::from_le_bytes(n) } else { u16::from_be_bytes(n) });
            if rest[0] != 5 || rest[1] > 1 || length < HEADER {
                return false;
            }
            let Some((packet, behind)) = rest.split_at_checked(length) else { break };
            if self.packet(toward, packet, calls).is_none() {
                calls.malformed();
            }
            *rest = behind;
        }
        true
    }

    /// Bytes of a direction; false where they are no packets.
    pub(crate) fn read(&mut self, toward: Toward, bytes: &[u8], calls: &mut dyn Calls) -> bool {
        let s = toward.index();
        let waits = std::mem::take(&mut self.held[s]);
        let (waits, good) = held::read(waits, bytes, |rest| self.packets(toward, rest, calls));
        // What is no packet is not waited for.
        if good {
            self.held[s] = waits;
        }
        good
    }
}

impl Parser for Dcerpc {
    fn feed(&mut self, toward: Toward, input: Input<'_>) -> Step {
        let good = match input {
            Input::Bytes(bytes) => self.pipe.read(toward, bytes, &mut self.open),
            Input::Gap(_) => false,
            Input::End => {
                self.open.iter_mut().for_each(|c| c.parts[toward.index()].done = true);
                true
            }
        };
        if good {
            return Step::Going;
        }
        self.open.iter_mut().flat_map(|c| &mut c.parts).for_each(|p| p.done = true);
        Step::Failed
    }

    many!(open);
}

impl Call {
    pub(crate) fn new(id: u64, number: u32, version: (u8, u8)) -> Self {
        let (parts, offers, events) = (Default::default(), Vec::new(), Vec::new());
        Self { id, number, version, opnum: None, first: false, little: false, parts, offers, events }
    }

    /// It has this number, and its answer is not whole.
    pub(crate) fn waits(&self, number: u32) -> bool {
        self.number == number && !self.parts[1].done
    }

    /// Nothing more comes in a direction.
    pub(crate) fn end(&mut self, toward: Toward) {
        self.parts[toward.index()].done = true;
    }

    /// What an event says of it; `carried`: by SMB, whose events say it a little otherwise.
    pub(crate) fn members(&self, j: &mut json::Json<'_>, carried: bool) {
        let name = |k: Option<u8>| k.and_then(|k| KINDS.get(usize::from(k)).copied());
        let [request, response] = &self.parts;
        j.text("request", name(request.kind).unwrap_or("REQUEST_LOST"));
        let bind = matches!(request.kind, Some(BIND | ALTER));
        if request.kind == Some(REQUEST) {
            if let Some(n) = self.opnum.filter(|_| carried) {
                j.number("opnum", n);
            }
            j.object("req", |j| {
                if let Some(n) = self.opnum.filter(|_| !carried) {
                    j.number("opnum", n);
                }
                j.number("frag_cnt", request.fragments).number("stub_data_size", request.stub.len() as u64);
            });
        }
        j.text("response", name(response.kind).unwrap_or(if response.done { "RESPONSE_LOST" } else { "UNREPLIED" }));
        if response.kind == Some(RESPONSE) {
            j.object("res", |j| {
                j.number("frag_cnt", response.fragments).number("stub_data_size", response.stub.len() as u64);
            });
        }
        if !self.offers.is_empty() {
            j.array("interfaces", |j| {
                for o in &self.offers {
                    j.item_object(|j| {
                        j.text("uuid", text(&o.uuid)).text("version", format!("{}.{}", o.version, o.minor));
                        if let Some((result, reason)) = o.result {
                            j.number("ack_result", result);
                            if bind {
                                // The peer says none where SMB carries it.
                                j.number("ack_reason", if carried { 0 } else { reason });
                            }
                        }
                    });
                }
            });
        }
        j.number("call_id", self.number);
    }
}

impl Transaction for Call {
    fn app(&self) -> App {
        App::Dcerpc
    }

    fn id(&self) -> u64 {
        self.id
    }

    fn done(&self, toward: Toward) -> bool {
        self.parts[toward.index()].done
    }

    fn ready(&self, _buffer: Buffer, toward: Toward) -> bool {
        self.done(toward)
    }

    fn piece<'a>(&'a self, buffer: Buffer, toward: Toward, at: usize, _scratch: &'a mut Vec<u8>) -> Option<Piece<'a>> {
        let stub = &self.parts[toward.index()].stub;
        let there = buffer == Buffer::DceStub && at == 0 && !stub.is_empty();
        there.then_some(Piece { bytes: stub, offset: 0, last: self.done(toward) })
    }

    fn quantity(&self, quantity: Quantity, _toward: Toward, at: usize) -> Option<u64> {
        (quantity == Quantity::DceOpnum && at == 0).then_some(self.opnum.map(u64::from)).flatten()
    }

    fn interface(&self, at: usize) -> Option<Interface> {
        let called = self.opnum.is_some();
        let mut taken = self.offers.iter().filter(|o| called && o.result.is_none_or(|r| r.0 == 0));
        taken.nth(at).map(|o| Interface { uuid: o.uuid, version: o.version, first: self.first })
    }

    fn named(&self, keyword: &str, value: &str) -> Option<bool> {
        (keyword == "dcerpc.byte_order").then_some(self.little == (value == "little"))
    }

    fn events(&self) -> &[&'static str] {
        &self.events
    }

    fn describe(&self, out: &mut Vec<u8>) {
        json::object(out, |j| {
            self.members(j, false);
            j.text("rpc_version", format!("{}.{}", self.version.0, self.version.1));
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::{self, events};
    use proptest::prelude::*;

    const UUID: [u8; 16] = [0x80, 0xbd, 0xa8, 0xaf, 0x8a, 0x7d, 0xc9, 0x11, 0xbe, 0xf4, 8, 0, 0x2b, 0x10, 0x29, 0x89];

    fn packet(kind: u8, flags: u8, call: u32, body: &[u8]) -> Vec<u8> {
        let n = u16::try_from(HEADER + body.len()).unwrap().to_le_bytes();
        [&[5, 0, kind, flags, 0x10, 0, 0, 0], &n[..], &[0, 0], &call.to_le_bytes(), body].concat()
    }

    fn client() -> Vec<u8> {
        let bind = [&[0; 8][..], &[1, 0, 0, 0, 7, 0, 1, 0], &UUID, &[3, 0, 0, 0], &[0; 20]].concat();
        let request = |stub: &[u8]| [&[0; 4][..], &[7, 0, 4, 0], stub].concat();
        [packet(BIND, 3, 1, &bind), packet(REQUEST, FIRST, 2, &request(b"argu")), packet(REQUEST, LAST, 2, &request(b"ments"))].concat()
    }

    fn server() -> Vec<u8> {
        let ack = [&[0; 8][..], &[2, 0, b'x', 0], &[1, 0, 0, 0, 0, 0, 0, 0], &[0; 20]].concat();
        [packet(BIND_ACK, 3, 1, &ack), packet(RESPONSE, 3, 2, &[&[0; 8][..], b"result"].concat())].concat()
    }

    fn talk(cut: usize) -> Dcerpc {
        let mut p = Dcerpc::default();
        trial::talk(&mut p, [(Toward::Server, client().as_slice()), (Toward::Client, server().as_slice())], cut);
        p
    }

    #[test]
    fn binds_and_calls() {
        let p = talk(1000);
        let e = events(&p);
        assert_eq!(
            e[0],
            serde_json::json!({"request": "BIND", "response": "BINDACK", "call_id": 1, "rpc_version": "5.0", "interfaces": [
                {"uuid": "afa8bd80-7d8a-11c9-bef4-08002b102989", "version": "3.0", "ack_result": 0, "ack_reason": 0}]})
        );
        assert_eq!(e[1]["req"], serde_json::json!({"opnum": 4, "frag_cnt": 2, "stub_data_size": 9}));
        assert_eq!(e[1]["res"], serde_json::json!({"frag_cnt": 1, "stub_data_size": 6}));
        let t = p.get(1);
        assert_eq!(t.piece(Buffer::DceStub, Toward::Server, 0, &mut Vec::new()).unwrap().bytes, b"arguments");
        assert_eq!(t.quantity(Quantity::DceOpnum, Toward::Server, 0), Some(4));
        assert_eq!(t.interface(0).unwrap().version, 3);
        assert!(p.get(0).interface(0).is_none(), "a bind calls nothing");
        assert!(t.done(Toward::Server) && t.done(Toward::Client));
    }

    #[test]
    fn what_is_no_packet_fails() {
        let mut p = Dcerpc::default();
        assert_eq!(p.feed(Toward::Server, Input::Bytes(&[4; 20])), Step::Failed);
    }

    proptest! {
        #[test]
        fn cuts_change_nothing(cut in 1usize..40) {
            prop_assert_eq!(events(&talk(1000)), events(&talk(cut)));
        }

        #[test]
        fn anything_goes(packets in proptest::collection::vec((any::<bool>(), 0u8..20, any::<u8>(), 0u32..3, proptest::collection::vec(any::<u8>(), 0..60)), 0..10)) {
            let mut p = Dcerpc::default();
            for (up, kind, flags, call, body) in packets {
                p.feed(if up { Toward::Server } else { Toward::Client }, Input::Bytes(&packet(kind, flags, call, &body)));
            }
            events(&p);
        }
    }
}
