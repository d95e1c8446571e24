//! Captures in, events out.

#![forbid(unsafe_code)]
