//! The engine: packets and their time in; flows, streams, detection; verdicts and events out. Pure: no clock, network or file system.

#![forbid(unsafe_code)]

pub mod community;
pub mod key;
pub mod stream;
pub mod table;
