//! The schedule of deadlines as stretches of epochs. In comes where miners stand, out comes when an interruption may be under way: never
//! from a deadline's challenge (less a margin) until its proof has landed. What is not known yet is taken two ways: at worst a proof lands
//! when its deadline closes, at best as soon as it opens.

use crate::{
    Epoch,
    agree::{Landed, Need, Standing},
    chain::{DEADLINES, LOOKBACK_EPOCHS, PERIOD_EPOCHS, SETTLED_EPOCHS, WINDOW_EPOCHS},
};
use serde::Serialize;

/// Epochs `[from, until)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Span {
    /// First epoch.
    pub from: Epoch,
    /// First epoch after it.
    pub until: Epoch,
}

/// How far ahead schedules are laid out: two days, so that a free stretch around the end of a period is seen whole.
pub const HORIZON_EPOCHS: Epoch = 2 * PERIOD_EPOCHS;

/// What is taken for true of proofs that have not landed yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hope {
    /// Each lands when its deadline closes.
    Worst,
    /// The open deadline's has landed now, each later one lands at its opening and is seen [`SETTLED_EPOCHS`] later.
    Best,
}

impl Span {
    /// Epochs in it.
    pub fn length(self) -> Epoch {
        self.until - self.from
    }
}

/// When a miner must not be interrupted, within the horizon from `now` on; sorted.
pub fn busy(standing: &Standing, now: Epoch, margin: Epoch, hope: Hope) -> Vec<Span> {
    let end = now + HORIZON_EPOCHS;
    let mut out = Vec::new();
    if standing.need(0) != Need::No && standing.landed != Landed::Yes && hope == Hope::Worst {
        out.push(Span { from: now, until: standing.close });
    }
    let last = u64::try_from(HORIZON_EPOCHS / WINDOW_EPOCHS).unwrap_or(0) + 1;
    for ahead in (1..=last).filter(|ahead| standing.need(*ahead) != Need::No) {
        let open = standing.opening(ahead);
        let until = match hope {
            Hope::Worst => open + WINDOW_EPOCHS,
            Hope::Best => open + SETTLED_EPOCHS + 1,
        };
        // The challenge of the first deadline beyond the horizon may be drawn within it.
        let span = Span { from: (open - LOOKBACK_EPOCHS - margin).max(now), until: until.min(end) };
        if span.from < span.until {
            out.push(span);
        }
    }
    out
}

/// What is left free for all of them, within the horizon from `now` on; sorted, not touching.
pub fn free(busy: impl IntoIterator<Item = Span>, now: Epoch) -> Vec<Span> {
    let mut all: Vec<Span> = busy.into_iter().collect();
    all.sort_unstable();
    let (mut out, mut at) = (Vec::new(), now);
    for span in all {
        if span.from > at {
            out.push(Span { from: at, until: span.from });
        }
        at = at.max(span.until);
    }
    if at < now + HORIZON_EPOCHS {
        out.push(Span { from: at, until: now + HORIZON_EPOCHS });
    }
    out
}

/// Free stretches of several miners together.
pub fn schedule(standings: &[Standing], now: Epoch, margin: Epoch, hope: Hope) -> Vec<Span> {
    free(standings.iter().flat_map(|s| busy(s, now, margin, hope)), now)
}

/// Whether every deadline of every miner was seen, so that the schedule knows all there is to know.
pub fn is_whole(standings: &[Standing]) -> bool {
    standings.iter().all(|s| (0..DEADLINES).all(|ahead| s.need(ahead) != Need::Unseen))
}
