//! `ravelin explain`: why this rule, finding, flow or catalogue entry exists. In comes an id from a log line, a rule's comment or a
//! message, out comes what it is and every line it comes from.

use crate::{
    args::Global,
    exit::Exit,
    face::{Face, show},
    input::{self, SiteOption},
    paint::{DIM, HEAD, paint},
    planning,
    trouble::Trouble,
};
use catalog::{Endpoint, Service};
use clap::Args;
use include_dir::{Dir, include_dir};
use serde::Serialize;
use site::model::Flow;
use std::collections::{BTreeMap, BTreeSet};
use words::{HostName, Origin};

/// A page per invariant and per audit rule, the same as in the repository.
static INVARIANTS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../docs/invariants");
static AUDIT: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../docs/audit");

/// Arguments of `explain`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// A flow or rule id (f1a2b3c4), a code (NET001, AUD003), a service (lotus), an endpoint (lotus.api), a line of a unit
    /// (unit/lotus-daemon.service/PrivateDevices), an account (account/lotus) or a file (file/var/lib/lotus)
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    site: SiteOption,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case", tag = "is")]
enum Explanation {
    /// A flow of the site.
    Flow {
        #[serde(flatten)]
        flow: Box<Flow>,
        rules: Vec<RuleLine>,
    },
    /// A rule that belongs to no flow.
    Rule { id: String, rules: Vec<RuleLine> },
    /// A page of the documentation.
    Page { code: String, text: String },
    /// A catalogue entry.
    Service { service: Box<Service> },
    /// An endpoint of one.
    Endpoint { service: String, endpoint: Box<Endpoint> },
}

#[derive(Serialize)]
struct RuleLine {
    hosts: BTreeSet<HostName>,
    what: String,
    why: String,
    origins: Vec<Origin>,
}

impl Face for Explanation {
    fn text(&self) -> String {
        match self {
            Self::Flow { flow, rules } => flow_text(flow, rules),
            Self::Rule { id, rules } => format!("{}\n{}", paint(HEAD, id), rules.iter().map(|r| rule_text(r, true)).collect::<String>()),
            Self::Page { text, .. } => text.clone(),
            Self::Service { service } => service_text(service),
            Self::Endpoint { service, endpoint } => endpoint_text(service, endpoint),
        }
    }
}

fn flow_text(flow: &Flow, rules: &[RuleLine]) -> String {
    let mut out = format!("{} {} -> {} {}\n  {}\n", paint(HEAD, &flow.id), flow.from, flow.to, flow.target, flow.why);
    for line in super::flows::detail(flow) {
        out += &format!("  {line}\n");
    }
    if !rules.is_empty() {
        out += &format!("{}\n", paint(HEAD, "rules"));
        out += &rules.iter().map(|r| rule_text(r, false)).collect::<String>();
    }
    out
}

fn rule_text(rule: &RuleLine, origins: bool) -> String {
    let hosts: Vec<&str> = rule.hosts.iter().map(HostName::as_str).collect();
    let mut out = format!("  {}\n    {}\n    {}\n", rule.what, rule.why, paint(DIM, format!("on {}", hosts.join(", "))));
    if origins {
        out += &rule.origins.iter().map(|o| format!("    from {o}\n")).collect::<String>();
    }
    out
}

fn service_text(s: &Service) -> String {
    let mut out = format!("{} {}\n", paint(HEAD, &s.name), s.title);
    for e in &s.endpoints {
        out += &format!("  listens   {}\n", endpoint_line(e));
    }
    for p in &s.peers {
        let of: Vec<String> = p.service.iter().map(|n| format!("{n}.{}", p.endpoint)).collect();
        out += &format!("  reaches   {}: {}\n", of.join(" or "), p.why);
    }
    for e in &s.egress {
        let to: Vec<String> = e.to.iter().map(ToString::to_string).collect();
        let names = if e.any { "any public address".to_owned() } else { e.names.join(", ") };
        out += &format!("  outside   {names} {}: {}\n", to.join(" "), e.why);
    }
    for x in &s.secrets {
        out += &format!("  secret    {}: {}; {}\n", x.path, x.holds, x.worth);
    }
    for n in &s.needs {
        let when = if n.optional { ", where configured" } else { "" };
        out += &format!("  needs     {}{when}: {}\n", n.what, n.why);
    }
    for t in &s.traps {
        out += &format!("  trap      {}: {} {}\n", t.name, t.what, t.fix);
    }
    out + &paint(DIM, format!("  source {}, read {}", s.source, s.checked)) + "\n"
}

fn endpoint_line(e: &Endpoint) -> String {
    let protocols: Vec<String> = e.proto.iter().map(ToString::to_string).collect();
    format!(
        "{} {}/{}, bound to {}, login {}, meant for {}",
        e.name,
        port(&e.port),
        protocols.join("+"),
        word(&e.bind),
        word(&e.auth),
        word(&e.intended)
    )
}

fn endpoint_text(service: &str, e: &Endpoint) -> String {
    let note = e.note.as_ref().map(|n| format!("  {n}\n")).unwrap_or_default();
    format!("{} {}\n{note}{}\n", paint(HEAD, service), endpoint_line(e), paint(DIM, format!("  source {}", e.source)))
}

fn port(port: &catalog::PortDefault) -> String {
    match port {
        catalog::PortDefault::Fixed(p) => p.to_string(),
        catalog::PortDefault::Range(r) => r.to_string(),
        catalog::PortDefault::Random { suggest, .. } => format!("random (pin it to {suggest})"),
        catalog::PortDefault::None { .. } => "no port".to_owned(),
    }
}

/// The data file's own word for a value.
fn word(value: &impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

/// Finds what the id stands for: pages and the catalogue first, since they need no site file.
pub fn run(arguments: &Arguments, global: &Global) -> Result<Exit, Trouble> {
    let id = arguments.id.as_str();
    let explanation = match page(id).or_else(|| from_catalogue(id)) {
        Some(e) => e,
        None => from_site(id, arguments, global)?,
    };
    show(global, &explanation)?;
    Ok(Exit::Ok)
}

fn page(id: &str) -> Option<Explanation> {
    let code = id.to_ascii_uppercase();
    let file = [&INVARIANTS, &AUDIT].into_iter().find_map(|d| d.get_file(format!("{code}.md")))?;
    Some(Explanation::Page { text: file.contents_utf8()?.to_owned(), code })
}

fn from_catalogue(id: &str) -> Option<Explanation> {
    let entry = |name: &str| catalog::builtin().values().find(|s| s.name.as_str() == name);
    if let Some(service) = entry(id) {
        return Some(Explanation::Service { service: Box::new(Service::clone(service)) });
    }
    let (service, endpoint) = id.rsplit_once('.')?;
    let endpoint = entry(service)?.endpoint(endpoint)?;
    Some(Explanation::Endpoint { service: service.to_owned(), endpoint: Box::new(endpoint.clone()) })
}

fn from_site(id: &str, arguments: &Arguments, global: &Global) -> Result<Explanation, Trouble> {
    let (model, _) = input::model(&arguments.site.site, global)?;
    let plan = planning::plan(&model);
    // The same rule stands on many machines: told once, with all of them.
    let mut rules: BTreeMap<(String, String), RuleLine> = BTreeMap::new();
    let system: Vec<_> = plan.machines.iter().filter_map(|(h, m)| m.system.as_ref()?.reasons(h).remove(id)).collect();
    for info in plan.machines.values().filter_map(|m| m.rules.get(id)).chain(&system) {
        let key = (info.what.clone(), info.why.clone());
        let line = || RuleLine { hosts: BTreeSet::new(), what: info.what.clone(), why: info.why.clone(), origins: info.origins.clone() };
        rules.entry(key).or_insert_with(line).hosts.insert(info.host.clone());
    }
    let rules: Vec<RuleLine> = rules.into_values().collect();
    if let Some(flow) = model.flows.iter().find(|f| f.id.0 == id) {
        return Ok(Explanation::Flow { flow: Box::new(flow.clone()), rules });
    }
    if rules.is_empty() {
        return Err(Trouble::usage(
            format!("nothing here is called `{id}`"),
            "`ravelin flows` and `ravelin plan` print ids, `ravelin check` and `ravelin audit` print codes; was it another site file? (--site)",
        ));
    }
    Ok(Explanation::Rule { id: id.to_owned(), rules })
}
