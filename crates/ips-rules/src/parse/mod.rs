//! Readers of keywords' values, one file per family. Each takes the rule in the making and one option, and either changes
//! the rule or says what is wrong. Never: half of it.

pub(crate) mod bits;
pub(crate) mod bytes;
pub(crate) mod content;
pub(crate) mod data;
pub(crate) mod effect;
pub(crate) mod file;
pub(crate) mod flow;
pub(crate) mod header;
pub(crate) mod limit;
pub(crate) mod meta;
pub(crate) mod pcre;
pub(crate) mod tls;
pub(crate) mod transform;
