//! AUD070: ways from a service account to secrets that are not its own, from the closure.

use super::{aud006_service_account_can_be_root::ways, prelude::*};
use breach::Node;

/// The rule.
pub const RULE: Rule = Rule {
    code: Code("AUD070"),
    title: "a service account reaches secrets that are not its own",
    risk: Risk::High,
    needs: &[Source::Accounts, Source::Groups, Source::Files, Source::Paths],
    means: "one taken-over daemon gives away another one's wallet, token or password hashes",
    fix: "one account per service, secrets readable by their owner alone",
    reference: None,
    check,
};

fn check(view: &View) -> Vec<Seen> {
    ways(view, |end| matches!(end, Node::Secret(_)))
}
