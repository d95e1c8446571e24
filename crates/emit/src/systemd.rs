//! Units and drop-ins. In comes a unit's plan, out come the texts systemd reads; a line that is not the strictest has its reason
//! and source above it. Never: a line without the plan's.

use crate::accounts::one_line;
use plan::system::{Line, SystemPlan, UnitPlan};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

/// Name of the drop-in: after the distribution's own, before the administrator's.
pub use bundle::file::DROP_IN;

/// Every file of a machine below `/etc/systemd/system`, by its path there.
pub fn files(system: &SystemPlan) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    for u in &system.units {
        if !u.whole.is_empty() {
            out.insert(u.name.clone(), whole(u));
        }
        if !u.drop_in.is_empty() {
            out.insert(format!("{}.d/{DROP_IN}", u.name), drop_in(u));
        }
    }
    out
}

/// The whole unit.
pub fn whole(unit: &UnitPlan) -> String {
    text(&format!("Written by ravelin: {}.", unit.title), &unit.whole)
}

/// The drop-in.
pub fn drop_in(unit: &UnitPlan) -> String {
    text("Written by ravelin; changes are reported as drift. A later drop-in wins.", &unit.drop_in)
}

fn text(head: &str, lines: &[Line]) -> String {
    let mut out = format!("# {}\n", one_line(head));
    let mut section = None;
    let mut told = BTreeSet::new();
    for l in lines {
        if section != Some(l.section) {
            let _ = writeln!(out, "\n[{}]", l.section);
            section = Some(l.section);
        }
        if let Some(why) = &l.why {
            let source = l.source.as_deref().map(|s| format!(" ({s})")).unwrap_or_default();
            let whole = one_line(&format!("{why}{source}"));
            let again = whole.split_once(": ").map(|(word, _)| format!("{word}: as above"));
            let said = if told.insert(whole.clone()) { whole } else { again.unwrap_or(whole) };
            let _ = writeln!(out, "# {said}");
        }
        let _ = writeln!(out, "{}={}", l.key, l.value);
    }
    out
}
