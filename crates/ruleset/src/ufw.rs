//! UFW's own rule files (`user.rules`, `user6.rules`): which rules stand there, at which line, and which of them are Ravelin's.
//! In comes the text, out come its entries, the same text with Ravelin's entries replaced, and the chains it fills. Never:
//! touches an entry that is not marked as Ravelin's, or moves one.
//!
//! UFW writes each rule as a `### tuple ###` line, which is all it reads back, and behind it the iptables rules it makes of
//! it. A comment stands in the tuple, in hexadecimal. Ravelin's rules are those whose comment begins with [`MARK`]: they are
//! found again also after UFW has written the file anew, and `ufw status` shows whose they are.

use crate::{ReadError, Rule, Ruleset, Table, TableFamily, iptables};
use std::collections::BTreeMap;
use words::Family;

/// Chains of break-glass that mark what its other chains let pass: their names begin like this.
pub const GLASS_CHAIN: &str = "past-ufw";
/// Their mark ("rvbg"): while break-glass is in force UFW's tables let pass what bears it.
pub const GLASS_MARK: u32 = 0x7276_6267;

/// How the comment of a rule of Ravelin's begins; the id follows.
pub const MARK: &str = "ravelin ";
/// How a tuple's line begins.
const TUPLE: &str = "### tuple ###";
/// The line before the first entry, and the one after the last.
const BEGIN: &str = "### RULES ###";
const END: &str = "### END RULES ###";
/// The chains that hold rules of people and of Ravelin, by what follows the prefix.
const USER: [&str; 3] = ["-user-input", "-user-output", "-user-forward"];

/// How UFW's chains of a family begin.
pub fn prefix(family: Family) -> &'static str {
    match family {
        Family::V4 => "ufw",
        Family::V6 => "ufw6",
    }
}

/// The chains that hold rules of people and of Ravelin.
pub fn user_chains(family: Family) -> [String; 3] {
    USER.map(|c| format!("{}{c}", prefix(family)))
}

/// One rule of UFW's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Line of its tuple, from 1.
    pub line: usize,
    /// The tuple's words, comment left out.
    pub tuple: String,
    /// The comment.
    pub comment: Option<String>,
    /// The iptables rules behind it, as they stand there.
    pub rules: Vec<String>,
}

impl Entry {
    /// Ravelin's id, where the rule is Ravelin's.
    pub fn owned(&self) -> Option<&str> {
        self.comment.as_deref()?.strip_prefix(MARK)?.split(' ').next()
    }
}

/// The comment as UFW writes it.
pub fn hex(text: &str) -> String {
    text.bytes().map(|b| format!("{b:02x}")).collect()
}

fn unhex(text: &str) -> Option<String> {
    let digits = text.as_bytes();
    let pairs = digits.chunks(2).map(|p| std::str::from_utf8(p).ok().filter(|p| p.len() == 2).and_then(|p| u8::from_str_radix(p, 16).ok()));
    String::from_utf8(pairs.collect::<Option<Vec<u8>>>()?).ok()
}

/// What a text consists of: lines that belong to no entry, and entries.
enum Part<'a> {
    Line(&'a str),
    Entry(Entry),
}

fn parts(text: &str) -> Vec<Part<'_>> {
    let mut out: Vec<Part<'_>> = Vec::new();
    for (n, line) in text.lines().enumerate() {
        let trimmed = line.trim_end();
        if let Some(rest) = trimmed.strip_prefix(TUPLE) {
            let (tuple, comment) = rest.split_once(" comment=").map_or((rest, None), |(t, c)| (t, Some(c)));
            let comment = comment.map(|c| unhex(c.trim()).unwrap_or_default());
            out.push(Part::Entry(Entry { line: n + 1, tuple: tuple.trim().to_owned(), comment, rules: Vec::new() }));
        } else if let (true, Some(Part::Entry(entry))) = (trimmed.starts_with("-A "), out.last_mut()) {
            entry.rules.push(trimmed.to_owned());
        } else {
            out.push(Part::Line(line));
        }
    }
    out
}

/// The rules of a file, in order.
pub fn entries(text: &str) -> Vec<Entry> {
    parts(text).into_iter().filter_map(|p| if let Part::Entry(e) = p { Some(e) } else { None }).collect()
}

/// Entries as UFW writes them: an empty line, the tuple, its rules.
pub fn text<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> String {
    let mut out = String::new();
    for e in entries {
        let comment = e.comment.as_deref().map(|c| format!(" comment={}", hex(c))).unwrap_or_default();
        out += &format!("\n{TUPLE} {}{comment}\n", e.tuple);
        e.rules.iter().for_each(|r| out += &format!("{r}\n"));
    }
    out
}

/// The file with Ravelin's entries replaced by `block` (which [`text`] wrote), where the first of them stood, else after everybody's;
/// all other entries and lines stay as and where they are. `None` where the text is no rule file of UFW's.
pub fn merge(file: &str, block: &str) -> Option<String> {
    let parts = parts(file);
    let is = |p: &Part<'_>, mark: &str| matches!(p, Part::Line(l) if l.trim_end() == mark);
    let begin = parts.iter().position(|p| is(p, BEGIN))?;
    let end = parts.iter().position(|p| is(p, END)).filter(|e| *e > begin)?;
    let owned = |p: &Part<'_>| matches!(p, Part::Entry(e) if e.owned().is_some());
    let place = parts[begin..end].iter().position(owned).map_or(end, |n| begin + n);
    let mut out = String::new();
    for (n, part) in parts.iter().enumerate() {
        if n == place {
            // The empty line before an entry is the entry's: the block brings its own, what follows it too.
            out.truncate(out.trim_end_matches('\n').len());
            out += "\n";
            out += block;
            if n == end {
                out += "\n";
            }
        }
        match part {
            Part::Line(line) => {
                // Where an entry is taken out, the empty line before it goes as well.
                let before_owned = line.trim().is_empty() && parts.get(n + 1).is_some_and(owned) && n + 1 != place;
                if !before_owned {
                    out += line;
                    out += "\n";
                }
            }
            Part::Entry(e) if e.owned().is_some() => {}
            Part::Entry(e) => out += text([e]).strip_prefix('\n').unwrap_or_default(),
        }
    }
    Some(out)
}

/// Ravelin's entries of a file, as [`text`] writes them.
pub fn owned(file: &str) -> String {
    let all = entries(file);
    text(all.iter().filter(|e| e.owned().is_some()))
}

/// What in a block is not Ravelin's to write: an entry without its mark, a rule for a chain that holds no rules of people, a target
/// that is none of UFW's for rules. The first such line.
pub fn foreign(block: &str, family: Family) -> Option<String> {
    let chains = USER.map(|c| format!("-A {}{c} ", prefix(family)));
    let logging = ["input", "output", "forward"].map(|c| format!("{}-user-logging-{c}", prefix(family)));
    for part in parts(block) {
        match part {
            Part::Line(line) if line.trim().is_empty() => {}
            Part::Line(line) => return Some(line.to_owned()),
            Part::Entry(e) => {
                if e.owned().is_none() {
                    return Some(format!("{TUPLE} {}", e.tuple));
                }
                for rule in &e.rules {
                    let chain = chains.iter().any(|c| rule.starts_with(c)) || logging.iter().any(|c| rule.starts_with(&format!("-A {c} ")));
                    let words: Vec<&str> = rule.split_whitespace().collect();
                    let mut jumps = words.windows(2).filter(|w| w[0] == "-j").map(|w| w[1]);
                    let target = jumps.next().filter(|_| jumps.next().is_none());
                    let known = target.is_some_and(|t| ["ACCEPT", "DROP", "LOG", "RETURN"].contains(&t) || logging.iter().any(|c| c == t));
                    let plain = !words.iter().any(|w| ["-g", "--goto", "--jump", "-t", "--table", "-I", "-D"].contains(w));
                    if !chain || !known || !plain {
                        return Some(rule.clone());
                    }
                }
            }
        }
    }
    None
}

/// The tables a rule file fills, ids of Ravelin's rules and lines of everybody's others (`user.rules:12`) on the rules of people.
pub fn read(file: &str, family: Family, name: &str) -> Result<Vec<Table>, ReadError> {
    let mut tables = iptables::read(file, family)?;
    let mut ids: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for e in entries(file) {
        let id = e.owned().map_or_else(|| format!("{name}:{}", e.line), str::to_owned);
        for rule in &e.rules {
            if let Some(chain) = rule.split_whitespace().nth(1) {
                ids.entry(chain.to_owned()).or_default().push(id.clone());
            }
        }
    }
    for chain in tables.iter_mut().flat_map(|t| &mut t.chains) {
        let Some(ids) = ids.get(&chain.name).filter(|i| i.len() == chain.rules.len()) else { continue };
        chain.rules.iter_mut().zip(ids).for_each(|(r, id)| r.id = Some(id.clone()));
    }
    Ok(tables)
}

/// Puts the chains of a rule file's tables in place of those of the same name: what the machine holds once the file is loaded.
/// False where the machine has not every chain of people's rules: UFW is not loaded there.
pub fn replace_chains(ruleset: &mut Ruleset, file: &[Table]) -> bool {
    let mut whole = true;
    for from in file {
        let Some(table) = ruleset.tables.iter_mut().find(|t| t.family == from.family && t.name == from.name) else { return false };
        for chain in &from.chains {
            match table.chains.iter_mut().find(|c| c.name == chain.name) {
                Some(c) => c.rules.clone_from(&chain.rules),
                None => whole &= !USER.iter().any(|u| chain.name.ends_with(u)),
            }
        }
    }
    whole
}

/// The rules of people's chains alone, for a comparison of file and kernel.
pub fn people(tables: &[Table], family: Family) -> Vec<Table> {
    let wanted = user_chains(family);
    let kind = if family == Family::V4 { TableFamily::Ip } else { TableFamily::Ip6 };
    let of = tables.iter().filter(|t| t.family == kind && t.name == "filter");
    of.map(|t| {
        let mut table = Table { chains: Vec::new(), sets: BTreeMap::new(), ..t.clone() };
        table.chains.extend(t.chains.iter().filter(|c| wanted.contains(&c.name)).cloned());
        // A jump to logging and its like say the same under any id.
        table.chains.iter_mut().flat_map(|c| &mut c.rules).for_each(plain);
        table
    })
    .collect()
}

fn plain(rule: &mut Rule) {
    rule.text = None;
    rule.counted = None;
}

#[cfg(test)]
mod tests;
