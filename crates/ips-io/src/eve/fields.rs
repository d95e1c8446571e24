//! Fields that events of several kinds have: ends, packets, files, what rules keep with a flow.

use super::names;
use crate::json::Json;
use ips_detect::Tables;
use ips_engine::{
    flow::Flow,
    output::{At, Dropped},
    stream::buffer::Kept,
};
use ips_proto::{File, FileState};
use ips_wire::{
    Packet,
    packet::{Network, Transport},
};
use std::io::Write as _;

pub(super) fn file_fields(j: &mut Json, file: &File<'_>, tx: u64) {
    j.bytes_text("filename", file.name);
    j.flag("gaps", file.gaps);
    j.text(
        "state",
        match file.state {
            FileState::Open => "UNKNOWN",
            FileState::Closed => "CLOSED",
            FileState::Truncated => "TRUNCATED",
        },
    );
    j.flag("stored", false);
    if let Some(d) = file.digests {
        if let Some(d) = &d.md5 {
            j.hex("md5", d);
        }
        if let Some(d) = &d.sha1 {
            j.hex("sha1", d);
        }
        if let Some(d) = &d.sha256 {
            j.hex("sha256", d);
        }
    }
    j.number("size", file.size);
    j.number("tx_id", tx);
}

/// What rules keep with a flow: labels of traffic (bits named `traffic/KIND/NAME`), bits, variables, what expressions kept.
pub(super) fn metadata(j: &mut Json, flow: &Flow, tables: &Tables) {
    const TRAFFIC: &str = "traffic/";
    let state = &flow.detect;
    let names = || state.bits().iter().map(|b| tables.name(*b));
    if names().any(|n| n.starts_with(TRAFFIC)) {
        j.object("traffic", |j| {
            for kind in ["id", "label"] {
                let of =
                    |n: &'_ str| n.strip_prefix(TRAFFIC).and_then(|r| r.strip_prefix(kind)).and_then(|r| r.strip_prefix('/')).is_some();
                if names().any(of) {
                    let skip = TRAFFIC.len() + kind.len() + 1;
                    j.list(kind, |j| names().filter(|n| of(n)).for_each(|n| j.item(&n[skip..])));
                }
            }
        });
    }
    let plain = || names().filter(|n| !n.starts_with(TRAFFIC));
    let bits = plain().next().is_some();
    if !bits && state.ints().is_empty() && state.captures.is_empty() {
        return;
    }
    j.object("metadata", |j| {
        if bits {
            j.list("flowbits", |j| plain().for_each(|n| j.item(n)));
        }
        if !state.ints().is_empty() {
            j.object("flowints", |j| state.ints().iter().for_each(|(n, v)| j.number(tables.name(*n), u64::from(*v))));
        }
        if !state.captures.is_empty() {
            j.list("flowvars", |j| {
                for (name, value) in &state.captures {
                    j.open();
                    j.bytes_text(tables.name(*name), value);
                    j.close();
                }
            });
        }
    });
}

/// What an alert shows: what is held of the stream, with a word where something is missing; else the packet's payload.
pub(super) fn shown(at: &At<'_>, stream: bool, most: usize, out: &mut Vec<u8>) {
    out.clear();
    if let Some(session) = at.flow.and_then(|f| f.session.as_deref()).filter(|_| stream) {
        for part in session.side(at.toward).buffer.kept() {
            match part {
                Kept::Bytes(bytes) => out.extend_from_slice(&bytes[..bytes.len().min(most.saturating_sub(out.len()))]),
                Kept::Missing(n) => {
                    let _ = write!(out, "[{n} bytes missing]");
                }
            }
            if out.len() >= most {
                break;
            }
        }
    }
    if out.is_empty() {
        out.extend_from_slice(at.packet.payload);
    }
}

/// A packet as a capture would hold it: of what was put together from fragments with the headers of the last one's link.
pub(super) fn packet(j: &mut Json, p: &Packet<'_>) {
    let front = if p.rebuilt { p.front } else { &[] };
    j.base64_of("packet", front.iter().chain(p.bytes).copied());
    j.object("packet_info", |j| {
        j.number("linktype", u64::from(p.link.number()));
        j.text("linktype_name", p.link.name());
    });
}

pub(super) fn vlans(json: &mut Json, tags: &[u16]) {
    if !tags.is_empty() {
        json.list("vlan", |j| tags.iter().for_each(|t| j.item_number(u64::from(*t))));
    }
}

pub(super) fn ends(json: &mut Json, at: &At<'_>, of_flow: bool) {
    let p = at.packet;
    let ((source, destination), protocol) =
        match at.flow.filter(|f| of_flow || f.protocol == p.protocol && matches!(p.transport, Transport::Other)) {
            Some(f) => ((f.client, f.server), f.protocol),
            None => (((p.source, p.source_port), (p.destination, p.destination_port)), p.protocol),
        };
    if matches!(p.network, Network::None) {
        return;
    }
    json.address("src_ip", source.0);
    let ports = matches!(protocol, 6 | 17 | 132) && !p.fragment;
    if ports {
        json.number("src_port", u64::from(source.1));
    }
    json.address("dest_ip", destination.0);
    if ports {
        json.number("dest_port", u64::from(destination.1));
    }
    protocol_field(json, protocol);
    json.number("ip_v", if source.0.is_ipv4() { 4 } else { 6 });
}

pub(super) fn protocol_field(json: &mut Json, protocol: u8) {
    match names::protocol(protocol) {
        Some(name) => json.text("proto", name),
        None => {
            json.key("proto");
            let out = json.raw();
            let [h, t, u] = [protocol / 100, protocol / 10 % 10, protocol % 10].map(|d| b'0' + d);
            out.extend_from_slice(&[b'"', h, t, u, b'"']);
        }
    }
}

pub(super) fn source(at: &At<'_>) -> &'static str {
    let p = at.packet;
    match () {
        () if at.number == 0 => "stream (flow timeout)",
        () if p.rebuilt => "defrag",
        () if p.tunnelled && !p.ethernet.is_empty() => "vxlan encapsulation",
        () if p.tunnelled => match p.network {
            Network::V6(..) => "ipv6 tunnel",
            _ => "ipv4 tunnel",
        },
        () => "wire/pcap",
    }
}

pub(super) fn ether(json: &mut Json, packet: &Packet<'_>) {
    if let Some(header) = packet.ethernet.first_chunk::<14>() {
        json.object("ether", |j| {
            j.mac("src_mac", &header[6..12]);
            j.mac("dest_mac", &header[..6]);
        });
    }
}

pub(super) fn drop_fields(j: &mut Json, p: &Packet<'_>, why: Dropped) {
    let two = |b: &[u8], at: usize| u64::from(ips_wire::bytes::u16_at(b, at).unwrap_or(0));
    match p.network {
        Network::V4(h) if h.len() >= 20 => {
            j.number("len", two(h, 2));
            j.number("tos", u64::from(h[1]));
            j.number("ttl", u64::from(h[8]));
            j.number("ipid", two(h, 4));
        }
        Network::V6(h, _) if h.len() >= 40 => {
            j.number("len", two(h, 4));
            j.number("tc", u64::from(h[0] & 15) << 4 | u64::from(h[1] >> 4));
            j.number("hoplimit", u64::from(h[7]));
            j.number("flowlbl", u64::from(ips_wire::bytes::u32_at(h, 0).unwrap_or(0) & 0x000f_ffff));
        }
        _ => {}
    }
    if let Some(t) = p.tcp() {
        j.number("tcpseq", u64::from(t.seq()));
        j.number("tcpack", u64::from(t.ack()));
        j.number("tcpwin", u64::from(t.window()));
        use ips_wire::tcp::{ACK, FIN, PSH, RST, SYN, URG};
        for (name, flag) in [("syn", SYN), ("ack", ACK), ("psh", PSH), ("rst", RST), ("urg", URG), ("fin", FIN)] {
            j.flag(name, t.has(flag));
        }
        j.number("tcpres", 0);
        j.number("tcpurgp", u64::from(t.urgent()));
    }
    if let Transport::Udp(h) = p.transport {
        j.number("udplen", two(h, 4));
    }
    j.text("reason", why.name());
}
