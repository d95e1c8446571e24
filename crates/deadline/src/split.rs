//! A long work in pieces. In come the seconds each piece may take, in order, and a window, out comes which pieces fit: a rollout over many
//! machines goes on in the next window.

use serde::Serialize;
use std::ops::Range;

/// A piece that no window holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("piece {piece} may take {seconds} s, and no window is longer than {longest} s")]
pub struct TooLong {
    /// Which, from 1.
    pub piece: usize,
    /// Its seconds.
    pub seconds: u64,
    /// Seconds of the longest window.
    pub longest: u64,
}

/// How many pieces from the first on fit into a window of so many seconds.
pub fn fitting(pieces: &[u64], window: u64) -> usize {
    let mut left = window;
    pieces
        .iter()
        .take_while(|p| {
            let fits = **p <= left;
            left = left.saturating_sub(**p);
            fits
        })
        .count()
}

/// The pieces by window: the first window as it is, every later one at best as long as the longest that can come.
pub fn rounds(pieces: &[u64], first: u64, longest: u64) -> Result<Vec<Range<usize>>, TooLong> {
    if let Some((n, seconds)) = pieces.iter().enumerate().find(|(_, p)| **p > longest.max(first)) {
        return Err(TooLong { piece: n + 1, seconds: *seconds, longest: longest.max(first) });
    }
    let (mut out, mut at, mut window) = (Vec::new(), 0, first);
    while at < pieces.len() {
        let count = fitting(&pieces[at..], window);
        if count > 0 {
            out.push(at..at + count);
        } else if window == longest {
            // Only the first window holds it, and that one was taken for what came before.
            return Err(TooLong { piece: at + 1, seconds: pieces[at], longest });
        }
        (at, window) = (at + count, longest);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn pieces_go_into_windows_in_order() {
        assert_eq!(rounds(&[300, 300, 300, 300], 700, 900), Ok(vec![0..2, 2..4]));
        assert_eq!(rounds(&[300, 300, 301], 100, 600), Ok(vec![0..2, 2..3]), "a first window too short for anything is let pass");
        assert_eq!(rounds(&[], 100, 600), Ok(vec![]));
        assert_eq!(rounds(&[300, 901], 100, 900), Err(TooLong { piece: 2, seconds: 901, longest: 900 }));
        assert_eq!(rounds(&[300, 1000], 1200, 900), Err(TooLong { piece: 2, seconds: 1000, longest: 900 }));
    }

    proptest! {
        #[test]
        fn every_piece_is_in_one_window_and_no_window_is_overfull(
            pieces in proptest::collection::vec(0u64..50, 0..20), first in 0u64..80, longest in 0u64..80,
        ) {
            if let Ok(rounds) = rounds(&pieces, first, longest) {
                let flat: Vec<usize> = rounds.iter().cloned().flatten().collect();
                prop_assert_eq!(flat, (0..pieces.len()).collect::<Vec<_>>());
                for r in &rounds {
                    let sum: u64 = pieces[r.clone()].iter().sum();
                    prop_assert!(sum <= longest.max(first) && !r.is_empty());
                }
            } else {
                prop_assert!(pieces.iter().any(|p| *p > longest));
            }
        }
    }
}
