//! What a machine runs: processes and sockets to items of `runs`, with the ports they really use. What listens beyond
//! loopback and is in no catalogue entry is a stranger.

use catalog::{Endpoint, PortDefault, Role, Service, recognise};
use facts::{Facts, Process, Socket};
use std::collections::{BTreeMap, BTreeSet};
use words::Proto;

/// A listening place of a service.
pub(crate) struct Listening {
    pub endpoint: &'static Endpoint,
    pub port: u16,
    pub loopback: bool,
    /// The kernel chose it; the port is the catalogue's proposal.
    pub random: bool,
}

/// A running copy of a service.
pub(crate) struct Found<'a> {
    pub service: &'static Service,
    pub instance: String,
    pub process: &'a Process,
    pub listens: Vec<Listening>,
    pub account: Option<String>,
    pub root: bool,
    pub container: Option<&'a str>,
}

/// A program no entry knows, with ports that others can reach.
pub(crate) struct Stranger<'a> {
    pub program: &'a str,
    pub ports: BTreeSet<(u16, Proto)>,
}

/// Ports of clients (DHCP, mDNS, LLMNR) and of the management path: nobody asks about them.
const UNREMARKABLE: [u16; 6] = [22, 68, 546, 5353, 5355, 323];

pub(crate) fn look(facts: &Facts) -> (Vec<Found<'_>>, Vec<Stranger<'_>>) {
    let mut found: Vec<Found<'_>> = Vec::new();
    let mut known: BTreeSet<u64> = BTreeSet::new();
    for process in &facts.processes {
        let Some(service) = recognise::process(&process.comm, &process.exe).into_iter().next().map(|s| &**s) else { continue };
        let sockets: Vec<&Socket> = facts.sockets.iter().filter(|s| s.listens() && s.pids.contains(&process.pid)).collect();
        known.extend(sockets.iter().map(|s| s.inode));
        let listens = listening(service, &sockets);
        let serves = listens.iter().any(|l| !l.loopback);
        // Time daemons and resolvers run everywhere as clients; only who serves others is a server.
        let counts = match service.role {
            Role::Infrastructure | Role::Monitoring | Role::Exporter | Role::Proxy => serves,
            Role::Access => serves && service.name.as_str() != "ssh",
            Role::Edge => false,
            _ => true,
        };
        // Threads that look like processes, and workers that share their master's sockets, are one instance.
        let double = found.iter().any(|f| f.service.name == service.name && (listens.is_empty() || same_ports(&f.listens, &listens)));
        if counts && !double {
            found.retain(|f| !(f.service.name == service.name && f.listens.is_empty()));
            found.push(instance(facts, service, process, listens));
        }
    }
    found.sort_by(|a, b| (&a.service.name, a.process.pid).cmp(&(&b.service.name, b.process.pid)));
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for f in &mut found {
        let n = counts.entry(f.service.name.as_str()).or_default();
        *n += 1;
        f.instance = if *n == 1 { f.service.name.to_string() } else { format!("{}-{n}", f.service.name) };
    }
    (found, strangers(facts, &known))
}

fn same_ports(a: &[Listening], b: &[Listening]) -> bool {
    let ports = |l: &[Listening]| l.iter().map(|l| (l.endpoint.name.clone(), l.port)).collect::<BTreeSet<_>>();
    ports(a) == ports(b)
}

fn listening(service: &'static Service, sockets: &[&Socket]) -> Vec<Listening> {
    let mut out: Vec<Listening> = Vec::new();
    for s in sockets {
        let port = s.local.port();
        let Some(endpoint) = recognise::endpoint(service, s.proto, port) else { continue };
        let random = match endpoint.port {
            PortDefault::Random { suggest, .. } => (port != suggest && recognise::EPHEMERAL.contains(&port)).then_some(suggest),
            _ => None,
        };
        let port = random.unwrap_or(port);
        match out.iter_mut().find(|l| l.endpoint.name == endpoint.name) {
            Some(l) => l.loopback &= s.on_loopback(),
            None => out.push(Listening { endpoint, port, loopback: s.on_loopback(), random: random.is_some() }),
        }
    }
    moved(service, sockets, &mut out);
    out
}

/// A service with one endpoint missing and one TCP port nobody knows has moved it there.
fn moved(service: &'static Service, sockets: &[&Socket], out: &mut Vec<Listening>) {
    let unknown: BTreeMap<u16, bool> = sockets
        .iter()
        .filter(|s| s.proto == Proto::Tcp && recognise::endpoint(service, s.proto, s.local.port()).is_none())
        .map(|s| (s.local.port(), s.on_loopback()))
        .collect();
    let fixed = |e: &&Endpoint| !e.optional && e.proto.contains(&Proto::Tcp) && matches!(e.port, PortDefault::Fixed(_));
    let missing: Vec<&'static Endpoint> =
        service.endpoints.iter().filter(fixed).filter(|e| !out.iter().any(|l| l.endpoint.name == e.name)).collect();
    if let ([endpoint], Some((port, loopback)), 1) = (missing.as_slice(), unknown.first_key_value(), unknown.len()) {
        out.push(Listening { endpoint, port: *port, loopback: *loopback, random: false });
    }
}

fn instance<'a>(facts: &'a Facts, service: &'static Service, process: &'a Process, listens: Vec<Listening>) -> Found<'a> {
    let usual = service.account.as_ref().map(|a| a.name.as_str());
    let root = process.uid == 0 && usual.is_some();
    let account = process.user.clone().filter(|u| process.uid != 0 && Some(u.as_str()) != usual && words::AccountName::new(u).is_ok());
    let container = process.container.as_deref().and_then(|id| facts.containers.iter().find(|c| c.id == id)).map(|c| c.engine.as_str());
    let container = container.filter(|e| ["docker", "podman"].contains(e));
    Found { service, instance: String::new(), process, listens, account, root, container }
}

fn strangers<'a>(facts: &'a Facts, known: &BTreeSet<u64>) -> Vec<Stranger<'a>> {
    let mut out: BTreeMap<&str, BTreeSet<(u16, Proto)>> = BTreeMap::new();
    for s in facts.sockets.iter().filter(|s| s.listens() && !s.on_loopback() && !known.contains(&s.inode)) {
        if UNREMARKABLE.contains(&s.local.port()) || (s.proto == Proto::Udp && recognise::EPHEMERAL.contains(&s.local.port())) {
            continue;
        }
        let process = s.pids.iter().find_map(|p| facts.process(*p));
        let program = match process {
            Some(p) if !p.exe.is_empty() => p.exe.as_str(),
            Some(p) => p.comm.as_str(),
            None => "the kernel, or a program that was not seen,",
        };
        out.entry(program).or_default().insert((s.local.port(), s.proto));
    }
    out.into_iter().map(|(program, ports)| Stranger { program, ports }).collect()
}

impl Found<'_> {
    /// The item of `runs`: the name where everything is as usual, else a table.
    pub fn item(&self) -> String {
        let name = self.service.name.as_str();
        let mut keys = Vec::new();
        if self.instance != name {
            keys.push(format!("name = \"{}\"", self.instance));
        }
        let unusual = |l: &&Listening| match l.endpoint.port {
            PortDefault::Fixed(p) => l.port != p || l.endpoint.optional,
            PortDefault::Random { .. } => !l.random,
            PortDefault::Range(_) | PortDefault::None { .. } => false,
        };
        let ports: Vec<String> = self.listens.iter().filter(unusual).map(|l| format!("{} = {}", l.endpoint.name, l.port)).collect();
        if !ports.is_empty() {
            keys.push(format!("ports = {{ {} }}", ports.join(", ")));
        }
        if let Some(a) = &self.account {
            keys.push(format!("account = \"{a}\""));
        }
        if let Some(c) = self.container {
            keys.push(format!("container = \"{c}\""));
        }
        if keys.is_empty() { format!("\"{name}\"") } else { format!("{{ service = \"{name}\", {} }}", keys.join(", ")) }
    }
}

/// Software that keeps rules of its own on this machine.
pub(crate) fn coexist(facts: &Facts) -> Vec<&'static str> {
    let runs = |name: &str| facts.processes.iter().any(|p| p.comm == name);
    let device = |start: &str| facts.interfaces.iter().any(|i| i.name.starts_with(start));
    let rules = |part: &str| {
        [&facts.rulesets.iptables_save, &facts.rulesets.ip6tables_save].iter().any(|r| r.as_deref().is_some_and(|t| t.contains(part)))
    };
    let mut out = Vec::new();
    for (name, there) in [
        ("docker", runs("dockerd") || device("docker0")),
        ("fail2ban", runs("fail2ban-server")),
        ("libvirt", device("virbr") || runs("libvirtd")),
        ("podman", facts.containers.iter().any(|c| c.engine == "podman")),
        ("tailscale", runs("tailscaled")),
        ("ufw", rules("ufw-")),
    ] {
        if there {
            out.push(name);
        }
    }
    out
}
