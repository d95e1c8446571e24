//! Reads `iptables-save` and `ip6tables-save`: what iptables-nft, UFW and Docker hold, whose matches nft's JSON shows only in
//! part. In comes the text and its family, out come tables as the kernel hooks them in, or the line that is none. Options
//! that are not understood become [`Statement::Unknown`]; a target that is not understood also may accept or drop. Never:
//! panics, drops an option silently.

mod option;
mod target;

use crate::{Base, Chain, ChainKind, Hook, Policy, ReadError, Rule, Ruleset, Statement, Table, TableFamily, Writer};
use std::collections::{BTreeMap, BTreeSet};
use words::Family;

/// Largest input in bytes; see [`crate::nft::MAX_BYTES`].
pub const MAX_BYTES: usize = 64 << 20;

/// The tables of this dump.
pub fn read(save: &str, family: Family) -> Result<Vec<Table>, ReadError> {
    if save.len() > MAX_BYTES {
        return Err(ReadError::new("input", format!("{} bytes; at most {MAX_BYTES} are read", save.len())));
    }
    let mut tables: Vec<Table> = Vec::new();
    let mut open = false;
    for (i, line) in save.lines().enumerate() {
        let at = format!("line {}", i + 1);
        let line = line.trim();
        match line.chars().next() {
            None | Some('#') => {}
            Some('*') => {
                let family = if family == Family::V4 { TableFamily::Ip } else { TableFamily::Ip6 };
                let table =
                    Table { family, name: line[1..].to_owned(), writer: Writer::Iptables, chains: Vec::new(), sets: BTreeMap::new() };
                tables.push(table);
                open = true;
            }
            Some(_) if line == "COMMIT" => open = false,
            Some(first) => {
                let table =
                    tables.last_mut().filter(|_| open).ok_or_else(|| ReadError::new(&at, "outside of a table: no `*table` before it"))?;
                match first {
                    ':' => table.chains.push(chain(&table.name, &line[1..], &at)?),
                    '-' | '[' => rule(table, line, family, &at)?,
                    _ => return Err(ReadError::new(at, "neither a table, a chain, a rule nor COMMIT")),
                }
            }
        }
    }
    Ok(tables)
}

/// `nft -j list ruleset` with the tables of iptables-nft replaced by what the dumps say of them. What the dumps do not hold
/// stays as nft shows it, so that nothing disappears.
pub fn compose(mut nft: Ruleset, v4: Option<&str>, v6: Option<&str>) -> Result<Ruleset, ReadError> {
    for (family, save) in [(Family::V4, v4), (Family::V6, v6)] {
        let Some(save) = save else { continue };
        for table in read(save, family)? {
            // A dump without chains that hook in says nothing; nft's view of another writer's table stays.
            let known = nft.tables.iter().position(|t| t.family == table.family && t.name == table.name);
            match known {
                Some(i) => nft.tables[i] = table,
                None => nft.tables.push(table),
            }
        }
    }
    let left: BTreeSet<String> = nft
        .tables
        .iter()
        .filter(|t| t.writer == Writer::Iptables && t.chains.iter().flat_map(|c| &c.rules).flat_map(|r| &r.statements).any(is_xt))
        .map(|t| format!("iptables table {} ({:?})", t.name, t.family))
        .collect();
    nft.unread.extend(left);
    Ok(nft)
}

fn is_xt(s: &Statement) -> bool {
    matches!(s, Statement::Unknown { text } if text.starts_with("{\"xt\":"))
}

/// `INPUT DROP [0:0]` or `DOCKER - [0:0]`.
fn chain(table: &str, line: &str, at: &str) -> Result<Chain, ReadError> {
    let mut words = line.split_whitespace();
    let name = words.next().ok_or_else(|| ReadError::new(at, "a chain without a name"))?;
    let base = match words.next() {
        Some("ACCEPT") => base(table, name, Policy::Accept),
        Some("DROP") => base(table, name, Policy::Drop),
        Some("-") => None,
        _ => return Err(ReadError::new(at, format!("chain {name} has neither a policy nor `-`"))),
    };
    Ok(Chain { name: name.to_owned(), base, rules: Vec::new() })
}

/// Where iptables-nft hooks its built-in chains in: priorities of `NF_IP_PRI_*`.
fn base(table: &str, chain: &str, policy: Policy) -> Option<Base> {
    let hook = match chain {
        "PREROUTING" => Hook::Prerouting,
        "INPUT" => Hook::Input,
        "FORWARD" => Hook::Forward,
        "OUTPUT" => Hook::Output,
        "POSTROUTING" => Hook::Postrouting,
        _ => return None,
    };
    let (kind, priority) = match (table, hook) {
        ("raw", _) => (ChainKind::Filter, -300),
        ("mangle", Hook::Output) => (ChainKind::Route, -150),
        ("mangle", _) => (ChainKind::Filter, -150),
        ("nat", Hook::Prerouting | Hook::Output) => (ChainKind::Nat, -100),
        ("nat", _) => (ChainKind::Nat, 100),
        ("security", _) => (ChainKind::Filter, 50),
        _ => (ChainKind::Filter, 0),
    };
    Some(Base { kind, hook, priority, policy, devices: Vec::new() })
}

/// The words of a line, quotes and backslashes as iptables-save writes them.
fn words(line: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            // As a shell would: UFW's files write comments so.
            '\'' if !quoted => {
                word.get_or_insert_default().extend(chars.by_ref().take_while(|c| *c != '\''));
            }
            '\\' => word.get_or_insert_default().extend(chars.next()),
            c if c.is_whitespace() && !quoted => out.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    out.extend(word);
    out
}

fn rule(table: &mut Table, line: &str, family: Family, at: &str) -> Result<(), ReadError> {
    let mut words = words(line);
    // `[12:3456] -A ...` with counters.
    let mut counted = None;
    if let Some(text) = words.first().and_then(|w| w.strip_prefix('[')).and_then(|w| w.strip_suffix(']')) {
        let (p, b) = text.split_once(':').ok_or_else(|| ReadError::new(at, "counters are `[packets:bytes]`"))?;
        let n = |t: &str| t.parse::<u64>().map_err(|_| ReadError::new(at, "counters are numbers"));
        counted = Some(crate::Counted { packets: n(p)?, bytes: n(b)? });
        words.remove(0);
    }
    // `-I`, which puts a rule in front, stands in UFW's files, never in a dump.
    let (Some(place @ ("-A" | "-I")), Some(chain)) = (words.first().map(String::as_str), words.get(1).cloned()) else {
        return Err(ReadError::new(at, "a rule begins with `-A CHAIN`"));
    };
    let first = place == "-I";
    let chains: BTreeSet<String> = table.chains.iter().map(|c| c.name.clone()).collect();
    let mut rule = Rule { text: Some(line.to_owned()), counted, ..Rule::default() };
    let mut args = Args { words: &words, at: 2 };
    while let Some(word) = args.next() {
        let negated = word == "!";
        let word = if negated { args.next().unwrap_or_default() } else { word };
        if target::read(&mut rule, word, &mut args, family, &chains) {
            continue;
        }
        match option::read(&mut rule, word, negated, &mut args, family) {
            Some(()) => {}
            None => {
                let values = args.rest_of_option();
                let text = format!("{}{word} {}", if negated { "! " } else { "" }, values.join(" "));
                rule.statements.push(Statement::Unknown { text: text.trim_end().to_owned() });
            }
        }
    }
    let position = table.chains.iter().position(|c| c.name == chain);
    let chain =
        position.and_then(|i| table.chains.get_mut(i)).ok_or_else(|| ReadError::new(at, format!("chain {chain} is not declared")))?;
    chain.rules.insert(if first { 0 } else { chain.rules.len() }, rule);
    Ok(())
}

/// The words of a rule, read left to right.
struct Args<'a> {
    words: &'a [String],
    at: usize,
}

impl<'a> Args<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let word = self.words.get(self.at)?;
        self.at += 1;
        Some(word)
    }
    fn peek(&self) -> Option<&'a str> {
        self.words.get(self.at).map(String::as_str)
    }
    /// Words up to the next option.
    fn rest_of_option(&mut self) -> Vec<&'a str> {
        let mut out = Vec::new();
        while let Some(w) = self.peek().filter(|w| !w.starts_with('-') && *w != "!") {
            out.push(w);
            self.at += 1;
        }
        out
    }
}

#[cfg(test)]
mod tests;
