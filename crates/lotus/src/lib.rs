//! The client of chain nodes (lotus, Forest, a gateway), of lotus-miner and of Curio. In come a node's places, its token and the miners
//! to ask about, out comes what it said, decoded and not judged, or in which way it failed. Never: calls a method that changes anything,
//! follows a redirect or a proxy, shows a token, waits longer or reads more than it was told.
//!
//! | module | what |
//! |---|---|
//! | [`method`] | the methods that can be called: a closed list, each with its permission |
//! | [`token`] | tokens, redacted by type |
//! | [`wire`] | total decoding of answers |
//! | [`mod@ask`] | a node's conversation |
//! | [`wait`] | everybody asked at once, until an interruption fits |
//! | `http`, `ws`, `tls` | the two ways to speak |

pub mod ask;
mod channel;
mod http;
pub mod method;
mod tls;
pub mod token;
pub mod wait;
pub mod wire;
mod ws;

pub use ask::{Depth, JobKind, Node, ask, jobs};
pub use method::Method;
pub use token::Token;
pub use wait::{Asker, Passed};

/// Largest answer in bytes. A head has some 30 KB; partitions of a large deadline, every second sector faulty, some MB.
pub const MAX_ANSWER: u64 = 16 << 20;
