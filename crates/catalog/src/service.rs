//! The form of one catalogue entry. Every key of the data files is a field here, with the same word.

use crate::{Need, NeedEntry, Unit};
use serde::{Deserialize, Serialize};
use words::{AccountName, EndpointName, PortRange, Proto, ServiceName};

/// One kind of service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Service {
    /// Name used in `runs = [...]`.
    pub name: ServiceName,
    /// One line for people.
    pub title: String,
    /// What it is in the site.
    pub role: Role,
    /// Where the facts come from, e.g. `lotus@b835fab702eb`; entries name file paths below it.
    /// Empty only in an operator's own service.
    #[serde(default)]
    pub source: String,
    /// ISO date on which the source was read. Empty only in an operator's own service.
    #[serde(default)]
    pub checked: String,
    /// Dials peers on any public address and port, so that egress by name means nothing on its host.
    #[serde(default)]
    pub libp2p: bool,
    /// Process names (`comm` or basename of argv 0) that identify it on a machine.
    #[serde(default)]
    pub processes: Vec<String>,
    /// systemd units under which upstream or common automation ships it.
    #[serde(default)]
    pub units: Vec<String>,
    /// Where it listens.
    #[serde(default, rename = "endpoint")]
    pub endpoints: Vec<Endpoint>,
    /// Which other services it must reach.
    #[serde(default, rename = "peer")]
    pub peers: Vec<Peer>,
    /// What it must reach outside the site.
    #[serde(default)]
    pub egress: Vec<Egress>,
    /// The account it should run under.
    #[serde(default)]
    pub account: Option<Account>,
    /// Files and directories it uses.
    #[serde(default, rename = "path")]
    pub paths: Vec<PathEntry>,
    /// What a thief wants from its disk.
    #[serde(default, rename = "secret")]
    pub secrets: Vec<Secret>,
    /// Settings that pin ports, bind and announce addresses, or close something.
    #[serde(default, rename = "setting")]
    pub settings: Vec<Setting>,
    /// Known traps, told to the operator where they apply.
    #[serde(default, rename = "trap")]
    pub traps: Vec<Trap>,
    /// What it needs beyond the strictest sandbox.
    #[serde(default, rename = "need")]
    pub needs: Vec<NeedEntry>,
    /// How systemd runs it; `None` where the distribution's unit is left alone.
    #[serde(default)]
    pub unit: Option<Unit>,
}

impl Service {
    /// The endpoint of this name.
    pub fn endpoint(&self, name: &str) -> Option<&Endpoint> {
        self.endpoints.iter().find(|e| e.name.as_str() == name)
    }
    /// The setting of this key.
    pub fn setting(&self, key: &str) -> Option<&Setting> {
        self.settings.iter().find(|s| s.key == key)
    }
    /// The entries of one need.
    pub fn needs(&self, what: Need) -> impl Iterator<Item = &NeedEntry> {
        self.needs.iter().filter(move |n| n.what == what)
    }
}

/// What a service is in a site. Invariants and defaults speak of roles, never of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Follows the chain; often holds wallets (lotus, forest, venus).
    ChainNode,
    /// Holds the miner actor's work: proofs, sectors (lotus-miner).
    Miner,
    /// Seals or proves for a miner (lotus-worker).
    Worker,
    /// Signs (lotus-wallet).
    Wallet,
    /// Faces clients: deals, retrieval, indexing (boostd, booster-*, index-provider, droplet).
    Market,
    /// Serves public chain reads (lotus-gateway).
    Gateway,
    /// Miner, worker and market in one cluster (curio).
    ClusterNode,
    /// Database or index store (yugabyte, boostd-data, postgres).
    Database,
    /// Serves sectors or blocks (nfs, ceph, iscsi).
    Storage,
    /// Collects metrics or logs (prometheus, grafana, syslog).
    Monitoring,
    /// Exposes metrics of a host (node-exporter).
    Exporter,
    /// Lets operators in (ssh, vpn).
    Access,
    /// Reverse proxy in front of others.
    Proxy,
    /// Names, time, packages: what every host needs.
    Infrastructure,
    /// Management controllers and hypervisors (bmc, ipmi, proxmox).
    ManagementController,
    /// What the edge nodes themselves run (vrrp, conntrackd).
    Edge,
    /// Anything of the operator's own.
    Other,
}

/// One listening place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Endpoint {
    /// Name within the service, e.g. `api`; `service.endpoint` is how everything refers to it.
    pub name: EndpointName,
    /// Transport protocols it listens on, each with the same ports.
    pub proto: Vec<Proto>,
    /// Port by default.
    pub port: PortDefault,
    /// Address it binds by default.
    pub bind: Bind,
    /// What is spoken on it.
    pub app: App,
    /// How a client proves who it is.
    pub auth: Auth,
    /// What kind of thing it is; invariants speak of classes.
    pub class: Class,
    /// How far it is meant to reach. Wider is a weakening.
    pub intended: Intended,
    /// Other ports that official material or common automation puts it on; for recognising it, never for rules.
    #[serde(default)]
    pub seen: Vec<u16>,
    /// Off unless configured.
    #[serde(default)]
    pub optional: bool,
    /// The setting (by [`Setting::key`]) that binds it.
    #[serde(default)]
    pub setting: Option<String>,
    /// Command that makes a token for it, with `{permission}` filled in; it prints the token.
    #[serde(default)]
    pub mint: Option<String>,
    /// For people.
    #[serde(default)]
    pub note: Option<String>,
    /// File below [`Service::source`], or another full source.
    #[serde(default)]
    pub source: String,
}

/// Port by default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", untagged)]
pub enum PortDefault {
    /// One fixed port.
    Fixed(u16),
    /// A fixed range or a list is written as text: `"6800-7568"`.
    Range(PortRange),
    /// `{ random = true, suggest = 24001 }`: the kernel's choice; rules cannot be written until it is pinned.
    Random {
        /// Always true; makes the data file readable.
        random: bool,
        /// The port official material pins it to, and Ravelin's proposal.
        suggest: u16,
    },
    /// `{ none = true }`: the protocol has no ports (VRRP, ICMP).
    None {
        /// Always true.
        none: bool,
    },
}

/// Address bound by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bind {
    /// Loopback only.
    Loopback,
    /// Every address.
    Any,
    /// Not a socket of an address (VRRP, BMC firmware).
    NotApplicable,
}

/// What is spoken on an endpoint: the policy words of application identification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum App {
    /// JSON-RPC over HTTP or WebSocket.
    JsonRpc,
    /// HTTP.
    Http,
    /// HTTP over TLS, or TLS of any kind.
    Tls,
    /// libp2p: multistream, noise or TLS on TCP; QUIC on UDP.
    Libp2p,
    /// QUIC that is not libp2p.
    Quic,
    /// SSH.
    Ssh,
    /// DNS.
    Dns,
    /// NTP.
    Ntp,
    /// PostgreSQL wire protocol.
    Postgres,
    /// Cassandra query language.
    Cql,
    /// NFS, mountd, lockd, portmapper.
    Nfs,
    /// Block or object storage (Ceph, iSCSI, NVMe-oF).
    Storage,
    /// Syslog.
    Syslog,
    /// A VPN's own framing (WireGuard, Tailscale).
    Vpn,
    /// IPMI and its relatives.
    Ipmi,
    /// VRRP.
    Vrrp,
    /// Not identified.
    Unknown,
}

/// How a client proves who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Auth {
    /// Anyone who reaches it may use it.
    None,
    /// A JWT; for Lotus and its relatives a request without token still gets `read`.
    Jwt,
    /// Peer identity keys.
    PeerId,
    /// User and password, often a default one.
    Password,
    /// TLS client certificate or public key.
    Key,
    /// Decided route by route.
    PerRoute,
}

/// What kind of thing an endpoint is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Programmatic control of a daemon.
    Api,
    /// A person's control surface.
    Admin,
    /// Metrics.
    Metrics,
    /// Profiling and debugging.
    Debug,
    /// Database.
    Database,
    /// Peer to peer.
    Libp2p,
    /// Retrieval, deals, indexing for the public.
    Public,
    /// Sectors and blocks.
    Storage,
    /// Login shells and VPNs.
    Login,
    /// Names, time, logs, packages.
    Infrastructure,
    /// Management controllers and hypervisors.
    Control,
    /// Between the edge nodes.
    Edge,
}

/// How far an endpoint is meant to reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Intended {
    /// This machine only.
    Local,
    /// Other instances of the same service.
    Cluster,
    /// Services that declare it as a peer.
    Peers,
    /// The monitoring service and operators.
    Monitoring,
    /// Operators.
    Operator,
    /// Every host of the site.
    Site,
    /// Everybody.
    Public,
}

/// Another service this one must reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Peer {
    /// The services that can play the part (`["lotus", "forest"]`): one binding over all of them.
    pub service: Vec<ServiceName>,
    /// Their endpoint.
    pub endpoint: EndpointName,
    /// How many of the candidates.
    pub scope: Scope,
    /// No error when the site has no candidate.
    #[serde(default)]
    pub optional: bool,
    /// What the flow is for.
    pub why: String,
    /// What it presents, and the least that would do (`sign` token, database password).
    #[serde(default)]
    pub credential: Option<String>,
    /// The API token it presents, where it presents one.
    #[serde(default)]
    pub token: Option<Token>,
    /// File below [`Service::source`], or another full source.
    #[serde(default)]
    pub source: String,
}

/// An API token one service holds of another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Token {
    /// Permission that documentation or set-up gives it.
    pub given: Permission,
    /// Least permission with which the calls found in its source work.
    pub least: Permission,
    /// Where it is kept: variables (`FULLNODE_API_INFO`), paths (`$LOTUS_WORKER_PATH/token`), configuration keys with their
    /// file (`$BOOST_PATH/config.toml: SealerApiInfo`), flags (`--api-fullnode`), database columns (`db:table.column`).
    pub held: Vec<String>,
}

/// Permissions of a Lotus-like API, each with those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names are the API's own")]
pub enum Permission {
    Read,
    Write,
    Sign,
    Admin,
}

impl std::fmt::Display for Permission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Sign => "sign",
            Self::Admin => "admin",
        })
    }
}

/// Which candidates a peer entry binds to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Exactly one; with several candidates the site file must say which (`uses = { lotus = "daemon1" }`).
    One,
    /// Every candidate in the site.
    All,
    /// The candidates bound to me: the reverse of their own `one` (a miner to its workers).
    Bound,
    /// The candidates bound to the same instance as I am (a worker to the workers of the same miner).
    Siblings,
}

/// Something outside the site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Egress {
    /// Names; empty with `any`.
    #[serde(default)]
    pub names: Vec<String>,
    /// Every public address (libp2p peers, clients' data hosts). Private ranges are never meant.
    #[serde(default)]
    pub any: bool,
    /// Protocols and ports, e.g. `["443/tcp"]` or `["any/tcp", "any/udp"]`.
    pub to: Vec<words::ProtoPorts>,
    /// Not needed where the site runs this service itself (a resolver, a time server, a package mirror).
    #[serde(default)]
    pub unless: Option<ServiceName>,
    /// What it is for.
    pub why: String,
    /// When it is needed.
    pub when: When,
    /// File below [`Service::source`], or another full source.
    #[serde(default)]
    pub source: String,
}

/// When an egress is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// All the time; losing it hurts.
    Always,
    /// At first start or on upgrade.
    FirstRun,
    /// Only where the operator configured it; then the site file says so in `[external]`.
    Configured,
}

/// The account a service should run under.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Account {
    /// Default account; the site file may name another.
    pub name: AccountName,
    /// Supplementary groups with the reason, e.g. `render: GPU device nodes`.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Home directory.
    pub home: String,
}

/// A file or directory of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PathEntry {
    /// Path with the service's own variables, e.g. `$LOTUS_PATH/datastore`.
    pub path: String,
    /// Default for an unset variable, e.g. `~/.lotus`.
    #[serde(default)]
    pub default: Option<String>,
    /// Other names that name the same place: flags, which win over the variable, and older variables, which yield to it.
    #[serde(default)]
    pub also: Vec<String>,
    /// What it is.
    pub kind: PathKind,
    /// What the service does with it.
    pub access: Access,
    /// Mode the software writes, octal text.
    #[serde(default)]
    pub mode: Option<String>,
    /// Tightest mode with which the software still works, where it differs from what it writes.
    #[serde(default)]
    pub tightest: Option<String>,
    /// For people.
    #[serde(default)]
    pub note: Option<String>,
    /// Source.
    #[serde(default)]
    pub source: String,
}

/// What a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PathKind {
    /// The service's repository.
    Repo,
    /// Keys.
    Keystore,
    /// Token file.
    Token,
    /// Configuration.
    Config,
    /// State that can be made again or lost with little harm.
    State,
    /// Sectors and pieces.
    Store,
    /// Cached proof parameters and the like: expensive to fetch again.
    Cache,
    /// Logs.
    Log,
    /// Shared locks.
    Lock,
    /// Executable.
    Executable,
}

/// What a service does with a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Reads.
    Read,
    /// Reads and writes.
    Write,
    /// Executes.
    Execute,
}

/// What a thief wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Secret {
    /// Path, or a database table written `db:table.column`.
    pub path: String,
    /// Mode the software writes, octal text.
    #[serde(default)]
    pub mode: Option<String>,
    /// Tightest mode with which the software still works, where it differs from what it writes.
    #[serde(default)]
    pub tightest: Option<String>,
    /// What it holds.
    pub holds: String,
    /// What a thief gains: its worth.
    pub worth: String,
    /// Source.
    #[serde(default)]
    pub source: String,
}

/// A setting that pins, binds, announces or closes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Setting {
    /// Key within this entry, e.g. `api-listen`.
    pub key: String,
    /// Environment variable, where there is one.
    #[serde(default)]
    pub env: Option<String>,
    /// Command-line flag, where there is one.
    #[serde(default)]
    pub flag: Option<String>,
    /// Configuration file key, e.g. `[API].ListenAddress`.
    #[serde(default)]
    pub config: Option<String>,
    /// Value with `{address}`, `{port}`, `{public}`, `{public_port}`, `{family}` (ip4 or ip6) filled in.
    pub value: String,
    /// What it does for security.
    pub why: String,
    /// Source.
    #[serde(default)]
    pub source: String,
}

/// A known trap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Trap {
    /// Short name, e.g. `upnp-on-by-default`.
    pub name: String,
    /// What happens.
    pub what: String,
    /// What to do.
    pub fix: String,
    /// Source.
    #[serde(default)]
    pub source: String,
}
