//! What the kernel holds against what was meant. In comes the bundle, out come the differences in words, none where all
//! is as meant. Compares meaning, never bytes.

use crate::{Error, nft, settings};
use bundle::Draft;
use ruleset::{Rule, Ruleset, Set, Statement, Table, TableFamily, Verdict};
use std::collections::BTreeSet;

/// All differences between the kernel and the bundle.
pub fn differences(draft: &Draft) -> Result<Vec<String>, Error> {
    let live = live_table()?;
    let mut out = match (&draft.expected.ruleset, live) {
        (None, None) => Vec::new(),
        (None, Some(_)) => vec!["our table is there and should not be".into()],
        (Some(_), None) => vec!["our table is not there".into()],
        (Some(expected), Some(live)) => compare(expected, &live),
    };
    out.extend(settings::differences(&draft.settings()));
    Ok(out)
}

/// Our own table as the kernel holds it.
pub fn live_table() -> Result<Option<Ruleset>, Error> {
    let Some(json) = nft::table_json()? else { return Ok(None) };
    ruleset::nft::read(&json).map(Some).map_err(|e| Error::Nft(e.to_string()))
}

/// Chains with their hooks and policies, rules by id and verdicts in order, elements of sets that the packet path does not
/// fill. The forms of matches differ between what is written and what nft lists; the script's own digest covers them.
fn compare(expected: &Ruleset, live: &Ruleset) -> Vec<String> {
    let (Some(want), Some(have)) = (own(expected), own(live)) else {
        return if own(expected).is_none() == own(live).is_none() { vec![] } else { vec!["our table is missing".into()] };
    };
    let mut out = Vec::new();
    let names: BTreeSet<&str> = want.chains.iter().chain(&have.chains).map(|c| c.name.as_str()).collect();
    for name in names {
        match (want.chain(name), have.chain(name)) {
            (Some(want), Some(have)) if want.base != have.base => out.push(format!("chain {name}: other hook or policy")),
            (Some(want), Some(have)) => {
                let (want, have): (Vec<_>, Vec<_>) = (want.rules.iter().map(outline).collect(), have.rules.iter().map(outline).collect());
                out.extend(want.iter().filter(|r| !have.contains(r)).map(|r| format!("chain {name}: rule {} is missing", r.0)));
                out.extend(have.iter().filter(|r| !want.contains(r)).map(|r| format!("chain {name}: rule {} is not ours", r.0)));
                if want.len() != have.len() || (want != have && out.is_empty()) {
                    out.push(format!("chain {name}: {} rules in another order or number", have.len()));
                }
            }
            (Some(_), None) => out.push(format!("chain {name} is missing")),
            (None, _) => out.push(format!("chain {name} is not ours")),
        }
    }
    for (name, want) in want.sets.iter().filter(|(_, s)| !s.dynamic) {
        let elements = |s: &Set| s.elements.iter().map(|e| format!("{:?} {:?}", e.key, e.data)).collect::<BTreeSet<_>>();
        match have.sets.get(name) {
            None => out.push(format!("set {name} is missing")),
            Some(have) if !want.interval && elements(have) != elements(want) => out.push(format!("set {name}: other elements")),
            Some(_) => {}
        }
    }
    out
}

fn own(ruleset: &Ruleset) -> Option<&Table> {
    ruleset.table(TableFamily::Inet, bundle::TABLE_NAME)
}

/// A rule's id, and what it does with packets.
fn outline(rule: &Rule) -> (String, Vec<Verdict>) {
    let verdicts = rule.statements.iter().filter_map(|s| match s {
        Statement::Verdict(v) => Some(v.clone()),
        _ => None,
    });
    (rule.id.clone().unwrap_or_else(|| "without id".into()), verdicts.collect())
}
