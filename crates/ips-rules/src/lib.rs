//! The rule language of the IPS engine: text in, typed rules out, or every reason why not.
//!
//! | module | what |
//! |---|---|
//! | [`read`] | a rules file to rules and findings |
//! | [`rule`], [`condition`] | the typed rule |
//! | [`buffer`] | the table of buffers; [`keyword`] the table of keywords |
//! | [`header`], [`group`], [`vars`] | ends of a rule and their variables |
//! | [`config`] | classes, references, thresholds |
//! | [`fast`] | which content is looked for first |
//! | [`set`] | rules together: conflicts, counts |
//! | [`explain`] | a rule in words |
//!
//! A rule that is not understood in full is not loaded, and never weakened. Pure: no clock, network, file system or process.

#![forbid(unsafe_code)]

pub mod buffer;
mod build;
pub mod condition;
pub mod config;
pub mod explain;
pub mod fast;
pub mod fault;
pub mod group;
pub mod header;
pub mod keyword;
pub mod limits;
mod lines;
pub mod num;
mod option;
mod parse;
pub mod pattern;
pub mod ranges;
pub mod read;
pub mod rule;
pub mod set;
pub mod vars;
mod verify;

pub use config::{Tables, thresholds};
pub use fault::Finding;
pub use rule::Rule;
pub use set::Set;
pub use vars::Vars;
