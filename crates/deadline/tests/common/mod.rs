//! Nodes of tests: answers as a node that is well would give them.

use deadline::{
    Answer, Bits, Epoch, Head, Info, MinerAnswer, Partition, Reply,
    chain::{DEADLINES, EPOCH_SECONDS, MAINNET_GENESIS, PERIOD_EPOCHS, WINDOW_EPOCHS},
};
use std::collections::BTreeMap;

/// Unix seconds in the middle of an epoch.
pub fn time(epoch: Epoch) -> u64 {
    MAINNET_GENESIS + u64::try_from(epoch).expect("after genesis") * EPOCH_SECONDS + 7
}

/// The head of that epoch.
pub fn head(height: Epoch) -> Head {
    Head { height, timestamp: time(height) - 7 }
}

/// The open deadline of a miner whose periods begin at this offset.
pub fn info(height: Epoch, offset: Epoch) -> Info {
    let period_start = height - (height - offset).rem_euclid(PERIOD_EPOCHS);
    let index = u64::try_from((height - period_start) / WINDOW_EPOCHS).expect("not negative");
    let open = period_start + Epoch::try_from(index).expect("small") * WINDOW_EPOCHS;
    Info {
        current_epoch: height,
        period_start,
        index,
        open,
        close: open + 60,
        challenge: open - 20,
        fault_cutoff: open - 70,
        deadlines: 48,
        period: 2880,
        window: 60,
        lookback: 20,
        fault_declaration_cutoff: 70,
    }
}

/// A partition with live sectors, or without.
pub fn partition(live: bool) -> Partition {
    let live_sectors = Bits::from_runs(if live { &[0, 9] } else { &[0] }).expect("runs");
    Partition { live_sectors, faulty_sectors: Bits::default(), recovering_sectors: Bits::default() }
}

/// What a node says of a miner: which deadlines want proofs, and whether the open one's has landed.
pub fn miner(height: Epoch, offset: Epoch, wants: impl Fn(u64) -> bool, landed: bool) -> MinerAnswer {
    let partitions: BTreeMap<u64, Vec<Partition>> = (0..DEADLINES).map(|d| (d, vec![partition(wants(d))])).collect();
    let posted = Bits::from_runs(if landed { &[0, 1] } else { &[0] }).expect("runs");
    MinerAnswer { info: info(height, offset), posted: Some(posted), partitions }
}

/// A node's reply about miners.
pub fn reply(node: &str, height: Epoch, miners: &[(&str, MinerAnswer)]) -> Reply {
    let miners = miners.iter().map(|(n, m)| ((*n).to_owned(), m.clone())).collect();
    Reply { node: node.into(), answer: Ok(Answer { head: head(height), settled: head(height - 4), miners, lacks: Vec::new() }) }
}
