//! Reading the facts: rows, the meaning of their words for parties, and the ports and paths in their free text.

use catalog::{Service, builtin};
use std::collections::BTreeSet;
use words::{PortRange, Proto};

const NAMES: &str = include_str!("../../facts/names.tsv");
const UNUSED: &str = include_str!("../../facts/unused.tsv");

/// Rows of a table, cut at tabs; comments and the header left out.
pub fn rows(text: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    text.lines().filter(|l| !l.starts_with('#')).skip(1).filter(|l| !l.trim().is_empty()).map(|l| l.split('\t').map(str::trim).collect())
}

/// Keys of the rows of a table that are listed as unused, with a reason.
pub fn unused(file: &str) -> BTreeSet<String> {
    rows(UNUSED).filter(|r| r[0] == file && !r[2].is_empty()).map(|r| r[1].to_owned()).collect()
}

/// What the facts' words for a party mean.
pub enum Party {
    Services(Vec<(&'static Service, Option<u16>)>),
    Outside(Vec<&'static str>),
    Public,
    Operator,
    Users,
}

/// The party the facts mean.
pub fn party(fact: &str) -> Result<Party, String> {
    let row = rows(NAMES).find(|r| r[0] == fact).ok_or(format!("`{fact}` is not in names.tsv"))?;
    let values = row.get(2).copied().unwrap_or_default().split_whitespace();
    Ok(match row[1] {
        "service" => Party::Services(
            values
                .map(|v| {
                    let (name, port) = v.split_once(':').map_or((v, None), |(n, p)| (n, p.parse().ok()));
                    let s = builtin().get(name).ok_or(format!("names.tsv: `{name}` is no service"))?;
                    Ok((&**s, port))
                })
                .collect::<Result<_, String>>()?,
        ),
        "outside" => Party::Outside(values.collect()),
        "public" => Party::Public,
        "operator" => Party::Operator,
        "users" => Party::Users,
        other => return Err(format!("names.tsv: kind `{other}`")),
    })
}

/// A port the facts speak of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Port {
    Random,
    Any,
    One(u16),
    Range(PortRange),
}

/// The ports in a text, each with the address before its colon. Addresses themselves are not ports.
pub fn ports(text: &str) -> Vec<(Option<&str>, Port)> {
    let mut out: Vec<(Option<&str>, Port)> = Vec::new();
    for token in text.split(|c: char| c.is_whitespace() || "(),;/>".contains(c)).filter(|t| !t.is_empty()) {
        let (address, port) = token.rsplit_once(':').map_or((None, token), |(a, p)| (Some(a), p));
        let port = match (port, port.parse::<u16>(), port.parse::<PortRange>()) {
            ("any", ..) => Port::Any,
            ("random" | "libp2p", ..) | (_, Ok(0), _) => Port::Random,
            (_, Ok(n), _) => Port::One(n),
            (_, _, Ok(r)) => Port::Range(r),
            _ => continue,
        };
        if !out.iter().any(|o| o.1 == port) {
            out.push((address, port));
        }
    }
    out
}

/// The transport protocols in a text.
pub fn protos(text: &str) -> Vec<Proto> {
    let words: Vec<&str> = text.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    [("tcp", Proto::Tcp), ("udp", Proto::Udp)].into_iter().filter(|(w, _)| words.contains(w)).map(|(_, p)| p).collect()
}

fn without_parentheses(text: &str) -> String {
    let mut depth = 0i32;
    let mut out = String::new();
    for c in text.chars() {
        depth += i32::from(c == '(') - i32::from(c == ')');
        if depth == 0 && c != ')' {
            out.push(c);
        }
    }
    out.split(" or ").next().unwrap_or_default().trim().replace(" /", "/")
}

/// Every path of a secrets row: braces and lists written out, parentheses dropped, tables as `db:TABLE.COLUMN`.
pub fn paths(text: &str) -> Vec<String> {
    if let Some((_, tables)) = text.split_once("HarmonyDB table") {
        return tables.trim_start_matches('s').split(',').map(|t| format!("db:{}", t.trim())).collect();
    }
    let plain = without_parentheses(text);
    let (base, list) = match (plain.split_once('{'), plain.split_once("  ")) {
        (Some((base, rest)), _) => (base.trim_end_matches('/').to_owned(), rest.replace('}', "")),
        (None, Some((base, rest))) => (base.to_owned(), rest.to_owned()),
        // A plain list: what is relative stands beside the first one.
        (None, None) => (plain.split(',').next().and_then(|p| p.rsplit_once('/')).map_or("", |d| d.0).to_owned(), plain),
    };
    let absolute = |p: &str| p.starts_with(['$', '~', '/', '<']);
    list.split(',')
        .map(str::trim)
        .filter(|p| !p.is_empty())
        .map(|p| if absolute(p) { p.to_owned() } else { format!("{base}/{}", p.trim_start_matches('/').trim_end_matches('/')) })
        .collect()
}
