//! What would be cut. In come the model and what machines reported over time, out come the flows that really happen and
//! that the model does not allow, each with its process and the lines that would allow it; whether the window is clean;
//! and limits for what is published, from what was seen.
//!
//! | module | says |
//! |---|---|
//! | [`seen`] | which flows there were, and who was behind them |
//! | [`judge`] | whether the model allows a flow, and whether anything would stop it |
//! | [`lines`] | the lines of the site file that would allow it |
//! | [`report`] | all of it for people and programs |
//! | [`ledger`] | what was seen over time, kept small |
//! | [`window`] | whether going to `enforce` may be trusted |
//! | [`rate`] | how fast sources open connections |
//! | [`denial`] | what SELinux refused or would have, and whether its domains may be enforced |
//! | [`remedy`] | the catalogue entry that would allow it |
//!
//! Pure: observations and time are arguments.

pub mod denial;
pub mod judge;
pub mod ledger;
pub mod lines;
pub mod rate;
pub mod remedy;
pub mod report;
pub mod seen;
pub mod window;

pub use ledger::Ledger;
pub use report::{Cut, Report, report};
pub use seen::{Observation, Who};
pub use window::{PROVING_PERIOD, Sample, Window};
