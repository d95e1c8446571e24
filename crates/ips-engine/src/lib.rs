//! The engine: packets and their time in; flows, streams, detection; verdicts and events out. Pure: no clock, network or file system.
//!
//! | module | what |
//! |---|---|
//! | [`engine`] | a worker: frames in, verdicts out |
//! | [`key`], [`table`], [`flow`] | which flow, how many, how long |
//! | [`stream`] | TCP: states and bytes in order |
//! | [`app`] | what is spoken, and its transactions |
//! | [`standing`] | whether anything of a flow is left to see |
//! | [`output`] | what is told; [`stats`] what is counted; [`community`] a flow's name in every tool |
//!
//! In the middle (`core`, `inspect`) packets go through these in order and meet the rules of `ips-detect`.

#![forbid(unsafe_code)]

pub mod app;
pub mod community;
mod core;
pub mod engine;
mod expect;
pub mod flow;
mod inspect;
pub mod key;
pub mod output;
pub mod settings;
pub mod standing;
pub mod stats;
pub mod stream;
pub mod table;

pub use engine::{Engine, Fate, Manner};
pub use output::Output;
pub use settings::Settings;
pub use standing::{Judged, Over, Standing};
pub use stats::Stats;
