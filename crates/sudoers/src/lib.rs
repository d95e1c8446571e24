//! The sudo policy: in come the logical lines of `/etc/sudoers` and its includes, out comes whether an account may run
//! something as another one, with or without a password, and which line says so.
//!
//! | module | what it is |
//! |---|---|
//! | [`form`] | the policy as a type: aliases, specifications, defaults |
//! | [`cursor`] | characters of one line, as sudo's lexer cuts them |
//! | [`parse`] | lines to [`Policy`]; what does not read is kept as unread, with its line |
//! | [`outcome`] | allowed, denied, not spoken of: sets of what is possible |
//! | [`matching`] | users, groups, hosts, run-as lists, aliases |
//! | [`command`] | commands, arguments, patterns |
//! | [`ask`] | the questions and their answers |
//!
//! The text is hostile: nothing here panics, recursion and work are bounded, and what exceeds a bound is unknown. Unknown
//! is not no: a netgroup, a digest, a regular expression, a time limit or a line that does not read never turns into "may
//! not". Pure: no clock, network, file system or process. Written after `sudoers(5)` of sudo 1.9.13.

pub mod ask;
pub mod command;
pub mod cursor;
pub mod form;
pub mod matching;
pub mod outcome;
pub mod parse;

#[cfg(test)]
mod tests;

pub use ask::{Answer, Grant, Machine, Ruling, Who};
pub use form::Policy;
