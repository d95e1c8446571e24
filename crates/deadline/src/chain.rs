//! The protocol's numbers, and epochs and seconds. Sources: filecoin-project/builtin-actors `runtime/src/runtime/policy.rs` (the deadlines),
//! lotus `build/buildconstants/params_mainnet.go` and `build/genesis` (epoch and genesis).

use serde::{Deserialize, Serialize};

/// A height of the chain; negative ones lie before genesis.
pub type Epoch = i64;

/// Seconds an epoch lasts (lotus `BlockDelaySecs`).
pub const EPOCH_SECONDS: u64 = 30;
/// Epochs of a proving period: one day (`WPOST_PROVING_PERIOD`).
pub const PERIOD_EPOCHS: Epoch = 2_880;
/// Deadlines of a period (`WPOST_PERIOD_DEADLINES`).
pub const DEADLINES: u64 = 48;
/// Epochs a deadline is open: half an hour (`WPOST_CHALLENGE_WINDOW`).
pub const WINDOW_EPOCHS: Epoch = 60;
/// Epochs before its opening at which a deadline's challenge is drawn, and the miner may begin to prove (`WPOST_CHALLENGE_LOOKBACK`).
pub const LOOKBACK_EPOCHS: Epoch = 20;
/// Epochs before its opening after which faults and recoveries of a deadline are no longer taken (`FAULT_DECLARATION_CUTOFF`).
pub const CUTOFF_EPOCHS: Epoch = 70;
/// Time of the mainnet's genesis in Unix seconds: 2020-08-24 22:00 UTC. Miner ids that begin with `f0` are the mainnet's.
pub const MAINNET_GENESIS: u64 = 1_598_306_400;
/// Epochs a head may lie behind the clock. An epoch without a block comes with odds of e^-5 (five blocks are expected), five in a row not
/// once in a thousand years: a head that is older belongs to a node that does not keep up.
pub const BEHIND_EPOCHS: u64 = 5;
/// Seconds a head may lie ahead of this machine's clock: one epoch. Blocks carry the time at which their epoch begins.
pub const AHEAD_SECONDS: u64 = EPOCH_SECONDS;
/// Epochs after which a message is taken to stay on the chain: what lotus itself waits before it trusts a height for its window proofs
/// (`SubmitConfidence` in `storage/wdpost/wdpost_changehandler.go`).
pub const SETTLED_EPOCHS: Epoch = 4;
/// Largest height that is taken for one, about 9,500 years of the chain: sums with it cannot overflow.
pub const MAX_EPOCH: Epoch = 10_000_000_000;

const _: () = assert!(PERIOD_EPOCHS == WINDOW_EPOCHS * DEADLINES as Epoch, "deadlines fill the period");

/// Epochs and seconds of one chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// Unix seconds at which epoch 0 began.
    pub genesis: u64,
}

impl Clock {
    /// The chain whose block of this height carries this time; `None` where that is before 1970.
    pub fn of(height: Epoch, timestamp: u64) -> Option<Self> {
        let age = u64::try_from(height).ok().filter(|_| height <= MAX_EPOCH)?.checked_mul(EPOCH_SECONDS)?;
        timestamp.checked_sub(age).map(|genesis| Self { genesis })
    }
    /// The epoch that runs at a time.
    pub fn epoch(self, now: u64) -> Epoch {
        let since = now.saturating_sub(self.genesis) / EPOCH_SECONDS;
        Epoch::try_from(since).unwrap_or(MAX_EPOCH).min(MAX_EPOCH)
    }
    /// Unix seconds at which an epoch begins.
    pub fn begins(self, epoch: Epoch) -> u64 {
        let since = u64::try_from(epoch.clamp(0, MAX_EPOCH)).unwrap_or(0) * EPOCH_SECONDS;
        self.genesis.saturating_add(since)
    }
}

/// Whole epochs that cover so many seconds.
pub fn epochs(seconds: u64) -> Epoch {
    Epoch::try_from(seconds.div_ceil(EPOCH_SECONDS)).unwrap_or(MAX_EPOCH).min(MAX_EPOCH)
}

/// Seconds of so many epochs; none for a negative number.
pub fn seconds(epochs: Epoch) -> u64 {
    u64::try_from(epochs).unwrap_or(0).saturating_mul(EPOCH_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_and_seconds_agree() {
        let clock = Clock::of(5_000_000, MAINNET_GENESIS + 150_000_000).expect("after 1970");
        assert_eq!(clock.genesis, MAINNET_GENESIS);
        assert_eq!(clock.epoch(MAINNET_GENESIS + 89), 2);
        assert_eq!(clock.begins(2), MAINNET_GENESIS + 60);
        assert_eq!((epochs(0), epochs(1), epochs(30), epochs(31)), (0, 1, 1, 2));
        assert_eq!(seconds(-3), 0);
    }

    #[test]
    fn no_number_of_a_node_overflows() {
        assert_eq!(Clock::of(i64::MAX, u64::MAX), None);
        assert_eq!(Clock::of(-1, 5), None);
        assert_eq!(Clock::of(10, 5), None);
        let odd = Clock { genesis: u64::MAX };
        assert_eq!((odd.begins(i64::MAX), odd.epoch(0), Clock { genesis: 0 }.epoch(u64::MAX)), (u64::MAX, 0, MAX_EPOCH));
        assert_eq!(epochs(u64::MAX), MAX_EPOCH);
    }
}
