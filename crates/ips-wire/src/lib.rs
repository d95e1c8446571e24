//! Packets: bytes of a frame in, headers and payload out, fragments put together. Pure: no clock, network or file system.
//!
//! | module | what |
//! |---|---|
//! | [`packet`] | the decoded packet |
//! | [`decode`] | frames of a link type to packets, layer by layer; tunnels and rebuilt datagrams are packets of their own |
//! | [`fragment`] | fragments put together by the target's policy |
//! | [`pieces`] | which bytes of it, or of a stream, are there |
//! | [`tcp`], [`checksum`] | header of TCP with its options; checksums |
//! | [`event`] | what was unusual, by the peer's names |

#![forbid(unsafe_code)]

pub mod bytes;
pub mod checksum;
pub mod decode;
pub mod event;
pub mod fragment;
mod gre;
mod icmp;
mod ipv4;
mod ipv6;
mod link;
pub mod packet;
pub mod pieces;
pub mod tcp;
mod transport;
mod tunnel;

pub use decode::{Decoder, Link};
pub use event::{Event, Events};
pub use packet::Packet;
