//! Packet headers: flags of TCP, fragments, protocols, options, checksums.

use crate::{
    build::Build,
    fault::Fault,
    header::Protocol,
    num::Number,
    option::Opt,
    rule::{Bits, BitsHow, Check, Quantity},
};

type Done = Result<(), Fault>;

/// Protocols of IP by name; numbers by IANA.
const PROTOCOLS: [(&str, u64); 14] = [
    ("icmp", 1),
    ("igmp", 2),
    ("ipip", 4),
    ("tcp", 6),
    ("udp", 17),
    ("ipv6", 41),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("icmpv6", 58),
    ("ipv6-icmp", 58),
    ("ospf", 89),
    ("sctp", 132),
    ("pim", 103),
];

/// Options of IPv4 by the peer's names.
const OPTIONS: [&str; 13] = ["rr", "eol", "nop", "ts", "sec", "esec", "lsrr", "ssrr", "satid", "any", "cipso", "qs", "rtralt"];

pub fn ip_proto(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    let n = Number::read_named(o.unquoted()?, 255, &PROTOCOLS).map_err(|e| Fault::value(e, "ip_proto:[!|<|>]NUMBER` or `ip_proto:NAME"))?;
    b.checks.push(Check::Quantity(Quantity::IpProtocol, n));
    Ok(())
}

fn how(text: &str) -> (BitsHow, &str) {
    match text.as_bytes().first() {
        Some(b'+') => (BitsHow::All, text[1..].trim_start()),
        Some(b'*') => (BitsHow::Any, text[1..].trim_start()),
        Some(b'!') => (BitsHow::Not, text[1..].trim_start()),
        _ => (BitsHow::Exactly, text),
    }
}

fn collect(text: &str, names: &[(char, u8)], form: &str) -> Result<u8, Fault> {
    text.chars().filter(|c| !c.is_whitespace()).try_fold(0, |all, c| {
        let bit = names.iter().find(|(n, _)| n.eq_ignore_ascii_case(&c)).map(|(_, b)| *b);
        bit.map(|b| all | b).ok_or_else(|| Fault::value(format!("there is no flag `{c}`"), form))
    })
}

pub fn flags(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    const NAMES: [(char, u8); 11] =
        [('F', 1), ('S', 2), ('R', 4), ('P', 8), ('A', 16), ('U', 32), ('E', 64), ('2', 64), ('C', 128), ('1', 128), ('0', 0)];
    let form = "flags:[+|*|!]FSRPAUEC0[,IGNORED]";
    let text = o.unquoted()?;
    let (text, ignored) = text.split_once(',').unwrap_or((text, ""));
    // The peer takes the modifier before or behind the flags.
    let text = text.trim();
    let (mut kind, mut letters) = how(text);
    if let (BitsHow::Exactly, Some(last)) = (kind, text.chars().last().filter(|c| "+*!".contains(*c))) {
        kind = how(last.encode_utf8(&mut [0; 4])).0;
        letters = &text[..text.len() - 1];
    }
    // `S,R` names a set, not a mask, where the second part is no mask of reserved flags: the peer reads a mask always.
    let bits = Bits { how: kind, bits: collect(letters, &NAMES, form)?, ignored: collect(ignored, &NAMES, form)? };
    if letters.is_empty() {
        return Err(Fault::value("no flag is named; `0` stands for none", form));
    }
    b.about_protocol(&[Protocol::Tcp, Protocol::TcpPackets, Protocol::TcpBytes], "TCP")?;
    b.checks.push(Check::TcpFlags(bits));
    Ok(())
}

pub fn fragbits(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    let form = "fragbits:[+|*|!]MDR";
    let (kind, letters) = how(o.unquoted()?);
    let bits = collect(letters, &[('M', 1), ('D', 2), ('R', 4)], form)?;
    b.checks.push(Check::FragBits(Bits { how: kind, bits, ignored: 0 }));
    Ok(())
}

pub fn ipopts(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    let name = o.unquoted()?.to_ascii_lowercase();
    if !OPTIONS.contains(&name.as_str()) {
        return Err(Fault::value(format!("there is no option `{name}`"), &format!("ipopts:{}", OPTIONS.join("|"))));
    }
    b.checks.push(Check::IpOption(name));
    Ok(())
}

pub fn sameip(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    if o.value.is_some() {
        return Err(Fault::value("takes no value", "sameip;"));
    }
    b.checks.push(Check::SameIp);
    Ok(())
}

pub fn checksum(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    let valid = match o.unquoted()?.to_ascii_lowercase().as_str() {
        "valid" => true,
        "invalid" => false,
        other => return Err(Fault::value(format!("`{other}` does not do"), &format!("{}:valid|invalid", o.name))),
    };
    b.checks.push(Check::Checksum(o.name.trim_end_matches("-csum").to_owned(), valid));
    Ok(())
}
