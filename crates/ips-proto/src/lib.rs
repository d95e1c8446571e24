//! Applications: bytes of a conversation in, transactions and their buffers out. Pure: no clock, network or file system.
//! Every parser is total, bounded and incremental.

#![forbid(unsafe_code)]

pub mod transaction;

pub use transaction::{Input, Parser, Piece, Toward, Transaction};
