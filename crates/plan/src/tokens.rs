//! Who holds which API token, what would do, and how to exchange it. In comes the model, out comes a list of holders with the steps
//! of the exchange as commands for people. Never: a token itself, and never runs a step.

use crate::system::{environment_file_of, place_of, unit_name_of};
use catalog::{Permission, Scope};
use serde::Serialize;
use site::model::{Host, Instance, Model};
use words::{EndpointName, HostName, InstanceName, Origin, ServiceName};

/// One token one instance holds.
#[derive(Debug, Clone, Serialize)]
pub struct Holder {
    /// The machine it is on.
    pub host: HostName,
    /// Who holds it.
    pub instance: InstanceName,
    /// Whose API it opens: candidates on the site.
    pub of: Vec<Issuer>,
    /// Permission that set-up gives it.
    pub given: Permission,
    /// Least permission that works, as far as sources were read.
    pub least: Permission,
    /// Where it is kept.
    pub held: Vec<String>,
    /// What it is for.
    pub why: String,
    /// What the catalogue says of it.
    pub says: Option<String>,
    /// Steps of the exchange, in order; empty where nothing less would do or nobody here can make one.
    pub exchange: Vec<Step>,
    /// Where it comes from.
    pub origins: Vec<Origin>,
}

/// Who makes the token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Issuer {
    /// The machine.
    pub host: HostName,
    /// The instance.
    pub instance: InstanceName,
    /// Its service.
    pub service: ServiceName,
    /// The endpoint.
    pub endpoint: EndpointName,
}

/// A step somebody takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// On which machine.
    pub on: HostName,
    /// What is done.
    pub what: String,
    /// The command, where it is one.
    pub command: Option<String>,
}

/// Every holder of the site, by machine and instance.
pub fn tokens(model: &Model) -> Vec<Holder> {
    let mut out = Vec::new();
    for host in model.hosts.values() {
        for instance in &host.instances {
            out.extend(of_instance(model, host, instance));
        }
    }
    out
}

fn of_instance<'a>(model: &'a Model, host: &'a Host, instance: &'a Instance) -> impl Iterator<Item = Holder> + 'a {
    instance.service.peers.iter().filter_map(move |peer| {
        let token = peer.token.as_ref()?;
        let of = issuers(model, host, instance, peer);
        if of.is_empty() {
            return None;
        }
        let origin = Origin::Catalog {
            service: instance.service.name.to_string(),
            entry: format!("peer {}.{}", peer.service.first()?, peer.endpoint),
            source: format!("{}:{}", instance.service.source, peer.source),
        };
        let mut holder = Holder {
            host: host.name.clone(),
            instance: instance.name.clone(),
            given: token.given,
            least: token.least,
            held: token.held.iter().map(|h| held(model, host, instance, h)).collect(),
            why: peer.why.clone(),
            says: peer.credential.clone(),
            exchange: Vec::new(),
            origins: vec![instance.origin.clone(), origin],
            of,
        };
        if holder.least < holder.given {
            holder.exchange = exchange(model, host, instance, &holder);
        }
        Some(holder)
    })
}

fn issuers(model: &Model, host: &Host, instance: &Instance, peer: &catalog::Peer) -> Vec<Issuer> {
    let fits = |i: &Instance| peer.service.contains(&i.service.name) && i.listens.iter().any(|l| l.endpoint == peer.endpoint);
    let mut out = Vec::new();
    for h in model.hosts.values() {
        for i in h.instances.iter().filter(|i| fits(i) && !(h.name == host.name && i.name == instance.name)) {
            let bound = peer.service.iter().filter_map(|s| instance.uses.get(s)).collect::<Vec<_>>();
            if peer.scope == Scope::One && !bound.iter().any(|(host, name)| *host == h.name && *name == i.name) {
                continue;
            }
            let service = i.service.name.clone();
            out.push(Issuer { host: h.name.clone(), instance: i.name.clone(), service, endpoint: peer.endpoint.clone() });
        }
    }
    out
}

/// Where a token is kept, in this site's own paths.
fn held(model: &Model, host: &Host, instance: &Instance, place: &str) -> String {
    let absolute = |path: &str| place_of(model, host, instance, path).unwrap_or_else(|| path.to_owned());
    if place.starts_with("--") {
        format!("argument {place}, which every account of the machine reads unless /proc is closed")
    } else if place.starts_with("db:") {
        format!("the cluster's database, {}", place.trim_start_matches("db:"))
    } else if place.starts_with('$') || place.starts_with('~') {
        match place.split_once(": ") {
            Some((path, key)) => format!("{} ({key})", absolute(path)),
            None => absolute(place),
        }
    } else {
        format!("{place} in {}", environment_file_of(instance))
    }
}

fn exchange(model: &Model, host: &Host, instance: &Instance, holder: &Holder) -> Vec<Step> {
    let mut out = Vec::new();
    for issuer in &holder.of {
        let Some((h, i)) = model.hosts.get(&issuer.host).and_then(|h| Some((h, h.instances.iter().find(|i| i.name == issuer.instance)?)))
        else {
            continue;
        };
        let Some(mint) = i.service.endpoint(issuer.endpoint.as_str()).and_then(|e| e.mint.as_ref()) else { continue };
        let command = mint.replace("{permission}", &holder.least.to_string());
        let user = i.account.as_ref().map(|a| format!("runuser -u {a} -- ")).unwrap_or_default();
        let repo = repo_setting(model, h, i).map(|(name, value)| format!("env {name}={value} ")).unwrap_or_default();
        out.push(Step {
            on: issuer.host.clone(),
            what: format!("make a token with {} alone; it is printed once, so into a file only root reads", holder.least),
            command: Some(format!("umask 077 && {user}{repo}{command} > /root/{}-{}.token", holder.host, holder.instance)),
        });
        out.push(Step {
            on: holder.host.clone(),
            what: format!("put it in place of the old one: {}", holder.held.join("; ")),
            command: None,
        });
    }
    if out.is_empty() {
        return out;
    }
    if let Some(unit) = unit_name_of(host, instance) {
        out.push(Step {
            on: holder.host.clone(),
            what: "restart, once the current proof has landed and before the next deadline opens".to_owned(),
            command: Some(format!("systemctl restart {unit}")),
        });
    }
    out.push(Step {
        on: holder.of.first().map_or_else(|| holder.host.clone(), |i| i.host.clone()),
        what: "the old token stays valid for ever: it ends only with the key that signed it (auth-jwt-private), and with it every other token of that API"
            .to_owned(),
        command: None,
    });
    out
}

fn repo_setting(model: &Model, host: &Host, instance: &Instance) -> Option<(String, String)> {
    let entry = instance.service.paths.iter().find(|p| p.kind == catalog::PathKind::Repo)?;
    let name = entry.path.strip_prefix('$')?.to_owned();
    Some((name, place_of(model, host, instance, &entry.path)?))
}
