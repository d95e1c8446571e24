//! Processes, containers and their engines.

use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use words::Proto;

/// A process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Process {
    /// Process id.
    pub pid: u32,
    /// Parent's id.
    pub parent: u32,
    /// Short name, at most 15 bytes.
    pub comm: String,
    /// Program; empty where it could not be read, and for kernel threads.
    pub exe: String,
    /// Arguments, redacted.
    pub argv: Vec<String>,
    /// Names of environment variables that hold a secret, e.g. `FULLNODE_API_INFO`. Never the content.
    pub secret_env: Vec<String>,
    /// Variables of its environment that name a directory by their name and value (`LOTUS_PATH=/data/lotus`, `HOME`).
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub places: std::collections::BTreeMap<String, String>,
    /// Effective user id.
    pub uid: u32,
    /// Effective group id.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// Account's name, if there is one.
    pub user: Option<String>,
    /// systemd unit it belongs to, by its cgroup.
    pub unit: Option<String>,
    /// Container it belongs to (id), by its cgroup.
    pub container: Option<String>,
    /// Effective capabilities as a bit set.
    pub capabilities: u64,
    /// Capabilities it may still gain.
    pub bounding: u64,
    /// `no_new_privs` is set.
    pub no_new_privs: bool,
    /// Seccomp mode: 0 none, 1 strict, 2 filter.
    pub seccomp: u8,
    /// Security label, where a module gives one.
    pub label: Option<String>,
    /// Working directory.
    pub cwd: Option<String>,
    /// Largest core dump in bytes (soft limit); the largest number is no limit.
    pub core_limit: Option<u64>,
}

/// A container engine that is installed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Engine {
    /// `docker` or `podman`.
    pub name: String,
    /// Version as its client says it, e.g. `4.3.1`.
    pub version: String,
}

/// A container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Container {
    /// Name.
    pub name: String,
    /// Id.
    pub id: String,
    /// Image with tag.
    pub image: String,
    /// `docker` or `podman`.
    pub engine: String,
    /// User inside, as configured; empty is root.
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
    /// Published ports.
    pub ports: Vec<PortMapping>,
    /// Bind mounts, `host:inside`.
    pub mounts: Vec<String>,
}

/// A published port of a container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PortMapping {
    /// Protocol.
    pub proto: Proto,
    /// Address on the host; the unspecified one is every address, past UFW.
    pub address: IpAddr,
    /// Port on the host.
    pub host: u16,
    /// Port inside.
    pub inside: u16,
}
