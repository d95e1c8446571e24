//! Packet filter rulesets in one form: what Ravelin emits, what `nft -j list ruleset` reads back, and what
//! `iptables-save` shows of chains that others own. `plan` builds it, `emit` prints it as nft text, `reach` evaluates it,
//! `apply` compares it in meaning.
//!
//! | module | idea |
//! |---|---|
//! | [`form`] | the types |
//! | [`nft`] | reads `nft -j list ruleset` |
//! | [`iptables`] | reads `iptables-save`, and composes it with nft's view |
//! | [`ufw`] | UFW's rule files: whose rules, at which line, Ravelin's replaced |
//! | [`canonical`] | the normal form and its digest |
//! | [`mod@compare`] | differences in meaning, in words |
//! | [`names`] | names of numbers |
//! | `mutate` | every way to break a table by one step (feature `mutate`, for tests) |
//!
//! Pure: text in, types out. Never: drops what it does not understand (that becomes [`Statement::Unknown`]).

pub mod canonical;
pub mod compare;
pub mod form;
pub mod iptables;
#[cfg(feature = "mutate")]
pub mod mutate;
pub mod names;
pub mod nft;
pub mod ufw;

pub use compare::{Change, Difference, compare};
pub use form::*;
pub use nft::ReadError;
