//! The facts as rules see them: which services run, as whom, where they listen, what their units and files say.
//! In come facts and catalogue, out come relations between them. Never: a verdict.

use crate::{
    exposure::{Exposure, Who},
    sshd::Sshd,
};
use catalog::{Endpoint, Service, recognise};
use facts::{Account, Container, Facts, File, Process, Socket, Unit};
use site::{Model, special::is_public};
use std::{collections::BTreeSet, net::IpAddr, sync::Arc};
use words::HostName;

/// A service that runs here.
#[derive(Debug)]
pub struct Running<'a> {
    /// Catalogue entry.
    pub service: &'a Service,
    /// Its process.
    pub process: &'a Process,
    /// Its unit, if systemd runs it.
    pub unit: Option<&'a Unit>,
    /// The container it runs in, if it does.
    pub container: Option<&'a Container>,
    /// Sockets on which it waits for others, with the endpoint each one is, where it can be told.
    pub listens: Vec<(&'a Socket, Option<&'a Endpoint>)>,
}

/// How far a listening socket reaches before any filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// This machine.
    Loopback,
    /// A private address.
    Private,
    /// Every address; the machine has private ones only, as far as it knows.
    Any,
    /// A public address, or every address of a machine that has a public one.
    Public,
}

/// The facts with what the catalogue makes of them.
#[derive(Debug)]
pub struct View<'a> {
    /// The facts.
    pub facts: &'a Facts,
    /// Services that run, by process.
    pub running: Vec<Running<'a>>,
    /// Units that belong to a catalogue entry, running or not.
    pub units: Vec<(&'a Service, &'a Unit)>,
    /// Ways of service accounts to uid 0 and to others' secrets.
    pub closure: breach::Closure,
    /// An edge node of the site; `None` without a site file.
    pub edge: Option<bool>,
    /// sshd's configuration, where it was read.
    pub sshd: Option<Sshd<'a>>,
    exposure: Option<Exposure<'a>>,
    public: bool,
}

impl<'a> View<'a> {
    /// Relates the facts.
    pub fn new(facts: &'a Facts, place: Option<(&'a Model, &HostName)>) -> Self {
        let mut running: Vec<Running<'a>> = Vec::new();
        for process in &facts.processes {
            let own =
                place.and_then(|(m, _)| m.services.values().find(|s| !process.comm.is_empty() && s.processes.contains(&process.comm)));
            let known = recognise::process(&process.comm, &process.exe).into_iter().next().map(|s| &**s);
            let Some(service) = known.or(own.map(Arc::as_ref)) else { continue };
            let unit = process.unit.as_deref().and_then(|u| facts.unit(u));
            let container = process.container.as_deref().and_then(|id| facts.containers.iter().find(|c| c.id == id));
            let listens = facts
                .sockets
                .iter()
                .filter(|s| s.listens() && s.pids.contains(&process.pid))
                .map(|s| (s, recognise::endpoint(service, s.proto, s.local.port())))
                .collect();
            running.push(Running { service, process, unit, container, listens });
        }
        let mut units: Vec<(&'a Service, &'a Unit)> = Vec::new();
        for unit in &facts.units {
            let by_process = running.iter().find(|r| r.process.unit.as_ref() == Some(&unit.name)).map(|r| r.service);
            let by_name = recognise::unit(&unit.name).into_iter().next().map(|s| &**s);
            // A login session or a container engine is no unit of the service inside it.
            if let Some(service) = by_name.or(by_process.filter(|_| starts_program(unit))) {
                units.push((service, unit));
            }
        }
        let edge = place.and_then(|(m, h)| m.hosts.get(h)).map(|h| h.edge);
        let public = facts.addresses().any(|a| is_public(&a));
        let (sshd, exposure) = (Sshd::read(facts), Exposure::of(facts));
        Self { closure: breach::closure(facts), facts, running, units, edge, sshd, exposure, public }
    }

    /// How far a socket reaches before any filter.
    pub fn reach(&self, address: IpAddr) -> Reach {
        match address {
            a if a.is_loopback() => Reach::Loopback,
            a if a.is_unspecified() && self.public => Reach::Public,
            a if a.is_unspecified() => Reach::Any,
            a if is_public(&a) => Reach::Public,
            _ => Reach::Private,
        }
    }

    /// Who reaches a socket through the machine's own filter; `None` where the filter is not known.
    pub fn who(&self, socket: &Socket) -> Option<Who> {
        self.exposure.as_ref().map(|e| e.who(socket))
    }

    /// Whether the machine's filter is known in full.
    pub fn filter_known(&self) -> bool {
        self.exposure.is_some()
    }

    /// What to say of a socket that others may reach; `None` where nobody's packet arrives.
    pub fn reached(&self, socket: &Socket) -> Option<String> {
        if self.reach(socket.local.ip()) == Reach::Loopback {
            return None;
        }
        match self.who(socket) {
            Some(Who::Nobody) => None,
            Some(who) => Some(who.to_string()),
            None => Some("what the filter lets through is not known".to_owned()),
        }
    }

    /// A setting under `/proc/sys`.
    pub fn setting(&self, name: &str) -> Option<&'a str> {
        self.facts.sysctls.get(name).map(|v| v.trim())
    }

    /// Whether a catalogue service with an account of its own, and so with secrets, runs or starts here.
    pub fn provider(&self) -> bool {
        self.running.iter().any(|r| r.service.account.is_some()) || self.units.iter().any(|(s, u)| s.account.is_some() && u.enabled)
    }

    /// Lines of the files whose path is wanted, comments left out, as `(file, line, text)`.
    pub fn lines(&self, wanted: impl Fn(&str) -> bool) -> Vec<(&'a str, u32, &'a str)> {
        self.facts.files.iter().filter(|f| wanted(&f.path)).flat_map(lines).collect()
    }

    /// Accounts that services run under or should run under, root aside; each once.
    pub fn service_accounts(&self) -> Vec<&'a Account> {
        let wanted: BTreeSet<&str> = self
            .running
            .iter()
            .filter(|r| r.service.account.is_some())
            .flat_map(|r| r.process.user.as_deref().into_iter().chain(r.service.account.as_ref().map(|a| a.name.as_str())))
            .chain(self.units.iter().filter(|(s, _)| s.account.is_some()).filter_map(|(_, u)| u.user()))
            .collect();
        self.facts.accounts.iter().filter(|a| a.uid != 0 && wanted.contains(a.name.as_str())).collect()
    }

    /// Lines of configuration that a service reads, as `(file, line, text)`: its unit's environment, environment files, and
    /// its configuration files. Comments are left out.
    pub fn settings(&self, running: &Running<'a>) -> Vec<(&'a str, u32, &'a str)> {
        let mut out = Vec::new();
        if let Some(unit) = running.unit {
            for d in unit.directives.iter().filter(|d| d.section == "Service" && matches!(d.key.as_str(), "Environment" | "ExecStart")) {
                out.push((d.file.as_str(), d.line, d.value.as_str()));
            }
            for path in unit.environment_files() {
                out.extend(self.facts.file(path.trim_start_matches('-')).into_iter().flat_map(lines));
            }
        }
        out.extend(self.config_files(running).into_iter().flat_map(lines));
        out
    }

    /// Configuration files of a service: at their default place below any home, or where the unit's environment moves
    /// them (`LOTUS_PATH=/srv/lotus`).
    pub fn config_files(&self, running: &Running<'a>) -> Vec<&'a File> {
        let moved = |path: &str| {
            let (variable, rest) = path.strip_prefix('$')?.split_once('/')?;
            let environment = running.unit?.all("Service", "Environment");
            let words = environment.iter().flat_map(|e| e.split([' ', '"'])).filter_map(|w| w.split_once('='));
            words.rev().find(|(k, _)| *k == variable).map(|(_, v)| format!("{}/{rest}", v.trim_end_matches('/')))
        };
        let configs = running.service.paths.iter().filter(|p| p.kind == catalog::PathKind::Config);
        let places: Vec<(Option<String>, &str)> =
            configs.map(|p| (moved(&p.path), p.default.as_deref().unwrap_or(&p.path).trim_start_matches("~/"))).collect();
        let is_one = |f: &&File| {
            places.iter().any(|(moved, usual)| match moved {
                Some(path) => f.path == *path,
                None => f.path == *usual || f.path.ends_with(&format!("/{usual}")),
            })
        };
        self.facts.files.iter().filter(|f| f.text.is_some()).filter(is_one).collect()
    }
}

fn lines(file: &File) -> Vec<(&str, u32, &str)> {
    let text = file.text.as_deref().unwrap_or_default();
    let numbered = text.lines().zip(1u32..).filter(|(l, _)| !l.trim_start().starts_with(['#', ';']));
    numbered.map(|(l, n)| (file.path.as_str(), n, l)).collect()
}

fn starts_program(unit: &Unit) -> bool {
    let engines = ["docker", "containerd", "podman", "crio", "ssh", "cron", "user@"];
    unit.get("Service", "ExecStart").is_some() && !engines.iter().any(|e| unit.name.starts_with(e))
}

/// `1234/tcp on 0.0.0.0`.
pub fn place(socket: &Socket) -> String {
    format!("{}/{} on {}", socket.local.port(), socket.proto, socket.local.ip())
}
