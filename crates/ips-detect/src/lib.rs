//! Detection: rules against packets, streams and transactions. Pure: no clock, network or file system.

#![forbid(unsafe_code)]
