//! Every key of the site file in one table: name, type, default, meaning, example. The structural check, the JSON Schema
//! and `docs/site-file.md` are views of it.

/// Type of a value.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// A string.
    Text,
    /// `true` or `false`.
    Bool,
    /// An integer in a range.
    Int(i64, i64),
    /// One of these strings.
    OneOf(&'static [&'static str]),
    /// A string, or a list of strings.
    Texts,
    /// A list of values.
    List(&'static Kind),
    /// A table with these keys.
    Table(&'static Section),
    /// A table with names of the operator's choice, each with a value of this type.
    Map(&'static Kind),
    /// One of several types, told apart by TOML type.
    Either(&'static [Kind]),
    /// A table in the form of another document (the catalogue).
    Foreign,
}

/// One key.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct Key {
    pub name: &'static str,
    pub kind: Kind,
    pub required: bool,
    /// Said in words; empty where required.
    pub default: &'static str,
    pub what: &'static str,
    /// A line of TOML.
    pub example: &'static str,
}

/// A table of keys.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct Section {
    /// As it is written: `[site]`, `[[allow]]`, `hosts.NAME`.
    pub title: &'static str,
    pub what: &'static str,
    pub keys: &'static [Key],
}

const PORT: Kind = Kind::Int(1, 65_535);
/// 802.1Q tags that can be used: 0 is priority tagging, 4095 is reserved.
const VLAN: Kind = Kind::Int(1, 4_094);
const MODES: Kind = Kind::OneOf(&["off", "observe", "enforce"]);

const fn must(name: &'static str, kind: Kind, what: &'static str, example: &'static str) -> Key {
    Key { name, kind, required: true, default: "", what, example }
}
const fn may(name: &'static str, kind: Kind, default: &'static str, what: &'static str, example: &'static str) -> Key {
    Key { name, kind, required: false, default, what, example }
}

/// The file.
pub static ROOT: Section = Section {
    title: "the file",
    what: "The whole site.",
    keys: &[
        must("site", Kind::Table(&SITE), "The site itself.", "[site]"),
        may("layers", Kind::Table(&LAYERS), "every layer `observe`", "Mode of each layer.", "[layers]"),
        may(
            "zones",
            Kind::Map(&Kind::Table(&ZONE)),
            "none: everything is `internet`",
            "Zones; a zone is a VLAN. `internet` exists always.",
            "[zones]",
        ),
        may("edge", Kind::Table(&EDGE), "`kind = \"none\"`", "The perimeter.", "[edge]"),
        may("hosts", Kind::Map(&Kind::Table(&HOST)), "none", "Machines.", "[hosts]"),
        may("groups", Kind::Map(&Kind::Table(&GROUP)), "none", "Machines of a kind.", "[groups.workers]"),
        may("publish", Kind::List(&Kind::Table(&PUBLISH)), "nothing", "What the Internet may use.", "[[publish]]"),
        may("storage", Kind::List(&Kind::Table(&STORAGE)), "nothing", "Stores and who uses them.", "[[storage]]"),
        may(
            "backup",
            Kind::List(&Kind::Table(&BACKUP)),
            "nothing",
            "Backups: what the audit asks about and the restore test reads.",
            "[[backup]]",
        ),
        may(
            "deadlines",
            Kind::Table(&DEADLINES),
            "nobody is asked: what interrupts a service wants a reason",
            "Chain nodes that are asked for proving deadlines before a service is interrupted.",
            "[deadlines]",
        ),
        may("external", Kind::Map(&Kind::Table(&EXTERNAL)), "nothing", "Named places outside.", "[external.alerts]"),
        may("allow", Kind::List(&Kind::Table(&ALLOW)), "nothing", "What the catalogue cannot know.", "[[allow]]"),
        may(
            "never",
            Kind::List(&Kind::Table(&NEVER)),
            "nothing",
            "What must not be reachable, besides the built-in invariants.",
            "[[never]]",
        ),
        may(
            "services",
            Kind::Map(&Kind::Foreign),
            "none",
            "Services of the operator's own, in the catalogue's form.",
            "[services.dealbot]",
        ),
    ],
};

/// `[site]`.
pub static SITE: Section = Section {
    title: "[site]",
    what: "The site itself.",
    keys: &[
        may("name", Kind::Text, "`site`", "Name of the site.", "name = \"sp-example\""),
        may("miners", Kind::Texts, "none", "Miner ids.", "miners = [\"f01234\"]"),
        may("uplink", Kind::Text, "unknown", "Uplink's bandwidth: a number with `kbit`, `Mbit`, `Gbit` or `Tbit`.", "uplink = \"10Gbit\""),
        may(
            "management",
            Kind::Table(&MANAGEMENT),
            "none, with a warning",
            "Who manages the machines; never cut.",
            "management = { from = [\"ops\"], by = \"ssh\" }",
        ),
        may(
            "dns",
            Kind::Texts,
            "hosts that run `dns`, else any public resolver",
            "Resolvers: addresses, or hosts of the site.",
            "dns = [\"10.20.90.53\"]",
        ),
        may(
            "ntp",
            Kind::Texts,
            "hosts that run `ntp`, else any public server",
            "Time servers: addresses, or hosts of the site.",
            "ntp = [\"ns1\"]",
        ),
        may(
            "accounts",
            Kind::OneOf(&["catalogue", "shared", "per-service"]),
            "`catalogue`: one account a family of services",
            "Accounts of services that Ravelin writes units for: the catalogue's, `lotus` for all of them, or one named after each service.",
            "accounts = \"per-service\"",
        ),
    ],
};

/// `site.management`.
pub static MANAGEMENT: Section = Section {
    title: "site.management",
    what: "The management path: zones and addresses operators come from, and the service they use.",
    keys: &[
        must("from", Kind::Texts, "Zones, addresses or prefixes.", "from = [\"ops\", \"198.51.100.7/32\"]"),
        may("by", Kind::Text, "`ssh`", "The service; it runs on every managed host without being named there.", "by = \"ssh\""),
        may(
            "why",
            Kind::Text,
            "none; a weakening needs it",
            "Why, where `from` is a large part of the Internet.",
            "why = \"operators travel\"",
        ),
        may("until", Kind::Text, "none; a weakening needs it", "ISO date after which `check` fails.", "until = \"2027-03-31\""),
    ],
};

/// `[layers]`.
pub static LAYERS: Section = Section {
    title: "[layers]",
    what: "Mode of each layer.",
    keys: &[
        may("network", MODES, "`observe`", "Packet filters.", "network = \"enforce\""),
        may("methods", MODES, "`observe`", "Methods of the Lotus API.", "methods = \"observe\""),
        may("ips", MODES, "`observe`", "Intrusion prevention.", "ips = \"observe\""),
        may("selinux", MODES, "`observe`", "SELinux domains.", "selinux = \"observe\""),
        may("system", MODES, "`observe`", "Accounts, units, settings.", "system = \"enforce\""),
    ],
};

/// `zones.NAME`.
pub static ZONE: Section = Section {
    title: "zones.NAME",
    what: "A zone: one VLAN.",
    keys: &[
        may("vlan", VLAN, "untagged", "802.1Q tag.", "vlan = 10"),
        must("subnets", Kind::Texts, "Prefixes, v4 and v6.", "subnets = [\"10.20.10.0/24\", \"2001:db8:20:10::/64\"]"),
        may("gateway", Kind::Texts, "the edge's address there", "Gateways, where the edge is not Ravelin's.", "gateway = \"10.20.10.1\""),
        may("routed", Kind::Bool, "`true`", "Whether the edge routes into and out of it.", "routed = false"),
        may(
            "advertised",
            Kind::Bool,
            "`true` where no IPv6 gateway is known",
            "Whether hosts learn their IPv6 gateway from router advertisements; otherwise advertisements are refused.",
            "advertised = true",
        ),
    ],
};

/// `[edge]`.
pub static EDGE: Section = Section {
    title: "[edge]",
    what: "The perimeter.",
    keys: &[
        may(
            "kind",
            Kind::OneOf(&["none", "external", "ravelin"]),
            "`none`",
            "`none`: the host layer is the perimeter; `external`: somebody else's firewall; `ravelin`: one Linux firewall or a pair.",
            "kind = \"ravelin\"",
        ),
        may("nodes", Kind::Texts, "none", "The firewall's hosts, in order of preference; two make a pair.", "nodes = [\"fw-a\", \"fw-b\"]"),
        may("public", Kind::Texts, "none", "The site's public prefixes.", "public = [\"203.0.113.0/28\", \"2001:db8:20::/48\"]"),
        may(
            "wan",
            Kind::OneOf(&["static", "dynamic"]),
            "`static`",
            "`dynamic`: the public address comes by DHCP or PPP.",
            "wan = \"dynamic\"",
        ),
        may(
            "sync",
            Kind::Table(&SYNC),
            "none; a pair needs one",
            "The link between the pair's nodes.",
            "sync = { subnet = \"10.255.0.0/30\" }",
        ),
        may(
            "vip",
            Kind::Map(&Kind::Texts),
            "a pair: the first address of each routed zone's subnets",
            "Virtual addresses by zone: the zones' gateways.",
            "vip = { internet = \"203.0.113.1\", dmz = \"10.20.10.1\" }",
        ),
        may(
            "egress-address",
            Kind::Text,
            "`vip.internet`, or the node's own",
            "Source address of translated v4 egress.",
            "egress-address = \"203.0.113.1\"",
        ),
        may("ips", Kind::Table(&IPS), "not inspected", "Intrusion prevention at the edge.", "ips = { inspect = [\"internet\"] }"),
    ],
};

/// `edge.sync`.
pub static SYNC: Section = Section {
    title: "edge.sync",
    what: "The link between the pair's nodes; it becomes the zone `sync`.",
    keys: &[must(
        "subnet",
        Kind::Text,
        "A prefix with room for two; the nodes take its first addresses in order.",
        "subnet = \"10.255.0.0/30\"",
    )],
};

/// `edge.ips`.
pub static IPS: Section = Section {
    title: "edge.ips",
    what: "Intrusion prevention at the edge.",
    keys: &[
        may("inspect", Kind::Texts, "`internet`", "Zones whose traffic is inspected.", "inspect = [\"internet\"]"),
        may("rules", Kind::Texts, "the curated set", "Rule files.", "rules = [\"rules/*.rules\"]"),
        may(
            "on-failure",
            Kind::OneOf(&["open", "closed"]),
            "`open`",
            "What happens to packets while the engine is down.",
            "on-failure = \"open\"",
        ),
        may(
            "extent",
            Kind::Text,
            "`until-opaque`",
            "How long a flow is looked at: `all`, `until-opaque` (until it is encrypted, or past the depth), or bytes (`4MiB`).",
            "extent = \"until-opaque\"",
        ),
    ],
};

const ADDRESS: Kind = Kind::Either(&[Kind::Texts, Kind::Map(&Kind::Texts)]);
const DEVICE: Kind = Kind::Either(&[Kind::Text, Kind::Map(&Kind::Text)]);
const RUNS: Kind = Kind::List(&Kind::Either(&[Kind::Text, Kind::Table(&INSTANCE)]));

const H_ZONE: Key = may(
    "zone",
    Kind::Text,
    "the zone whose subnets hold the address",
    "Its zone; of several, the one its default route leaves by.",
    "zone = \"chain\"",
);
const H_ADDRESS: Key = may(
    "address",
    ADDRESS,
    "only a site's single host can do without",
    "An address, a list (v4 and v6), or a table from zone to addresses.",
    "address = [\"10.20.20.11\", \"2001:db8:20:20::11\"]",
);
const H_RUNS: Key = may(
    "runs",
    RUNS,
    "nothing",
    "Services it runs: names, or tables.",
    "runs = [\"lotus\", { service = \"lotus-worker\", name = \"pc1\", port = 3457 }]",
);
const H_ACCOUNT: Key = may("account", Kind::Text, "the catalogue's", "Account its services run under.", "account = \"lotus\"");
const H_MANAGED: Key = may(
    "managed",
    Kind::Bool,
    "`true`",
    "Whether Ravelin manages it. `false`: a BMC, an appliance, somebody else's; its own filter is unknown.",
    "managed = false",
);
const H_DEVICE: Key = may(
    "device",
    DEVICE,
    "found on the machine, else the zone's name",
    "Network device, or a table from zone to device.",
    "device = { dmz = \"eth1\" }",
);
const H_COEXIST: Key = may("coexist", Kind::Texts, "nothing", "Software on it that keeps its own rules.", "coexist = [\"docker\"]");
const H_FIREWALL: Key = may(
    "firewall",
    Kind::OneOf(&["auto", "ufw", "nftables"]),
    "`auto`: UFW where it is active on the machine, else nftables",
    "What filters the machine: one of the two, never both.",
    "firewall = \"ufw\"",
);
const H_USES: Key = may(
    "uses",
    Kind::Map(&Kind::Text),
    "the only candidate",
    "Which host, or `host/instance`, plays a part for its services.",
    "uses = { lotus = \"daemon1\" }",
);
const H_CONTAINER: Key =
    may("container", Kind::OneOf(&["docker", "podman"]), "none", "Container engine its services run in.", "container = \"docker\"");

/// `hosts.NAME`.
pub static HOST: Section = Section {
    title: "hosts.NAME",
    what: "One machine.",
    keys: &[H_ZONE, H_ADDRESS, H_RUNS, H_ACCOUNT, H_MANAGED, H_DEVICE, H_COEXIST, H_FIREWALL, H_USES, H_CONTAINER],
};

/// `groups.NAME`.
pub static GROUP: Section = Section {
    title: "groups.NAME",
    what: "Machines of a kind: names and addresses are ranges with equally many members.",
    keys: &[
        must("hosts", Kind::Texts, "Names with ranges.", "hosts = \"worker[01-40]\""),
        H_ZONE,
        H_ADDRESS,
        H_RUNS,
        H_ACCOUNT,
        H_MANAGED,
        H_DEVICE,
        H_COEXIST,
        H_FIREWALL,
        H_USES,
        H_CONTAINER,
    ],
};

/// An item of `runs`.
pub static INSTANCE: Section = Section {
    title: "runs[] as a table",
    what: "One running copy of a service.",
    keys: &[
        must("service", Kind::Text, "Entry of the catalogue, or of `[services]`.", "service = \"lotus-worker\""),
        may("name", Kind::Text, "the service's name", "Name, unique on its host.", "name = \"pc1\""),
        may("port", PORT, "the catalogue's", "Port of its first endpoint.", "port = 3457"),
        may(
            "ports",
            Kind::Map(&PORT),
            "the catalogue's",
            "Ports by endpoint. Naming an optional endpoint switches it on.",
            "ports = { libp2p = 24001 }",
        ),
        may("bind", Kind::Text, "the catalogue's", "Address it listens on; `loopback` for this machine only.", "bind = \"loopback\""),
        may("repo", Kind::Text, "the catalogue's", "Repository or data directory.", "repo = \"/data/w2\""),
        may("account", Kind::Text, "the host's, else the catalogue's", "Account it runs under.", "account = \"worker\""),
        may("unit", Kind::Text, "the catalogue's", "Its systemd unit.", "unit = \"lotus-worker@pc1.service\""),
        may(
            "stores",
            Kind::Texts,
            "where `[[storage]]` is mounted",
            "Directories outside its repository that it writes: sectors, deals, indexes.",
            "stores = [\"/mnt/sealing\", \"/mnt/sealed\"]",
        ),
        may(
            "needs",
            Kind::Texts,
            "what the catalogue says it always needs",
            "Optional needs of the catalogue that this instance has: its sandbox is opened for them.",
            "needs = [\"shell\"]",
        ),
        may("container", Kind::OneOf(&["docker", "podman"]), "the host's", "Container engine it runs in.", "container = \"podman\""),
        may(
            "uses",
            Kind::Map(&Kind::Text),
            "the host's, else the only candidate",
            "Which host, or `host/instance`, plays a part for it.",
            "uses = { lotus = \"daemon1\" }",
        ),
    ],
};

/// `[[publish]]`.
pub static PUBLISH: Section = Section {
    title: "[[publish]]",
    what: "What the Internet may use; also sets the service's own listen and announce addresses.",
    keys: &[
        must("service", Kind::Text, "`service.endpoint`, or `instance.endpoint`.", "service = \"lotus.libp2p\""),
        must("on", Kind::Text, "The host.", "on = \"daemon1\""),
        may("at", Kind::Texts, "the host's own public addresses, else the edge's", "Public addresses.", "at = \"203.0.113.5\""),
        may("port", PORT, "the endpoint's", "Public port.", "port = 24001"),
        may("host-port", PORT, "the endpoint's; `port` where that is random", "Port on the machine.", "host-port = 12310"),
        may(
            "limit",
            Kind::Table(&LIMIT),
            "sources are counted, none is refused",
            "What one source may use: an IPv4 address, or an IPv6 /64.",
            "limit = { new = 50, held = 200 }",
        ),
        may(
            "why",
            Kind::Text,
            "none; a weakening needs it",
            "Why, where the endpoint is not meant for the public.",
            "why = \"clients read the chain here\"",
        ),
        may("until", Kind::Text, "none; a weakening needs it", "ISO date after which `check` fails.", "until = \"2027-03-31\""),
    ],
};

/// `publish.limit`.
pub static LIMIT: Section = Section {
    title: "publish.limit",
    what: "What one source may use of a published endpoint; more is refused. `ravelin learn` proposes the line from what it saw.",
    keys: &[
        must("new", Kind::Int(1, 1_000_000), "Connections a source may open per second.", "new = 50"),
        must("held", Kind::Int(1, 1_000_000), "Connections a source may hold at once.", "held = 200"),
    ],
};

/// `[[storage]]`.
pub static STORAGE: Section = Section {
    title: "[[storage]]",
    what: "A store and who uses it.",
    keys: &[
        must("kind", Kind::OneOf(&["nfs4", "nfs3", "ceph", "iscsi", "nvme-of"]), "Protocol.", "kind = \"nfs4\""),
        must("host", Kind::Texts, "Who serves it: hosts or groups.", "host = \"nas1\""),
        may("mount", Kind::Text, "unknown", "Where users mount it.", "mount = \"/mnt/sealed\""),
        must("users", Kind::Texts, "Who uses it: hosts or groups.", "users = [\"workers\", \"miner1\"]"),
        may("holds", Kind::Text, "unknown", "What lies there.", "holds = \"sectors\""),
    ],
};

/// `[[backup]]`.
pub static BACKUP: Section = Section {
    title: "[[backup]]",
    what: "A backup of what cannot be made again. `ravelin audit --site` holds it to this; `ravelin backup check --site` tests it.",
    keys: &[
        must("of", Kind::OneOf(&["keystore", "metadata", "database", "firewall"]), "What it is of.", "of = \"keystore\""),
        must("host", Kind::Texts, "Machines it lies on: hosts or groups.", "host = \"daemon1\""),
        must(
            "path",
            Kind::Text,
            "Where it lies; a star in the last part is any text, and the newest file counts.",
            "path = \"/srv/backup/keys-*.age\"",
        ),
        may("max-age", Kind::Int(1, 8760), "48", "Hours it may be old.", "max-age = 24"),
        may("copy", Kind::Text, "none: a finding", "Where the copy outside of the machine is.", "copy = \"backup1:/srv/keys\""),
    ],
};

const ASKED: Kind = Kind::List(&Kind::Either(&[Kind::Text, Kind::Table(&ASKED_NODE)]));

/// `[deadlines]`.
pub static DEADLINES: Section = Section {
    title: "[deadlines]",
    what: "Who is asked for proving deadlines, and what is done with the answer. What interrupts a service waits until the current proof has landed and \
           ends before the next challenge is drawn; `docs/deadlines.md`.",
    keys: &[
        must(
            "nodes",
            ASKED,
            "Chain nodes that are asked, each a host, `host/instance` or a URL, or a table with a token. Several are held against each other.",
            "nodes = [\"daemon1\", { on = \"daemon2/lotus\", token = \"/etc/ravelin/lotus.token\" }, \"https://node.example/rpc/v1\"]",
        ),
        may(
            "from",
            Kind::Texts,
            "none: only hosts that reach the nodes for their own work can ask",
            "Who else asks: hosts, groups, or zones that operators come from. Opens the interfaces of `nodes` and `jobs` to them.",
            "from = [\"ops\"]",
        ),
        may("miners", Kind::Texts, "`site.miners`", "Miner ids whose proofs must not be missed.", "miners = [\"f01234\"]"),
        may(
            "jobs",
            ASKED,
            "nobody: sealing under way is not known",
            "Miners and Curio nodes that are asked what is under way. A miner wants its admin token for that, Curio none.",
            "jobs = [{ on = \"miner1\", token = \"/etc/ravelin/miner.token\" }]",
        ),
        may(
            "sealing",
            Kind::OneOf(&["tell", "wait"]),
            "`tell`",
            "Whether sealing under way, or a Curio node that is not cordoned, is told or waited for.",
            "sealing = \"wait\"",
        ),
        may(
            "unreachable",
            Kind::OneOf(&["wait", "refuse", "proceed"]),
            "`refuse`",
            "What is done when no node answers at all. `proceed` is recorded.",
            "unreachable = \"wait\"",
        ),
        may("max-wait", Kind::Int(1, 2880), "360", "Minutes that are waited for a window at most.", "max-wait = 120"),
        may("margin", Kind::Int(0, 900), "120", "Seconds kept free before the next challenge is drawn.", "margin = 180"),
        may("timeout", Kind::Int(1, 120), "30", "Seconds a node has for all its answers.", "timeout = 10"),
    ],
};

/// An item of `deadlines.nodes` and `deadlines.jobs`.
pub static ASKED_NODE: Section = Section {
    title: "deadlines.nodes[] and deadlines.jobs[] as a table",
    what: "One that is asked. Only methods that read are called; chain nodes want no token for them unless something before them does.",
    keys: &[
        must(
            "on",
            Kind::Text,
            "A host, `host/instance`, or a URL (`http`, `https`, `ws`, `wss`) without user and query.",
            "on = \"daemon1\"",
        ),
        may("token", Kind::Text, "none", "File with its token, 0600, on the machine that asks.", "token = \"/etc/ravelin/lotus.token\""),
    ],
};

/// `external.NAME`.
pub static EXTERNAL: Section = Section {
    title: "external.NAME",
    what: "A named place outside.",
    keys: &[
        may("names", Kind::Texts, "none", "DNS names.", "names = [\"hooks.slack.com\"]"),
        may("addresses", Kind::Texts, "any public address", "Addresses or prefixes.", "addresses = [\"192.0.2.10\"]"),
        must("port", Kind::Texts, "Ports with protocol.", "port = \"443/tcp\""),
        may("users", Kind::Texts, "nobody", "Hosts or groups that open connections to it.", "users = [\"market1\"]"),
        may("why", Kind::Text, "none", "What it is for.", "why = \"alerts\""),
    ],
};

/// `[[allow]]`.
pub static ALLOW: Section = Section {
    title: "[[allow]]",
    what: "What the catalogue cannot know. Give `service` or `port`.",
    keys: &[
        must("from", Kind::Texts, "Zones, hosts, groups, places outside, addresses, `all` or `internet`.", "from = \"ops\""),
        must("to", Kind::Texts, "Likewise.", "to = [\"all\"]"),
        may("service", Kind::Text, "none; then `port`", "`service` or `service.endpoint`.", "service = \"ssh\""),
        may("port", Kind::Texts, "none; then `service`", "Ports with protocol.", "port = \"2345/tcp\""),
        must("why", Kind::Text, "The reason, for whoever reads the report.", "why = \"operators log in through the VPN\""),
        may("until", Kind::Text, "none; a weakening needs it", "ISO date after which `check` fails.", "until = \"2027-03-31\""),
    ],
};

/// `[[never]]`.
pub static NEVER: Section = Section {
    title: "[[never]]",
    what: "What must not be reachable.",
    keys: &[
        must("from", Kind::Texts, "Zones, hosts, groups, addresses, `all` or `internet`.", "from = \"dmz\""),
        must("to", Kind::Texts, "Likewise.", "to = \"miner1\""),
        may("port", Kind::Texts, "any", "Ports with protocol.", "port = \"2345/tcp\""),
        may("why", Kind::Text, "none", "The reason.", "why = \"the market's hosts face clients\""),
    ],
};

/// Every section, in the order of the documentation.
pub static SECTIONS: [&Section; 19] = [
    &ROOT,
    &SITE,
    &MANAGEMENT,
    &LAYERS,
    &ZONE,
    &EDGE,
    &SYNC,
    &IPS,
    &HOST,
    &GROUP,
    &INSTANCE,
    &PUBLISH,
    &STORAGE,
    &BACKUP,
    &DEADLINES,
    &ASKED_NODE,
    &EXTERNAL,
    &ALLOW,
    &NEVER,
];
