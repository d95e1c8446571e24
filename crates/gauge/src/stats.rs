//! Medians and distribution-free intervals. In come samples, out comes what may be said about them.

/// A median with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Median {
    /// The middle.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

/// Normal quantile of a two-sided 95 % interval.
const Z95: f64 = 1.96;

/// Median with the interval between two order statistics: the number of samples below the median is binomial, whatever
/// their distribution. `None` without samples.
pub fn median(samples: &[f64]) -> Option<Median> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    let n = sorted.len() as f64;
    let half = Z95 * n.sqrt() / 2.0;
    let rank = |r: f64| sorted[(r.max(0.0) as usize).min(last)];
    let middle = if last % 2 == 0 { sorted[last / 2] } else { f64::midpoint(sorted[last / 2], sorted[last / 2 + 1]) };
    Some(Median { value: middle, low: rank((n / 2.0 - half).floor() - 1.0), high: rank((n / 2.0 + half).ceil()) })
}

/// Median of the pairwise ratios `a / b`, pairs taken in the same round.
pub fn ratio(a: &[f64], b: &[f64]) -> Option<Median> {
    median(&a.iter().zip(b).map(|(a, b)| a / b).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_holds_the_median() {
        let samples: Vec<f64> = (0..101).map(f64::from).collect();
        let m = median(&samples).expect("samples");
        assert_eq!(m.value, 50.0);
        assert!(m.low > 35.0 && m.low < 45.0 && m.high > 55.0 && m.high < 65.0, "{m:?}");
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[1.0, 3.0]).expect("samples").value, 2.0);
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        // The machine slows down tenfold between rounds; the ratio stays.
        let r = ratio(&[2.0, 20.0, 200.0], &[1.0, 10.0, 100.0]).expect("samples");
        assert_eq!((r.value, r.low, r.high), (2.0, 2.0, 2.0));
    }
}
