//! Tracked connections through `ctnetlink` (`include/uapi/linux/netfilter/nfnetlink_conntrack.h`): listed, put in, taken
//! out. Attribute integers are in network order. Never chooses which.

use crate::{
    Error,
    netlink::{Family, Netlink},
    wire::{self, Nest, Request, attribute},
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const SUBSYSTEM: u16 = 1 << 8;
const NEW: u16 = SUBSYSTEM;
const GET: u16 = SUBSYSTEM | 1;
const DELETE: u16 = SUBSYSTEM | 2;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
/// Bytes of `nfgenmsg`.
const GENERAL: usize = 4;

const TUPLE_ORIG: u16 = 1;
const TUPLE_REPLY: u16 = 2;
const STATUS: u16 = 3;
const PROTOINFO: u16 = 4;
const TIMEOUT: u16 = 7;
const MARK: u16 = 8;
const COUNTERS_ORIG: u16 = 9;
const COUNTERS_REPLY: u16 = 10;
const ZONE: u16 = 18;

/// Something came back.
pub const SEEN_REPLY: u32 = 1 << 1;
/// Is not dropped early.
pub const ASSURED: u32 = 1 << 2;
/// In the table.
pub const CONFIRMED: u32 = 1 << 3;
/// Window checks are forgiving: an entry that was put in has not seen the window scale of the handshake.
const TCP_BE_LIBERAL: u8 = 0x08;
/// `TCP_CONNTRACK_ESTABLISHED`.
const TCP_ESTABLISHED: u8 = 3;
/// TCP states by number.
const TCP_STATES: [&str; 10] =
    ["NONE", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE", "SYN_SENT2"];

/// One direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tuple {
    /// Source.
    pub src: IpAddr,
    /// Destination.
    pub dst: IpAddr,
    /// Source port; 0 for protocols without ports.
    pub sport: u16,
    /// Destination port.
    pub dport: u16,
}

/// One tracked connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// IP protocol.
    pub protocol: u8,
    /// As opened.
    pub original: Tuple,
    /// As answered.
    pub reply: Tuple,
    /// Status bits.
    pub status: u32,
    /// TCP state's name.
    pub state: Option<&'static str>,
    /// Windows are checked forgivingly, in both directions.
    pub forgiving: bool,
    /// Mark.
    pub mark: u32,
    /// Zone.
    pub zone: u16,
    /// Seconds without traffic it stays.
    pub timeout: u32,
    /// Packets and bytes, where counted.
    pub sent: Option<(u64, u64)>,
    /// Packets and bytes coming back, where counted.
    pub received: Option<(u64, u64)>,
}

/// What became of an entry that was put in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inserted {
    /// It is new.
    New,
    /// It was there, and now counts as established.
    Updated,
}

/// A handle on the tracking table of this thread's network namespace.
#[derive(Debug)]
pub struct Tracking(Netlink);

impl Tracking {
    /// Opens it. Loads the kernel's module where that is needed and allowed.
    pub fn open() -> Result<Self, Error> {
        Netlink::open(Family::Netfilter).map(Self)
    }

    /// All entries of both families.
    pub fn list(&mut self) -> Result<Vec<Entry>, Error> {
        let mut out = Vec::new();
        for family in [AF_INET, AF_INET6] {
            let request = Request::new(GET, wire::DUMP, &[family, 0, 0, 0]);
            self.0.dump(&request, |payload| out.extend(read(payload)))?;
        }
        Ok(out)
    }

    /// Puts in a connection that has been open for a while. `timeout` is in seconds.
    pub fn insert(&mut self, protocol: u8, original: Tuple, reply: Tuple, timeout: u32) -> Result<Inserted, Error> {
        match self.0.execute(describe(wire::CREATE | wire::EXCLUSIVE, protocol, original, reply, timeout)) {
            Ok(()) => Ok(Inserted::New),
            // EEXIST: tracking picked it up meanwhile, perhaps from one direction only.
            Err(e) if e.errno() == Some(17) => {
                self.0.execute(describe(wire::REPLACE, protocol, original, reply, timeout)).map(|()| Inserted::Updated)
            }
            Err(e) => Err(e),
        }
    }

    /// From now on the windows of this TCP connection are checked forgivingly, in both directions: what passed by another machine is not
    /// held against what this one last saw. `false` where it is gone.
    pub fn forgive(&mut self, original: Tuple, zone: u16) -> Result<bool, Error> {
        match self.0.execute(forgiving(original, zone)) {
            Ok(()) => Ok(true),
            // ENOENT: it ended meanwhile.
            Err(e) if e.errno() == Some(2) => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// The same for every TCP connection of the table. Out comes how many.
    pub fn forgive_all(&mut self) -> Result<usize, Error> {
        let all: Vec<Entry> = self.list()?.into_iter().filter(|e| e.protocol == crate::diag::TCP).collect();
        let mut done = 0;
        for e in all {
            done += usize::from(self.forgive(e.original, e.zone)?);
        }
        Ok(done)
    }

    /// Takes one out by its original direction and its zone. `false` where it is gone already.
    pub fn delete(&mut self, protocol: u8, original: Tuple, zone: u16) -> Result<bool, Error> {
        let fixed = [family(&original), 0, 0, 0];
        let mut request = Request::new(DELETE, wire::ACK, &fixed).with_nested(TUPLE_ORIG, &tuple(protocol, original));
        if zone != 0 {
            request = request.with(ZONE, &zone.to_be_bytes());
        }
        match self.0.execute(request) {
            Ok(()) => Ok(true),
            // ENOENT: it ended meanwhile.
            Err(e) if e.errno() == Some(2) => Ok(false),
            Err(e) => Err(e),
        }
    }
}

/// An update that says nothing but the flags: neither the state nor how long it stays are touched.
fn forgiving(original: Tuple, zone: u16) -> Request {
    let tcp = Nest::default().with(4, &[TCP_BE_LIBERAL; 2]).with(5, &[TCP_BE_LIBERAL; 2]);
    let mut request = Request::new(NEW, wire::ACK, &[family(&original), 0, 0, 0])
        .with_nested(TUPLE_ORIG, &tuple(crate::diag::TCP, original))
        .with_nested(PROTOINFO, &Nest::default().with_nested(1, &tcp));
    if zone != 0 {
        request = request.with(ZONE, &zone.to_be_bytes());
    }
    request
}

fn describe(flags: u16, protocol: u8, original: Tuple, reply: Tuple, timeout: u32) -> Request {
    let mut request = Request::new(NEW, flags | wire::ACK, &[family(&original), 0, 0, 0])
        .with_nested(TUPLE_ORIG, &tuple(protocol, original))
        .with_nested(TUPLE_REPLY, &tuple(protocol, reply))
        .with(STATUS, &(SEEN_REPLY | ASSURED | CONFIRMED).to_be_bytes())
        .with(TIMEOUT, &timeout.to_be_bytes());
    if protocol == crate::diag::TCP {
        let liberal = [TCP_BE_LIBERAL, TCP_BE_LIBERAL];
        let tcp = Nest::default().with(1, &[TCP_ESTABLISHED]).with(4, &liberal).with(5, &liberal);
        request = request.with_nested(PROTOINFO, &Nest::default().with_nested(1, &tcp));
    }
    request
}

fn family(tuple: &Tuple) -> u8 {
    if tuple.src.is_ipv4() { AF_INET } else { AF_INET6 }
}

fn tuple(protocol: u8, t: Tuple) -> Nest {
    let mut ip = Nest::default();
    for (v4, v6, address) in [(1, 3, t.src), (2, 4, t.dst)] {
        ip = match address {
            IpAddr::V4(a) => ip.with(v4, &a.octets()),
            IpAddr::V6(a) => ip.with(v6, &a.octets()),
        };
    }
    let proto = Nest::default().with(1, &[protocol]).with(2, &t.sport.to_be_bytes()).with(3, &t.dport.to_be_bytes());
    Nest::default().with_nested(1, &ip).with_nested(2, &proto)
}

/// One answer; `None` where it is cut short.
pub fn read(payload: &[u8]) -> Option<Entry> {
    let body = payload.get(GENERAL..)?;
    let (protocol, original) = read_tuple(attribute(body, TUPLE_ORIG)?)?;
    let (_, reply) = read_tuple(attribute(body, TUPLE_REPLY)?)?;
    let number = |kind| attribute(body, kind).and_then(wire::be32);
    let counters = |kind| {
        let inner = attribute(body, kind)?;
        Some((attribute(inner, 1).and_then(wire::be64)?, attribute(inner, 2).and_then(wire::be64)?))
    };
    let tcp = attribute(body, PROTOINFO).and_then(|info| attribute(info, 1));
    let flagged = |kind| tcp.and_then(|tcp| attribute(tcp, kind)?.first()).is_some_and(|flags| flags & TCP_BE_LIBERAL != 0);
    let state = tcp.and_then(|tcp| attribute(tcp, 1)).and_then(|state| TCP_STATES.get(usize::from(*state.first()?)).copied());
    Some(Entry {
        protocol,
        original,
        reply,
        status: number(STATUS).unwrap_or(0),
        state,
        forgiving: flagged(4) && flagged(5),
        mark: number(MARK).unwrap_or(0),
        zone: attribute(body, ZONE).and_then(wire::be16).unwrap_or(0),
        timeout: number(TIMEOUT).unwrap_or(0),
        sent: counters(COUNTERS_ORIG),
        received: counters(COUNTERS_REPLY),
    })
}

fn read_tuple(bytes: &[u8]) -> Option<(u8, Tuple)> {
    let (ip, proto) = (attribute(bytes, 1)?, attribute(bytes, 2)?);
    let address = |v4: u16, v6: u16| {
        let four = attribute(ip, v4).and_then(|b| <[u8; 4]>::try_from(b).ok()).map(|b| IpAddr::from(Ipv4Addr::from(b)));
        let six = || attribute(ip, v6).and_then(|b| <[u8; 16]>::try_from(b).ok()).map(|b| IpAddr::from(Ipv6Addr::from(b)));
        four.or_else(six)
    };
    let port = |kind| attribute(proto, kind).and_then(wire::be16).unwrap_or(0);
    let protocol = *attribute(proto, 1)?.first()?;
    Some((protocol, Tuple { src: address(1, 3)?, dst: address(2, 4)?, sport: port(2), dport: port(3) }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_asked_for_is_what_is_read() {
        let t =
            Tuple { src: "2001:db8::1".parse().expect("address"), dst: "2001:db8::2".parse().expect("address"), sport: 40000, dport: 1234 };
        let back = Tuple { src: t.dst, dst: t.src, sport: t.dport, dport: t.sport };
        let bytes = describe(0, 6, t, back, 60).finish(1);
        let entry = read(&bytes[wire::HEADER..]).expect("reads");
        assert_eq!((entry.protocol, entry.original, entry.reply), (6, t, back));
        assert_eq!((entry.status, entry.state, entry.timeout), (14, Some("ESTABLISHED"), 60));
        assert!(entry.forgiving, "an entry that was put in");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&bytes);
        }

        #[test]
        fn a_damaged_answer_does_not_make_it_panic(at in 0usize..400, byte in any::<u8>()) {
            let t = Tuple { src: Ipv4Addr::LOCALHOST.into(), dst: Ipv4Addr::LOCALHOST.into(), sport: 1, dport: 2 };
            let mut bytes = describe(0, 6, t, t, 60).finish(1);
            let at = at % bytes.len();
            bytes[at] = byte;
            let _ = read(&bytes[wire::HEADER..]);
        }
    }
}
