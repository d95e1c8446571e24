//! Whether lists of users, groups and hosts match. In come lists and who or where somebody is, out come outcomes. The work is
//! bounded: aliases nest no deeper than a limit, and a question that costs too much is unknown.

use crate::{
    ask::{Machine, Who},
    command::glob,
    form::{List, Name, Policy, Signed},
    outcome::Outcome,
};
use std::{cell::Cell, collections::BTreeMap, net::IpAddr};

/// How deep aliases nest before the answer is unknown.
const DEEPEST: u32 = 24;
/// Comparisons one question may cost before it is unknown.
const MOST_STEPS: u32 = 200_000;

/// What one question may still cost.
#[derive(Debug)]
pub(crate) struct Budget(Cell<u32>);

impl Budget {
    pub(crate) fn new() -> Self {
        Budget(Cell::new(MOST_STEPS))
    }
    /// Whether a step is left.
    pub(crate) fn step(&self) -> bool {
        let left = self.0.get();
        self.0.set(left.saturating_sub(1));
        left > 0
    }
}

/// The last member that matches decides.
pub(crate) fn decide<T>(list: &[Signed<T>], budget: &Budget, one: &dyn Fn(&T) -> Outcome) -> Outcome {
    let mut out = Outcome::SILENT;
    for member in list.iter().rev() {
        if !budget.step() {
            return out.then(|| Outcome::ANYTHING);
        }
        out = out.then(|| one(&member.item).negated(member.negated));
        if !out.may(Outcome::SILENT) {
            break;
        }
    }
    out
}

/// A list with aliases of its kind.
fn with_aliases(
    list: &List<Name>,
    aliases: &BTreeMap<String, List<Name>>,
    depth: u32,
    budget: &Budget,
    one: &dyn Fn(&Name) -> Outcome,
) -> Outcome {
    decide(list, budget, &|item| match item {
        Name::Alias(name) => match aliases.get(name) {
            Some(_) if depth >= DEEPEST => Outcome::ANYTHING,
            Some(members) => with_aliases(members, aliases, depth + 1, budget, one),
            // Without an alias of that name it is a word in capitals.
            None => one(&Name::Word(name.clone())),
        },
        other => one(other),
    })
}

fn account(name: &Name, who: &Who) -> Outcome {
    match name {
        Name::All => Outcome::ALLOW,
        Name::Word(word) | Name::Alias(word) => same(word, &who.name),
        Name::Id(id) => Outcome::matches(*id == who.uid),
        Name::Group(group) => who.groups.iter().map(|(name, _)| same(group, name)).fold(Outcome::SILENT, |a, b| a.then(|| b)),
        Name::Gid(gid) => Outcome::matches(who.groups.iter().any(|(_, g)| g == gid)),
        Name::Elsewhere(_) => Outcome::PERHAPS,
        Name::Network(_) => Outcome::SILENT,
    }
}

/// Names compare without case unless a setting says otherwise; then those that differ by case alone are unknown.
fn same(written: &str, name: &str) -> Outcome {
    match written == name {
        true => Outcome::ALLOW,
        false if written.eq_ignore_ascii_case(name) => Outcome::PERHAPS,
        // A word such as `user@domain` or one with bytes beyond ASCII may mean an account of another directory.
        false => Outcome::SILENT,
    }
}

impl Policy {
    pub(crate) fn users(&self, list: &List<Name>, who: &Who, budget: &Budget) -> Outcome {
        with_aliases(list, &self.user_aliases, 0, budget, &|n| account(n, who))
    }
    pub(crate) fn run_as_users(&self, list: &List<Name>, target: &Who, budget: &Budget) -> Outcome {
        with_aliases(list, &self.runas_aliases, 0, budget, &|n| account(n, target))
    }
    pub(crate) fn run_as_groups(&self, list: &List<Name>, group: &(String, u32), budget: &Budget) -> Outcome {
        with_aliases(list, &self.runas_aliases, 0, budget, &|n| match n {
            Name::All => Outcome::ALLOW,
            Name::Word(word) | Name::Alias(word) => same(word, &group.0),
            Name::Id(id) | Name::Gid(id) => Outcome::matches(*id == group.1),
            _ => Outcome::PERHAPS,
        })
    }
    pub(crate) fn hosts(&self, list: &List<Name>, machine: &Machine, budget: &Budget) -> Outcome {
        with_aliases(list, &self.host_aliases, 0, budget, &|n| match n {
            Name::All => Outcome::ALLOW,
            Name::Word(word) | Name::Alias(word) => host(word, machine),
            Name::Network(text) => network(text, machine),
            _ => Outcome::PERHAPS,
        })
    }
}

fn host(word: &str, machine: &Machine) -> Outcome {
    let (word, host) = (word.to_ascii_lowercase(), machine.host.to_ascii_lowercase());
    let short = host.split('.').next().unwrap_or_default();
    if glob(&word, &host, false) == Some(true) || glob(&word, short, false) == Some(true) {
        return Outcome::ALLOW;
    }
    // The full name may come from a resolver, which files do not show.
    let full_unknown = word.contains('.') && (word.starts_with(&format!("{short}.")) || word.contains(['*', '?', '[']));
    let patterned = glob(&word, short, false).is_none();
    if full_unknown || patterned { Outcome::PERHAPS } else { Outcome::SILENT }
}

fn network(text: &str, machine: &Machine) -> Outcome {
    let (address, mask) = text.split_once('/').map_or((text, None), |(a, m)| (a, Some(m)));
    let Ok(address) = address.parse::<IpAddr>() else { return Outcome::PERHAPS };
    let own = machine.addresses.iter().filter(|a| a.addr().is_ipv4() == address.is_ipv4() && !a.addr().is_loopback());
    let prefix = match mask {
        None => {
            // An address of ours, or the network of an interface of ours.
            return Outcome::matches(own.into_iter().any(|a| a.addr() == address || a.network() == address));
        }
        Some(m) => m.parse::<u8>().ok().or_else(|| ipnet::ip_mask_to_prefix(m.parse().ok()?).ok()),
    };
    let Some(net) = prefix.and_then(|p| ipnet::IpNet::new(address, p).ok()) else { return Outcome::PERHAPS };
    // A network written with host bits set never matches in sudo; said to be possible, which errs on the safe side.
    let inside = own.into_iter().any(|a| net.contains(&a.addr()));
    if inside && net.network() != address { Outcome::PERHAPS } else { Outcome::matches(inside) }
}
