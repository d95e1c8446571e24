//! The proof: packet-set reasoning over a model or over real rulesets.
//!
//! | module | what |
//! |---|---|
//! | [`field`] | the fields of a packet, as levels of a decision diagram |
//! | [`set`] | packet sets and their algebra |
//! | [`packet`] | one packet: a witness |
//!
//! Pure: no clock, network, file system or process.

pub mod field;
pub mod packet;
pub mod set;

pub use field::Field;
pub use packet::Packet;
pub use set::{Set, Store};
