//! What the tests of the stand-ins share. In comes a site file, out come machines of the VM lab with its services' programs
//! replaced by the stand-in, and what these said. Never: anything on this machine but files below `target/`.
#![allow(dead_code, reason = "each test program uses a part")]

pub mod attack;
pub mod closed;
pub mod lab;
pub mod program;
pub mod trace;

use plan::{Devices, Options, Plan, selinux::FileKind, system::UnitPlan};
use site::model::Model;
use std::collections::{BTreeMap, BTreeSet};
use stub::{Profile, derive};

/// A service of a site that gets a unit, with what its stand-in needs.
pub struct Service {
    /// Catalogue entry and instance, e.g. `lotus-worker-post`.
    pub name: String,
    pub host: String,
    pub unit: String,
    pub account: String,
    /// The program's path.
    pub program: String,
    /// Program and arguments.
    pub exec: String,
    pub profile: Profile,
    /// `Environment=` and `EnvironmentFile=` lines of its unit and drop-in.
    pub environment: Vec<String>,
    /// Whether Ravelin writes the whole unit.
    pub whole: bool,
    /// `Environment=` lines of the unit upstream ships.
    pub upstream: Vec<String>,
}

/// A site, planned.
pub struct Site {
    pub model: Model,
    pub plan: Plan,
    pub services: Vec<Service>,
}

impl Site {
    /// Reads and plans a site file with these layers set.
    pub fn read(text: &str) -> Self {
        let source = words::SourceFile::new("site.toml", text.to_owned());
        let read = site::read(&source, "2026-11-26");
        assert!(read.is_good(), "{}", read.render(&source));
        let model = read.model.expect("model");
        let plan = plan::plan(&model, &Devices::default(), Options::default());
        let mut services = Vec::new();
        for (name, host) in &model.hosts {
            let system = plan.machines.get(name).and_then(|m| m.system.as_ref());
            for instance in &host.instances {
                let own = |u: &&UnitPlan| u.instance.as_ref() == Some(&(instance.service.name.clone(), instance.name.clone()));
                let Some(unit) = system.and_then(|s| s.units.iter().find(own)) else { continue };
                let entry = instance.service.unit.as_ref().expect("a unit has an entry");
                let lines = || unit.whole.iter().chain(&unit.drop_in);
                let exec = lines().find(|l| l.key == "ExecStart").map_or_else(|| entry.exec.clone(), |l| l.value.clone());
                let profile = derive::profile(&model, host, instance);
                let upstream: Vec<String> = entry.environment.iter().map(|(k, v)| format!("Environment=\"{k}={v}\"")).collect();
                let mut environment: Vec<String> = if unit.whole.is_empty() { upstream.clone() } else { Vec::new() };
                environment.extend(lines().filter(|l| l.key.starts_with("Environment")).map(|l| format!("{}={}", l.key, l.value)));
                services.push(Service {
                    name: if profile.service == profile.instance {
                        profile.service.clone()
                    } else {
                        format!("{}-{}", profile.service, profile.instance)
                    },
                    host: name.to_string(),
                    unit: unit.name.clone(),
                    account: unit.account.as_ref().map(ToString::to_string).unwrap_or_default(),
                    program: exec.split_whitespace().next().expect("a program").to_owned(),
                    exec,
                    profile,
                    environment,
                    whole: !unit.whole.is_empty(),
                    upstream,
                });
            }
        }
        assert!(!services.is_empty());
        Self { model, plan, services }
    }

    /// Files of the system layer on these machines, by path below `/`; several machines' accounts and modes side by side.
    pub fn system_files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut out = BTreeMap::new();
        for (host, machine) in &self.plan.machines {
            for (path, text) in machine.system.iter().flat_map(emit::render::system_files) {
                let path = match path.strip_suffix("/ravelin.conf") {
                    Some(dir) => format!("{dir}/ravelin-{host}.conf"),
                    None => path,
                };
                out.insert(path, text.into_bytes());
            }
        }
        out
    }

    /// The SELinux modules of one machine.
    pub fn modules(&self, host: &str) -> BTreeMap<String, Vec<u8>> {
        let machine = self.plan.machines.iter().find(|(h, _)| h.as_str() == host).expect("the machine").1;
        let plan = machine.selinux.as_ref().expect("the layer");
        emit::selinux::modules(plan).into_iter().map(|(n, t)| (format!("root/modules/{n}.cil"), t.into_bytes())).collect()
    }

    /// Configuration files that are only read: the operator writes them before a service starts.
    pub fn configurations(&self) -> BTreeSet<String> {
        let plans = self.plan.machines.values().filter_map(|m| m.selinux.as_ref());
        let files = plans.flat_map(|p| p.domains.iter().flat_map(|d| &d.files));
        files.filter(|f| f.kind == FileKind::Config).map(|f| f.path.clone()).collect()
    }

    /// A script that makes accounts, directories, stores and configuration files as an operator does, and addresses of peers.
    pub fn prepare(&self) -> String {
        let mut out = String::from("set -e\nsysctl -q vm.nr_hugepages=8\nmkdir -p /data\nsystemd-sysusers 2>&1\n");
        for s in &self.services {
            for store in &s.profile.stores {
                out += &format!("install -d -m 755 -o {0} -g {0} {store}\n", s.account);
            }
        }
        out += "systemd-tmpfiles --create 2>&1\numask 077; touch /etc/filecoin/lotus.env\n";
        for path in self.configurations() {
            out += &format!("install -m 600 -o $(stat -c %U {0}) /dev/null {path}\n", path.rsplit_once('/').expect("absolute").0);
        }
        for address in self.model.hosts.values().flat_map(site::model::Host::addresses).filter(std::net::IpAddr::is_ipv4) {
            out += &format!("ip address add {address}/32 dev lo 2>/dev/null || true\n");
        }
        out
    }

    /// Every store.
    pub fn stores(&self) -> BTreeSet<String> {
        self.services.iter().flat_map(|s| s.profile.stores.clone()).collect()
    }
}

/// What stands in every stand-in's unit: its profile, its orders, no second start.
fn own(name: &str) -> String {
    format!("Environment={}={}/{name}.json {}={}/{name}.orders\nRestart=no\n", stub::PROFILE, lab::HOME, stub::ORDERS, lab::HOME)
}

impl Service {
    /// Its variables, as the unit sets them.
    fn variable(&self, name: &str) -> Option<&str> {
        // The last one wins.
        self.environment
            .iter()
            .rev()
            .find_map(|l| l.strip_prefix("Environment=\"")?.strip_suffix('"')?.strip_prefix(name)?.strip_prefix('='))
    }

    /// Where its repository is, if it has one.
    pub fn repository(&self) -> Option<String> {
        let place = self.profile.places.iter().find(|p| p.kind == "repo")?;
        let named = place.path.strip_prefix('$').and_then(|v| self.variable(v)).map(str::to_owned);
        let usual = || place.default.as_deref().unwrap_or(&place.path).replacen('~', self.variable("HOME").expect("a home"), 1);
        Some(named.unwrap_or_else(usual))
    }

    /// Files that put the stand-in in the service's place under its own unit.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let units = "etc/systemd/system";
        let mut out = BTreeMap::new();
        let json = serde_json::to_vec_pretty(&self.profile).expect("JSON");
        out.insert(format!("{}/{}.json", lab::HOME.trim_start_matches('/'), self.name), json);
        if !self.whole {
            let text = format!("[Service]\nExecStart={}\n{}\n", self.exec, self.upstream.join("\n"));
            out.insert(format!("{units}/{}", self.unit), text.into_bytes());
        }
        let drop_in = format!("[Service]\n{}", own(&self.name));
        out.insert(format!("{units}/{}.d/90-stand-in.conf", self.unit), drop_in.into_bytes());
        // The same without account and sandbox.
        let plain = format!(
            "[Service]\nType=exec\nLimitMEMLOCK=infinity\nExecStart={}\n{}\n{}",
            self.exec,
            self.environment.join("\n"),
            own(&self.name)
        );
        out.insert(format!("{units}/{}", self.plain()), plain.into_bytes());
        out
    }

    /// Its unit without account and sandbox: uid 0.
    pub fn plain(&self) -> String {
        format!("plain-{}.service", self.name)
    }
}
