//! The model: one valid site, groups expanded, references resolved, flows derived, every fact with its origin.
//!
//! Only this crate makes a [`Model`]; who holds one may trust it: names exist, addresses lie in their zone's subnets,
//! every flow's parties exist and have addresses of a common family. A host without addresses occurs only where it is
//! the site's one host (edge `none`): its own addresses are then written as the whole address space. Everything is in `BTreeMap`s or sorted vectors, so
//! that two runs give the same bytes.

use crate::Flows;
use catalog::{App, Class, Need, Service};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};
use words::{
    AccountName, EndpointName, Family, GroupName, HostName, InstanceName, Origin, PortSet, Proto, ProtoPorts, ServiceName, ZoneName,
};

/// One site.
#[derive(Debug, Clone, Serialize)]
pub struct Model {
    /// `[site] name`.
    pub name: String,
    /// Miner ids, e.g. `f01234`.
    pub miners: Vec<String>,
    /// Declared uplink in bit/s.
    pub uplink_bps: Option<u64>,
    /// Who manages the machines; never cut.
    pub management: Management,
    /// Mode of each layer.
    pub layers: Layers,
    /// Which accounts services run under where nothing else is said.
    pub accounts: Accounts,
    /// Zones by name; `internet` is always there, without subnets.
    pub zones: BTreeMap<ZoneName, Zone>,
    /// The perimeter.
    pub edge: Edge,
    /// Every machine, groups expanded, edge nodes included.
    pub hosts: BTreeMap<HostName, Host>,
    /// Group members, for those who speak of groups.
    pub groups: BTreeMap<GroupName, BTreeSet<HostName>>,
    /// `[[publish]]`, resolved.
    pub publishes: Vec<Publish>,
    /// `[[never]]`, resolved.
    pub nevers: Vec<Never>,
    /// `[[storage]]`, resolved.
    pub storages: Vec<Storage>,
    /// `[[backup]]`, one for each host.
    pub backups: Vec<Backup>,
    /// `[deadlines]`.
    pub deadlines: Option<Deadlines>,
    /// `[external.*]`.
    pub externals: BTreeMap<String, External>,
    /// Accepted deviations from the catalogue's intended reach.
    pub weakenings: Vec<Weakening>,
    /// Everything that may flow, sorted by id. What is not here is denied.
    pub flows: Flows,
    /// Catalogue entries the site uses, its own services included.
    #[serde(skip)]
    pub services: BTreeMap<ServiceName, Arc<Service>>,
}

/// Who manages the machines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Management {
    /// Zones it comes from.
    pub zones: Vec<ZoneName>,
    /// Addresses it comes from, outside the site.
    pub nets: Vec<IpNet>,
    /// The service it uses, `ssh` by default.
    pub by: ServiceName,
    /// Where it is said.
    pub origin: Origin,
}

/// Mode of a layer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Not there.
    Off,
    /// Changes nothing, says what would be cut. The default: look before you leap.
    #[default]
    Observe,
    /// In force.
    Enforce,
}

/// Which accounts services run under where nothing else is said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Accounts {
    /// The catalogue's: one a family (`lotus`, `boost`, `curio`).
    #[default]
    Catalogue,
    /// One, [`SHARED_ACCOUNT`], for every service that is given a unit.
    Shared,
    /// One a service, named after it.
    PerService,
}

/// The one account of `accounts = "shared"`.
pub const SHARED_ACCOUNT: &str = "lotus";

/// Modes of the layers.
#[derive(Debug, Clone, Copy, Default, Serialize)]
#[expect(missing_docs, reason = "the fields are the layers' names")]
pub struct Layers {
    pub network: Mode,
    pub methods: Mode,
    pub ips: Mode,
    pub selinux: Mode,
    pub system: Mode,
}

/// A zone: one VLAN.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Zone {
    /// Name.
    pub name: ZoneName,
    /// 802.1Q tag.
    pub vlan: Option<u16>,
    /// Subnets, v4 and v6; empty for `internet`.
    pub subnets: Vec<IpNet>,
    /// Gateway addresses (the edge's virtual addresses, or the node's own where there is one node).
    pub gateways: Vec<IpAddr>,
    /// The edge routes into and out of it. `false` for the pair's own `sync` zone and where the site file says so.
    pub routed: bool,
    /// What the site file says about router advertisements.
    pub advertised: Option<bool>,
    /// Where it is said.
    pub origin: Origin,
}

impl Zone {
    /// Hosts may learn their IPv6 gateway from router advertisements. Anybody on the link can send those, so where the gateway
    /// is known they are not needed.
    pub fn is_advertised(&self) -> bool {
        self.advertised.unwrap_or_else(|| !self.gateways.iter().any(IpAddr::is_ipv6))
    }
}

/// Kind of perimeter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EdgeKind {
    /// The host layer is the perimeter.
    None,
    /// Somebody else's firewall; flows are written as a list and verified with packets.
    External,
    /// One Ravelin node, or a redundant pair.
    Ravelin,
}

/// The perimeter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Edge {
    /// Kind.
    pub kind: EdgeKind,
    /// Edge nodes, in order of preference; empty unless `ravelin`.
    pub nodes: Vec<HostName>,
    /// The site's public prefixes.
    pub public: Vec<IpNet>,
    /// The public address comes by DHCP or PPP.
    pub wan_dynamic: bool,
    /// Subnet between the pair's nodes.
    pub sync: Option<IpNet>,
    /// Virtual addresses per zone.
    pub vip: BTreeMap<ZoneName, Vec<IpAddr>>,
    /// Source address of translated egress (v4), if it is known; else the interface's own.
    pub egress_address: Option<IpAddr>,
    /// What is inspected on the way through; `None` where nothing is said of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ips: Option<Inspection>,
    /// Where it is said.
    pub origin: Origin,
}

/// What an edge inspects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inspection {
    /// Zones: what comes from or goes to one of them is inspected.
    pub zones: BTreeSet<ZoneName>,
    /// Rule files, as patterns.
    pub rules: Vec<String>,
    /// Packets go on while the engine is down.
    pub open: bool,
    /// How long a flow is looked at: `all`, `until-opaque`, or bytes.
    pub extent: String,
    /// Where it is said.
    pub origin: Origin,
}

impl Edge {
    /// Whether this is one of its nodes.
    pub fn is_node(&self, party: &Party) -> bool {
        matches!(party, Party::Host(h) if self.nodes.contains(h))
    }
    /// Whether a flow begins or ends at a node: it is for the node's own input and output, not forwarded.
    pub fn has_end_of(&self, flow: &Flow) -> bool {
        self.is_node(&flow.from) || self.is_node(&flow.to)
    }
    /// Whether a flow is what the nodes of a pair say to one another about themselves.
    pub fn is_within_pair(&self, flow: &Flow) -> bool {
        flow.kind == FlowKind::Edge && self.is_node(&flow.from) && self.is_node(&flow.to)
    }
}

/// One machine.
#[derive(Debug, Clone, Serialize)]
pub struct Host {
    /// Name.
    pub name: HostName,
    /// One per zone it stands in; sorted by zone. An edge node stands in every routed zone, perhaps without an address of
    /// its own there.
    pub interfaces: Vec<Interface>,
    /// The zone its default route leaves by: routed flows begin and end at its addresses there, so that replies take
    /// the same way back. `internet` for edge nodes and for hosts of a site without zones.
    pub default_zone: ZoneName,
    /// What it runs.
    pub instances: Vec<Instance>,
    /// Ravelin manages it. Otherwise (BMC, appliance, somebody else's) its own filter is unknown.
    pub managed: bool,
    /// It is an edge node.
    pub edge: bool,
    /// Software on it that keeps its own rules: `docker`, `tailscale`, ...
    pub coexist: Vec<String>,
    /// What filters it.
    pub firewall: Firewall,
    /// Where it is said.
    pub origin: Origin,
}

/// What filters a host. Never two: the other one stays as it is, or away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Firewall {
    /// UFW where it is active on the machine, else nftables.
    #[default]
    Auto,
    /// UFW: Ravelin's rules stand among its rules.
    Ufw,
    /// A table of Ravelin's own.
    Nftables,
}

impl Host {
    /// All its addresses.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.interfaces.iter().flat_map(|i| i.addresses.iter().map(|a| a.addr()))
    }
    /// Its interface in a zone.
    pub fn interface(&self, zone: &ZoneName) -> Option<&Interface> {
        self.interfaces.iter().find(|i| &i.zone == zone)
    }
    /// Whether it runs something that dials any public peer.
    pub fn speaks_libp2p(&self) -> bool {
        self.instances.iter().any(|i| i.service.libp2p)
    }
}

/// A machine's place in a zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Interface {
    /// The zone.
    pub zone: ZoneName,
    /// Device name, where the site file gives it; rules otherwise go by address.
    pub device: Option<String>,
    /// Addresses with the zone's prefix length.
    pub addresses: Vec<IpNet>,
}

/// One running copy of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Instance {
    /// Unique on its host.
    pub name: InstanceName,
    /// Catalogue entry.
    #[serde(serialize_with = "service_name")]
    pub service: Arc<Service>,
    /// Account it runs under, if it is known.
    pub account: Option<AccountName>,
    /// Repository or data directory, if the site file moves it.
    pub repo: Option<String>,
    /// Container engine, if it runs in one: `docker`, `podman`.
    pub container: Option<String>,
    /// Its systemd unit, if the site file names it.
    pub unit: Option<String>,
    /// The address the site file binds it to.
    pub bind: Option<IpAddr>,
    /// Directories outside its repository that it writes, as the site file names them.
    pub stores: Vec<String>,
    /// Optional needs of its catalogue entry that it has.
    pub needs: BTreeSet<Need>,
    /// Its endpoints with the ports this instance really uses.
    pub listens: Vec<Listen>,
    /// Which instances its `one` peers are bound to, by service.
    pub uses: BTreeMap<ServiceName, (HostName, InstanceName)>,
    /// Where it is said.
    pub origin: Origin,
}

fn service_name<S: serde::Serializer>(service: &Arc<Service>, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(service.name.as_str())
}

/// An endpoint of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listen {
    /// Endpoint in the catalogue entry.
    pub endpoint: EndpointName,
    /// Protocols.
    pub proto: Vec<Proto>,
    /// Ports; empty while a random port is not pinned.
    pub ports: PortSet,
    /// Class, for invariants.
    pub class: Class,
    /// What is spoken.
    pub app: App,
    /// Bound to loopback only, by default or by the site file, and no flow needs it from elsewhere.
    pub loopback: bool,
}

/// Something the Internet may use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Publish {
    /// Machine.
    pub host: HostName,
    /// Instance on it.
    pub instance: InstanceName,
    /// Endpoint of it.
    pub endpoint: EndpointName,
    /// Public addresses, v4 and v6. A v4 one that is not the machine's own is translated. `0.0.0.0` stands for the edge's own
    /// address on the Internet side where that is dynamic.
    pub at: Vec<IpAddr>,
    /// Public port.
    pub port: u16,
    /// Port on the machine.
    pub host_port: u16,
    /// Protocols.
    pub proto: Vec<Proto>,
    /// What one source may use of it; `None` counts and refuses nobody.
    pub limit: Option<Limit>,
    /// Where it is said.
    pub origin: Origin,
}

/// What one source may use of a published endpoint. A source is an IPv4 address or an IPv6 /64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Limit {
    /// New connections per second.
    pub new: u32,
    /// Connections held at once.
    pub held: u32,
}

/// Something that must not be reachable, besides the built-in invariants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Never {
    /// From whom.
    pub from: Party,
    /// To whom.
    pub to: Party,
    /// On which ports; `None` is any.
    pub target: Option<ProtoPorts>,
    /// Where it is said.
    pub origin: Origin,
}

/// A store and who uses it.
#[derive(Debug, Clone, Serialize)]
pub struct Storage {
    /// `nfs4`, `nfs3`, `ceph`, `iscsi`, `nvme-of`.
    pub kind: String,
    /// Who serves it.
    pub host: HostName,
    /// Where users mount it.
    pub mount: Option<String>,
    /// Who uses it.
    pub users: BTreeSet<HostName>,
    /// What lies there: `sectors`, `backups`, ...
    pub holds: Option<String>,
    /// Where it is said.
    pub origin: Origin,
}

/// A declared backup on one host.
#[derive(Debug, Clone, Serialize)]
pub struct Backup {
    /// What it is of.
    pub of: facts::Asset,
    /// Where it lies.
    pub host: HostName,
    /// Path; a star in its last part is any text.
    pub path: String,
    /// Hours it may be old.
    pub max_age: u32,
    /// Where the copy outside of the machine is.
    pub copy: Option<String>,
    /// Where it is said.
    pub origin: Origin,
}

/// Hours a backup may be old where the file does not say: two days, so that one failed night is not yet a finding.
pub const BACKUP_HOURS: u32 = 48;

/// Who is asked for proving deadlines, and what is done with the answer.
#[derive(Debug, Clone, Serialize)]
pub struct Deadlines {
    /// Chain nodes; never empty.
    pub nodes: Vec<Asked>,
    /// Miners and Curio nodes that are asked what is under way.
    pub jobs: Vec<Asked>,
    /// Miner ids; never empty.
    pub miners: Vec<String>,
    /// Margin, and whether sealing is waited for.
    pub settings: deadline::Settings,
    /// When no node answers, and how long is waited.
    pub policy: deadline::Policy,
    /// Seconds a node has for all its answers.
    pub timeout: u64,
    /// Where it is said.
    pub origin: Origin,
}

/// Seconds a node has for all its answers where the file does not say: forty-eight deadlines' partitions of a large miner, on a busy node.
pub const DEADLINE_TIMEOUT_SECONDS: u64 = 30;

/// One that is asked.
#[derive(Debug, Clone, Serialize)]
pub struct Asked {
    /// Where it is.
    pub at: AskedAt,
    /// File with its token.
    pub token: Option<String>,
    /// Where it is said.
    pub origin: Origin,
}

/// Where one that is asked is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AskedAt {
    /// An instance of the site: its first JSON-RPC endpoint.
    Instance(HostName, InstanceName),
    /// Anywhere.
    Url(words::ApiUrl),
}

/// A named place outside.
#[derive(Debug, Clone, Serialize)]
pub struct External {
    /// DNS names.
    pub names: Vec<String>,
    /// Addresses.
    pub nets: Vec<IpNet>,
    /// Ports.
    pub target: Vec<ProtoPorts>,
    /// Who uses it.
    pub users: BTreeSet<HostName>,
    /// Where it is said.
    pub origin: Origin,
}

/// A deviation from the catalogue's intended reach, with its reason and end.
#[derive(Debug, Clone, Serialize)]
pub struct Weakening {
    /// What it opens, in words.
    pub what: String,
    /// Why.
    pub why: String,
    /// ISO date after which `check` fails.
    pub until: String,
    /// Flows it allows.
    pub flows: BTreeSet<FlowId>,
    /// Where it is said.
    pub origin: Origin,
}

/// One side of a flow.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Party {
    /// A machine of the site.
    Host(HostName),
    /// Everybody in a zone, machines that nobody declared included.
    Zone(ZoneName),
    /// Addresses outside, under the name the site file gives them.
    Outside(String, Vec<IpNet>),
    /// Every public address: the Internet without private, shared and reserved ranges, and without the site's own.
    /// Legs hold the prefixes of [`crate::special::public`]; they are the same in every flow, so an emitter can use one
    /// named set.
    Public,
}

impl std::fmt::Display for Party {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Party::Host(h) => write!(f, "{h}"),
            Party::Zone(z) => write!(f, "zone {z}"),
            Party::Outside(name, _) => write!(f, "{name}"),
            Party::Public => f.write_str("any public address"),
        }
    }
}

/// Stable id of a flow: `f` and eight hexadecimal digits of the digest over its parties, ports and service. Survives
/// reordering of the site file. Stands in every rule, counter and log line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct FlowId(pub String);

impl std::fmt::Display for FlowId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

/// Why a flow is there, coarsely: layers treat the kinds differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FlowKind {
    /// The management path. First accepted, never cut, lives through observe and rollback.
    Management,
    /// From the catalogue.
    Derived,
    /// `[[publish]]`.
    Publish,
    /// `[[allow]]`.
    Allow,
    /// To outside.
    Egress,
    /// Names, time, logs, packages.
    Infrastructure,
    /// `[[storage]]`.
    Storage,
    /// Between the edge nodes.
    Edge,
}

/// One thing that may flow, in the direction in which it is opened. Replies follow from connection tracking.
#[derive(Debug, Clone, Serialize)]
pub struct Flow {
    /// Stable id.
    pub id: FlowId,
    /// Kind.
    pub kind: FlowKind,
    /// Who opens.
    pub from: Party,
    /// Who listens.
    pub to: Party,
    /// Protocol and destination ports at the listener (after translation).
    pub target: ProtoPorts,
    /// `service.endpoint` of the listener, if it is in the catalogue.
    pub service: Option<(ServiceName, EndpointName, InstanceName)>,
    /// What is spoken.
    pub app: App,
    /// Destination translation, for published services behind a v4 address that is not their own.
    pub publish: Vec<Dnat>,
    /// Names outside it is for; policy by name, not by address.
    pub names: Vec<String>,
    /// Concrete addresses, one leg per family and zone pair. Never empty.
    pub legs: Vec<Leg>,
    /// What it is for, in a sentence.
    pub why: String,
    /// Which lines and entries it comes from. Never empty.
    pub origins: Vec<Origin>,
}

/// A destination translation at the edge.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Dnat {
    /// Public address.
    pub at: IpAddr,
    /// Public port.
    pub port: u16,
    /// Machine's address.
    pub to: IpAddr,
    /// Machine's port.
    pub to_port: u16,
}

/// The concrete addresses of a flow in one family, from one zone to one zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Leg {
    /// Family of all addresses here.
    pub family: Family,
    /// Zone the opener stands in.
    pub from_zone: ZoneName,
    /// Zone the listener stands in; equal to `from_zone` where no firewall lies between them.
    pub to_zone: ZoneName,
    /// Source addresses; disjoint, sorted. Shared: the same lists stand in many legs.
    pub src: Arc<[IpNet]>,
    /// Destination addresses as the listener sees them; disjoint, sorted.
    pub dst: Arc<[IpNet]>,
}
