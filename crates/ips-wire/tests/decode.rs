//! Packets written header by header, decoded again: layers, tunnels, fragments, faults.

use etherparse::PacketBuilder;
use ips_wire::{
    Decoder, Event, Link, Packet, checksum,
    decode::Settings,
    packet::{Network, Transport},
};
use proptest::prelude::*;

/// What is worth comparing of a packet.
#[derive(Debug, PartialEq)]
struct Seen {
    ends: String,
    payload: Vec<u8>,
    events: Vec<&'static str>,
    rebuilt: bool,
    tunnelled: bool,
    fragment: bool,
}

fn seen(p: &Packet<'_>) -> Seen {
    let transport = match p.transport {
        Transport::Tcp(_) => "tcp",
        Transport::Udp(_) => "udp",
        Transport::Icmpv4(_) => "icmp",
        Transport::Icmpv6(_) => "icmp6",
        Transport::Other => "other",
    };
    Seen {
        ends: format!("{}:{}>{}:{} {transport} {:?}", p.source, p.source_port, p.destination, p.destination_port, p.tags()),
        payload: p.payload.to_vec(),
        events: p.events.iter().map(Event::name).collect(),
        rebuilt: p.rebuilt,
        tunnelled: p.tunnelled,
        fragment: p.fragment,
    }
}

fn decode_all(link: Link, frames: &[Vec<u8>]) -> Vec<Seen> {
    let mut decoder = Decoder::new(Settings::default());
    let mut out = Vec::new();
    for f in frames {
        decoder.decode(link, 0, f, &mut |p| {
            assert!(checksum::all_right(p) || p.fragment || p.tunnelled || p.rebuilt);
            out.push(seen(p));
        });
    }
    out
}

fn written<F: FnOnce(&mut Vec<u8>) -> Result<(), E>, E: std::fmt::Debug>(write: F) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out).expect("it is written");
    out
}

fn udp(payload: &[u8]) -> Vec<u8> {
    let b = PacketBuilder::ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64).udp(1000, 53);
    written(|o| b.write(o, payload))
}

fn in_ethernet(kind: u16, rest: &[u8]) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2][..], &kind.to_be_bytes(), rest].concat()
}

#[test]
fn links_lead_to_the_same_packet() {
    let ip = udp(b"hello");
    let wanted = "10.0.0.1:1000>10.0.0.2:53 udp []";
    let cooked = [&[0u8; 14][..], &[8, 0], &ip].concat();
    let cooked2 = [&[8u8, 0][..], &[0; 18], &ip].concat();
    let null = [&[2u8, 0, 0, 0][..], &ip].concat();
    let ppp = [&[0xffu8, 3, 0, 0x21][..], &ip].concat();
    let padded = in_ethernet(0x0800, &[&ip[..], &[0; 20]].concat());
    for (link, frame) in [
        (Link::Raw, ip.clone()),
        (Link::Cooked, cooked),
        (Link::Cooked2, cooked2),
        (Link::Null, null),
        (Link::Ppp, ppp),
        (Link::Ethernet, padded),
    ] {
        let out = decode_all(link, &[frame]);
        assert_eq!((out.len(), out[0].ends.as_str(), out[0].payload.as_slice()), (1, wanted, &b"hello"[..]), "{link:?}");
    }
    assert_eq!(Link::of(1), Some(Link::Ethernet));
    assert_eq!(Link::of(4711), None);
}

#[test]
fn tags_are_read_up_to_three() {
    let tagged = |n: u16| {
        let mut f = udp(b"x");
        let mut kind = 0x0800u16;
        for i in (1..=n).rev() {
            f = [&i.to_be_bytes()[..], &kind.to_be_bytes(), &f].concat();
            kind = 0x8100;
        }
        in_ethernet(kind, &f)
    };
    let out = decode_all(Link::Ethernet, &[tagged(0), tagged(1), tagged(3), tagged(4)]);
    assert_eq!(out[1].ends, "10.0.0.1:1000>10.0.0.2:53 udp [1]");
    assert_eq!(out[2].ends, "10.0.0.1:1000>10.0.0.2:53 udp [1, 2, 3]");
    assert_eq!(out[3].events, ["vlan.too_many_layers"]);
}

#[test]
fn tunnels_give_both_packets_the_inner_one_first() {
    let ip = udp(b"inside");
    let outer = |protocol: u8, payload: &[u8]| {
        let b = PacketBuilder::ipv4([1, 1, 1, 1], [2, 2, 2, 2], 64);
        written(|o| b.write(o, protocol.into(), payload))
    };
    let over_udp = |port: u16, payload: &[u8]| {
        let b = PacketBuilder::ipv4([1, 1, 1, 1], [2, 2, 2, 2], 64).udp(9, port);
        written(|o| b.write(o, payload))
    };
    let frame = in_ethernet(0x0800, &ip);
    let vxlan = |reserved: u8| [&[8, 0, 0, reserved, 0, 0, 7, 0][..], &frame].concat();
    let six = written(|o| PacketBuilder::ipv6([1; 16], [2; 16], 9).udp(1, 2).write(o, b"six"));
    for (carrier, inner) in [
        (outer(4, &ip), "10.0.0.1:1000>10.0.0.2:53 udp []"),
        (outer(47, &[&[0, 0, 8, 0][..], &ip].concat()), "10.0.0.1:1000>10.0.0.2:53 udp []"),
        (outer(47, &[&[0x30, 0, 0x65, 0x58, 0, 0, 0, 1, 0, 0, 0, 2][..], &frame].concat()), "10.0.0.1:1000>10.0.0.2:53 udp []"),
        (outer(41, &six), "101:101:101:101:101:101:101:101:1>202:202:202:202:202:202:202:202:2 udp []"),
        (over_udp(4789, &vxlan(0)), "10.0.0.1:1000>10.0.0.2:53 udp []"),
        (
            over_udp(3544, &[&[0, 0, 1, 2, 3, 4, 5, 6][..], &six].concat()),
            "101:101:101:101:101:101:101:101:1>202:202:202:202:202:202:202:202:2 udp []",
        ),
        (over_udp(6081, &[&[0, 0, 0x65, 0x58, 0, 0, 1, 0][..], &frame].concat()), "10.0.0.1:1000>10.0.0.2:53 udp []"),
    ] {
        let out = decode_all(Link::Raw, &[carrier]);
        assert_eq!(out.len(), 2, "{inner}");
        assert_eq!(out[0].ends, inner);
        assert!(out[0].tunnelled && !out[1].tunnelled && out[1].ends.starts_with("1.1.1.1:"));
    }
    assert_eq!(decode_all(Link::Raw, &[over_udp(4789, &vxlan(1))]).len(), 1, "reserved bits: taken for chance");
}

/// Cuts an IPv4 packet at these multiples of 8.
fn cut(ip: &[u8], at: &[usize]) -> Vec<Vec<u8>> {
    let data = &ip[20..];
    let mut ends = at.to_vec();
    ends.push(data.len());
    let mut from = 0;
    ends.iter()
        .map(|&to| {
            let mut f = [&ip[..20], &data[from..to]].concat();
            let total = (f.len() as u16).to_be_bytes();
            f[2..4].copy_from_slice(&total);
            let field = (from / 8) as u16 | if to < data.len() { 0x2000 } else { 0 };
            f[6..8].copy_from_slice(&field.to_be_bytes());
            f[10..12].fill(0);
            let sum = checksum::of(&f[..20]).to_be_bytes();
            f[10..12].copy_from_slice(&sum);
            from = to;
            f
        })
        .collect()
}

#[test]
fn fragments_are_put_together_in_any_order() {
    let payload: Vec<u8> = (0..100).collect();
    let mut pieces = cut(&udp(&payload), &[8, 24, 64]);
    pieces.swap(0, 3);
    pieces.swap(1, 2);
    let out = decode_all(Link::Raw, &pieces);
    assert_eq!(out.len(), 5);
    assert!(out.iter().filter(|p| p.fragment).all(|p| p.ends == "10.0.0.1:0>10.0.0.2:0 other []"));
    let whole = out.iter().find(|p| p.rebuilt).expect("it is whole");
    assert_eq!((whole.ends.as_str(), &whole.payload), ("10.0.0.1:1000>10.0.0.2:53 udp []", &payload));
    // Without one of them there is none.
    pieces.remove(1);
    assert!(decode_all(Link::Raw, &pieces).iter().all(|p| !p.rebuilt));
}

#[test]
fn fragments_of_ipv6_are_put_together() {
    let whole = written(|o| PacketBuilder::ipv6([1; 16], [2; 16], 9).udp(1, 2).write(o, &[7; 40]));
    let piece = |from: usize, to: usize, more: u16| {
        let data = &whole[40 + from..40 + to];
        let mut f = [&whole[..40], &[17, 0], &(from as u16 | more).to_be_bytes(), &[0, 0, 0, 9], data].concat();
        f[4..6].copy_from_slice(&(data.len() as u16 + 8).to_be_bytes());
        f[6] = 44;
        f
    };
    let out = decode_all(Link::Raw, &[piece(24, 48, 0), piece(0, 24, 1)]);
    assert_eq!(out.len(), 3);
    assert!(out[1].rebuilt && out[1].payload == [7; 40] && out[1].ends.ends_with(":2 udp []"));
    // A fragment that is all there is goes on as it is; one whose length is no multiple of 8 does not.
    let out = decode_all(Link::Raw, &[piece(0, 48, 0), piece(0, 23, 1)]);
    assert_eq!((out[0].events.as_slice(), out[0].payload.len()), (&["ipv6.exthdr_useless_fh"][..], 40));
    assert_eq!(out[1].events, ["ipv6.frag_invalid_length"]);
}

#[test]
fn faults_are_named() {
    let mut short = udp(b"x");
    short[3] = 200;
    let mut version = udp(b"x");
    version[0] = 0x55;
    let mut small = udp(b"x");
    small[0] = 0x44;
    let mut tcp = written(|o| PacketBuilder::ipv4([1; 4], [2; 4], 9).tcp(1, 2, 3, 4).write(o, b""));
    tcp[32] = 0x40;
    let mut long = tcp.clone();
    long[32] = 0x60;
    let mut udp_long = udp(b"x");
    udp_long[25] = 40;
    let icmp = written(|o| PacketBuilder::ipv4([1; 4], [2; 4], 9).icmpv4_raw(8, 3, [0; 4]).write(o, b""));
    let unknown = written(|o| PacketBuilder::ipv4([1; 4], [2; 4], 9).write(o, 200.into(), b""));
    for (frame, event) in [
        (short, "ipv4.trunc_pkt"),
        (version, "ipraw.invalid_ip_version"),
        (small, "ipv4.hlen_too_small"),
        (vec![0x45; 10], "ipv4.pkt_too_small"),
        (vec![0x60; 10], "ipv6.pkt_too_small"),
        (tcp, "tcp.invalid_optlen"),
        (long, "tcp.hlen_too_small"),
        (udp_long, "udp.pkt_too_small"),
        (icmp, "icmpv4.unknown_code"),
        (unknown, "ipv4.unknown_protocol"),
    ] {
        let mut events = Vec::new();
        Decoder::new(Settings::default()).decode(Link::Raw, 0, &frame, &mut |p| events.extend(p.events.iter().map(Event::name)));
        assert_eq!(events, [event]);
    }
    assert_eq!(decode_all(Link::Ethernet, &[vec![0; 13]])[0].events, ["ethernet.pkt_too_small"]);
}

#[test]
fn layers_are_bounded() {
    let mut frame = udp(b"x");
    for _ in 0..40 {
        frame = written(|o| PacketBuilder::ipv4([1; 4], [2; 4], 9).write(o, 4.into(), &frame));
    }
    let out = decode_all(Link::Raw, &[frame]);
    assert!(out.len() <= 17 && out[0].events == ["too_many_layers"], "{}", out.len());
}

/// IPv6 with hop-by-hop, destination and fragment headers.
fn with_extensions(data: &[u8]) -> Vec<u8> {
    let rest = [&[60, 0, 1, 4, 0, 0, 0, 0, 44, 0, 1, 4, 0, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0, 1][..], data].concat();
    [&[0x60, 0, 0, 0, 0, rest.len() as u8, 0, 9][..], &[1; 16], &[2; 16], &rest].concat()
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..8), link in 0usize..6) {
        let link = [Link::Ethernet, Link::Raw, Link::Null, Link::Cooked, Link::Cooked2, Link::Ppp][link];
        let mut decoder = Decoder::new(Settings::default());
        for f in &frames {
            decoder.decode(link, 0, f, &mut |p| { checksum::all_right(p); if let Some(t) = p.tcp() { t.options(); } });
        }
    }

    /// Good packets with some bytes changed get further than bytes by chance.
    #[test]
    fn no_changed_packet_makes_it_panic(changes in prop::collection::vec((0usize..160, any::<u8>()), 0..6), kind in 0usize..4, upto in 20usize..160) {
        let inner = udp(&[9; 40]);
        let frame = match kind {
            0 => written(|o| PacketBuilder::ipv4([1; 4], [2; 4], 9).tcp(1, 2, 3, 4).options_raw(&[2, 4, 5, 6, 1, 3, 3, 2]).expect("they fit").write(o, &[1; 60])),
            1 => with_extensions(&inner[20..]),
            2 => written(|o| PacketBuilder::ipv4([1; 4], [2; 4], 9).write(o, 47.into(), &[&[0xb0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0][..], &inner].concat())),
            _ => written(|o| PacketBuilder::ipv4([1; 4], [2; 4], 9).icmpv4_raw(3, 3, [0; 4]).write(o, &inner)),
        };
        let mut frame = frame;
        frame.truncate(upto);
        for (at, byte) in changes {
            if let Some(b) = frame.get_mut(at) { *b = byte; }
        }
        let mut decoder = Decoder::new(Settings::default());
        for _ in 0..2 {
            decoder.decode(Link::Raw, 0, &frame, &mut |p| {
                assert!(matches!(p.network, Network::V4(h) if h.len() >= 20) || !matches!(p.network, Network::V4(_)));
                checksum::all_right(p);
            });
        }
    }
}
