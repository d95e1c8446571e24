//! Sets of numbers as nodes write them: run lengths that begin with absent values, so {0, 1, 2, 8, 9} is `[0, 3, 5, 2]` and the empty set
//! `[0]` (filecoin-project/go-bitfield `rle/rleplus.go`; Forest writes the same). In come runs, out come sorted ranges.

use serde::{Deserialize, Deserializer, Serialize};

/// A set of sector or partition numbers: sorted, disjoint, not touching, each `[from, to)`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Bits(Vec<(u64, u64)>);

/// What is wrong with runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BitsError {
    /// A run of no length elsewhere than at the beginning.
    #[error("a run of length 0")]
    Empty,
    /// More than 64 bits.
    #[error("runs beyond 64 bits")]
    Overflow,
}

impl Bits {
    /// From run lengths.
    pub fn from_runs(runs: &[u64]) -> Result<Self, BitsError> {
        let (mut at, mut out) = (0u64, Vec::new());
        for (n, length) in runs.iter().enumerate() {
            if *length == 0 && n > 0 {
                return Err(BitsError::Empty);
            }
            let end = at.checked_add(*length).ok_or(BitsError::Overflow)?;
            if n % 2 == 1 {
                out.push((at, end));
            }
            at = end;
        }
        Ok(Self(out))
    }
    /// Nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    /// Whether a number is in it.
    pub fn contains(&self, n: u64) -> bool {
        let after = self.0.partition_point(|(from, _)| *from <= n);
        after.checked_sub(1).and_then(|i| self.0.get(i)).is_some_and(|(_, to)| n < *to)
    }
    /// How many numbers are in it.
    pub fn count(&self) -> u64 {
        self.0.iter().map(|(from, to)| to - from).sum()
    }
    /// What is in this one and not in the other.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        let (mut out, mut next) = (Vec::new(), 0);
        for &(mut from, to) in &self.0 {
            while other.0.get(next).is_some_and(|(_, end)| *end <= from) {
                next += 1;
            }
            let mut at = next;
            while let Some(&(begin, end)) = other.0.get(at).filter(|(begin, _)| *begin < to) {
                if begin > from {
                    out.push((from, begin));
                }
                from = from.max(end);
                at += 1;
            }
            if from < to {
                out.push((from, to));
            }
        }
        Self(out)
    }
}

impl<'de> Deserialize<'de> for Bits {
    /// From run lengths; `null` is how Go writes a set that was never made.
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let runs = Option::<Vec<u64>>::deserialize(d)?.unwrap_or_default();
        Self::from_runs(&runs).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn runs_of(set: &BTreeSet<u64>) -> Vec<u64> {
        let (mut runs, mut at, mut inside) = (Vec::new(), 0, false);
        for n in 0..=set.last().map_or(0, |n| n + 1) {
            if set.contains(&n) != inside {
                runs.push(n - at);
                (at, inside) = (n, !inside);
            }
        }
        if runs.is_empty() { vec![0] } else { runs }
    }

    #[test]
    fn the_documented_example_is_read() {
        let bits: Bits = serde_json::from_str("[0,3,5,2]").expect("runs");
        assert_eq!((0..12).filter(|n| bits.contains(*n)).collect::<Vec<_>>(), [0, 1, 2, 8, 9]);
        assert!(serde_json::from_str::<Bits>("[0]").expect("empty").is_empty());
        assert!(serde_json::from_str::<Bits>("[]").expect("empty").is_empty());
        assert!(serde_json::from_str::<Bits>("null").expect("empty").is_empty());
        assert!(serde_json::from_str::<Bits>("[7]").expect("seven absent ones").is_empty());
    }

    #[test]
    fn what_is_no_set_is_refused() {
        assert_eq!(Bits::from_runs(&[1, 0, 1]), Err(BitsError::Empty));
        assert_eq!(Bits::from_runs(&[u64::MAX, 1]), Err(BitsError::Overflow));
        assert!(serde_json::from_str::<Bits>("[-1]").is_err());
        assert!(serde_json::from_str::<Bits>("{\"0\":1}").is_err());
    }

    proptest! {
        #[test]
        fn sets_are_sets(a in proptest::collection::btree_set(0u64..40, 0..30), b in proptest::collection::btree_set(0u64..40, 0..30)) {
            let (x, y) = (Bits::from_runs(&runs_of(&a)).expect("runs"), Bits::from_runs(&runs_of(&b)).expect("runs"));
            let minus = x.minus(&y);
            for n in 0..41 {
                prop_assert_eq!(x.contains(n), a.contains(&n));
                prop_assert_eq!(minus.contains(n), a.contains(&n) && !b.contains(&n));
            }
            prop_assert_eq!(x.count(), a.len() as u64);
            prop_assert_eq!(minus.is_empty(), a.is_subset(&b));
        }
    }
}
