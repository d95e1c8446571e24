//! A profile from the catalogue and the site. In come model, host and instance, out comes a [`Profile`]. Never: the plan's own
//! conclusions (units, domains, labels): what these forget must show as a refusal.

use crate::profile::{Listen, Need, Peer, Place, Port, Profile};
use catalog::{Access, Bind, PathEntry, PathKind, Scope, When};
use site::model::{Host, Instance, Model};
use std::collections::BTreeSet;
use words::{PortSet, Proto};

/// Ports below this want a need (`net.ipv4.ip_unprivileged_port_start`).
const FIRST_FREE_PORT: u16 = 1024;
/// Where "any public port" is tried: where libp2p peers usually are, and TLS.
const ANY_PORTS: [u16; 2] = [4001, 443];
/// Homes of people.
const HOMES: [&str; 2] = ["/home/", "/root/"];

/// What this instance does.
pub fn profile(model: &Model, host: &Host, instance: &Instance) -> Profile {
    let service = &instance.service;
    Profile {
        service: service.name.to_string(),
        instance: instance.name.to_string(),
        listens: listens(instance),
        places: places(instance),
        stores: stores(model, host, instance),
        peers: peers(model, host, instance),
        outside: outside(model, host, instance),
        needs: needs(instance),
    }
}

fn ports(proto: &[Proto], ports: &PortSet) -> Vec<Port> {
    let each = |p: &Proto| ports.ranges().iter().map(|r| Port { udp: *p == Proto::Udp, port: r.first() }).collect::<Vec<_>>();
    proto.iter().filter(|p| p.has_ports()).flat_map(each).collect()
}

fn listens(instance: &Instance) -> Vec<Listen> {
    let mut out = Vec::new();
    for l in &instance.listens {
        let bind = instance.service.endpoint(l.endpoint.as_str()).map(|e| e.bind);
        if bind == Some(Bind::NotApplicable) {
            continue;
        }
        out.extend(ports(&l.proto, &l.ports).into_iter().map(|at| Listen { endpoint: l.endpoint.to_string(), at, loopback: l.loopback }));
    }
    out
}

fn octal(text: Option<&String>) -> Option<u32> {
    text.and_then(|t| u32::from_str_radix(t, 8).ok())
}

fn places(instance: &Instance) -> Vec<Place> {
    let service = &instance.service;
    let given_by_systemd = |p: &PathEntry| service.unit.iter().any(|u| u.environment_files.contains(&p.path));
    let mut out: Vec<Place> = service.paths.iter().filter(|p| !given_by_systemd(p)).filter_map(place).collect();
    // A secret the paths do not name: a key or a token below the repository.
    for s in &service.secrets {
        let path = s.path.trim_end_matches('/');
        let known = service.paths.iter().any(|p| p.path.trim_end_matches('/') == path)
            || service.unit.iter().any(|u| u.environment_files.iter().any(|f| f == path));
        if known || path.starts_with("db:") || path.starts_with('<') || path.contains('*') || path.contains(' ') {
            continue;
        }
        let directory = s.path.ends_with('/') || path.ends_with("keystore");
        let mode = octal(s.mode.as_ref()).unwrap_or(0o600) | if directory { 0o100 } else { 0 };
        let variable = path.split('/').next().unwrap_or_default();
        let repo = service.paths.iter().find(|p| p.path == variable).and_then(|p| p.default.as_deref());
        let default = repo.map(|d| format!("{d}{}", path.strip_prefix(variable).unwrap_or_default()));
        if path.starts_with('$') && default.is_none() {
            continue;
        }
        out.push(Place { path: path.to_owned(), default, kind: "keystore".to_owned(), write: true, directory, mode });
    }
    out
}

fn place(p: &PathEntry) -> Option<Place> {
    let word = match p.kind {
        PathKind::Repo => "repo",
        PathKind::Keystore => "keystore",
        PathKind::Token => "token",
        PathKind::Config => "config",
        PathKind::State => "state",
        PathKind::Store => "store",
        PathKind::Cache => "cache",
        PathKind::Log => "log",
        PathKind::Lock => "lock",
        PathKind::Executable => return None,
    };
    if p.path.starts_with('<') || p.path.contains('*') {
        return None;
    }
    let given = octal(p.mode.as_ref()).or(octal(p.tightest.as_ref()));
    let named = p.default.as_deref().unwrap_or(&p.path);
    let leaf = named.rsplit('/').next().unwrap_or_default().trim_start_matches('.');
    // What has a mode for searching is a directory; without one the name tells.
    let directory = match (p.kind, given) {
        (PathKind::Repo | PathKind::Cache, _) => true,
        (PathKind::Token | PathKind::Config | PathKind::Lock, _) => false,
        (_, Some(mode)) => mode & 0o100 != 0,
        (_, None) => !leaf.contains('.'),
    };
    let mode = given.unwrap_or(if directory { 0o755 } else { 0o644 });
    Some(Place {
        path: p.path.clone(),
        default: p.default.clone(),
        kind: word.to_owned(),
        write: p.access == Access::Write,
        directory,
        mode,
    })
}

fn stores(model: &Model, host: &Host, instance: &Instance) -> Vec<String> {
    let mut out: BTreeSet<String> = instance.stores.iter().cloned().collect();
    if instance.service.paths.iter().any(|p| p.kind == PathKind::Store && p.path.starts_with('<')) {
        out.extend(model.storages.iter().filter(|s| s.users.contains(&host.name)).filter_map(|s| s.mount.clone()));
    }
    out.into_iter().collect()
}

fn peers(model: &Model, host: &Host, instance: &Instance) -> Vec<Peer> {
    let mut out = Vec::new();
    for peer in &instance.service.peers {
        // One of several that could play the part.
        let bound = peer.service.iter().find_map(|s| instance.uses.get(s)).map(|(h, i)| (h, i));
        for other in model.hosts.values() {
            for them in other.instances.iter().filter(|i| peer.service.contains(&i.service.name)) {
                let (here, myself) = (other.name == host.name, them.name == instance.name && other.name == host.name);
                let elsewhere = bound.is_some_and(|(h, i)| (h, i) != (&other.name, &them.name));
                // The reverse of their own choice.
                let not_mine = peer.scope == Scope::Bound
                    && them.uses.get(&instance.service.name).is_some_and(|(h, i)| (h, i) != (&host.name, &instance.name));
                if myself || elsewhere || not_mine || them.container.is_some() || them.service.unit.is_none() {
                    continue;
                }
                let address =
                    if here { Some(std::net::Ipv4Addr::LOCALHOST.into()) } else { other.addresses().find(std::net::IpAddr::is_ipv4) };
                for l in them.listens.iter().filter(|l| l.endpoint == peer.endpoint && (here || !l.loopback)) {
                    let name = format!("{}.{}", them.service.name, l.endpoint);
                    for at in ports(&l.proto, &l.ports) {
                        out.extend(address.map(|address| Peer { name: name.clone(), address, at: at.clone() }));
                    }
                }
            }
        }
    }
    out
}

fn outside(model: &Model, host: &Host, instance: &Instance) -> Vec<Port> {
    let mut out = BTreeSet::new();
    for e in &instance.service.egress {
        for to in e.to.iter().filter(|t| t.proto.has_ports()) {
            let configured = || {
                let fits = |t: &words::ProtoPorts| t.proto == to.proto && t.ports.intersects(&to.ports);
                model.externals.values().any(|x| x.users.contains(&host.name) && x.target.iter().any(fits))
            };
            if e.when == When::Configured && !configured() {
                continue;
            }
            let udp = to.proto == Proto::Udp;
            if to.ports.is_all() {
                out.extend(ANY_PORTS.map(|port| Port { udp, port }));
            } else {
                out.extend(ports(&[to.proto], &to.ports));
            }
        }
    }
    out.into_iter().collect()
}

fn needs(instance: &Instance) -> Vec<Need> {
    let low = instance.listens.iter().any(|l| l.ports.ranges().iter().any(|r| r.first() < FIRST_FREE_PORT));
    let home = instance.repo.iter().chain(&instance.stores).any(|p| HOMES.iter().any(|h| p.starts_with(h)));
    let mut out: Vec<Need> = Vec::new();
    for n in &instance.service.needs {
        let implied = (n.what == catalog::Need::LowPort && low) || (n.what == catalog::Need::Home && home);
        if n.optional && !instance.needs.contains(&n.what) && !implied {
            continue;
        }
        match out.iter_mut().find(|o| o.what == n.what.word()) {
            Some(o) => o.paths.extend(n.path.iter().cloned()),
            None => out.push(Need { what: n.what.word().to_owned(), paths: n.path.clone() }),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profiles() -> Vec<Profile> {
        let source = words::SourceFile::new("site.toml", include_str!("../tests/everything/site.toml").to_owned());
        let model = site::read(&source, "2026-11-26").model.expect("a model");
        model.hosts.values().flat_map(|h| h.instances.iter().map(|i| profile(&model, h, i))).collect()
    }

    fn of<'a>(profiles: &'a [Profile], instance: &str) -> &'a Profile {
        profiles.iter().find(|p| p.instance == instance).expect("the instance")
    }

    #[test]
    fn a_profile_is_what_the_catalogue_and_the_site_say() {
        let all = profiles();
        let lotus = of(&all, "lotus");
        assert!(lotus.listens.iter().any(|l| l.endpoint == "api" && l.at == Port { udp: false, port: 1234 } && l.loopback));
        assert!(lotus.listens.iter().any(|l| l.endpoint == "libp2p" && l.at == Port { udp: true, port: 6665 } && !l.loopback));
        let keystore = lotus.places.iter().find(|p| p.path == "$LOTUS_PATH/keystore").expect("keys");
        assert_eq!(
            (keystore.mode, keystore.directory, keystore.write, keystore.default.as_deref()),
            (0o700, true, true, Some("~/.lotus/keystore"))
        );
        assert!(lotus.outside.contains(&Port { udp: false, port: 4001 }), "any public peer");
        let miner = of(&all, "lotus-miner");
        assert!(miner.peers.iter().any(|p| p.name == "lotus.api" && p.at.port == 1234));
        assert!(!miner.peers.iter().any(|p| p.name == "forest.api"), "the site says which of the two");
        assert_eq!(miner.peers.iter().filter(|p| p.name == "lotus-worker.api").count(), 2, "both workers are bound to it");
        assert_eq!(miner.stores, ["/mnt/sealed", "/mnt/sealing"]);
        assert!(of(&all, "pc1").need("shell").is_none() && of(&all, "post").need("shell").is_some(), "optional needs are the site's");
        let curio = of(&all, "curio");
        assert!(curio.places.iter().all(|p| p.path != "/etc/curio.env"), "systemd reads it");
        assert!(["hugepages", "memlock", "vfio", "low-port"].iter().all(|n| curio.need(n).is_some()));
    }

    #[test]
    fn every_service_with_a_unit_has_a_stand_in() {
        let there: BTreeSet<String> = profiles().into_iter().map(|p| p.service).collect();
        let all = catalog::builtin().values().filter(|s| s.unit.is_some() && s.name.as_str() != "postgres");
        let missing: Vec<String> = all.map(|s| s.name.to_string()).filter(|n| !there.contains(n)).collect();
        assert!(missing.is_empty(), "not in tests/everything/site.toml: {missing:?}");
    }
}
