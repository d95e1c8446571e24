//! Who holds the pair's addresses while something happens. In come both nodes, out comes how often each took and gave them, and how long
//! both or neither had them. Looked at from within each node: what its kernel answers for counts, not what its daemon believes. Never:
//! sees what comes and goes between two looks.

use super::{LOOK, Pair};
use crate::{error::LabError, space::Space};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// What one node did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Turns {
    /// How often it took the addresses.
    pub taken: u32,
    /// How often it gave them up.
    pub given: u32,
}

/// What both did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Roles {
    /// By node.
    pub turns: BTreeMap<String, Turns>,
    /// The longest time both held them.
    pub both: Duration,
    /// The longest time neither did.
    pub neither: Duration,
}

impl Roles {
    /// How often a node became active.
    pub fn changeovers(&self) -> u32 {
        self.turns.values().map(|t| t.taken).sum()
    }
}

/// A look under way.
pub(super) struct Watch {
    stop: Arc<AtomicBool>,
    threads: Vec<(String, JoinHandle<Result<Seen, LabError>>)>,
}

/// When a node was found to hold them or not, from the first look to the last.
struct Seen {
    turns: Vec<(Instant, bool)>,
    until: Instant,
}

impl Watch {
    /// Begins to look at both nodes.
    pub(super) fn begin(pair: &Pair<'_>) -> Result<Self, LabError> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        for node in &pair.nodes {
            let Some(first) = node.plan.addresses.first().map(|a| a.address.addr()) else { continue };
            let (told, space) = (Arc::clone(&stop), Space::open(&node.name)?);
            let thread = std::thread::Builder::new().name("pair-watch".into()).spawn(move || look(&space, first, &told));
            threads.push((node.name.clone(), thread.map_err(LabError::io("watch a node"))?));
        }
        Ok(Self { stop, threads })
    }

    /// Ends it.
    pub(super) fn end(self) -> Result<Roles, LabError> {
        self.stop.store(true, Ordering::Relaxed);
        let mut seen = BTreeMap::new();
        for (name, thread) in self.threads {
            let of = thread.join().map_err(|_| LabError::Other(format!("who looked at {name} is gone")))??;
            seen.insert(name, of);
        }
        Ok(counted(&seen))
    }
}

fn look(space: &Space, address: IpAddr, stop: &AtomicBool) -> Result<Seen, LabError> {
    let mut turns: Vec<(Instant, bool)> = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let there = space.run(|| {
            let mut addresses = sys::address::Addresses::open().map_err(|e| LabError::Other(e.to_string()))?;
            addresses.list().map_err(|e| LabError::Other(e.to_string()))
        })?;
        let holds = there.iter().any(|e| e.address == address);
        if turns.last().is_none_or(|(_, before)| *before != holds) {
            turns.push((Instant::now(), holds));
        }
        std::thread::sleep(LOOK);
    }
    Ok(Seen { turns, until: Instant::now() })
}

fn counted(seen: &BTreeMap<String, Seen>) -> Roles {
    let mut roles = Roles::default();
    for (name, of) in seen {
        // The first is what was there.
        let after = of.turns.iter().skip(1);
        let taken = after.clone().filter(|(_, holds)| *holds).count();
        let given = after.count() - taken;
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        roles.turns.insert(name.clone(), Turns { taken: number(taken), given: number(given) });
    }
    // Between two turns of anybody nothing changes.
    let mut moments: Vec<Instant> = seen.values().flat_map(|s| s.turns.iter().map(|t| t.0).chain([s.until])).collect();
    moments.sort_unstable();
    let begun = seen.values().filter_map(|s| s.turns.first()).map(|t| t.0).max();
    let (mut both, mut neither) = (Duration::ZERO, Duration::ZERO);
    for pair in moments.windows(2).filter(|w| begun.is_some_and(|b| w[0] >= b)) {
        let holds = |s: &Seen| s.turns.iter().rev().find(|t| t.0 <= pair[0]).is_some_and(|t| t.1);
        let (for_long, all) = (pair[1] - pair[0], seen.values().filter(|s| holds(s)).count());
        both = if all == seen.len() { both + for_long } else { Duration::ZERO };
        neither = if all == 0 { neither + for_long } else { Duration::ZERO };
        (roles.both, roles.neither) = (roles.both.max(both), roles.neither.max(neither));
    }
    roles
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_counted_for_both_and_what_overlaps_is_measured() {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let seen = |turns: &[(u64, bool)]| Seen { turns: turns.iter().map(|(ms, h)| (at(*ms), *h)).collect(), until: at(1000) };
        // b takes over at 100, a wakes and lets go at 400, b falls silent at 700 and a is back at 750.
        let a = seen(&[(0, true), (400, false), (750, true)]);
        let b = seen(&[(0, false), (100, true), (700, false)]);
        let roles = counted(&BTreeMap::from([("a".into(), a), ("b".into(), b)]));
        assert_eq!(roles.turns["a"], Turns { taken: 1, given: 1 });
        assert_eq!(roles.turns["b"], Turns { taken: 1, given: 1 });
        assert_eq!((roles.changeovers(), roles.both, roles.neither), (2, Duration::from_millis(300), Duration::from_millis(50)));
        let quiet = counted(&BTreeMap::from([("a".into(), seen(&[(0, true)])), ("b".into(), seen(&[(0, false)]))]));
        assert_eq!((quiet.changeovers(), quiet.both, quiet.neither), (0, Duration::ZERO, Duration::ZERO));
    }
}
