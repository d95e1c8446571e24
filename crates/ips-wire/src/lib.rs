//! Packets: bytes of a frame in, headers and payload out, fragments put together. Pure: no clock, network or file system.

#![forbid(unsafe_code)]

pub mod packet;

pub use packet::Packet;
