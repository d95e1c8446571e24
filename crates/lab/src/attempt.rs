//! What is tried against a standing site: every legitimate flow once per family, and attacks derived from the same model.
//!
//! In comes a model; out come attempts with what must become of them. An attempt that a flow allows is no attack and is
//! left out, so the list is right for any site file. Modules below say what honest programs do ([`legitimate`]) and what
//! attackers do ([`attack`]). Never: fires anything.

pub mod attack;
pub mod legitimate;

use crate::packet::Packet;
use serde::Serialize;
use std::net::{IpAddr, SocketAddr};
use words::Proto;

/// Kind of attempt; the table is grouped by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Group {
    /// A flow of the model.
    Legitimate,
    /// From the Internet to what is not published.
    Internet,
    /// With somebody else's address.
    Spoofed,
    /// Around the gateway.
    Hop,
    /// From a taken-over machine to what it has no business with.
    Inside,
    /// From the site to places it must not reach.
    Egress,
    /// Cut into pieces.
    Fragments,
    /// Without or against a connection's state.
    State,
    /// In the name of the pair's other node.
    Pair,
    /// `[[never]]` of the site file.
    Never,
}

impl Group {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Group::Legitimate => "legitimate",
            Group::Internet => "from the Internet",
            Group::Spoofed => "spoofed source",
            Group::Hop => "around the gateway",
            Group::Inside => "taken-over machine",
            Group::Egress => "egress",
            Group::Fragments => "fragments",
            Group::State => "out of state",
            Group::Pair => "as a node of the pair",
            Group::Never => "declared never",
        }
    }
}

/// What is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Deed {
    /// A real connection or datagram with an answer.
    Connect {
        /// Source, bound.
        src: IpAddr,
        /// Destination.
        dst: SocketAddr,
        /// TCP or UDP.
        proto: Proto,
    },
    /// A single packet.
    Send(Packet),
}

/// What must come of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expected {
    /// This node answers, or the packet lands there.
    Reaches(String),
    /// A rule stops it, here or there, and counts it.
    Stopped,
}

impl std::fmt::Display for Expected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Expected::Reaches(node) => write!(f, "reaches {node}"),
            Expected::Stopped => f.write_str("stopped"),
        }
    }
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Attempt {
    /// Kind.
    pub group: Group,
    /// In words, for the table.
    pub what: String,
    /// Who does it.
    pub node: String,
    /// Its own filter is removed first, as an attacker with root would.
    pub taken_over: bool,
    /// A route planted first: the destination by this next hop.
    pub via: Option<IpAddr>,
    /// What is done.
    pub deed: Deed,
    /// What must come of it.
    pub expected: Expected,
    /// Flow that allows it.
    pub flow: Option<String>,
}

impl Attempt {
    /// Where it goes.
    pub fn dst(&self) -> IpAddr {
        match &self.deed {
            Deed::Connect { dst, .. } => dst.ip(),
            Deed::Send(packet) => packet.dst,
        }
    }
}
