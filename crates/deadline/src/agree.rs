//! What the believed nodes say together. In come their answers and the time, out comes for each miner where it stands, or that the nodes
//! speak of different things. Whoever says "not yet" wins; who cannot see a thing does not speak against it.

use crate::{
    Epoch,
    answer::{Answer, MinerAnswer},
    chain::{Clock, DEADLINES, PERIOD_EPOCHS, WINDOW_EPOCHS},
};
use serde::Serialize;
use std::collections::BTreeSet;

/// A node that is believed, with what it said.
#[derive(Debug, Clone, Copy)]
pub struct Believed<'a> {
    /// Its name.
    pub node: &'a str,
    /// What it said.
    pub answer: &'a Answer,
    /// Its clock.
    pub clock: Clock,
}

/// Whether the proof of the open deadline is on the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Landed {
    /// It is, some epochs deep, or none is due.
    Yes,
    /// Not yet.
    No,
    /// No node can see it: not yet.
    Unseen,
}

/// Whether a deadline wants a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// It has live sectors.
    Yes,
    /// It has no partitions, or none with sectors to prove.
    No,
    /// Nobody was asked, or nobody can see: it counts as wanting one.
    Unseen,
}

/// Where a miner stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// Miner.
    pub miner: String,
    /// The deadline that is open by the clock.
    pub deadline: u64,
    /// Its first epoch.
    pub open: Epoch,
    /// The first epoch after it.
    pub close: Epoch,
    /// Whether its proof has landed.
    pub landed: Landed,
    /// Whether each deadline of the period wants a proof, by index.
    pub needs: Vec<Need>,
    /// Nodes that say the proof has landed, or that none is due.
    pub seen_by: Vec<String>,
    /// Nodes that say it has not.
    pub denied_by: Vec<String>,
    /// Nodes that cannot see it.
    pub blind: Vec<String>,
}

impl Standing {
    /// Whether the deadline so many after the open one wants a proof.
    pub fn need(&self, ahead: u64) -> Need {
        let index = usize::try_from((self.deadline + ahead) % DEADLINES).unwrap_or(0);
        self.needs.get(index).copied().unwrap_or(Need::Unseen)
    }
    /// First epoch of the deadline so many after the open one.
    pub fn opening(&self, ahead: u64) -> Epoch {
        self.open + Epoch::try_from(ahead).unwrap_or(0) * WINDOW_EPOCHS
    }
    /// The next deadline after the open one that wants a proof, or may want one.
    pub fn next(&self) -> Option<u64> {
        (1..=DEADLINES).find(|ahead| self.need(*ahead) != Need::No)
    }
}

/// Believed nodes that do not speak of the same thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "kebab-case", tag = "about")]
pub enum Disagreement {
    /// They follow different chains.
    #[error("{} follow different chains", .nodes.join(" and "))]
    Chain {
        /// Which.
        nodes: Vec<String>,
    },
    /// They place a miner's deadlines differently.
    #[error("{} place the deadlines of {miner} differently", .nodes.join(" and "))]
    Deadlines {
        /// Miner.
        miner: String,
        /// Which.
        nodes: Vec<String>,
    },
}

/// Where each miner stands by all believed nodes; at least one is needed.
pub fn agree(believed: &[Believed<'_>], miners: &[String], now: u64) -> Result<Vec<Standing>, Disagreement> {
    let Some(first) = believed.first() else { return Ok(Vec::new()) };
    if let Some(other) = believed.iter().find(|b| b.clock != first.clock) {
        return Err(Disagreement::Chain { nodes: vec![first.node.to_owned(), other.node.to_owned()] });
    }
    miners.iter().map(|miner| standing(believed, miner, first.clock.epoch(now))).collect()
}

fn standing(believed: &[Believed<'_>], miner: &str, now: Epoch) -> Result<Standing, Disagreement> {
    let said: Vec<(&str, &MinerAnswer)> = believed.iter().filter_map(|b| Some((b.node, b.answer.miners.get(miner)?))).collect();
    let offset = |m: &MinerAnswer| m.info.period_start.rem_euclid(PERIOD_EPOCHS);
    let first = said.first().map_or(0, |(_, m)| offset(m));
    if let (Some((a, _)), Some((b, _))) = (said.first(), said.iter().find(|(_, m)| offset(m) != first)) {
        return Err(Disagreement::Deadlines { miner: miner.to_owned(), nodes: vec![(*a).to_owned(), (*b).to_owned()] });
    }
    let into = (now - first).rem_euclid(PERIOD_EPOCHS);
    let deadline = u64::try_from(into / WINDOW_EPOCHS).unwrap_or(0);
    let open = now - into % WINDOW_EPOCHS;
    let mut out = Standing {
        miner: miner.to_owned(),
        deadline,
        open,
        close: open + WINDOW_EPOCHS,
        landed: Landed::Unseen,
        needs: (0..DEADLINES).map(|index| need(&said, index)).collect(),
        seen_by: Vec::new(),
        denied_by: Vec::new(),
        blind: Vec::new(),
    };
    for (node, m) in said {
        // A head from before the opening says nothing about this deadline.
        let saw = if m.info.open == open { landed(m, deadline) } else { Landed::Unseen };
        match saw {
            Landed::Yes => out.seen_by.push(node.to_owned()),
            Landed::No => out.denied_by.push(node.to_owned()),
            Landed::Unseen => out.blind.push(node.to_owned()),
        }
    }
    out.landed = match (out.denied_by.is_empty(), out.seen_by.is_empty()) {
        (false, _) => Landed::No,
        (true, false) => Landed::Yes,
        (true, true) => Landed::Unseen,
    };
    Ok(out)
}

fn need(said: &[(&str, &MinerAnswer)], index: u64) -> Need {
    let saw: BTreeSet<bool> =
        said.iter().filter_map(|(_, m)| m.partitions.get(&index)).map(|all| all.iter().any(|p| p.wants_proof())).collect();
    match (saw.contains(&true), saw.contains(&false)) {
        (true, _) => Need::Yes,
        (false, true) => Need::No,
        (false, false) => Need::Unseen,
    }
}

/// Whether every partition that wants a proof has one.
fn landed(m: &MinerAnswer, deadline: u64) -> Landed {
    let Some(partitions) = m.partitions.get(&deadline) else { return Landed::Unseen };
    let mut wanting = partitions.iter().zip(0u64..).filter(|(p, _)| p.wants_proof()).map(|(_, n)| n).peekable();
    match &m.posted {
        _ if wanting.peek().is_none() => Landed::Yes,
        None => Landed::Unseen,
        Some(posted) => {
            if wanting.all(|n| posted.contains(n)) {
                Landed::Yes
            } else {
                Landed::No
            }
        }
    }
}
