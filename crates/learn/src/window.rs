//! Whether going to `enforce` may be trusted. In come samples over time, out comes clean, or since when and why not.

use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// Seconds that must pass without a flow that would be cut: a day holds all 48 proving deadlines, and every daily job.
pub const PROVING_PERIOD: u64 = 24 * 60 * 60;

/// Longest time in seconds between two samples that still counts as watching. The tracking table keeps a closed TCP
/// connection for two minutes and an answered UDP flow for two to three: what comes and goes in between is found by the
/// counters of the observing ruleset, which do not forget.
pub const LONGEST_GAP: u64 = 15 * 60;

/// What was found at one time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// Seconds since 1970-01-01 UTC.
    pub at: u64,
    /// Flows that would be cut.
    pub cuts: BTreeSet<String>,
    /// Readings of the counters of packets that would have been dropped.
    pub would_drop: BTreeMap<String, u64>,
    /// A source could not be read.
    pub blind: bool,
}

/// The decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[must_use]
pub enum Window {
    /// Nothing would have been cut for long enough.
    Clean {
        /// Since when.
        since: u64,
    },
    /// Nothing would have been cut, but not for long enough yet.
    TooShort {
        /// Since when.
        since: u64,
        /// Seconds still missing.
        missing: u64,
    },
    /// Something would have been cut at the last look.
    Dirty {
        /// What.
        cuts: BTreeSet<String>,
    },
    /// Nobody looked, or not lately enough, or not everywhere.
    Unseen,
}

/// Decides at time `now`.
pub fn decide(samples: &[Sample], now: u64, period: u64) -> Window {
    let mut sorted: Vec<&Sample> = samples.iter().filter(|s| s.at <= now).collect();
    sorted.sort_by_key(|s| s.at);
    let Some(last) = sorted.last() else { return Window::Unseen };
    if !last.cuts.is_empty() {
        return Window::Dirty { cuts: last.cuts.clone() };
    }
    if last.blind || now - last.at > LONGEST_GAP {
        return Window::Unseen;
    }
    let mut since = last.at;
    for pair in sorted.windows(2).rev() {
        let [earlier, later] = pair else { continue };
        let dirty = !earlier.cuts.is_empty() || earlier.blind;
        if dirty || later.at - earlier.at > LONGEST_GAP || grew(earlier, later) {
            break;
        }
        since = earlier.at;
    }
    let clean_for = now - since;
    if clean_for >= period { Window::Clean { since } } else { Window::TooShort { since, missing: period - clean_for } }
}

/// A counter that went back to a smaller reading began anew with a new ruleset: all of it is new.
fn grew(earlier: &Sample, later: &Sample) -> bool {
    later.would_drop.iter().any(|(rule, &now)| earlier.would_drop.get(rule).map_or(now > 0, |&then| now != then))
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Window::Clean { .. } => f.write_str("clean: nothing would have been cut for the whole proving period"),
            Window::TooShort { missing, .. } => {
                write!(f, "clean so far: {} h {} min of the proving period are missing", missing / 3600, missing % 3600 / 60)
            }
            Window::Dirty { cuts } => write!(f, "not clean: {} flows would be cut", cuts.len()),
            Window::Unseen => f.write_str("not watched: no complete observation lately"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn every(step: u64, until: u64) -> Vec<Sample> {
        (0..=until / step).map(|n| Sample { at: n * step, ..Sample::default() }).collect()
    }

    #[test]
    fn a_day_of_looking_without_a_cut_is_clean() {
        let mut samples = every(600, PROVING_PERIOD);
        assert_eq!(decide(&samples, PROVING_PERIOD, PROVING_PERIOD), Window::Clean { since: 0 });
        assert!(matches!(decide(&samples[..100], 99 * 600, PROVING_PERIOD), Window::TooShort { since: 0, .. }));
        samples[3].cuts.insert("x".into());
        assert_eq!(decide(&samples, PROVING_PERIOD, PROVING_PERIOD), Window::TooShort { since: 2400, missing: 2400 });
    }

    #[test]
    fn looking_away_counting_and_blindness_begin_it_anew() {
        let mut gap = every(600, PROVING_PERIOD);
        gap.drain(5..8);
        assert!(matches!(decide(&gap, PROVING_PERIOD, PROVING_PERIOD), Window::TooShort { since: 4800, .. }));
        let mut counted = every(600, PROVING_PERIOD);
        counted.iter_mut().skip(10).for_each(|s| _ = s.would_drop.insert("fw-a NET099".into(), 3));
        assert!(matches!(decide(&counted, PROVING_PERIOD, PROVING_PERIOD), Window::TooShort { since: 6000, .. }));
        let mut blind = every(600, PROVING_PERIOD);
        blind[10].blind = true;
        assert!(matches!(decide(&blind, PROVING_PERIOD, PROVING_PERIOD), Window::TooShort { since: 6600, .. }));
        assert_eq!(decide(&every(600, 6000), 6000 + LONGEST_GAP + 1, 1), Window::Unseen);
        assert_eq!(decide(&[], 0, 0), Window::Unseen);
    }

    proptest! {
        /// Against a slow oracle: clean means that every look of the last period, and the one before it, was clean and that
        /// no two of them lie too far apart.
        #[test]
        fn clean_is_what_it_says(marks in proptest::collection::vec((1u64..1200, any::<bool>()), 1..40), period in 0u64..8000) {
            let mut at = 0;
            let samples: Vec<Sample> = marks.iter().map(|&(step, dirty)| {
                at += step;
                Sample { at, cuts: if dirty && step % 5 == 0 { BTreeSet::from(["x".into()]) } else { BTreeSet::new() }, ..Sample::default() }
            }).collect();
            let begin = samples.iter().rposition(|s| s.at + period <= at);
            let slow = begin.is_some_and(|b| {
                let tail = &samples[b..];
                tail.iter().all(|s| s.cuts.is_empty()) && tail.windows(2).all(|w| w[1].at - w[0].at <= LONGEST_GAP)
            });
            let is_clean = matches!(decide(&samples, at, period), Window::Clean { .. });
            prop_assert_eq!(is_clean, slow);
        }
    }
}
