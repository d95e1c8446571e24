//! What a machine runs: in comes `runs`, out come drafts of instances and, with publications known, instances with the
//! ports they really use. Every managed host runs the management service and `host` without being told.

use super::{edge::EdgeDraft, hosts::Hosts, services::Services};
use crate::{
    Accounts, EdgeKind, Instance, Listen, code,
    cx::Cx,
    syntax::{Node, Text},
};
use catalog::{Bind, Need, PortDefault, Service};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};
use words::{AccountName, Diagnostic, EndpointName, HostName, InstanceName, Origin, PortSet, ServiceName, Span};

/// An item of `runs`, read once.
#[derive(Debug, Clone)]
pub(crate) struct RunDraft {
    pub service: Arc<Service>,
    pub name: InstanceName,
    pub account: Option<AccountName>,
    pub repo: Option<String>,
    pub container: Option<String>,
    /// `None`: as the service binds by default.
    pub loopback: Option<bool>,
    pub bind: Option<IpAddr>,
    pub unit: Option<String>,
    pub stores: Vec<String>,
    pub needs: BTreeSet<Need>,
    /// Ports the file gives, by endpoint.
    pub ports: BTreeMap<EndpointName, u16>,
    /// `uses` of the instance and its host: by service, the text.
    pub uses: BTreeMap<ServiceName, Text>,
    pub span: Span,
    pub path: String,
    /// Not written in the file: runs on every managed host, or on every edge node.
    pub implicit: bool,
}

/// Reads `runs` of a host or group.
pub(crate) fn read(cx: &mut Cx<'_>, host: &Node, services: &Services<'_>) -> Vec<RunDraft> {
    let host_uses = uses(cx, host, services);
    let host_account = account(cx, host);
    let host_container = host.text("container").map(|t| t.text);
    let mut out: Vec<RunDraft> = Vec::new();
    for item in host.get("runs").map(Node::items).unwrap_or_default() {
        let Some(mut draft) = one(cx, item, services) else { continue };
        draft.account = draft.account.or_else(|| host_account.clone());
        draft.container = draft.container.or_else(|| host_container.clone());
        for (service, t) in &host_uses {
            draft.uses.entry(service.clone()).or_insert_with(|| t.clone());
        }
        if let Some(other) = out.iter().find(|d| d.name == draft.name) {
            let d = Diagnostic::error(code::SITE006, format!("two instances are called `{}`", draft.name))
                .at(item.span, "")
                .at(other.span, "the other one");
            cx.push(d.help(format!("give each a name: {{ service = \"{}\", name = \"{}-2\", port = … }}", draft.service.name, draft.name)));
            continue;
        }
        out.push(draft);
    }
    for (service, t) in &host_uses {
        let taken = out.iter().any(|d| d.service.peers.iter().any(|p| p.service.contains(service)));
        if !taken {
            let help = "take it out, or write it where a service needs it";
            cx.push(Diagnostic::warning(code::FLW007, format!("nothing here uses `{service}`")).at(t.span, "").help(help));
        }
    }
    out
}

fn one(cx: &mut Cx<'_>, item: &Node, services: &Services<'_>) -> Option<RunDraft> {
    let t = item.as_text().or_else(|| item.text("service"))?;
    let service = services.find(cx, &t.text, t.span)?;
    let name = match item.text("name") {
        Some(n) => cx.name(&n.text, n.span)?,
        None => InstanceName::new(service.name.as_str()).ok()?,
    };
    let mut ports = BTreeMap::new();
    if let Some((port, span)) = item.int("port") {
        match service.endpoints.first() {
            Some(first) => drop(ports.insert(first.name.clone(), u16::try_from(port).unwrap_or(0))),
            None => cx.error(code::NAM004, span, format!("`{}` listens nowhere", service.name), "take out `port`"),
        }
    }
    for e in item.get("ports").map(Node::entries).unwrap_or_default() {
        if let (Some(endpoint), Some(port)) = (services.endpoint(cx, &service, &e.key, e.key_span), e.node.as_int()) {
            ports.insert(endpoint, u16::try_from(port).unwrap_or(0));
        }
    }
    let bind_text = item.text("bind");
    let bind = bind_text.as_ref().filter(|t| t.text != "loopback" && t.text != "any").and_then(|t| cx.address(t));
    let loopback = bind_text.map(|t| t.text == "loopback" || t.text.parse::<IpAddr>().is_ok_and(|a| a.is_loopback()));
    Some(RunDraft {
        name,
        account: account(cx, item),
        repo: item.text("repo").and_then(|t| directory(cx, &t, "repository")),
        container: item.text("container").map(|t| t.text),
        loopback,
        bind: bind.filter(|a| !a.is_unspecified()),
        unit: unit(cx, item),
        stores: item.texts("stores").iter().filter_map(|t| directory(cx, t, "store")).collect(),
        needs: needs(cx, item, &service),
        ports,
        uses: uses(cx, item, services),
        span: item.span,
        path: item.path.clone(),
        implicit: false,
        service,
    })
}

/// The account a service has where nothing else is said. Services that no unit is written for keep the distribution's.
fn usual_account(service: &Service, accounts: Accounts) -> Option<AccountName> {
    let catalogue = service.account.as_ref().map(|a| a.name.clone());
    if service.unit.is_none() || catalogue.is_none() {
        return catalogue;
    }
    match accounts {
        Accounts::Catalogue => catalogue,
        Accounts::Shared => AccountName::new(crate::model::SHARED_ACCOUNT).ok(),
        Accounts::PerService => AccountName::new(service.name.as_str()).ok(),
    }
}

/// A unit's name: what systemd takes for one, without a path.
fn unit(cx: &mut Cx<'_>, item: &Node) -> Option<String> {
    let t = item.text("unit")?;
    let fine = |c: char| c.is_ascii_alphanumeric() || ":_.@-".contains(c);
    if t.text.strip_suffix(".service").is_some_and(|n| !n.is_empty() && n.len() <= MAX_UNIT && n.chars().all(fine)) {
        return Some(t.text);
    }
    cx.error(code::SITE017, t.span, format!("`{}` is no unit", t.text), "a service unit's name, such as \"lotus-worker.service\"");
    None
}

/// Longest name of a unit (systemd's `UNIT_NAME_MAX` is 255, its suffix included).
const MAX_UNIT: usize = 240;

/// A directory of a service: absolute, without what a unit would have to quote, and none of the system's.
fn directory(cx: &mut Cx<'_>, t: &Text, what: &str) -> Option<String> {
    let odd = |c: char| c.is_whitespace() || c.is_control() || "\"'\\%$;#:".contains(c);
    let path = t.text.trim_end_matches('/').to_owned();
    if !t.text.starts_with('/') || t.text.chars().any(odd) || t.text.split('/').any(|p| p == "..") {
        let help = "an absolute path without blanks, quotes, `..` or any of \\ % $ ; # :";
        cx.error(code::SITE017, t.span, format!("`{}` cannot be a {what}", t.text), help);
        return None;
    }
    if path.is_empty() || SYSTEM.iter().any(|s| path == *s || path.starts_with(&format!("{s}/"))) {
        let help = "name the directory its files lie in, e.g. /mnt/sealed";
        cx.error(code::SITE017, t.span, format!("`{}` belongs to the system: no service may write there", t.text), help);
        return None;
    }
    Some(path)
}

/// Directories that hold what root runs or reads: writing there is a way to root.
const SYSTEM: [&str; 12] = ["/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/proc", "/run", "/sbin", "/sys", "/usr"];

fn needs(cx: &mut Cx<'_>, item: &Node, service: &Service) -> BTreeSet<Need> {
    let mut out = BTreeSet::new();
    for t in item.texts("needs") {
        let optional: Vec<&str> = service.needs.iter().filter(|n| n.optional).map(|n| n.what.word()).collect();
        match t.text.parse::<Need>() {
            Ok(need) if optional.contains(&need.word()) => drop(out.insert(need)),
            _ => {
                let help =
                    if optional.is_empty() { "it has no optional needs".to_owned() } else { format!("there is {}", optional.join(", ")) };
                cx.error(code::SITE017, t.span, format!("`{}` is no optional need of `{}`", t.text, service.name), help);
            }
        }
    }
    out
}

fn account(cx: &mut Cx<'_>, node: &Node) -> Option<AccountName> {
    let t = node.text("account")?;
    let name = cx.name(&t.text, t.span)?;
    if t.text == "root" {
        let help = "take the line out: the catalogue names an account without privilege";
        cx.push(Diagnostic::warning(code::SITE016, "services do not run as root").at(t.span, "").help(help));
    }
    Some(name)
}

fn uses(cx: &mut Cx<'_>, node: &Node, services: &Services<'_>) -> BTreeMap<ServiceName, Text> {
    let mut out = BTreeMap::new();
    for e in node.get("uses").map(Node::entries).unwrap_or_default() {
        if let (Some(service), Some(t)) = (services.find(cx, &e.key, e.key_span), e.node.as_text()) {
            out.insert(service.name.clone(), t);
        }
    }
    out
}

/// Adds what runs without being written: the management service and `host` on managed hosts, the pair's own on edge nodes.
pub(crate) fn implicit(hosts: &mut Hosts, edge: &EdgeDraft, services: &Services<'_>, by: Option<&Arc<Service>>) {
    let pair = edge.edge.kind == EdgeKind::Ravelin && edge.edge.nodes.len() == 2;
    for (name, host) in &hosts.map {
        let Some(runs) = hosts.runs.get_mut(name) else { continue };
        let mut add = |service: &Arc<Service>| {
            let taken: BTreeSet<&str> = runs.iter().map(|r| r.name.as_str()).collect();
            let Ok(instance) = InstanceName::new(service.name.as_str()) else { return };
            if runs.iter().any(|r| r.service.name == service.name) || taken.contains(instance.as_str()) {
                return;
            }
            let span = hosts.spans.get(name).copied().unwrap_or_default();
            runs.push(RunDraft {
                service: service.clone(),
                name: instance,
                account: None,
                repo: None,
                container: None,
                loopback: None,
                bind: None,
                unit: None,
                stores: Vec::new(),
                needs: BTreeSet::new(),
                ports: BTreeMap::new(),
                uses: BTreeMap::new(),
                span,
                path: String::new(),
                implicit: true,
            });
        };
        if host.managed {
            by.into_iter().for_each(&mut add);
            services.get("host").into_iter().for_each(&mut add);
        }
        if host.edge && pair {
            ["keepalived", "conntrackd"].iter().filter_map(|s| services.get(s)).for_each(&mut add);
        }
    }
}

/// Makes a draft into an instance with its ports; `pinned` are those that publications give.
pub(crate) fn instance(cx: &Cx<'_>, draft: &RunDraft, pinned: &BTreeMap<EndpointName, u16>, accounts: Accounts) -> Instance {
    let mut listens = Vec::new();
    for e in &draft.service.endpoints {
        let given = draft.ports.get(&e.name).or_else(|| pinned.get(&e.name));
        if e.optional && given.is_none() {
            continue;
        }
        let ports = match (given, &e.port) {
            (Some(p), _) => PortSet::one(*p),
            (None, PortDefault::Fixed(p)) => PortSet::one(*p),
            (None, PortDefault::Range(r)) => PortSet::from(*r),
            (None, PortDefault::Random { .. }) => PortSet::none(),
            (None, PortDefault::None { .. }) => PortSet::all(),
        };
        let loopback = draft.loopback.unwrap_or(e.bind == Bind::Loopback);
        listens.push(Listen { endpoint: e.name.clone(), proto: e.proto.clone(), ports, class: e.class, app: e.app, loopback });
    }
    let origin = if draft.implicit {
        Origin::Builtin { code: "implicit".into(), why: format!("`{}` runs there without being written", draft.service.name) }
    } else {
        cx.origin(draft.span, draft.path.clone())
    };
    Instance {
        name: draft.name.clone(),
        service: draft.service.clone(),
        account: draft.account.clone().or_else(|| usual_account(&draft.service, accounts)),
        repo: draft.repo.clone(),
        container: draft.container.clone(),
        unit: draft.unit.clone(),
        bind: draft.bind,
        stores: draft.stores.clone(),
        needs: draft.needs.clone(),
        listens,
        uses: BTreeMap::new(),
        origin,
    }
}

/// Two instances on one host that use one port.
pub(crate) fn collisions(cx: &mut Cx<'_>, host: &HostName, drafts: &[RunDraft], instances: &[Instance]) {
    for (i, a) in instances.iter().enumerate() {
        for (j, b) in instances.iter().enumerate().skip(i + 1) {
            let apart = matches!((drafts[i].bind, drafts[j].bind), (Some(x), Some(y)) if x != y);
            let clash = a
                .listens
                .iter()
                .flat_map(|x| b.listens.iter().map(move |y| (x, y)))
                .find(|(x, y)| x.proto.iter().any(|p| p.has_ports() && y.proto.contains(p)) && x.ports.intersects(&y.ports));
            if let (false, Some((x, y))) = (apart, clash) {
                let both = format!("`{}.{}` and `{}.{}`", a.name, x.endpoint, b.name, y.endpoint);
                let d = Diagnostic::error(code::FLW004, format!("{both} both use port {} on {host}", y.ports))
                    .at(drafts[j].span, "")
                    .at(drafts[i].span, "the other one")
                    .help(format!("give one another port: {{ service = \"{}\", ports = {{ {} = … }} }}", b.service.name, y.endpoint));
                cx.push(d);
            }
        }
    }
}
