//! The object under `dns` in an event: as the peer's version 8 writes it (3), or its version 7 (2).

use super::message::{Data, Message, Record};
use crate::json::{self, Json};
use std::{
    borrow::Cow,
    net::{Ipv4Addr, Ipv6Addr},
};

/// Which form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// Version 7 of the peer.
    Two,
    /// Version 8.
    #[default]
    Three,
}

/// Appends it.
pub(super) fn write(m: &Message, id: u64, answer: bool, form: Form, out: &mut Vec<u8>) {
    json::object(out, |j| match form {
        Form::Three => {
            j.number("version", 3).text("type", if answer { "response" } else { "request" }).number("tx_id", id).number("id", m.id);
            flags(m, j);
            j.text("rcode", &*rcode(m.rcode()));
            j.number("opcode", m.opcode());
            queries(m, j);
            records(m, j);
        }
        Form::Two if answer => {
            j.number("version", 2).text("type", "answer").number("id", m.id);
            flags(m, j);
            j.number("opcode", m.opcode());
            first(m, j);
            j.text("rcode", &*rcode(m.rcode()));
            records(m, j);
        }
        Form::Two => {
            j.text("type", "query").number("id", m.id);
            first(m, j);
            j.number("tx_id", id);
            if m.flags & 0x40 != 0 {
                j.boolean("z", true);
            }
            j.number("opcode", m.opcode());
        }
    });
}

fn flags(m: &Message, j: &mut Json<'_>) {
    j.text("flags", format!("{:x}", m.flags));
    for (name, bit) in [("qr", 0x8000), ("aa", 0x400), ("tc", 0x200), ("rd", 0x100), ("ra", 0x80), ("z", 0x40)] {
        if m.flags & bit != 0 {
            j.boolean(name, true);
        }
    }
}

fn first(m: &Message, j: &mut Json<'_>) {
    if let Some(q) = m.queries.first() {
        j.text("rrname", m.text(q.name)).text("rrtype", &*kind(q.kind));
    }
}

fn queries(m: &Message, j: &mut Json<'_>) {
    if !m.queries.is_empty() {
        j.array("queries", |j| {
            for q in &m.queries {
                j.item_object(|j| {
                    j.text("rrname", m.text(q.name)).text("rrtype", &*kind(q.kind));
                });
            }
        });
    }
}

fn records(m: &Message, j: &mut Json<'_>) {
    for (name, list) in ["answers", "authorities", "additionals"].into_iter().zip(&m.records) {
        if list.is_empty() {
            continue;
        }
        j.array(name, |j| {
            for r in list {
                j.item_object(|j| record(m, r, j));
            }
        });
        if name == "answers" {
            j.object("grouped", |j| grouped(m, list, j));
        }
    }
}

fn record(m: &Message, r: &Record, j: &mut Json<'_>) {
    j.text("rrname", m.text(r.name)).text("rrtype", &*kind(r.kind)).number("ttl", r.ttl);
    match r.data {
        Data::Address(_) | Data::Text(_) => {
            j.text("rdata", &*value(m, r));
        }
        Data::Soa(..) => {
            j.object("soa", |j| inner(m, r, j));
        }
        Data::Sshfp(..) => {
            j.object("sshfp", |j| inner(m, r, j));
        }
        Data::Srv(..) => {
            j.object("srv", |j| inner(m, r, j));
        }
        Data::Other => {}
    }
}

fn inner(m: &Message, r: &Record, j: &mut Json<'_>) {
    match r.data {
        Data::Soa(server, mail, n) => {
            j.text("mname", m.text(server)).text("rname", m.text(mail));
            for (name, n) in ["serial", "refresh", "retry", "expire", "minimum"].into_iter().zip(n) {
                j.number(name, n);
            }
        }
        Data::Sshfp(algorithm, kind, print) => {
            j.text("fingerprint", json::hex(m.text(print), b':')).number("algo", algorithm).number("type", kind);
        }
        Data::Srv(priority, weight, port, name) => {
            j.number("priority", priority).number("weight", weight).number("port", port).text("name", m.text(name));
        }
        _ => {}
    }
}

fn value<'a>(m: &'a Message, r: &Record) -> Cow<'a, [u8]> {
    match r.data {
        Data::Address(span) => {
            let b = m.text(span);
            let text = match (<[u8; 4]>::try_from(b), <[u8; 16]>::try_from(b)) {
                (Ok(v4), _) => Ipv4Addr::from(v4).to_string(),
                (_, Ok(v6)) => full(v6),
                _ => String::new(),
            };
            Cow::Owned(text.into_bytes())
        }
        Data::Text(span) => Cow::Borrowed(m.text(span)),
        _ => Cow::Borrowed(b""),
    }
}

/// All eight groups, as the peer writes addresses.
fn full(v6: [u8; 16]) -> String {
    Ipv6Addr::from(v6).segments().map(|s| format!("{s:04x}")).join(":")
}

/// Answers by kind, each kind once, in the order seen.
fn grouped(m: &Message, list: &[Record], j: &mut Json<'_>) {
    let mut kinds: Vec<u16> = Vec::new();
    for r in list {
        if !matches!(r.data, Data::Other) && !kinds.contains(&r.kind) {
            kinds.push(r.kind);
        }
    }
    for k in kinds {
        j.array(&kind(k), |j| {
            for r in list.iter().filter(|r| r.kind == k) {
                match r.data {
                    Data::Address(_) | Data::Text(_) => {
                        j.item_text(&*value(m, r));
                    }
                    Data::Other => {}
                    _ => {
                        j.item_object(|j| inner(m, r, j));
                    }
                }
            }
        });
    }
}

#[rustfmt::skip]
const KINDS: &[(u16, &str)] = &[
    (1, "A"), (2, "NS"), (3, "MD"), (4, "MF"), (5, "CNAME"), (6, "SOA"), (7, "MB"), (8, "MG"), (9, "MR"), (10, "NULL"), (11, "WKS"),
    (12, "PTR"), (13, "HINFO"), (14, "MINFO"), (15, "MX"), (16, "TXT"), (17, "RP"), (18, "AFSDB"), (19, "X25"), (20, "ISDN"), (21, "RT"),
    (22, "NSAP"), (23, "NSAPPTR"), (24, "SIG"), (25, "KEY"), (26, "PX"), (27, "GPOS"), (28, "AAAA"), (29, "LOC"), (30, "NXT"), (33, "SRV"),
    (34, "ATMA"), (35, "NAPTR"), (36, "KX"), (37, "CERT"), (38, "A6"), (39, "DNAME"), (41, "OPT"), (42, "APL"), (43, "DS"), (44, "SSHFP"),
    (45, "IPSECKEY"), (46, "RRSIG"), (47, "NSEC"), (48, "DNSKEY"), (49, "DHCID"), (50, "NSEC3"), (51, "NSEC3PARAM"), (52, "TLSA"),
    (55, "HIP"), (59, "CDS"), (60, "CDNSKEY"), (64, "SVCB"), (65, "HTTPS"), (99, "SPF"), (249, "TKEY"), (250, "TSIG"), (254, "MAILA"), (255, "ANY"),
    (256, "URI"),
];

/// A record's kind by name, or number.
pub(super) fn kind(n: u16) -> Cow<'static, str> {
    KINDS.iter().find(|(k, _)| *k == n).map_or_else(|| Cow::Owned(n.to_string()), |(_, t)| Cow::Borrowed(*t))
}

#[rustfmt::skip]
const CODES: [&str; 24] = [
    "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET", "NOTAUTH", "NOTZONE", "", "", "",
    "", "", "BADVERS", "BADKEY", "BADTIME", "BADMODE", "BADNAME", "BADALG", "BADTRUNC", "BADCOOKIE",
];

fn rcode(n: u16) -> Cow<'static, str> {
    match CODES.get(usize::from(n)) {
        Some(t) if !t.is_empty() => Cow::Borrowed(t),
        _ => Cow::Owned(n.to_string()),
    }
}
