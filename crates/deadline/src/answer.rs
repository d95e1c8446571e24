//! What one node said, decoded and not yet believed: head, a settled tipset, and for each miner its deadline, the proofs that landed and
//! the partitions. Shapes are those of lotus' and Forest's JSON-RPC (`StateMinerProvingDeadline`, `StateMinerDeadlines`,
//! `StateMinerPartitions`, `ChainHead`).

use crate::{Bits, Epoch};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A tipset's height and time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Height.
    pub height: Epoch,
    /// Unix seconds in its blocks.
    pub timestamp: u64,
}

/// `StateMinerProvingDeadline`: the deadline that is open at a tipset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Info {
    /// Height it was asked at.
    pub current_epoch: Epoch,
    /// First epoch of the proving period.
    pub period_start: Epoch,
    /// Which deadline of the period.
    pub index: u64,
    /// First epoch at which a proof is taken.
    pub open: Epoch,
    /// First epoch at which none is taken any more.
    pub close: Epoch,
    /// Epoch at which the challenge is drawn.
    pub challenge: Epoch,
    /// First epoch at which faults are no longer declared.
    pub fault_cutoff: Epoch,
    /// Deadlines of a period.
    #[serde(rename = "WPoStPeriodDeadlines")]
    pub deadlines: u64,
    /// Epochs of a period.
    #[serde(rename = "WPoStProvingPeriod")]
    pub period: Epoch,
    /// Epochs a deadline is open.
    #[serde(rename = "WPoStChallengeWindow")]
    pub window: Epoch,
    /// Epochs between challenge and opening.
    #[serde(rename = "WPoStChallengeLookback")]
    pub lookback: Epoch,
    /// Epochs between cutoff and opening.
    pub fault_declaration_cutoff: Epoch,
}

/// One partition of a deadline, as `StateMinerPartitions` gives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Partition {
    /// Sectors that are neither expired nor terminated.
    pub live_sectors: Bits,
    /// Those known to be faulty.
    pub faulty_sectors: Bits,
    /// Those declared to be recovered with the next proof.
    #[serde(default)]
    pub recovering_sectors: Bits,
}

impl Partition {
    /// A proof of it is due: it has live sectors that are not faulty, or recovering ones. Partitions without are skipped by the miner, and
    /// the chain asks nothing for them.
    pub fn wants_proof(&self) -> bool {
        !self.recovering_sectors.is_empty() || !self.live_sectors.minus(&self.faulty_sectors).is_empty()
    }
}

/// What a node said of one miner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MinerAnswer {
    /// The open deadline at the head.
    pub info: Info,
    /// Partitions whose proofs had landed in the open deadline at the settled tipset; `None` where the node could not say.
    pub posted: Option<Bits>,
    /// Partitions by deadline, where the node said.
    pub partitions: BTreeMap<u64, Vec<Partition>>,
}

/// What a node said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Its head.
    pub head: Head,
    /// The tipset its proofs were looked up at: some epochs behind the head, so that a reorganisation does not take them back.
    pub settled: Head,
    /// By miner.
    pub miners: BTreeMap<String, MinerAnswer>,
    /// Methods it does not have.
    pub lacks: Vec<String>,
}

/// Why a node gave no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trouble {
    /// No connection.
    Unreachable,
    /// A connection, and no answer in time.
    Hangs,
    /// It wants another token, or more permission.
    Refused,
    /// It answered with an error.
    Failed,
    /// What it said is no answer to what it was asked.
    Nonsense,
    /// Not asked: something on this machine is missing, such as its token file.
    NotAsked,
}

impl Trouble {
    /// The node may be well, and no word of it arrived.
    pub fn is_silence(self) -> bool {
        matches!(self, Self::Unreachable | Self::Hangs | Self::NotAsked)
    }
}

/// A node that gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Kind.
    pub trouble: Trouble,
    /// In words, for people.
    pub why: String,
}

/// What became of asking a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// The node, as the site file calls it.
    pub node: String,
    /// Its answer or why there is none.
    pub answer: Result<Answer, Fault>,
}
