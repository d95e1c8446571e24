//! Rules together. In come sources, out come all rules that were understood, what is said about the others, counts by keyword,
//! and where rules speak against each other. Never: loads one of two rules with the same number silently.

use crate::{
    config::Tables,
    fault::{self, Finding},
    read::{Outcome, read},
    rule::{Bit, Check, Effect, Rule},
};
use rustc_hash::FxHashMap;
use serde::Serialize;
use std::collections::BTreeMap;
use words::{Diagnostic, SourceFile, Span};

/// A rule that is not loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rejected {
    /// Which of the files, from 0.
    pub file: usize,
    /// Line it begins on, from 1.
    pub line: u32,
    /// Its number, where it could be read.
    pub sid: Option<u32>,
    /// Why, all of it.
    pub reasons: Vec<Finding>,
}

/// Rules read together.
#[derive(Debug, Default)]
pub struct Set {
    /// Understood in full, in order.
    pub rules: Vec<Rule>,
    /// Not loaded.
    pub rejected: Vec<Rejected>,
    /// Left out because they say so themselves.
    pub skipped: Vec<Rejected>,
    /// What else is worth knowing, by file.
    pub findings: Vec<(usize, Finding)>,
}

impl Set {
    /// Reads all sources together.
    pub fn read(sources: &[SourceFile], tables: &Tables) -> Self {
        let mut out = Self::default();
        let mut known: FxHashMap<(u32, u32), usize> = FxHashMap::default();
        for (file, source) in sources.iter().enumerate() {
            for one in read(source, file, tables) {
                let rejected = |reasons| Rejected { file, line: source.place(one.span.start).line, sid: one.sid, reasons };
                match one.outcome {
                    Outcome::Rejected => out.rejected.push(rejected(one.findings)),
                    Outcome::Skipped => out.skipped.push(rejected(one.findings)),
                    Outcome::Rule(rule) => match known.get(&(rule.meta.gid, rule.meta.sid)) {
                        Some(&at) => {
                            let found = same(&out.rules[at], &rule, sources);
                            // The higher revision stays, as with the peer.
                            let old =
                                if rule.meta.rev > out.rules[at].meta.rev { std::mem::replace(&mut out.rules[at], *rule) } else { *rule };
                            let line = sources.get(old.file).map_or(0, |s| s.place(old.span.start).line);
                            out.rejected.push(Rejected { file: old.file, line, sid: Some(old.meta.sid), reasons: vec![found(&old)] });
                        }
                        None => {
                            known.insert((rule.meta.gid, rule.meta.sid), out.rules.len());
                            out.findings.extend(one.findings.into_iter().map(|f| (file, f)));
                            out.rules.push(*rule);
                        }
                    },
                }
            }
        }
        out.bits();
        out
    }

    /// Bits that are asked for and that no rule sets.
    fn bits(&mut self) {
        let set = |r: &Rule| -> Vec<Bit> {
            r.effects.iter().filter_map(|e| if let Effect::Set(b, _) | Effect::Toggle(b) = e { Some(b.clone()) } else { None }).collect()
        };
        let given: rustc_hash::FxHashSet<Bit> = self.rules.iter().flat_map(set).collect();
        for rule in &self.rules {
            for any in rule.checks.iter().filter_map(|c| if let Check::Bits { any, negated: false } = c { Some(any) } else { None }) {
                if any.iter().all(|b| !given.contains(b)) {
                    let names = any.iter().map(|b| b.name.as_str()).collect::<Vec<_>>().join("|");
                    let text = format!("rule {} waits for `{names}`, which no rule of these sets", rule.meta.sid);
                    let help = "load the rule that sets it too, or take this one out";
                    let diagnostic = Diagnostic::warning(fault::CONFLICT, text).at(head(rule), "").help(help);
                    self.findings.push((rule.file, Finding { sid: Some(rule.meta.sid), keyword: Some("flowbits".to_owned()), diagnostic }));
                }
            }
        }
    }

    /// How many rules were not loaded, by the keyword that stood in the way; a rule counts once for each.
    pub fn by_keyword(&self) -> BTreeMap<String, usize> {
        let mut out = BTreeMap::new();
        for r in &self.rejected {
            let mut names: Vec<&str> =
                r.reasons.iter().filter(|f| f.diagnostic.is_error()).map(|f| f.keyword.as_deref().unwrap_or("(header)")).collect();
            names.sort_unstable();
            names.dedup();
            for n in names {
                *out.entry(n.to_owned()).or_insert(0) += 1;
            }
        }
        out
    }
}

fn head(rule: &Rule) -> Span {
    Span::new(rule.span.start, (rule.span.start + 1).min(rule.span.end))
}

/// What to say of the one of two rules with the same number that is not loaded.
fn same<'s>(a: &Rule, b: &Rule, sources: &'s [SourceFile]) -> impl Fn(&Rule) -> Finding + use<'s> {
    let place = |r: &Rule| (r.file, r.span.start);
    let (first, second) = (place(a), place(b));
    move |old: &Rule| {
        let (file, at) = if (old.file, old.span.start) == first { second } else { first };
        let other = sources.get(file).map(|s| format!("{}:{}", s.name(), s.place(at).line)).unwrap_or_default();
        let text = format!("rule {} is not loaded: the one at {other} has the same number and not a smaller revision", old.meta.sid);
        let diagnostic =
            Diagnostic::error(fault::CONFLICT, text).at(head(old), "").help("give one of them another sid, or take the older one out");
        Finding { sid: Some(old.meta.sid), keyword: Some("sid".to_owned()), diagnostic }
    }
}
