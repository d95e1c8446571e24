//! Captures in, events out: the engine's face to files.
//!
//! | module | what |
//! |---|---|
//! | [`capture`] | frames of pcap and pcapng files, compressed or not |
//! | [`eve`] | events as lines of JSON, as the ecosystem reads them |
//! | [`json`] | JSON written without allocating |

#![forbid(unsafe_code)]

pub mod capture;
pub mod config;
pub mod eve;
pub mod json;
pub mod session;
pub mod sets;
