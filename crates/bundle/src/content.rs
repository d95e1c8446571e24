//! The draft: everything a machine must hold and how to tell that it does. All of it is decided before; the applier
//! decides nothing.

use crate::{address::OwnAddress, file::OwnFile, seed::SeedFlow};
use facts::Tuple;
use ipnet::IpNet;
use ruleset::form::Ruleset;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, net::IpAddr};
use words::{Digest, Generation, HostName, Proto};

/// Version of the form. The applier refuses others.
pub const SCHEMA: u32 = 1;

/// What a machine must hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Draft {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The machine.
    pub machine: HostName,
    /// Number of this state; larger than any this machine has seen.
    pub generation: Generation,
    /// Digest of the bundle this one replaces: the machine's confirmed one, `None` where it has none.
    pub parent: Option<Digest>,
    /// Digest of the site file and catalogue it was planned from.
    pub site: Digest,
    /// Mode of each layer, by name.
    pub layers: BTreeMap<String, LayerMode>,
    /// What is put on the machine, in this order.
    pub artefacts: Vec<Artefact>,
    /// What must be read back afterwards.
    pub expected: Expected,
    /// The way in that is never cut.
    pub management: Management,
    /// nft script that leaves the management path and what is established, and drops the rest.
    pub break_glass: String,
    /// What must work afterwards, seen from this machine.
    pub probes: Vec<Probe>,
    /// Connections through this machine that were open before it tracked any; for nodes that forward.
    pub seeds: Vec<SeedFlow>,
}

/// Mode of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LayerMode {
    /// Not there.
    Off,
    /// Counts what it would drop.
    Observe,
    /// In force.
    Enforce,
}

/// Something put on the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", deny_unknown_fields)]
pub enum Artefact {
    /// An nft script that replaces our own table in one transaction.
    Nft {
        /// The script.
        text: String,
    },
    /// Ravelin's rules among UFW's, where UFW filters the machine.
    Ufw {
        /// Its files.
        files: crate::UfwFiles,
    },
    /// Kernel settings.
    Sysctl {
        /// By dotted name.
        settings: BTreeMap<String, Setting>,
    },
    /// A file of our own.
    File(OwnFile),
    /// Addresses on its devices, besides those it has of its own.
    Addresses {
        /// The addresses, sorted.
        addresses: Vec<OwnAddress>,
        /// None is put on, and those that were put on before stay: while a layer observes nothing changes.
        leave: bool,
        /// The election of a pair puts them on and takes them off, nobody else.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        elected: bool,
    },
}

/// A kernel setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// Value as written to `/proc/sys`.
    pub value: String,
    /// A number that is larger already is left alone.
    pub at_least: bool,
    /// Its absence is an error. Otherwise a kernel without it, or a namespace that may not set it, is only reported.
    pub required: bool,
}

/// What must be read back. Compared in meaning, never byte by byte.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// Our own table as the plan has it; `None` where the network layer is off and the table must not be there.
    pub ruleset: Option<Ruleset>,
}

/// The way in that is never cut.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Management {
    /// Where operators come from.
    pub from: Vec<IpNet>,
    /// Ports they come to.
    pub ports: Vec<u16>,
}

impl Management {
    /// Whether a connection was opened on the way in: to this machine, or through it where it forwards.
    pub fn covers(&self, opened: &Tuple) -> bool {
        self.ports.contains(&opened.dport) && self.from.iter().any(|n| n.contains(&opened.src))
    }
}

/// Something that must work after the change, tried from this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// Id of the flow it goes along.
    pub id: String,
    /// Only [`Proto::Tcp`]: for the others silence proves nothing.
    pub proto: Proto,
    /// Where to.
    pub to: IpAddr,
    /// Port there. An answer of either kind, accepted or reset, shows that the way is open.
    pub port: u16,
}

impl Draft {
    /// Digest of what the machine would hold, without number, parent and seeds: equal for an unchanged site.
    pub fn policy(&self) -> Digest {
        let held = (&self.machine, &self.layers, &self.artefacts, &self.expected, &self.management, &self.break_glass);
        Digest::of(&crate::seal::canonical(&held))
    }
    /// The nft script, if the network layer has one.
    pub fn nft(&self) -> Option<&str> {
        self.artefacts.iter().find_map(|a| match a {
            Artefact::Nft { text } => Some(text.as_str()),
            Artefact::Sysctl { .. } | Artefact::File(_) | Artefact::Ufw { .. } | Artefact::Addresses { .. } => None,
        })
    }
    /// Ravelin's part of UFW's files, where the machine has one.
    pub fn ufw(&self) -> Option<&crate::UfwFiles> {
        self.artefacts.iter().find_map(|a| if let Artefact::Ufw { files } = a { Some(files) } else { None })
    }
    /// All kernel settings.
    pub fn settings(&self) -> BTreeMap<&str, &Setting> {
        self.artefacts
            .iter()
            .filter_map(|a| match a {
                Artefact::Sysctl { settings } => Some(settings),
                Artefact::Nft { .. } | Artefact::File(_) | Artefact::Ufw { .. } | Artefact::Addresses { .. } => None,
            })
            .flat_map(|s| s.iter().map(|(name, setting)| (name.as_str(), setting)))
            .collect()
    }
    /// All files, in the order of the artefacts.
    pub fn files(&self) -> impl Iterator<Item = &OwnFile> {
        self.artefacts.iter().filter_map(|a| match a {
            Artefact::File(file) => Some(file),
            Artefact::Nft { .. } | Artefact::Sysctl { .. } | Artefact::Ufw { .. } | Artefact::Addresses { .. } => None,
        })
    }
    /// All addresses.
    pub fn addresses(&self) -> impl Iterator<Item = &OwnAddress> {
        let all = self.artefacts.iter();
        all.filter_map(|a| if let Artefact::Addresses { addresses, .. } = a { Some(addresses) } else { None }).flatten()
    }
    /// Whether addresses are left as they are: none is put on, none of these is taken off.
    pub fn leaves_addresses(&self) -> bool {
        self.artefacts.iter().any(|a| matches!(a, Artefact::Addresses { leave: true, .. }))
    }
    /// Whether addresses belong to the active node of a pair: the bundle names them, the election puts them on.
    pub fn elects(&self) -> bool {
        self.artefacts.iter().any(|a| matches!(a, Artefact::Addresses { elected: true, .. }))
    }
}
