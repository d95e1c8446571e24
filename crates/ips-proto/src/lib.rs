//! Applications: bytes of a conversation in, transactions and their buffers out. Pure: no clock, network or file system.
//! Every parser is total, bounded and incremental.

#![forbid(unsafe_code)]

pub mod body;
pub mod http;
pub mod json;
pub mod settings;
pub mod transaction;

pub use transaction::{Expected, File, FileState, Input, Parser, Piece, Step, Toward, Transaction};
