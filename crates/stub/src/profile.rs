//! The profile: everything a stand-in does, as data. Paths stand as the catalogue has them (`$LOTUS_PATH/keystore`): the
//! stand-in finds them through its environment, as the daemon does. Never: a decision of the plan.

use serde::{Deserialize, Serialize};

/// One instance of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Profile {
    /// Catalogue entry.
    pub service: String,
    /// Name of the instance.
    pub instance: String,
    /// Where it listens.
    pub listens: Vec<Listen>,
    /// Its files and directories.
    pub places: Vec<Place>,
    /// Directories outside its repository that it stores sectors and pieces in, as the site file names them.
    pub stores: Vec<String>,
    /// Services it dials.
    pub peers: Vec<Peer>,
    /// Ports it dials outside of the site.
    pub outside: Vec<Port>,
    /// Words of the catalogue's needs that hold, with their paths.
    pub needs: Vec<Need>,
}

impl Profile {
    /// The entry of a need.
    pub fn need(&self, word: &str) -> Option<&Need> {
        self.needs.iter().find(|n| n.what == word)
    }
}

/// A port with its transport.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Port {
    /// UDP, else TCP.
    pub udp: bool,
    /// Number.
    pub port: u16,
}

/// One listening place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listen {
    /// Endpoint.
    pub endpoint: String,
    /// Where.
    pub at: Port,
    /// On loopback alone.
    pub loopback: bool,
}

/// A file or directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// Path with variables, as the catalogue has it.
    pub path: String,
    /// Where an unset variable points.
    pub default: Option<String>,
    /// What it is: the catalogue's word.
    pub kind: String,
    /// It writes there.
    pub write: bool,
    /// A directory, not a file.
    pub directory: bool,
    /// Mode with which the daemon makes it.
    pub mode: u32,
}

/// A service it dials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peer {
    /// Service and endpoint.
    pub name: String,
    /// Address.
    pub address: std::net::IpAddr,
    /// Port.
    pub at: Port,
}

/// A need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Need {
    /// The catalogue's word.
    pub what: String,
    /// Its paths.
    pub paths: Vec<String>,
}
