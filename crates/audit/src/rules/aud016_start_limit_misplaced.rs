//! AUD016: StartLimit* directives in [Service], as in the unit that Lotus ships.

use super::prelude::*;

/// The rule.
pub const RULE: Rule = Rule {
    code: Code("AUD016"),
    title: "StartLimitIntervalSec stands where systemd ignores it",
    risk: Risk::Low,
    needs: &[Source::Units],
    means: "the limit is not in force: systemd says `Unknown key` and goes on; a daemon that dies at once is restarted for ever or not at all",
    fix: "move it from [Service] to [Unit]",
    reference: None,
    check,
};

fn check(view: &View) -> Vec<Seen> {
    // StartLimitInterval (without Sec) in [Service] is an old spelling that systemd still takes.
    let misplaced = |d: &&facts::Directive| d.section == "Service" && d.key == "StartLimitIntervalSec";
    let units = view.units.iter().flat_map(|(_, u)| u.directives.iter().filter(misplaced).map(move |d| (u, d)));
    units.map(|(u, d)| Seen::new(&u.name, format!("{}={} in [Service]", d.key, d.value)).at(&d.file, d.line)).collect()
}
