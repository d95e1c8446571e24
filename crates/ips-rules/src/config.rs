//! The files beside rules, in the peer's formats: classes, kinds of references, thresholds. In come texts, out come tables and
//! diagnostics; a line that is not understood is named, the others count.

use crate::{
    fault::{self, Fault},
    group::{Addresses, addresses},
    parse::{limit, pcre},
    rule::{Limit, Track},
    vars::Vars,
};
use rustc_hash::FxHashMap;
use serde::Serialize;
use std::{cell::RefCell, collections::BTreeMap};
use words::{Diagnostic, SourceFile};

/// A class of rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Class {
    /// What it is called in alerts.
    pub text: String,
    /// Priority of its rules that say none.
    pub priority: u8,
}

/// What rules are read against.
#[derive(Debug, Default)]
pub struct Tables {
    /// Groups of addresses and ports.
    pub vars: Vars,
    /// Classes by name; without a file any class goes.
    pub classes: Option<BTreeMap<String, Class>>,
    /// Kinds of references and what stands before their values; without a file any kind goes.
    pub references: Option<BTreeMap<String, String>>,
    /// Expressions that were compiled already.
    pub(crate) compiled: Compiled,
}

/// How many groups an expression with flags has, or why it does not compile.
#[derive(Debug, Default)]
pub(crate) struct Compiled(RefCell<FxHashMap<(String, String), Result<usize, Fault>>>);

impl Compiled {
    pub fn check(&self, expression: &str, flags: &str) -> Result<usize, Fault> {
        let key = (expression.to_owned(), flags.to_owned());
        if let Some(known) = self.0.borrow().get(&key) {
            return known.clone();
        }
        let found = pcre::compile(expression, flags);
        self.0.borrow_mut().insert(key, found.clone());
        found
    }
}

/// Lines with their place, comments away.
fn lines(source: &SourceFile) -> impl Iterator<Item = (std::ops::Range<usize>, &str)> {
    let text = source.text();
    text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')).map(move |l| (crate::option::within(text, l), l))
}

fn wrong(at: std::ops::Range<usize>, text: impl Into<String>, form: &str) -> Diagnostic {
    Diagnostic::error(fault::CONFIG, text).at(at, "").help(format!("written as `{form}`"))
}

impl Tables {
    /// Takes a classification file; diagnostics for lines that are none.
    pub fn take_classes(&mut self, source: &SourceFile) -> Vec<Diagnostic> {
        let form = "config classification: NAME,TEXT,PRIORITY";
        let table = self.classes.get_or_insert_default();
        let mut out = Vec::new();
        for (at, line) in lines(source) {
            let body = line.strip_prefix("config classification:").map(|b| b.split(',').map(str::trim).collect::<Vec<_>>());
            let row = body.as_deref().and_then(|b| match b {
                [name, text @ .., priority] if !name.is_empty() && !text.is_empty() => {
                    Some((*name, text.join(","), priority.parse::<u8>().ok().filter(|p| *p > 0)?))
                }
                _ => None,
            });
            match row {
                Some((name, text, priority)) => drop(table.insert(name.to_owned(), Class { text, priority })),
                None => out.push(wrong(at, "this line is no class", form)),
            }
        }
        out
    }

    /// Takes a reference file; diagnostics for lines that are none.
    pub fn take_references(&mut self, source: &SourceFile) -> Vec<Diagnostic> {
        let table = self.references.get_or_insert_default();
        let mut out = Vec::new();
        for (at, line) in lines(source) {
            let body = line.strip_prefix("config reference:").map(str::trim);
            match body.and_then(|b| b.split_once(char::is_whitespace)) {
                Some((kind, prefix)) => drop(table.insert(kind.to_ascii_lowercase(), prefix.trim().to_owned())),
                None => out.push(wrong(at, "this line is no kind of reference", "config reference: KIND PREFIX")),
            }
        }
        out
    }
}

/// A line of a threshold file: applies to one rule, all of a generator (sid 0), or all (gid 0).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Override {
    /// Generator.
    pub gid: u32,
    /// Rule.
    pub sid: u32,
    /// What changes.
    pub change: Change,
}

/// What a line of a threshold file changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// Not told: for these addresses at this end, or at all.
    Suppress(Option<(Track, Addresses)>),
    /// Told so often.
    Threshold(Limit),
    /// Another action for so many seconds once so many were seen.
    Rate {
        /// Counted by.
        track: Track,
        /// How many.
        count: u32,
        /// In how many seconds.
        seconds: u32,
        /// `drop`, `reject`, `pass`, `alert`.
        action: String,
        /// For how many seconds.
        timeout: u32,
    },
}

/// Reads a threshold file.
pub fn thresholds(source: &SourceFile, vars: &Vars) -> (Vec<Override>, Vec<Diagnostic>) {
    let form = "threshold|suppress|rate_filter gen_id N, sig_id N, ...";
    let (mut out, mut faults) = (Vec::new(), Vec::new());
    for (at, line) in lines(source) {
        match threshold_line(line, vars) {
            Ok(o) => out.push(o),
            Err(e) => faults.push(wrong(at, e, form)),
        }
    }
    (out, faults)
}

fn threshold_line(line: &str, vars: &Vars) -> Result<Override, String> {
    let (verb, rest) = line.split_once(char::is_whitespace).ok_or("nothing stands behind the first word")?;
    // Commas within brackets belong to a group of addresses.
    let mut depth = 0i32;
    let parts: Vec<&str> = rest
        .split(|c| {
            depth += i32::from(c == '[') - i32::from(c == ']');
            c == ',' && depth <= 0
        })
        .map(str::trim)
        .collect();
    let take = |word: &str| parts.iter().find_map(|p| p.strip_prefix(word)).map(str::trim);
    let number = |word: &str| take(word).and_then(|v| v.parse::<u32>().ok()).ok_or_else(|| format!("`{word}` is missing or no number"));
    let (gid, sid) = (number("gen_id ")?, number("sig_id ")?);
    let own: Vec<&str> = parts.iter().filter(|p| !p.starts_with("gen_id ") && !p.starts_with("sig_id ")).copied().collect();
    let change = match verb {
        "threshold" | "event_filter" => Change::Threshold(limit::read(&own, false)?),
        "suppress" if own.is_empty() => Change::Suppress(None),
        "suppress" => {
            let by = match take("track ") {
                Some("by_src") => Track::Source,
                Some("by_dst") => Track::Destination,
                Some("by_either") => Track::Both,
                other => return Err(format!("`track` is by_src, by_dst or by_either, not `{}`", other.unwrap_or("missing"))),
            };
            Change::Suppress(Some((by, addresses(take("ip ").ok_or("`ip` is missing")?, vars)?)))
        }
        "rate_filter" => {
            let action = take("new_action ")
                .filter(|a| ["drop", "reject", "pass", "alert"].contains(a))
                .ok_or("`new_action` is drop, reject, pass or alert")?;
            let track = take("track ").and_then(limit::track).ok_or("`track` is missing")?;
            let (count, seconds, timeout) = (number("count ")?, number("seconds ")?, number("timeout ")?);
            Change::Rate { track, count, seconds, action: action.to_owned(), timeout }
        }
        other => return Err(format!("`{other}` is none of threshold, suppress, rate_filter")),
    };
    Ok(Override { gid, sid, change })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_and_wrong_lines_named() {
        let mut t = Tables::default();
        let faults = t.take_classes(&SourceFile::new("c", "# x\nconfig classification: a,Some text, with comma,2\nnonsense\n"));
        assert_eq!((faults.len(), t.classes.as_ref().map(|c| c["a"].priority)), (1, Some(2)));
        assert_eq!(t.take_references(&SourceFile::new("r", "config reference: cve http://x/\nconfig reference: cve\n")).len(), 1);
        let text = "suppress gen_id 1, sig_id 2\nsuppress gen_id 1, sig_id 2, track by_src, ip [10.0.0.0/8,!10.1.0.0/16]\n\
            threshold gen_id 0, sig_id 0, type limit, track by_src, count 1, seconds 60\n\
            rate_filter gen_id 1, sig_id 9, track by_rule, count 5, seconds 6, new_action drop, timeout 7\n\
            suppress gen_id 1\nfoo gen_id 1, sig_id 2\nthreshold gen_id 1, sig_id 1, type no, track by_src, count 1, seconds 1\n";
        let (read, faults) = thresholds(&SourceFile::new("t", text), &Vars::default());
        assert_eq!((read.len(), faults.len()), (4, 3));
    }
}
