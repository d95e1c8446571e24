//! Packet filter rulesets in one form: what Ravelin emits, what `nft -j list ruleset` reads back, and what
//! `iptables-save` shows of chains that others own. `plan` builds it, `emit` prints it as nft text, `reach` evaluates it,
//! `apply` compares it in meaning.
//!
//! Pure: text in, types out. Never: drops what it does not understand (that becomes [`Statement::Unknown`]).

pub mod form;
pub mod names;
pub mod nft;

pub use form::*;
pub use nft::ReadError;
