//! What is wrong with a container and its narrower form. In come the container and what is known of the site and of the machine's
//! accounts, out come faults with what each lets a takeover do, and everything the narrower form sets. Never: keeps a privilege
//! because it was there; what a service needs is in the catalogue.

use super::{
    form::Form,
    seen::{Mount, Port, Seen},
};
use crate::system;
use catalog::{Intended, Need, Service};
use serde::Serialize;
use site::model::{Flow, Host, Instance, Model};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};
use words::{Proto, ServiceName};

/// Processes and threads a container may have: far above what a daemon uses, far below what exhausts a machine.
pub const PIDS: u32 = 32_768;

/// Sockets that command a container engine: whoever writes there is root on the host.
const ENGINE_SOCKETS: [&str; 5] = ["docker.sock", "podman.sock", "containerd.sock", "crio.sock", "dockershim.sock"];
/// Directories in which those sockets are; `/var/run` is `/run`.
const SOCKET_DIRECTORIES: [&str; 5] = ["/", "/run", "/run/podman", "/run/containerd", "/run/crio"];
/// Directories of the host that no service needs to write.
const HOST_DIRECTORIES: [&str; 10] = ["/", "/bin", "/boot", "/etc", "/lib", "/proc", "/root", "/run", "/sys", "/usr"];
/// Capabilities that are as good as root on the host, or nearly.
const STRONG: [&str; 9] =
    ["ALL", "SYS_ADMIN", "SYS_MODULE", "SYS_PTRACE", "SYS_RAWIO", "DAC_READ_SEARCH", "DAC_OVERRIDE", "NET_ADMIN", "BPF"];

/// What is known besides the container.
#[derive(Debug, Clone, Copy, Default)]
pub struct Known<'a> {
    /// The site and the machine's place in it.
    pub site: Option<(&'a Model, &'a Host)>,
    /// Numbers of accounts that exist on the machine.
    pub accounts: Option<&'a BTreeMap<String, (u32, u32)>>,
    /// Version of the machine's Podman.
    pub podman: Option<&'a str>,
}

/// Kind of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// Runs as root inside.
    Root,
    /// Holds every privilege.
    Privileged,
    /// Shares the host's network.
    HostNetwork,
    /// Can command the engine.
    EngineSocket,
    /// Sees a directory of the host that is the system's.
    HostDirectory,
    /// Added capabilities that are as good as root.
    Capability,
    /// A published port is open on every address.
    OpenPort,
    /// May gain privileges by setuid programs.
    NewPrivileges,
}

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Kind.
    pub fault: Fault,
    /// What it is and what it lets a takeover do.
    pub what: String,
}

/// How a container would run with no more than it needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hardened {
    /// Its name.
    pub name: String,
    /// Its image.
    pub image: String,
    /// The engine.
    pub engine: String,
    /// What is written for it.
    pub form: Form,
    /// The service it runs, where the image says so.
    pub service: Option<ServiceName>,
    /// What is wrong with it.
    pub findings: Vec<Finding>,
    /// `uid:gid` it runs as; `None` where the account does not exist yet, then `user_why` says what to do.
    pub user: Option<String>,
    /// Why this user.
    pub user_why: String,
    /// Capabilities it keeps; all others are dropped.
    pub capabilities: Vec<String>,
    /// Needs of the service it is opened for, with their reason.
    pub opened: Vec<(Need, String)>,
    /// Published ports, bound.
    pub ports: Vec<Port>,
    /// Why ports are bound as they are, where that is worth a word.
    pub port_notes: BTreeSet<String>,
    /// Mounts it keeps.
    pub mounts: Vec<Mount>,
    /// Mounts taken away, by their path inside.
    pub hidden: Vec<String>,
    /// Wants a GPU.
    pub gpu: bool,
}

/// Judges a container and narrows it.
pub fn harden(c: &Seen, known: Known<'_>) -> Hardened {
    let service: Option<Arc<Service>> = catalog::recognise::image(&c.image).first().map(|s| (*s).clone());
    let instance = known.site.zip(service.as_ref()).and_then(|((_, h), s)| h.instances.iter().find(|i| i.service.name == s.name));
    let (user, user_why) = user(c, service.as_deref(), instance, known);
    let opened: Vec<(Need, String)> = service
        .iter()
        .flat_map(|s| &s.needs)
        .filter(|n| !n.optional || instance.is_some_and(|i| i.needs.contains(&n.what)))
        .map(|n| (n.what, n.why.clone()))
        .collect();
    let low = c.ports.iter().any(|p| p.inside < 1024);
    let capabilities = if low { vec!["NET_BIND_SERVICE".to_owned()] } else { Vec::new() };
    let (ports, port_notes) = ports(c, service.as_deref(), instance, known);
    let (hidden, mounts): (Vec<Mount>, Vec<Mount>) = c.mounts.iter().cloned().partition(commands_engine);
    Hardened {
        name: c.name.clone(),
        image: c.image.clone(),
        engine: c.engine.clone(),
        form: Form::of(&c.engine, known.podman),
        findings: findings(c),
        user,
        user_why,
        capabilities,
        gpu: opened.iter().any(|(n, _)| *n == Need::Gpu),
        opened,
        ports,
        port_notes,
        mounts: mounts.into_iter().map(|m| if host_directory(&m) { Mount { read_only: true, ..m } } else { m }).collect(),
        hidden: hidden.into_iter().map(|m| m.target).collect(),
        service: service.map(|s| s.name.clone()),
    }
}

/// The socket itself, or a directory with it: a mount that is read-only keeps nobody from speaking to a socket.
fn commands_engine(m: &Mount) -> bool {
    socket_directory(m) || m.source.rsplit('/').next().is_some_and(|leaf| ENGINE_SOCKETS.contains(&leaf))
}

fn socket_directory(m: &Mount) -> bool {
    let path = plain(&m.source);
    SOCKET_DIRECTORIES.contains(&path.strip_prefix("/var").filter(|p| p.starts_with("/run")).unwrap_or(path))
}

fn host_directory(m: &Mount) -> bool {
    HOST_DIRECTORIES.contains(&plain(&m.source))
}

fn plain(path: &str) -> &str {
    if path == "/" { path } else { path.trim_end_matches('/') }
}

fn is_root(user: &str) -> bool {
    matches!(user.split(':').next().unwrap_or_default(), "" | "0" | "root")
}

fn findings(c: &Seen) -> Vec<Finding> {
    let mut out = Vec::new();
    let mut say = |fault, what: String| out.push(Finding { fault, what });
    if is_root(&c.user) {
        let said = if c.user.is_empty() {
            "it names no user, so it runs as the image's, root unless the image says otherwise"
        } else {
            "it runs as root"
        };
        say(Fault::Root, format!("{said}: a way out of the container is root on the host"));
    }
    if c.privileged {
        say(Fault::Privileged, "it is privileged: every device and capability of the host, no filter of system calls".to_owned());
    }
    if c.host_network {
        say(Fault::HostNetwork, "it shares the host's network: it listens and dials as the host, loopback services included".to_owned());
    }
    for m in c.mounts.iter().filter(|m| commands_engine(m)) {
        let with = if socket_directory(m) { ", where the engine's socket is" } else { "" };
        say(
            Fault::EngineSocket,
            format!("it mounts {}{with}: whoever speaks to the engine is root on the host, read-only or not", m.source),
        );
    }
    for m in c.mounts.iter().filter(|m| host_directory(m) && !m.read_only) {
        say(Fault::HostDirectory, format!("it may write {} of the host", m.source));
    }
    let strong: Vec<&str> = c.cap_add.iter().map(|x| x.trim_start_matches("CAP_")).filter(|x| STRONG.contains(x)).collect();
    if !strong.is_empty() {
        say(Fault::Capability, format!("it is given {}", strong.join(", ")));
    }
    for p in c.ports.iter().filter(|p| p.address.is_unspecified()) {
        let host = p.host.map_or_else(|| "a port of the engine's choice".to_owned(), |h| h.to_string());
        say(Fault::OpenPort, format!("{host} is published on every address, past UFW, for {}/{} inside", p.inside, p.proto));
    }
    if !c.no_new_privs {
        say(Fault::NewPrivileges, "setuid programs inside may give it more than it was given".to_owned());
    }
    out
}

fn user(c: &Seen, service: Option<&Service>, instance: Option<&Instance>, known: Known<'_>) -> (Option<String>, String) {
    if !is_root(&c.user) {
        return (Some(c.user.clone()), "as it was".to_owned());
    }
    let account = instance
        .and_then(|i| i.account.as_ref())
        .or_else(|| service.and_then(|s| s.account.as_ref()).map(|a| &a.name))
        .map(ToString::to_string);
    let Some(account) = account else {
        return (None, "the image is of no known service: choose an account of its own and write its number here".to_owned());
    };
    match known.accounts.and_then(|a| a.get(&account)) {
        Some((uid, gid)) => (Some(format!("{uid}:{gid}")), format!("account {account} of this machine; its files must be its own first")),
        None => (None, format!("make the account {account} first, then write its number here: user \"UID:GID\"")),
    }
}

fn ports(c: &Seen, service: Option<&Service>, instance: Option<&Instance>, known: Known<'_>) -> (Vec<Port>, BTreeSet<String>) {
    let mut out = Vec::new();
    let mut notes = BTreeSet::new();
    // In the host's own network nothing was published: what the service listens on is, where the site knows it.
    let of_host: Vec<Port> = instance
        .filter(|_| c.host_network)
        .into_iter()
        .flat_map(|i| &i.listens)
        .filter_map(|l| l.ports.single().map(|port| (l, port)))
        .flat_map(|(l, port)| l.proto.iter().map(move |proto| (*proto, port)))
        .filter(|(proto, _)| proto.has_ports())
        .map(|(proto, port)| Port { proto, address: IpAddr::V4(Ipv4Addr::UNSPECIFIED), host: Some(port), inside: port })
        .collect();
    if c.host_network && of_host.is_empty() {
        notes.insert("with a network of its own its ports must be published: name them".to_owned());
    }
    for p in c.ports.iter().chain(&of_host) {
        if !p.address.is_unspecified() {
            out.push(p.clone());
            continue;
        }
        let bound = addresses(p, service, instance, known, &mut notes);
        out.extend(bound.into_iter().map(|address| Port { address, ..p.clone() }));
    }
    out.sort();
    out.dedup();
    (out, notes)
}

fn addresses(
    p: &Port,
    service: Option<&Service>,
    instance: Option<&Instance>,
    known: Known<'_>,
    notes: &mut BTreeSet<String>,
) -> Vec<IpAddr> {
    let loopback = vec![IpAddr::V4(Ipv4Addr::LOCALHOST)];
    let endpoint = service.and_then(|s| catalog::recognise::endpoint(s, p.proto, p.inside));
    if let (Some((model, host)), Some(i), Some(e)) = (known.site, instance, endpoint)
        && let Some(listen) = i.listens.iter().find(|l| l.endpoint == e.name)
    {
        let flows: Vec<&Flow> = model.flows.iter().collect();
        let reach = system::reach(host, i, &flows, listen);
        // Unlike a service, an engine publishes at as many addresses as are needed.
        let own = reach.addresses.is_empty() || reach.local;
        return reach.addresses.into_iter().chain(loopback.into_iter().filter(|_| own)).collect();
    }
    match endpoint.map(|e| e.intended) {
        Some(Intended::Public) => {
            notes.insert(format!("{}/{} is meant for the public: left on every address, the firewall decides", p.inside, named(p.proto)));
            vec![p.address]
        }
        Some(_) => {
            notes.insert(format!(
                "{}/{} is not meant for the public: loopback, or the one address its peers use (--site knows it)",
                p.inside,
                named(p.proto)
            ));
            loopback
        }
        None => {
            notes.insert(format!("{}/{} is unknown: loopback until somebody says who uses it", p.inside, named(p.proto)));
            loopback
        }
    }
}

fn named(proto: Proto) -> String {
    proto.to_string()
}
