//! Targets of iptables. In comes `-j` or `-g` with its words, out come statements.

use super::{Args, option::word32};
use crate::{Data, Element, Key, MapRef, Nat, NatKind, NatTarget, Rule, Statement, Verdict};
use std::collections::BTreeSet;
use std::net::IpAddr;
use words::Family;

/// Extension targets after which the packet goes on.
const PASSING: &[&str] = &[
    "AUDIT",
    "CHECKSUM",
    "CLASSIFY",
    "CONNSECMARK",
    "CT",
    "DSCP",
    "ECN",
    "HL",
    "HMARK",
    "IDLETIMER",
    "LED",
    "RATEEST",
    "SECMARK",
    "SET",
    "TCPMSS",
    "TCPOPTSTRIP",
    "TEE",
    "TOS",
    "TRACE",
    "TTL",
];

/// Reads a target, if this option is one. `true`: it was, and its words are consumed.
pub(super) fn read(rule: &mut Rule, word: &str, args: &mut Args<'_>, family: Family, chains: &BTreeSet<String>) -> bool {
    let goto = matches!(word, "-g" | "--goto");
    if !goto && !matches!(word, "-j" | "--jump") {
        return false;
    }
    let Some(name) = args.next() else { return true };
    if goto {
        rule.statements.push(Statement::Verdict(Verdict::Goto(name.to_owned())));
        return true;
    }
    // Everything after the target belongs to it.
    let start = args.at;
    args.at = args.words.len();
    let options = Options { words: args.words.get(start..).unwrap_or_default() };
    if chains.contains(name) {
        rule.statements.push(Statement::Verdict(Verdict::Jump(name.to_owned())));
        return true;
    }
    match known(name, &options, family) {
        Some(list) => rule.statements.extend(list),
        None => unknown(rule, name, &options),
    }
    true
}

struct Options<'a> {
    words: &'a [String],
}

impl Options<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        let at = self.words.iter().position(|w| w == name)?;
        self.words.get(at + 1).map(String::as_str)
    }
    fn has(&self, name: &str) -> bool {
        self.words.iter().any(|w| w == name)
    }
}

fn unknown(rule: &mut Rule, name: &str, options: &Options<'_>) {
    let text = format!("-j {name} {}", options.words.join(" "));
    rule.statements.push(Statement::Unknown { text: text.trim_end().to_owned() });
    if PASSING.contains(&name) {
        return;
    }
    let may = |v| Element { key: Vec::new(), data: Some(Data::Verdict(v)), id: None, timeout: None, counted: None };
    let map = MapRef::Inline(vec![may(Verdict::Accept), may(Verdict::Drop)]);
    rule.statements.push(Statement::VerdictMap { keys: vec![Key::Other("unknown".to_owned())], map });
}

fn known(name: &str, o: &Options<'_>, family: Family) -> Option<Vec<Statement>> {
    let verdict = |v| Some(vec![Statement::Verdict(v)]);
    match name {
        "ACCEPT" => verdict(Verdict::Accept),
        "DROP" => verdict(Verdict::Drop),
        "RETURN" => verdict(Verdict::Return),
        "REJECT" => verdict(Verdict::Reject(reject(o.get("--reject-with").unwrap_or_default(), family))),
        "LOG" => Some(vec![Statement::Log { prefix: o.get("--log-prefix").map(str::to_owned), group: None, snaplen: None }]),
        "NFLOG" => Some(vec![Statement::Log {
            prefix: o.get("--nflog-prefix").map(str::to_owned),
            group: Some(o.get("--nflog-group").map_or(Some(0), |g| g.parse().ok())?),
            snaplen: o.get("--nflog-size").and_then(|g| g.parse().ok()),
        }]),
        "NOTRACK" => Some(vec![Statement::Notrack]),
        "CT" if o.words == ["--notrack"] => Some(vec![Statement::Notrack]),
        "SYNPROXY" => Some(vec![Statement::Synproxy]),
        "NFQUEUE" => {
            let range = o.get("--queue-balance").or(o.get("--queue-num")).unwrap_or("0");
            let (a, b) = range.split_once(':').unwrap_or((range, range));
            Some(vec![Statement::Queue { first: a.parse().ok()?, last: b.parse().ok()?, bypass: o.has("--queue-bypass") }])
        }
        "DNAT" => nat(NatKind::Dnat, family, o.get("--to-destination")?, o),
        "SNAT" => nat(NatKind::Snat, family, o.get("--to-source")?, o),
        "MASQUERADE" | "REDIRECT" => {
            let kind = if name == "REDIRECT" { NatKind::Redirect } else { NatKind::Masquerade };
            let port = match o.get("--to-ports") {
                Some(text) => Some(ports(text)?),
                None => None,
            };
            Some(vec![Statement::Nat(Nat { kind, family: None, address: NatTarget::None, port, flags: flags(o) })])
        }
        "MARK" => {
            let (value, mask) = xmark(o)?;
            Some(vec![Statement::SetMark { key: Key::Mark, mask, value: Some(value) }])
        }
        "CONNMARK" if o.has("--save-mark") || o.has("--restore-mark") => {
            let whole = |n: &str| o.get(n).is_none_or(|m| word32(m) == Some(u32::MAX));
            if !(whole("--nfmask") && whole("--ctmask") && whole("--mask")) {
                return None;
            }
            let key = if o.has("--save-mark") { Key::CtMark } else { Key::Mark };
            Some(vec![Statement::SetMark { key, mask: None, value: None }])
        }
        "CONNMARK" => {
            let (value, mask) = xmark(o)?;
            Some(vec![Statement::SetMark { key: Key::CtMark, mask, value: Some(value) }])
        }
        _ => None,
    }
}

/// `--set-xmark value/mask` clears the mask's bits and flips the value's; as a write this holds where the value lies in the
/// mask.
fn xmark(o: &Options<'_>) -> Option<(u32, Option<u32>)> {
    let text = o.get("--set-xmark").or(o.get("--set-mark"))?;
    let (value, mask) = match text.split_once('/') {
        Some((v, m)) => (word32(v)?, word32(m)?),
        None => (word32(text)?, u32::MAX),
    };
    (value & !mask == 0).then_some((value, (mask != u32::MAX).then_some(mask)))
}

fn reject(with: &str, family: Family) -> String {
    let (kind, prefix) = if family == Family::V4 { ("icmp", "icmp-") } else { ("icmpv6", "icmp6-") };
    match with {
        "tcp-reset" => "tcp reset".to_owned(),
        "" => format!("{kind} port-unreachable"),
        other => format!("{kind} {}", other.strip_prefix(prefix).unwrap_or(other)),
    }
}

fn ports(text: &str) -> Option<(u16, u16)> {
    let text = text.split('/').next()?;
    let (a, b) = text.split_once('-').unwrap_or((text, text));
    let (a, b) = (a.parse().ok()?, b.parse().ok()?);
    (a <= b).then_some((a, b))
}

fn flags(o: &Options<'_>) -> Vec<String> {
    let table = [("--random", "random"), ("--random-fully", "fully-random"), ("--persistent", "persistent")];
    table.iter().filter(|(option, _)| o.has(option)).map(|(_, word)| (*word).to_owned()).collect()
}

/// `1.2.3.4`, `1.2.3.4-1.2.3.9`, `1.2.3.4:80-90`, `:80`, `[2001:db8::1]:80`.
fn nat(kind: NatKind, family: Family, text: &str, o: &Options<'_>) -> Option<Vec<Statement>> {
    let (addresses, port) = match (text.strip_prefix('['), family) {
        (Some(rest), _) => {
            let (a, p) = rest.split_once(']')?;
            (a, p.strip_prefix(':'))
        }
        (None, Family::V4) => text.split_once(':').map_or((text, None), |(a, p)| (a, Some(p))),
        (None, Family::V6) => (text, None),
    };
    let number = |t: &str| match t.parse::<IpAddr>().ok()? {
        IpAddr::V4(a) => Some(u128::from(u32::from(a))),
        IpAddr::V6(a) => Some(u128::from(a)),
    };
    let address = if addresses.is_empty() {
        NatTarget::None
    } else {
        let (a, b) = addresses.split_once('-').unwrap_or((addresses, addresses));
        NatTarget::Addr(number(a)?, number(b)?)
    };
    let port = match port {
        Some(p) => Some(ports(p)?),
        None => None,
    };
    Some(vec![Statement::Nat(Nat { kind, family: Some(family), address, port, flags: flags(o) })])
}
