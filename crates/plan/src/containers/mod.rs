//! Containers: in come running ones as an engine describes them, or those of a compose file, out come what is wrong with each and
//! how it would run with no more than it needs. Never: starts, stops or changes one.
//!
//! | module | idea |
//! |---|---|
//! | [`form`](mod@form) | what the engine reads: an override, a Quadlet or a unit |
//! | [`seen`] | a container as it is |
//! | [`compose`] | compose files read, total |
//! | [`mod@harden`] | findings and the narrower form |

pub mod compose;
pub mod form;
pub mod harden;
pub mod seen;

pub use form::Form;
pub use harden::{Fault, Finding, Hardened, Known, harden};
pub use seen::{Mount, Port, Seen};
