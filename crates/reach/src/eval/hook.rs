//! Hooks: all base chains of all tables at one hook, in the kernel's order.

use super::{Eval, Outcome, Run};
use crate::{
    field::{Field, device},
    set::Set,
};
use ruleset::form::{Base, ChainKind, Hook, Policy, Ruleset, TableFamily};

/// Priority at which connection tracking looks at a packet (NF_IP_PRI_CONNTRACK).
pub(crate) const CONNTRACK: i32 = -200;

/// Priorities at which translation happens, whatever a nat chain says of itself (NF_IP_PRI_NAT_DST, NF_IP_PRI_NAT_SRC).
pub(crate) fn nat_priority(hook: Hook) -> i32 {
    if matches!(hook, Hook::Prerouting | Hook::Output) { -100 } else { 100 }
}

/// The base chains at a hook in order of evaluation: (priority, nat, table, chain).
pub(crate) fn base_chains(rules: &Ruleset, hook: Hook) -> Vec<(i32, bool, usize, usize)> {
    let mut out = Vec::new();
    for (t, table) in rules.tables.iter().enumerate() {
        let here = match table.family {
            TableFamily::Ip | TableFamily::Ip6 | TableFamily::Inet => true,
            TableFamily::Netdev => matches!(hook, Hook::Ingress | Hook::Egress),
            TableFamily::Arp | TableFamily::Bridge => false,
        };
        for (c, chain) in table.chains.iter().enumerate() {
            let Some(base) = &chain.base else { continue };
            if here && base.hook == hook {
                let nat = base.kind == ChainKind::Nat;
                let order = if nat { nat_priority(hook) } else { base.priority };
                out.push((order, nat, base.priority, t, c));
            }
        }
    }
    // Filter chains of the same priority come before translation only by registration; nothing Ravelin writes relies on it.
    out.sort_by_key(|(order, nat, own, t, c)| (*order, *nat, *own, *t, *c));
    out.into_iter().map(|(order, nat, _, t, c)| (order, nat, t, c)).collect()
}

impl Eval<'_> {
    /// All base chains at a hook.
    pub fn hook(&mut self, hook: Hook, packets: Set) -> Outcome {
        let mut here = packets;
        let mut dropped = Set::EMPTY;
        let mut natted = Set::EMPTY;
        let mut in_nat = false;
        for (priority, nat, t, c) in base_chains(self.rules, hook) {
            if !nat && in_nat {
                here = self.store.or(here, natted);
                (natted, in_nat) = (Set::EMPTY, false);
            }
            if here.is_empty() && natted.is_empty() {
                break;
            }
            let tracks = matches!(hook, Hook::Prerouting | Hook::Output);
            self.tracked = !(matches!(hook, Hook::Ingress) || tracks && priority < CONNTRACK);
            let table = &self.rules.tables[t];
            let Some(base) = &table.chains[c].base else { continue };
            let mut mine = match table.family {
                TableFamily::Ip => self.store.value(Field::Family, 0),
                TableFamily::Ip6 => self.store.value(Field::Family, 1),
                _ => Set::FULL,
            };
            mine = self.store.and(here, mine);
            if nat {
                mine = self.for_nat(mine);
            }
            mine = self.on_devices(base, mine);
            let past_it = self.store.minus(here, mine);
            let run = self.chain((t, c), mine, 0);
            let (passed, gone) = self.policy(base, run);
            dropped = self.store.or(dropped, gone);
            if nat {
                in_nat = true;
                natted = self.store.or(natted, run.natted);
                here = self.store.or(past_it, passed);
            } else {
                here = self.store.or(past_it, passed);
            }
        }
        self.tracked = true;
        Outcome { passed: self.store.or(here, natted), dropped }
    }

    /// Passed without translation, dropped.
    fn policy(&mut self, base: &Base, run: Run) -> (Set, Set) {
        match base.policy {
            Policy::Accept => (self.store.or(run.accepted, run.fall), run.dropped),
            Policy::Drop => (run.accepted, self.store.or(run.dropped, run.fall)),
        }
    }

    pub(super) fn on_devices(&mut self, base: &Base, packets: Set) -> Set {
        if base.devices.is_empty() || !matches!(base.hook, Hook::Ingress | Hook::Egress) {
            return packets;
        }
        let field = if base.hook == Hook::Ingress { Field::In } else { Field::Out };
        let rows: Vec<Vec<(u128, u128)>> = base.devices.iter().map(|d| vec![(device(d), device(d))]).collect();
        let there = self.store.rows(&[field], &rows);
        self.store.and(packets, there)
    }
}

impl Eval<'_> {
    /// Several hooks one after the other; drops add up.
    pub fn hooks(&mut self, hooks: &[Hook], packets: Set) -> Outcome {
        let mut out = Outcome { passed: packets, dropped: Set::EMPTY };
        for h in hooks {
            let next = self.hook(*h, out.passed);
            out = Outcome { passed: next.passed, dropped: self.store.or(out.dropped, next.dropped) };
        }
        out
    }
}
