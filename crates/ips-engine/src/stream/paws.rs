//! Timestamps of TCP: a segment older than what was seen is not taken (RFC 7323, 5).

/// A timestamp means nothing any more after so many microseconds of silence (24 days, RFC 7323, 5.5).
const STALE: u64 = 24 * 24 * 3600 * 1_000_000;

/// Timestamps of one end.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock {
    /// It sends timestamps, and so does the other end.
    pub on: bool,
    last: u32,
    seen: u64,
}

impl Clock {
    /// The first timestamp.
    pub fn start(&mut self, stamp: Option<u32>, now: u64) {
        self.on = stamp.is_some();
        self.last = stamp.unwrap_or(0);
        self.seen = now;
    }
    /// Whether a segment with this timestamp is not older than what was seen.
    pub fn accepts(&self, stamp: Option<u32>, now: u64) -> bool {
        match stamp {
            // An end that began with 0 has no clock to go by.
            Some(stamp) if self.on && self.last != 0 => {
                super::seq::distance(stamp, self.last) >= 0 || now.saturating_sub(self.seen) > STALE
            }
            _ => true,
        }
    }
    /// A segment that was taken.
    pub fn take(&mut self, stamp: Option<u32>, now: u64) {
        if let Some(stamp) = stamp.filter(|s| self.on && super::seq::distance(*s, self.last) >= 0) {
            self.last = stamp;
            self.seen = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_stamps_are_refused() {
        let mut c = Clock::default();
        assert!(c.accepts(Some(1), 0));
        c.start(Some(100), 0);
        assert!(c.accepts(Some(100), 1) && !c.accepts(Some(99), 1) && c.accepts(None, 1) && c.accepts(Some(99), STALE + 1));
        c.take(Some(u32::MAX - 5), 2);
        assert_ne!(c.accepts(Some(u32::MAX), 3), super::super::seq::distance(u32::MAX, 100) < 0);
        c.start(Some(u32::MAX), 0);
        c.take(Some(3), 1);
        assert!(!c.accepts(Some(u32::MAX), 2), "stamps wrap");
    }
}
