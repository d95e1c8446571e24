//! Connections tried from a machine to see what its rules, and everybody's on the way, let pass. In comes a list, out comes what became of
//! each. The form both ends of `ravelin-applier probe` speak. Never: a request that changes anything where it arrives.

use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use words::Proto;

/// Most trials in one list: each is a socket, and all are open at once.
pub const MOST_TRIALS: usize = 512;

/// A connection to try.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// Id of the flow it goes along.
    pub id: String,
    /// Only [`Proto::Tcp`] can be tried: of the others silence says nothing.
    pub proto: Proto,
    /// The address it begins at, where the machine has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<IpAddr>,
    /// Where to.
    pub to: IpAddr,
    /// Port there.
    pub port: u16,
    /// What the proof says of it.
    pub expect: Expect,
}

/// What the proof says of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expect {
    /// It gets through.
    Open,
    /// It does not.
    Closed,
}

/// What became of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Is {
    /// Accepted or reset by the other end: the way there and back is open.
    Open,
    /// Silence, or somebody on the way said that it is forbidden.
    Closed,
    /// It could not be tried: no route, no such address here, not TCP.
    Unclear,
}

/// A connection that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// Id of the flow.
    pub id: String,
    /// Where to.
    pub to: IpAddr,
    /// Port there.
    pub port: u16,
    /// What the proof says.
    pub expect: Expect,
    /// What it is.
    pub is: Is,
    /// What the kernel said, or how long nobody did.
    pub why: String,
}

impl Tried {
    /// Whether it is what the proof says. What could not be tried is not: it shows nothing.
    #[must_use]
    pub fn as_proved(&self) -> bool {
        matches!((self.expect, self.is), (Expect::Open, Is::Open) | (Expect::Closed, Is::Closed))
    }
}
