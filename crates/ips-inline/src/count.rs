//! What the pump counts. Written by its thread, read by others; each number by itself is right, together they are of about the same moment.

use serde::Serialize;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Buckets of waiting times: bucket `n` counts times below `2^n` microseconds, the last one all others.
pub const BUCKETS: usize = 24;

macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        /// Counts since the beginning.
        #[derive(Debug, Default)]
        pub struct Counts {
            $($(#[$doc])* pub $name: AtomicU64,)+
            /// Batches by how long their first packet waited for its verdict from when it was received.
            pub waited: [AtomicU64; BUCKETS],
        }
        /// The counts of a moment.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
        pub struct Counted {
            $($(#[$doc])* pub $name: u64,)+
            /// Microseconds below which half of the batches waited.
            pub waited_p50: u64,
            /// Microseconds below which 99 of 100 did.
            pub waited_p99: u64,
        }
        impl Counts {
            /// Reads them.
            pub fn read(&self) -> Counted {
                let waited: Vec<u64> = self.waited.iter().map(|b| b.load(Relaxed)).collect();
                Counted {
                    $($name: self.$name.load(Relaxed),)+
                    waited_p50: below(&waited, 50),
                    waited_p99: below(&waited, 99),
                }
            }
        }
    };
}

counts! {
    /// Packets.
    packets,
    /// Their bytes.
    bytes,
    /// Packets that are several segments in one.
    segments,
    /// Let on.
    accepted,
    /// Dropped by rules, or because the receiver would not take them.
    dropped,
    /// Refused with an answer.
    refused,
    /// Would have been dropped or refused, were it not observed.
    observed,
    /// Flows that left: encrypted.
    left_opaque,
    /// Past the depth.
    left_deep,
    /// Let through by a rule.
    left_passed,
    /// As many bytes as are looked at.
    left_bytes,
    /// Too long to be copied whole: by the answer to failure.
    too_long,
    /// Times the kernel found no room in the socket.
    lost,
    /// Verdicts that the kernel did not take.
    not_taken,
    /// Batches of verdicts.
    batches,
    /// Messages they took.
    messages,
    /// Longest time a batch took, microseconds.
    slowest,
    /// Lines of events written.
    lines,
    /// Lines that found no room on their way, or could not be written.
    lines_lost,
    /// Rules in force.
    rules,
    /// Rules that could not be loaded.
    rules_refused,
    /// Times rules were exchanged.
    reloads,
    /// Reloads that failed: the rules before stayed.
    reloads_failed,
    /// Flows the engine holds.
    flows,
    /// Bytes that the kernel granted for packets that wait, as it counts them.
    room,
    /// Microseconds since 1970 when the batch that is under way began; 0 while none is.
    busy_since,
}

impl Counts {
    /// Adds one.
    pub fn one(count: &AtomicU64) {
        count.fetch_add(1, Relaxed);
    }
    /// Notes how long a batch waited.
    pub fn wait(&self, micros: u64) {
        let bucket = (u64::BITS - micros.leading_zeros()) as usize;
        Self::one(&self.waited[bucket.min(BUCKETS - 1)]);
        self.slowest.fetch_max(micros, Relaxed);
    }
}

/// Upper bound of the bucket in which so many percent are reached.
fn below(buckets: &[u64], percent: u64) -> u64 {
    let all: u64 = buckets.iter().sum();
    let mut sum = 0;
    for (n, b) in buckets.iter().enumerate() {
        sum += b;
        if all > 0 && sum * 100 >= all * percent {
            return 1 << n;
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_times_are_told_by_powers_of_two() {
        let c = Counts::default();
        assert_eq!(c.read().waited_p99, 0);
        for _ in 0..98 {
            c.wait(5);
        }
        c.wait(3000);
        c.wait(u64::MAX);
        let r = c.read();
        assert_eq!((r.waited_p50, r.waited_p99, r.slowest), (8, 4096, u64::MAX));
    }
}
