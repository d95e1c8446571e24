//! Rules by port. In come rules with the ports they are about, out come a few groups of rules and for each port its group. Ports with the
//! same rules share a group; beyond [`MAX_GROUPS`] the ports with the fewest rules of their own share one that has them all.

use ips_rules::ranges::Ranges;
use rustc_hash::FxHashMap;

/// Groups in each direction of each protocol: each has a matcher of its own, which costs memory and time to build.
const MAX_GROUPS: usize = 12;

/// Rules by port.
#[derive(Debug, Default)]
pub(crate) struct ByPort {
    /// The group of each port, 65,536 of them; empty where there is one group only.
    of: Vec<u8>,
    /// Rules of each group, sorted.
    pub groups: Vec<Vec<u32>>,
}

impl ByPort {
    pub fn group(&self, port: u16) -> usize {
        self.of.get(usize::from(port)).map_or(0, |g| usize::from(*g))
    }

    pub fn of(rules: &[(u32, Ranges<u16>)]) -> Self {
        let any: Vec<u32> = rules.iter().filter(|(_, p)| p.is_all()).map(|(r, _)| *r).collect();
        let special: Vec<&(u32, Ranges<u16>)> = rules.iter().filter(|(_, p)| !p.is_all()).collect();
        // Where the rules of a port change.
        let mut edges: Vec<u32> = vec![0, 65_536];
        for (_, ports) in &special {
            edges.extend(ports.parts().iter().flat_map(|(a, b)| [u32::from(*a), u32::from(*b) + 1]));
        }
        edges.sort_unstable();
        edges.dedup();
        let mut begins: FxHashMap<u32, Vec<(u32, bool)>> = FxHashMap::default();
        for (rule, ports) in &special {
            for (a, b) in ports.parts() {
                begins.entry(u32::from(*a)).or_default().push((*rule, true));
                begins.entry(u32::from(*b) + 1).or_default().push((*rule, false));
            }
        }
        let mut now: Vec<u32> = Vec::new();
        let mut sets: FxHashMap<Vec<u32>, usize> = FxHashMap::default();
        let mut order: Vec<Vec<u32>> = Vec::new();
        let mut spans: Vec<(u32, u32, usize)> = Vec::new();
        for pair in edges.windows(2) {
            for (rule, begin) in begins.get(&pair[0]).into_iter().flatten() {
                match (now.binary_search(rule), *begin) {
                    (Err(at), true) => now.insert(at, *rule),
                    (Ok(at), false) => drop(now.remove(at)),
                    _ => {}
                }
            }
            let known = sets.get(&now).copied();
            let set = known.unwrap_or_else(|| {
                sets.insert(now.clone(), order.len());
                order.push(now.clone());
                order.len() - 1
            });
            spans.push((pair[0], pair[1], set));
        }
        let mut ranked: Vec<usize> = (0..order.len()).collect();
        ranked.sort_by_key(|s| (std::cmp::Reverse(order[*s].len()), *s));
        let mut group_of = vec![0usize; order.len()];
        let mut groups: Vec<Vec<u32>> = Vec::new();
        for (rank, set) in ranked.iter().enumerate() {
            if rank < MAX_GROUPS {
                group_of[*set] = rank;
                groups.push(order[*set].clone());
            } else {
                group_of[*set] = MAX_GROUPS - 1;
                groups[MAX_GROUPS - 1].extend(&order[*set]);
            }
        }
        for g in &mut groups {
            g.extend(&any);
            g.sort_unstable();
            g.dedup();
        }
        let mut of = Vec::new();
        if groups.len() > 1 {
            of = vec![0u8; 65_536];
            for (from, to, set) in spans {
                of[from as usize..to as usize].fill(u8::try_from(group_of[set]).unwrap_or(0));
            }
        }
        Self { of, groups }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_rule_is_missing_at_its_ports(all in proptest::collection::vec(proptest::collection::vec((0u16..50, 0u16..9), 0..4), 1..30)) {
            let rules: Vec<(u32, Ranges<u16>)> = all.iter().enumerate().map(|(i, parts)| {
                let ports = if parts.is_empty() { Ranges::all() } else { Ranges::of(parts.iter().map(|(a, n)| (*a, a + n)).collect()) };
                (i as u32, ports)
            }).collect();
            let by = ByPort::of(&rules);
            prop_assert!(by.groups.len() <= MAX_GROUPS);
            for port in (0u16..70).chain([65_535]) {
                let group = &by.groups[by.group(port)];
                prop_assert!(rules.iter().filter(|(_, p)| p.has(port)).all(|(r, _)| group.contains(r)));
            }
        }
    }
}
