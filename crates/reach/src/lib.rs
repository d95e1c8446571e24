//! The proof: packet-set reasoning over a model or over real rulesets.
//!
//! | module | what |
//! |---|---|
//! | [`field`] | the fields of a packet, as levels of a decision diagram |
//! | [`set`] | packet sets and their algebra |
//! | [`packet`] | one packet: a witness |
//! | [`place`] | the machine a ruleset stands on |
//! | [`eval`] | all packets through a ruleset at once |
//! | [`trace`](mod@trace) | one packet through a ruleset, rule by rule |
//! | [`network`] | from sender to receiver over zones and edge; [`Network::reach`] answers |
//! | [`policy`](mod@policy) | what the model allows, as the same sets |
//! | [`conform`] | filters against the policy, both ways |
//! | [`invariant`] | what must never be, NET001 and on |
//! | [`diff`] | what a change opens and closes, in words |
//! | [`mixture`](mod@mixture) | some machines on the old plan, some on the new one: nothing wider than either, and what is cut meanwhile |
//! | [`probes`](mod@probes) | what each machine tries along proved flows, before and after a change |
//! | [`cut`](mod@cut) | tracked connections that the rules would not let open |
//! | [`exposure`] | listening sockets against the packet filter: filtered or reachable, and by whom |
//! | [`dead`](mod@dead) | rules and elements that never decide |
//!
//! Pure: no clock, network, file system or process.

pub mod conform;
pub mod cut;
pub mod dead;
pub mod diff;
pub mod eval;
pub mod exposure;
pub mod field;
pub mod invariant;
pub mod mixture;
pub mod network;
pub mod packet;
pub mod place;
pub mod policy;
pub mod probes;
pub mod set;
pub mod trace;

pub use conform::{Deviation, conformance};
pub use dead::dead;
pub use diff::{Change, difference, snapshot};
pub use eval::{Eval, Outcome, Past};
pub use field::Field;
pub use invariant::{Proof, Violation, check, prove, prove_made};
pub use mixture::{Mixture, State};
pub use network::{Answer, Journey, Maker, Network, Prover, Question, Sender};
pub use packet::Packet;
pub use place::{Link, Place};
pub use policy::{Policy, policy};
pub use set::{Set, Store};
