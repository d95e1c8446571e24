//! Machines that change together. Pure data; [`mod@crate::order`] decides it.

use serde::{Deserialize, Serialize};
use words::HostName;

/// Machines that change together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wave {
    /// Who.
    pub machines: Vec<HostName>,
    /// A node of a pair that hands over before these are changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drained: Option<HostName>,
    /// Why now.
    pub why: String,
}

/// What a machine is to hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Its bundle.
    pub digest: words::Digest,
    /// The bundle's number.
    pub generation: words::Generation,
    /// What it holds until then, confirmed.
    pub before: Option<words::Digest>,
    /// It holds all of it already: it is probed and not changed.
    pub unchanged: bool,
}

/// Which plan a connection belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Both plans let it pass, and so does every mixture of them.
    Kept,
    /// Only the new one does.
    New,
    /// Only the old one does.
    Gone,
}

/// A connection that is tried during a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// The connection. What is expected is what the new plan says.
    pub trial: bundle::Trial,
    /// Which plan it belongs to.
    pub class: Class,
    /// Machines on its way besides the one that tries it: when one of them changes it is tried again.
    pub passes: Vec<HostName>,
}
