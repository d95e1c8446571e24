//! nft text. In comes a [`Ruleset`], out comes one script that replaces the named table in one transaction: the table is
//! declared, deleted and defined again, so that it works whether or not it is there. Other tables are not named at all.
//!
//! Replacing the whole table empties its dynamic sets (rate meters, connection counts begin anew) and its counters; it
//! does not touch connection tracking, which is the kernel's and not the table's: what is established stays established.
//! Whoever needs a reading reads it before. Never: writes more than one table, or a comment nft would refuse.

mod set;
mod statement;

use ruleset::{Base, Chain, ChainKind, Policy, Rule, Ruleset, Table, TableFamily};
use std::fmt::Write as _;

/// Longest comment in bytes: `NFTNL_UDATA_COMMENT_MAXLEN` is 128 with the terminating zero.
pub const MAX_COMMENT: usize = 127;

/// Sets whose name begins like this stand in place, where they are looked up (the reader makes them).
pub(crate) const ANONYMOUS: &str = "anonymous/";

/// The script that makes the machine hold this ruleset's table of this family and name, and nothing else under that name.
/// Without such a table in the ruleset the script removes it.
pub fn script(ruleset: &Ruleset, family: TableFamily, table: &str) -> String {
    let kind = family_name(family);
    let mut out = format!("table {kind} {table} {{}}\ndelete table {kind} {table}\n");
    if let Some(t) = ruleset.table(family, table) {
        out += &definition(t);
    }
    out
}

/// The definition of one table alone, for people and for tables of others in tests.
pub fn definition(table: &Table) -> String {
    let mut out = format!("table {} {} {{\n", family_name(table.family), table.name);
    for (name, s) in table.sets.iter().filter(|(n, _)| !n.starts_with(ANONYMOUS)) {
        set::definition(&mut out, name, s);
    }
    for chain in &table.chains {
        definition_of_chain(&mut out, table, chain);
    }
    out += "}\n";
    out
}

fn definition_of_chain(out: &mut String, table: &Table, chain: &Chain) {
    let _ = writeln!(out, "\tchain {} {{", chain.name);
    if let Some(b) = &chain.base {
        let _ = writeln!(out, "\t\t{}", base(b));
    }
    for r in &chain.rules {
        let _ = writeln!(out, "\t\t{}", rule(table, r));
    }
    out.push_str("\t}\n");
}

/// One rule as nft writes it, comment included.
pub fn rule(table: &Table, rule: &Rule) -> String {
    let mut words = statement::all(table, &rule.statements);
    if let Some(id) = &rule.id {
        words.push(format!("comment {}", quoted(id)));
    }
    words.join(" ")
}

/// Text in quotes. nft has no escapes: a quote inside becomes an apostrophe, control characters spaces.
pub(crate) fn quoted(text: &str) -> String {
    let clean: String = text
        .chars()
        .map(|c| {
            if c == '"' {
                '\''
            } else if c.is_control() {
                ' '
            } else {
                c
            }
        })
        .collect();
    let mut end = clean.len().min(MAX_COMMENT);
    while !clean.is_char_boundary(end) {
        end -= 1;
    }
    format!("\"{}\"", &clean[..end])
}

/// nft's word for a family.
pub fn family_name(family: TableFamily) -> &'static str {
    match family {
        TableFamily::Ip => "ip",
        TableFamily::Ip6 => "ip6",
        TableFamily::Inet => "inet",
        TableFamily::Arp => "arp",
        TableFamily::Bridge => "bridge",
        TableFamily::Netdev => "netdev",
    }
}

fn base(b: &Base) -> String {
    let kind = match b.kind {
        ChainKind::Filter => "filter",
        ChainKind::Nat => "nat",
        ChainKind::Route => "route",
    };
    let hook = b.hook.name();
    let devices = match b.devices.as_slice() {
        [] => String::new(),
        many => format!(" devices = {{ {} }}", many.iter().map(|d| quoted(d)).collect::<Vec<_>>().join(", ")),
    };
    let policy = match b.policy {
        Policy::Accept => "accept",
        Policy::Drop => "drop",
    };
    format!("type {kind} hook {hook}{devices} priority {}; policy {policy};", b.priority)
}
