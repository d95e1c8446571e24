//! Rate and connection limits for what the public may use, keyed per v4 address and v6 /64 (who has one address of a /64
//! has all of them). They count until `learn` has proposed thresholds from what it saw; with thresholds they drop.
//! In come a chain's grants, out come its meters. Never: limits management, or drops while observing.

use crate::Thresholds;
use crate::build::{Build, address_type, addresses, digit};
use crate::grant::{Grant, public};
use ruleset::{DynKey, Rule, Set, Statement, Verdict};
use words::Family;

/// What is counted as much before anybody has looked: new connections per second and source. A libp2p peer opens a few;
/// a scanner hundreds.
pub const COUNT_ABOVE: Thresholds = Thresholds { new_per_second: 50, burst: 100, held: 200 };
/// Sources remembered at once: 65,535 entries are about 16 MB.
pub const SOURCES: u32 = 65_535;
/// Seconds a quiet source is remembered.
pub const FORGET_AFTER: u64 = 60;
/// The network part of a v6 address.
const SLASH_64: u128 = !0 << 64;

/// The meters of a chain, if the public may use anything through it.
pub(crate) fn meters(b: &mut Build<'_>, chain: &str, grants: &[Grant<'_>]) -> Vec<Rule> {
    let mut out = Vec::new();
    for family in Family::ALL {
        if !grants.iter().any(|g| g.family == family && g.from_public) {
            continue;
        }
        let d = digit(family);
        let limits = b.options.thresholds.unwrap_or(COUNT_ABOVE);
        let verdict = (b.options.thresholds.is_some() && !b.observing()).then_some(Statement::Verdict(Verdict::Drop));
        let source = addresses(family).0;
        let key = DynKey { key: source.clone(), mask: (family == Family::V6).then_some(SLASH_64) };
        let from_public = Statement::Lookup { keys: vec![source], set: public(b, family), negated: false };
        let over =
            Statement::Limit { rate: limits.new_per_second, per: "second".to_owned(), burst: limits.burst, over: true, bytes: false };
        let held = Statement::ConnLimit { count: limits.held, over: true };
        let what = if verdict.is_some() { "refuses" } else { "counts" };
        for (word, per_source, timeout) in [("rate", over, Some(FORGET_AFTER)), ("held", held, None)] {
            let set = format!("{word}/{chain}/{d}");
            b.set(&set, Set { types: vec![address_type(family)], dynamic: true, timeout, size: Some(SOURCES), ..Set::default() });
            let op = if timeout.is_some() { "update" } else { "add" };
            let meter = Statement::Dynamic { op: op.to_owned(), keys: vec![key.clone()], set: set.clone(), statements: vec![per_source] };
            let mut statements = vec![from_public.clone(), meter, Statement::Counter];
            statements.extend(verdict.clone());
            let what = match word {
                "rate" => format!("{what} sources that open more than {} connections per second", limits.new_per_second),
                _ => format!("{what} sources that hold more than {} connections", limits.held),
            };
            out.push(b.builtin(&set, &what, "one source must not use up what many share", statements));
        }
    }
    out
}
