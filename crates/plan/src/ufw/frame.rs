//! UFW's own chains, as version 0.36 of Debian 12 loads them with its own `before.rules` and `after.rules` and log level `low`: what
//! stands around the rules of people. In come rules, out come the two tables that UFW's chains and these rules make. On a
//! machine that reported its rulesets its own chains take their place. Never: changes what UFW wrote.

use super::UfwPlan;
use ruleset::{Table, iptables};
use std::collections::BTreeMap;
use words::Family;

/// What `iptables-save -t filter` and `ip6tables-save -t filter` show after `ufw enable`.
const FRAMES: [(Family, &str); 2] = [(Family::V4, include_str!("frame4.save")), (Family::V6, include_str!("frame6.save"))];

/// UFW's tables with no rule of anybody in them.
pub fn empty() -> Vec<Table> {
    FRAMES.into_iter().flat_map(|(family, save)| iptables::read(save, family).unwrap_or_default()).collect()
}

/// The text of a family's frame, for who loads it without UFW.
pub fn text(family: Family) -> &'static str {
    if family == Family::V4 { FRAMES[0].1 } else { FRAMES[1].1 }
}

/// UFW's tables with Ravelin's rules in them.
pub(crate) fn tables(ufw: &UfwPlan) -> Vec<Table> {
    let mut rules: BTreeMap<String, Vec<ruleset::Rule>> = BTreeMap::new();
    for (chain, rule) in ufw.rules.iter().flat_map(super::UfwRule::form) {
        rules.entry(chain).or_default().push(rule);
    }
    let mut tables = empty();
    for chain in tables.iter_mut().flat_map(|t| &mut t.chains) {
        chain.rules.extend(rules.remove(&chain.name).unwrap_or_default());
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_frames_read_and_nothing_in_them_is_unknown() {
        let tables = empty();
        assert_eq!(tables.len(), 2);
        for (family, table) in Family::ALL.into_iter().zip(&tables) {
            for chain in ruleset::ufw::user_chains(family) {
                assert!(table.chain(&chain).is_some_and(|c| c.rules.is_empty()), "{chain}");
            }
            let unknown = |s: &&ruleset::Statement| matches!(s, ruleset::Statement::Unknown { .. });
            let found: Vec<_> = table.chains.iter().flat_map(|c| &c.rules).flat_map(|r| &r.statements).filter(unknown).collect();
            assert!(found.is_empty(), "{found:?}");
        }
    }
}
