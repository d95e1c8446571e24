//! Limits of publications on a host behind UFW. UFW's own `limit` is six connections in thirty seconds and nothing else, and its
//! `before.rules` are its package's to change; so the meters are Ravelin's, in a chain that is asked before UFW. In come the flows, out comes
//! that chain. Never: lets anything pass that UFW refuses (an accept there only leaves its own chain), limits management, or is there without a
//! limit in the site file.

use crate::build::Build;
use crate::essential;
use crate::grant::{Grant, admit};
use crate::host::{Side, grants};
use crate::limit::{limit_of, meters};
use ruleset::{ChainKind, Hook, Key, Policy};

/// After connection tracking (-200), which the meters ask; before destination translation (-100), so that address and port are those the
/// publication names, a container's as well.
const BEFORE_TRANSLATION: i32 = -110;

/// The chain, where a publication has a limit.
pub(crate) fn chain(b: &mut Build<'_>) {
    let limited = |g: &Grant<'_>| g.from_public && limit_of(b.model, g.flow).is_some();
    let flows: Vec<Grant<'_>> = grants(b, Side::In, false).into_iter().filter(limited).collect();
    if flows.is_empty() {
        return;
    }
    let mut rules = vec![essential::loopback(b, "limits", Key::Iifname), essential::established(b, "limits")];
    let management = grants(b, Side::In, true);
    rules.extend(admit(b, "management/limits", &management));
    rules.extend(meters(b, "limits", &flows));
    b.base("limits", ChainKind::Filter, Hook::Prerouting, BEFORE_TRANSLATION, Policy::Accept, rules);
}
