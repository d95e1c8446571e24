//! HTTP/1 as the peer reads it. Bytes of the two directions come in, calls to an [`Observer`] go out. This crate is a safe face for the
//! library `suricata-htp` (the peer's own HTTP parser, BSD licence), whose only public interface is one for C: raw pointers live here and
//! nowhere else. It decides nothing about what the calls mean.

mod config;
mod connection;
mod tx;

pub use config::{Config, Settings};
pub use connection::{Connection, Flow, Observer, Part};
pub use suricata_htp::{config::HtpServerPersonality as Personality, log::HtpLogCode as Code, request::HtpMethod as Method};
pub use suricata_htp::{
    transaction::{
        HtpAuthType as Auth, HtpProtocol as Protocol, HtpRequestProgress as RequestProgress, HtpResponseProgress as ResponseProgress,
    },
    util::HtpFlags as Flags,
};
pub use tx::Tx;
