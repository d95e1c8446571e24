//! A container as it is: the part of an engine's description that decides what a takeover of it is worth. Never: environment
//! variables; they hold tokens.

use serde::Serialize;
use std::net::IpAddr;
use words::Proto;

/// A container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// Name, or the service's name in its compose file.
    pub name: String,
    /// Image with tag.
    pub image: String,
    /// `docker` or `podman`.
    pub engine: String,
    /// User inside as configured; empty is the image's own, which is root where the image says nothing.
    pub user: String,
    /// All privileges.
    pub privileged: bool,
    /// Shares the host's network.
    pub host_network: bool,
    /// Capabilities added.
    pub cap_add: Vec<String>,
    /// Capabilities dropped.
    pub cap_drop: Vec<String>,
    /// `no-new-privileges` is set.
    pub no_new_privs: bool,
    /// The root file system is read-only; `None` where it was not told.
    pub read_only: Option<bool>,
    /// Published ports.
    pub ports: Vec<Port>,
    /// Bind mounts and volumes.
    pub mounts: Vec<Mount>,
}

/// A published port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Port {
    /// Protocol.
    pub proto: Proto,
    /// Address on the host; the unspecified one is every address, past UFW.
    pub address: IpAddr,
    /// Port on the host; `None` is the engine's choice.
    pub host: Option<u16>,
    /// Port inside.
    pub inside: u16,
}

/// A mount.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Mount {
    /// Path on the host, or the name of a volume.
    pub source: String,
    /// Path inside.
    pub target: String,
    /// Not writable.
    pub read_only: bool,
}

impl Mount {
    /// `source:target[:options]`, as engines and the short form of compose files write it.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let (source, target) = (parts.next()?, parts.next()?);
        let read_only = parts.next().is_some_and(|o| o.split(',').any(|o| o == "ro"));
        (target.starts_with('/')).then(|| Self { source: source.to_owned(), target: target.to_owned(), read_only })
    }
}
