//! The proof: packet-set reasoning over a model or over real rulesets.
//!
//! | module | what |
//! |---|---|
//! | [`field`] | the fields of a packet, as levels of a decision diagram |
//! | [`set`] | packet sets and their algebra |
//! | [`packet`] | one packet: a witness |
//!
//! Pure: no clock, network, file system or process.

pub mod conform;
pub mod eval;
pub mod field;
pub mod invariant;
pub mod network;
pub mod packet;
pub mod place;
pub mod policy;
pub mod set;
pub mod trace;

pub use conform::{Deviation, conformance};
pub use eval::{Eval, Outcome, Past};
pub use field::Field;
pub use invariant::{Violation, check};
pub use network::{Answer, Journey, Network, Prover, Question, Sender};
pub use packet::Packet;
pub use place::{Link, Place};
pub use policy::{Policy, policy};
pub use set::{Set, Store};
