//! Proving deadlines: when may a service be interrupted? In come answers of chain nodes and the time, out comes whether an interruption
//! may begin now and how long it may last, what is waited for, and which node is not believed and why.
//!
//! | module | step |
//! |---|---|
//! | [`chain`] | the protocol's numbers, epochs and seconds |
//! | [`bits`] | sets of sectors and partitions as nodes write them |
//! | [`answer`] | what one node said |
//! | [`judge`] | whether it can be believed |
//! | [`agree`] | what the believed ones say together, per miner |
//! | [`span`] | the schedule of deadlines as busy and free stretches of epochs |
//! | [`outlook`] | may it begin now, until when, what is waited for |
//! | [`jobs`] | sealing and proving under way |
//! | [`gate`] | go, wait, refuse: the site's policy |
//! | [`split`] | a long work over several windows |
//!
//! Two rules run through all of it. *Unknown is not no*: a proof whose landing no node can see has not landed. *Deadlines lie back to
//! back*: 48 half hours fill the day, so for a full provider the only free time is what is left of a deadline after its proof has
//! landed and before the next challenge is drawn.
//!
//! Pure: no clock, network, file system or process.

pub mod agree;
pub mod answer;
pub mod bits;
pub mod chain;
pub mod gate;
pub mod jobs;
pub mod judge;
pub mod outlook;
pub mod span;
pub mod split;

pub use agree::{Landed, Need, Standing};
pub use answer::{Answer, Fault, Head, Info, MinerAnswer, Partition, Reply, Trouble};
pub use bits::Bits;
pub use chain::{Clock, Epoch};
pub use gate::{Act, Policy, Unreachable};
pub use jobs::{Job, Jobs};
pub use judge::Disbelief;
pub use outlook::{Look, NodeSaid, Settings, Wait, look};
pub use span::Span;
