//! Detection: rules against packets, streams and transactions. Pure: no clock, network or file system; time comes with the packet.
//!
//! | module | what |
//! |---|---|
//! | [`tables`] | rules compiled: by protocol, direction, port, application, buffer; one matcher per place |
//! | [`seen`] | what the engine hands over with each packet |
//! | [`packet`], [`transaction`] | a packet, or a transaction, against the rules |
//! | [`settle`](settle/index.html) | what was hit, in order: limits, suppression, precedence; out comes a verdict |
//! | [`state`], [`memory`] | what is kept with a flow and a transaction; what flows share (hosts, sets, counts) |
//! | [`hit`], [`stats`] | what comes out; how often each rule was tried |
//!
//! For each packet the engine calls, in this order:
//!
//! 1. [`Tables::packet`] with the packet and, where there are any, the bytes of the stream that can be looked at now;
//! 2. [`Tables::transaction`] for each open transaction of the flow, in the packet's direction, whenever something of it is new;
//! 3. [`Tables::settle`], which empties nothing: [`Hits::clear`] does, before the next packet.
//!
//! Everything is found by number; names are looked up while compiling, and for events only. After the first packets nothing is
//! allocated (see `tests/steady.rs`).

#![forbid(unsafe_code)]

mod asn1;
mod base64;
mod bytes;
mod check;
mod compile;
mod counter;
mod fields;
pub mod hit;
mod inspect;
mod matcher;
pub mod memory;
mod order;
pub mod packet;
mod ports;
mod program;
mod regex;
pub mod seen;
pub mod settle;
pub mod state;
pub mod stats;
pub mod tables;
mod text;
pub mod transaction;
mod transform;

pub use hit::{Context, Hit, Hits, Verdict};
pub use memory::Memory;
pub use seen::{AppView, Checksums, Chunk, FlowView, Known, Seen};
pub use state::{FlowState, TxState};
pub use stats::RuleStats;
pub use tables::{Options, Scratch, Tables};
