//! Whether a bundle lets through no more than the one before, by form alone. In come two drafts, out comes [`Widens::No`] or the first
//! thing that may widen. Sound and deaf: what is called narrower is narrower, most that is narrower is not called so. Nothing is proved
//! here: that is the coordinator's, which the applier does not believe.
//!
//! What is seen: the same rules in the same text, and sets that lost elements. A set may lose elements where every rule that asks it
//! accepts and does nothing else, and where what else its packets meet afterwards can only count, log, drop or accept. Then whatever
//! is accepted now was accepted before. Everything else must be equal, management path, settings, files and addresses included.

use crate::content::{Artefact, Draft};
use ruleset::form::{ChainKind, Element, MapRef, NatTarget, Rule, Ruleset, Statement, Table, Verdict};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// Whether a bundle may let through more than what is confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Widens {
    /// It cannot.
    No,
    /// It may; what was seen first.
    Perhaps(String),
}

/// Whether the new draft can be seen to let through no more than the old one.
pub fn narrower(old: &Draft, new: &Draft) -> bool {
    judge(old, new) == Ok(())
}

/// The same with a reason. Nothing confirmed lets everything through that the machine lets through by itself, but nobody knows what
/// that is: a first bundle may widen.
pub fn widens(confirmed: Option<&Draft>, new: &Draft) -> Widens {
    match confirmed.map(|old| judge(old, new)) {
        Some(Ok(())) => Widens::No,
        Some(Err(why)) => Widens::Perhaps(why),
        None => Widens::Perhaps("no state is confirmed here yet".to_owned()),
    }
}

fn judge(old: &Draft, new: &Draft) -> Result<(), String> {
    let same = |what: &str, equal: bool| if equal { Ok(()) } else { Err(format!("{what} is another")) };
    // Every field by name: a field that is added to the draft does not compile until somebody has thought of it here.
    let Draft {
        schema,
        machine,
        // The number, what it follows and the text it was planned from let nothing through.
        generation: _,
        parent: _,
        site: _,
        layers,
        artefacts,
        expected,
        management,
        break_glass,
        probes,
        seeds,
    } = new;
    same("the form", *schema == old.schema)?;
    same("the machine", *machine == old.machine)?;
    same("a layer's mode", *layers == old.layers)?;
    same("the management path", *management == old.management)?;
    same("the break-glass script", *break_glass == old.break_glass)?;
    // A probe is a connection this machine opens; a seed is one it takes for established.
    same("a probe", probes.iter().all(|p| old.probes.contains(p)))?;
    same("a connection to be taken over", seeds.iter().all(|s| old.seeds.contains(s)))?;
    same("the number of artefacts", artefacts.len() == old.artefacts.len())?;
    let accepting = match (&old.expected.ruleset, &expected.ruleset) {
        (None, None) => BTreeSet::new(),
        (Some(before), Some(now)) => rules(before, now)?,
        _ => return Err("the network layer is another".to_owned()),
    };
    for (before, now) in old.artefacts.iter().zip(artefacts) {
        match (before, now) {
            (Artefact::Nft { text: before }, Artefact::Nft { text: now }) => script(before, now, &accepting)?,
            _ => same(kind(now), before == now)?,
        }
    }
    Ok(())
}

fn kind(artefact: &Artefact) -> &'static str {
    match artefact {
        Artefact::Nft { .. } => "the script",
        Artefact::Ufw { .. } => "Ravelin's part of UFW's files",
        Artefact::Sysctl { .. } => "a kernel setting",
        Artefact::File(_) => "a file",
        Artefact::Addresses { .. } => "an address",
    }
}

/// The tables but for elements of accepting sets; gives these sets' names. Rules are compared to the letter.
fn rules(old: &Ruleset, new: &Ruleset) -> Result<BTreeSet<String>, String> {
    if old.tables.len() != new.tables.len() || old.unread != new.unread {
        return Err("the list of tables is another".to_owned());
    }
    let mut all = BTreeSet::new();
    for (before, now) in old.tables.iter().zip(&new.tables) {
        let accepting = accepting(before);
        let head = |t: &Table| (t.family, t.name.clone(), t.writer, t.sets.keys().cloned().collect::<Vec<_>>());
        if head(before) != head(now) {
            return Err(format!("table {} or the names of its sets are others", before.name));
        }
        if before.chains.len() != now.chains.len() {
            return Err("the list of chains is another".to_owned());
        }
        if let Some((_, chain)) = before.chains.iter().zip(&now.chains).find(|(a, b)| a != b) {
            return Err(format!("chain {} is another", chain.name));
        }
        for (name, set) in &now.sets {
            let Some(was) = before.sets.get(name) else { return Err(format!("set {name} is new")) };
            let mut emptied = was.clone();
            emptied.elements.clone_from(&set.elements);
            if emptied != *set {
                return Err(format!("the type or flags of set {name} are others"));
            }
            let known: HashSet<&Element> = was.elements.iter().collect();
            if let Some(more) = set.elements.iter().find(|e| !known.contains(e)) {
                let id = more.id.as_ref().map(|i| format!(" ({i})")).unwrap_or_default();
                return Err(format!("set {name} has an element it did not have{id}"));
            }
            if was.elements != set.elements && !accepting.contains(name) {
                return Err(format!("set {name} lost an element, and not every rule that asks it only accepts"));
            }
        }
        all.extend(accepting);
    }
    Ok(all)
}

/// The script as it is loaded: the same lines but for elements of accepting sets that are gone. The table that is expected says what
/// the sets are for; it was read back when the old script was loaded.
fn script(old: &str, new: &str, accepting: &BTreeSet<String>) -> Result<(), String> {
    let ((frame, before), (now_frame, now)) = (split(old), split(new));
    if frame != now_frame {
        return Err("the script has other lines than elements of sets".to_owned());
    }
    for (name, lines) in &now {
        let was: HashSet<&str> = before.get(name).into_iter().flatten().copied().collect();
        if !lines.iter().all(|l| was.contains(l)) {
            return Err(format!("the script has an element of set {name} that it did not have"));
        }
    }
    let lost = before.iter().find(|(name, was)| now.get(*name) != Some(was) && !accepting.contains(**name));
    lost.map_or(Ok(()), |(name, _)| Err(format!("the script's set {name} lost an element, and not every rule that asks it only accepts")))
}

/// How the emitter opens a set, its elements, and closes these. A script of another shape has no elements here: it must be equal.
const SET: &str = "\tset ";
const OPENS: &str = "\t\telements = {";
const CLOSES: &str = "\t\t}";
const ELEMENT: &str = "\t\t\t";

/// A script's lines without elements of sets, and these by set.
fn split(text: &str) -> (Vec<&str>, BTreeMap<&str, Vec<&str>>) {
    let (mut frame, mut sets): (Vec<&str>, BTreeMap<&str, Vec<&str>>) = (Vec::new(), BTreeMap::new());
    let mut set = None;
    let mut lines = text.split('\n').peekable();
    while let Some(line) = lines.next() {
        if line.starts_with('\t') && !line.starts_with("\t\t") {
            set = line.strip_prefix(SET).and_then(|rest| rest.strip_suffix(" {")).filter(|n| !n.contains([' ', '{', '"', '#']));
        }
        let Some(name) = set.filter(|name| line == OPENS && !sets.contains_key(*name)) else {
            frame.push(line);
            continue;
        };
        let mut elements = Vec::new();
        while let Some(element) = lines.next_if(|l| is_element(l)) {
            elements.push(element);
        }
        if lines.next_if_eq(&CLOSES).is_some() {
            sets.insert(name, elements);
        } else {
            // Not as the emitter writes it: nothing of it may differ.
            frame.push(line);
            frame.extend(elements);
        }
    }
    (frame, sets)
}

fn is_element(line: &str) -> bool {
    line.starts_with(ELEMENT) && line.ends_with(',') && !line.contains(['{', '}', ';', '#', '\\'])
}

/// Sets that only ever accept: each rule that asks one matches, counts, logs and accepts, and stands where nothing behind it does more.
fn accepting(table: &Table) -> BTreeSet<String> {
    let plain = plain_chains(table);
    let (mut asked, mut otherwise) = (BTreeSet::new(), BTreeSet::new());
    for chain in &table.chains {
        for rule in &chain.rules {
            for set in sets_of(&rule.statements) {
                let good = plain.contains(chain.name.as_str()) && accepts(rule, &set);
                if good { &mut asked } else { &mut otherwise }.insert(set);
            }
        }
    }
    asked.retain(|name| !otherwise.contains(name) && table.sets.get(name).is_some_and(|s| s.map.is_none() && !s.dynamic));
    asked
}

fn accepts(rule: &Rule, set: &str) -> bool {
    let harmless = |s: &Statement| match s {
        Statement::Match { .. } | Statement::Counter | Statement::Log { .. } => true,
        Statement::Lookup { set: name, negated, .. } => name != set || !negated,
        _ => false,
    };
    let Some((Statement::Verdict(Verdict::Accept), before)) = rule.statements.split_last() else { return false };
    before.iter().all(harmless)
}

/// Chains of which, with everything they are called from and everything that is called there, all rules only match, count, log, limit,
/// drop, accept or go on. A packet that is accepted one rule later, or not at all, has met nothing there that changes it.
fn plain_chains(table: &Table) -> BTreeSet<&str> {
    let mut calls: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut bad: BTreeSet<&str> = BTreeSet::new();
    let looked_up: BTreeSet<&str> = table.chains.iter().flat_map(|c| &c.rules).flat_map(|r| looked_up(&r.statements)).collect();
    for chain in &table.chains {
        let own = chain.name.as_str();
        calls.entry(own).or_default();
        for rule in &chain.rules {
            for to in targets(table, rule) {
                // Both ways: a bad chain spoils its callers, and a bad caller what it calls.
                calls.entry(own).or_default().insert(to);
                calls.entry(to).or_default().insert(own);
            }
        }
        let filters = chain.base.as_ref().is_none_or(|b| b.kind == ChainKind::Filter);
        if !filters || !chain.rules.iter().all(|r| is_plain(r, &looked_up)) {
            bad.insert(own);
        }
    }
    let mut todo: Vec<&str> = bad.iter().copied().collect();
    while let Some(chain) = todo.pop() {
        todo.extend(calls.get(chain).into_iter().flatten().filter(|next| bad.insert(next)));
    }
    table.chains.iter().map(|c| c.name.as_str()).filter(|c| !bad.contains(c)).collect()
}

/// A limit spends what others could have: that may only ever drop more, never less.
fn is_plain(rule: &Rule, looked_up: &BTreeSet<&str>) -> bool {
    let drops = matches!(rule.statements.last(), Some(Statement::Verdict(Verdict::Drop | Verdict::Reject(_))));
    let ends = matches!(rule.statements.last(), Some(Statement::Verdict(_)));
    let accepts = matches!(rule.statements.last(), Some(Statement::Verdict(Verdict::Accept)));
    let limit = |over: bool| if over { drops } else { accepts || !ends };
    let plain = |s: &Statement| match s {
        Statement::Match { .. }
        | Statement::Lookup { .. }
        | Statement::VerdictMap { .. }
        | Statement::Verdict(_)
        | Statement::Counter
        | Statement::Log { .. } => true,
        Statement::Limit { over, .. } | Statement::ConnLimit { over, .. } => limit(*over),
        _ => false,
    };
    rule.statements.iter().all(|s| match s {
        // Remembers the packet: nobody may ask for it elsewhere.
        Statement::Dynamic { set, statements, op, .. } => {
            op != "delete"
                && !looked_up.contains(set.as_str())
                && statements.iter().all(|s| plain(s) && !matches!(s, Statement::Verdict(_)))
        }
        s => plain(s),
    })
}

fn looked_up(statements: &[Statement]) -> Vec<&str> {
    statements.iter().filter_map(|s| if let Statement::Lookup { set, .. } = s { Some(set.as_str()) } else { None }).collect()
}

/// Every set or map a rule names, whatever for.
fn sets_of(statements: &[Statement]) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    for s in statements {
        match s {
            Statement::Lookup { set, .. } => drop(out.insert(set.clone())),
            Statement::Dynamic { set, statements, .. } => {
                out.insert(set.clone());
                out.extend(sets_of(statements));
            }
            Statement::VerdictMap { map: MapRef::Named(name), .. } => drop(out.insert(name.clone())),
            Statement::Nat(nat) => {
                if let NatTarget::Map { map: MapRef::Named(name), .. } = &nat.address {
                    out.insert(name.clone());
                }
            }
            _ => {}
        }
    }
    out
}

/// Chains a rule may go to, by verdict or by map.
fn targets<'t>(table: &'t Table, rule: &'t Rule) -> Vec<&'t str> {
    let to = |v: &'t Verdict| match v {
        Verdict::Jump(chain) | Verdict::Goto(chain) => Some(chain.as_str()),
        _ => None,
    };
    let of_map = |map: &'t MapRef| {
        let elements = match map {
            MapRef::Inline(elements) => Some(elements),
            MapRef::Named(name) => table.sets.get(name).map(|s| &s.elements),
        };
        elements.into_iter().flatten().filter_map(|e| match &e.data {
            Some(ruleset::form::Data::Verdict(v)) => Some(v),
            _ => None,
        })
    };
    let mut out = Vec::new();
    for s in &rule.statements {
        match s {
            Statement::Verdict(v) => out.extend(to(v)),
            Statement::VerdictMap { map, .. } => out.extend(of_map(map).filter_map(to)),
            _ => {}
        }
    }
    out
}
