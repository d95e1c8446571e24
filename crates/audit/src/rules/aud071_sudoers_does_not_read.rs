//! AUD071: lines of the sudo policy that sudo leaves out because they do not read.

use super::prelude::*;
use sudoers::Policy;

/// The rule.
pub const RULE: Rule = Rule {
    code: Code("AUD071"),
    title: "a line of the sudo policy does not read",
    risk: Risk::Low,
    needs: &[Source::Sudoers],
    means: "sudo leaves it out: what it was to deny is allowed, and nobody notices",
    fix: "visudo --check; mend the line",
    reference: None,
    check,
};

fn check(view: &View) -> Vec<Seen> {
    let policy = Policy::read(&view.facts.sudoers);
    let one = |u: &sudoers::form::Unread| Seen::new(&u.place.file, u.why.clone()).at(&u.place.file, u.place.line);
    policy.unread.iter().map(one).collect()
}
