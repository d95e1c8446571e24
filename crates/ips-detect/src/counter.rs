//! Counting matches in time, for `threshold`, `detection_filter` and rate filters. In comes a limit and a time, out comes what it says.

use ips_rules::condition::{Limit, LimitKind};

/// Microseconds in a second.
const SECOND: u64 = 1_000_000;

/// One count: of a rule, a host, a pair or a flow.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counter {
    /// When its time began, microseconds.
    pub since: u64,
    /// How many in it.
    pub count: u32,
    /// For a rate filter: since when its action holds; for backoff: the count that is told next. 0 for neither.
    pub next: u64,
}

/// What a limit says of a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said {
    /// As the rule says.
    All,
    /// The action counts, nothing is told.
    Quiet,
    /// As though it had not matched.
    Nothing,
}

impl Counter {
    fn within(&self, now: u64, seconds: u32) -> bool {
        now <= self.since.saturating_add(u64::from(seconds) * SECOND)
    }

    fn restart(&mut self, now: u64) {
        *self = Self { since: now, count: 1, next: 0 };
    }

    /// What the first match of a time says.
    fn begin(&mut self, limit: &Limit, now: u64) -> Said {
        self.restart(now);
        match limit.kind {
            LimitKind::Limit => Said::All,
            LimitKind::Threshold if limit.count == 1 => {
                self.count = 0;
                Said::All
            }
            LimitKind::Both if limit.count == 1 => Said::All,
            LimitKind::Backoff(by) if limit.count == 1 => {
                self.next = u64::from(by);
                Said::All
            }
            LimitKind::Backoff(_) => {
                self.next = u64::from(limit.count);
                Said::Quiet
            }
            _ => Said::Nothing,
        }
    }

    /// Counts one match. `new`: it is the first.
    pub fn limit(&mut self, limit: &Limit, now: u64, new: bool) -> Said {
        if new {
            return self.begin(limit, now);
        }
        if let LimitKind::Backoff(by) = limit.kind {
            self.count = self.count.saturating_add(1);
            if u64::from(self.count) == self.next {
                self.next = self.next.saturating_mul(u64::from(by));
                return Said::All;
            }
            return Said::Quiet;
        }
        if !self.within(now, limit.seconds) {
            return self.begin(limit, now);
        }
        self.count = self.count.saturating_add(1);
        match limit.kind {
            LimitKind::Limit if self.count <= limit.count => Said::All,
            LimitKind::Limit => Said::Quiet,
            LimitKind::Threshold if self.count >= limit.count => {
                self.count = 0;
                Said::All
            }
            LimitKind::Both if self.count == limit.count => Said::All,
            LimitKind::Both if self.count > limit.count => Said::Quiet,
            LimitKind::Filter if self.count > limit.count => Said::All,
            _ => Said::Nothing,
        }
    }

    /// Counts one match of a rate filter; whether its action holds.
    pub fn rate(&mut self, count: u32, seconds: u32, timeout: u32, now: u64, new: bool) -> bool {
        if new {
            self.restart(now);
            return false;
        }
        if self.next != 0 {
            if now.saturating_sub(self.next) <= u64::from(timeout) * SECOND {
                return true;
            }
            self.restart(now);
            return false;
        }
        if !self.within(now, seconds) {
            self.restart(now);
            return false;
        }
        self.count = self.count.saturating_add(1);
        if self.count > count {
            self.next = now.max(1);
            return true;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ips_rules::condition::Track;

    fn told(kind: LimitKind, count: u32, at: &[u64]) -> String {
        let limit = Limit { kind, track: Track::Rule, count, seconds: 10 };
        let mut c = Counter::default();
        at.iter()
            .enumerate()
            .map(|(i, s)| match c.limit(&limit, s * SECOND, i == 0) {
                Said::All => 'a',
                Said::Quiet => 'q',
                Said::Nothing => '-',
            })
            .collect()
    }

    #[test]
    fn each_kind_counts_as_the_peer_does() {
        assert_eq!(told(LimitKind::Limit, 2, &[0, 1, 2, 10, 11, 12]), "aaqqaa");
        assert_eq!(told(LimitKind::Threshold, 3, &[0, 1, 2, 3, 4, 5]), "--a--a");
        assert_eq!(told(LimitKind::Both, 2, &[0, 1, 2, 3, 20, 21]), "-aqq-a");
        assert_eq!(told(LimitKind::Filter, 2, &[0, 1, 2, 3, 30]), "--aa-");
        assert_eq!(told(LimitKind::Backoff(3), 1, &[0, 1, 2, 3, 4, 5, 6, 7, 8]), "aqaqqqqqa");
        let mut c = Counter::default();
        let at = [0, 1, 2, 3, 4, 5, 9, 20, 21];
        let held: String = at.iter().enumerate().map(|(i, s)| if c.rate(2, 10, 5, s * SECOND, i == 0) { 'h' } else { '-' }).collect();
        assert_eq!(held, "--hhhh---", "as the peer over one packet at each of these seconds");
    }
}
