//! Sets of numbers as sorted, disjoint, inclusive intervals. Addresses of each family and ports are such sets.
//! Never: holds an empty or touching interval.

use serde::{Serialize, Serializer};

/// What intervals are made of: the unsigned numbers of a header field.
pub trait Point: Copy + Ord {
    /// The smallest.
    const MIN: Self;
    /// The largest.
    const MAX: Self;
    /// The next larger one.
    fn up(self) -> Option<Self>;
    /// The next smaller one.
    fn down(self) -> Option<Self>;
}

macro_rules! point {
    ($($t:ty)*) => {$(
        impl Point for $t {
            const MIN: Self = <$t>::MIN;
            const MAX: Self = <$t>::MAX;
            fn up(self) -> Option<Self> { self.checked_add(1) }
            fn down(self) -> Option<Self> { self.checked_sub(1) }
        }
    )*};
}
point!(u16 u32 u128);

/// A set of numbers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Ranges<T>(Vec<(T, T)>);

impl<T: Point> Ranges<T> {
    /// Nothing.
    pub fn none() -> Self {
        Self(Vec::new())
    }
    /// Everything.
    pub fn all() -> Self {
        Self(vec![(T::MIN, T::MAX)])
    }
    /// From any intervals with `low <= high`; others are left out.
    pub fn of(mut parts: Vec<(T, T)>) -> Self {
        parts.retain(|(a, b)| a <= b);
        parts.sort_unstable();
        let mut out: Vec<(T, T)> = Vec::with_capacity(parts.len());
        for (a, b) in parts {
            match out.last_mut() {
                Some(last) if last.1.up().is_none_or(|next| a <= next) => last.1 = last.1.max(b),
                _ => out.push((a, b)),
            }
        }
        Self(out)
    }
    /// This set without `other`.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let mut out = Vec::new();
        let mut cuts = other.0.iter().peekable();
        for &(a, b) in &self.0 {
            let mut from = Some(a);
            while let Some(&&(c, d)) = cuts.peek() {
                let Some(at) = from else { break };
                if d < at {
                    cuts.next();
                    continue;
                }
                if c > b {
                    break;
                }
                if c > at
                    && let Some(end) = c.down()
                {
                    out.push((at, end));
                }
                from = d.up().filter(|next| *next <= b);
                if d > b {
                    break;
                }
                cuts.next();
            }
            if let Some(at) = from {
                out.push((at, b));
            }
        }
        Self(out)
    }
    /// Whether it holds `n`.
    pub fn has(&self, n: T) -> bool {
        let after = self.0.partition_point(|(a, _)| *a <= n);
        after > 0 && self.0[after - 1].1 >= n
    }
    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    /// Whether it holds everything.
    pub fn is_all(&self) -> bool {
        self.0 == [(T::MIN, T::MAX)]
    }
    /// The intervals, both ends in.
    pub fn parts(&self) -> &[(T, T)] {
        &self.0
    }
}

impl<T: Point + Serialize> Serialize for Ranges<T> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if self.is_all() { s.serialize_str("any") } else { self.0.serialize(s) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set() -> impl Strategy<Value = Vec<(u16, u16)>> {
        proptest::collection::vec((0u16..40, 0u16..10).prop_map(|(a, n)| (a, a + n)), 0..6)
    }

    proptest! {
        #[test]
        fn as_a_slow_oracle_says(a in set(), b in set()) {
            let (x, y) = (Ranges::of(a.clone()), Ranges::of(b.clone()));
            let less = x.without(&y);
            let rest = Ranges::all().without(&x);
            for n in (0u16..60).chain([u16::MAX]) {
                let within = |s: &[(u16, u16)]| s.iter().any(|(l, h)| (*l..=*h).contains(&n));
                prop_assert_eq!(x.has(n), within(&a));
                prop_assert_eq!(less.has(n), within(&a) && !within(&b));
                prop_assert_eq!(rest.has(n), !within(&a));
            }
            prop_assert!(less.parts().windows(2).all(|w| w[0].1 + 1 < w[1].0));
        }
    }
}
