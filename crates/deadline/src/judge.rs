//! Whether a node can be believed. In come its answer, the time and the miners asked about, out comes its clock, or what is wrong with it.
//! A node that is behind, comes from another chain or contradicts itself is named, and nothing it says counts.

use crate::{
    Epoch,
    answer::{Answer, Head, Info},
    chain::{
        AHEAD_SECONDS, BEHIND_EPOCHS, CUTOFF_EPOCHS, Clock, DEADLINES, EPOCH_SECONDS, LOOKBACK_EPOCHS, MAINNET_GENESIS, MAX_EPOCH,
        PERIOD_EPOCHS, WINDOW_EPOCHS,
    },
};
use serde::Serialize;

/// Why a node is not believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub enum Disbelief {
    /// Its head is old.
    #[error("its head is {seconds} s old: it does not keep up with the chain")]
    Behind {
        /// Seconds.
        seconds: u64,
    },
    /// Its head is not yet.
    #[error("its head lies {seconds} s in the future: it lies, or this machine's clock is slow")]
    Future {
        /// Seconds.
        seconds: u64,
    },
    /// Height and time do not belong together, or it follows another chain.
    #[error("its block {height} is not as old as the main network's: it follows another chain, or lies about its height")]
    OtherChain {
        /// Height.
        height: Epoch,
    },
    /// Numbers no chain has.
    #[error("its head has the height {height} and the time {timestamp}, which no chain has")]
    NoChain {
        /// Height.
        height: Epoch,
        /// Unix seconds.
        timestamp: u64,
    },
    /// The tipset it was asked about proofs at is no ancestor that could be.
    #[error("it gave the tipset {settled} for proofs, with its head at {head}")]
    Settled {
        /// Height of that one.
        settled: Epoch,
        /// Height of the head.
        head: Epoch,
    },
    /// Deadlines of another length or number.
    #[error("{miner}: it speaks of {deadlines} deadlines of {window} epochs in {period}: not this network's")]
    Parameters {
        /// Miner.
        miner: String,
        /// Deadlines.
        deadlines: u64,
        /// Epochs.
        window: Epoch,
        /// Epochs.
        period: Epoch,
    },
    /// A deadline that a period does not have.
    #[error("{miner}: it names deadline {index}; a period has {DEADLINES}, counted from 0")]
    Index {
        /// Miner.
        miner: String,
        /// Which.
        index: u64,
    },
    /// A period that has not begun.
    #[error("{miner}: its proving period begins at {start}, after its own head {head}")]
    PeriodAhead {
        /// Miner.
        miner: String,
        /// First epoch.
        start: Epoch,
        /// Head.
        head: Epoch,
    },
    /// It was asked at one tipset and answered for another.
    #[error("{miner}: it was asked about {head} and answered about {said}")]
    OtherEpoch {
        /// Miner.
        miner: String,
        /// Its head.
        head: Epoch,
        /// What it spoke of.
        said: Epoch,
    },
    /// Opening, close or challenge do not fit index and period.
    #[error("{miner}: {what} of deadline {index} is {said}, and must be {must}")]
    Inconsistent {
        /// Miner.
        miner: String,
        /// Which number.
        what: &'static str,
        /// Deadline.
        index: u64,
        /// What it said.
        said: Epoch,
        /// What follows from period and index.
        must: Epoch,
    },
    /// The deadline it calls open is not.
    #[error("{miner}: it calls deadline {index} open, from {open} to {close}, at {head}")]
    NotOpen {
        /// Miner.
        miner: String,
        /// Deadline.
        index: u64,
        /// First epoch.
        open: Epoch,
        /// First epoch after it.
        close: Epoch,
        /// Head.
        head: Epoch,
    },
    /// It said nothing of a miner.
    #[error("it said nothing about {miner}")]
    Silent {
        /// Miner.
        miner: String,
    },
}

/// The clock of a node that is believed.
pub fn judge(answer: &Answer, now: u64, miners: &[String]) -> Result<Clock, Disbelief> {
    let clock = head(answer.head, now, miners)?;
    let (settled, top) = (answer.settled, answer.head);
    // Null rounds have no tipset: the settled one may lie any distance behind, its time must still fit.
    let fits = settled.height >= 0 && settled.height <= top.height && Clock::of(settled.height, settled.timestamp) == Some(clock);
    if !fits {
        return Err(Disbelief::Settled { settled: settled.height, head: top.height });
    }
    for miner in miners {
        let said = answer.miners.get(miner).ok_or_else(|| Disbelief::Silent { miner: miner.clone() })?;
        info(miner, &said.info, top.height)?;
    }
    Ok(clock)
}

fn head(head: Head, now: u64, miners: &[String]) -> Result<Clock, Disbelief> {
    let Head { height, timestamp } = head;
    if timestamp > now.saturating_add(AHEAD_SECONDS) {
        return Err(Disbelief::Future { seconds: timestamp - now });
    }
    let clock = Clock::of(height, timestamp).ok_or(Disbelief::NoChain { height, timestamp })?;
    if miners.iter().any(|m| m.starts_with("f0")) && clock.genesis != MAINNET_GENESIS {
        return Err(Disbelief::OtherChain { height });
    }
    let seconds = now.saturating_sub(timestamp);
    // A head's own epoch is under way: only what is beyond it is behind.
    if seconds >= (BEHIND_EPOCHS + 1) * EPOCH_SECONDS {
        return Err(Disbelief::Behind { seconds });
    }
    Ok(clock)
}

fn info(miner: &str, i: &Info, head: Epoch) -> Result<(), Disbelief> {
    let miner = || miner.to_owned();
    let numbers = (i.deadlines, i.window, i.period, i.lookback, i.fault_declaration_cutoff);
    if numbers != (DEADLINES, WINDOW_EPOCHS, PERIOD_EPOCHS, LOOKBACK_EPOCHS, CUTOFF_EPOCHS) {
        return Err(Disbelief::Parameters { miner: miner(), deadlines: i.deadlines, window: i.window, period: i.period });
    }
    if i.index >= DEADLINES {
        return Err(Disbelief::Index { miner: miner(), index: i.index });
    }
    if i.current_epoch != head {
        return Err(Disbelief::OtherEpoch { miner: miner(), head, said: i.current_epoch });
    }
    if i.period_start > head {
        return Err(Disbelief::PeriodAhead { miner: miner(), start: i.period_start, head });
    }
    // A new miner's first period may begin before the chain did; no further than one period.
    let inconsistent = |what, said, must| Disbelief::Inconsistent { miner: miner(), what, index: i.index, said, must };
    if !(-PERIOD_EPOCHS..=MAX_EPOCH).contains(&i.period_start) {
        return Err(inconsistent("the period", i.period_start, head));
    }
    let open = i.period_start + Epoch::try_from(i.index).unwrap_or(0) * WINDOW_EPOCHS;
    for (what, said, must) in [
        ("the opening", i.open, open),
        ("the close", i.close, open + WINDOW_EPOCHS),
        ("the challenge", i.challenge, open - LOOKBACK_EPOCHS),
        ("the fault cutoff", i.fault_cutoff, open - CUTOFF_EPOCHS),
    ] {
        if said != must {
            return Err(inconsistent(what, said, must));
        }
    }
    if !(i.open <= head && head < i.close) {
        return Err(Disbelief::NotOpen { miner: miner(), index: i.index, open: i.open, close: i.close, head });
    }
    Ok(())
}
