//! One instance's unit: a drop-in always, the whole unit where upstream ships none. In come the instance with its settings and
//! sandbox, out comes a [`UnitPlan`]. Never: a token or password in a unit (environment files hold them).

use super::{
    gpu,
    place::Places,
    sandbox::{self, Wants},
    setting::Settings,
    types::{DataPlan, HealthPlan, Line, Section, UnitPlan},
};
use catalog::{Need, PathKind, Restart, Role, Unit, UnitType};
use site::model::{Host, Instance};
use words::{AccountName, Origin};

/// Directory of environment files for whole units: tokens and addresses of peers, which the site file does not know.
pub(crate) const ENVIRONMENT: &str = "/etc/filecoin";

/// Roles that prove, or without which nothing is proven: messages go through the chain node, and a remote wallet signs them.
const DEADLINES: [Role; 5] = [Role::ChainNode, Role::Miner, Role::Worker, Role::Wallet, Role::ClusterNode];

/// An instance's environment file.
pub(crate) fn environment_file(instance: &Instance) -> String {
    format!("{ENVIRONMENT}/{}.env", instance.name)
}

/// The unit's name: the site file's, else the catalogue's; several instances of a service get their own.
pub(crate) fn name(host: &Host, instance: &Instance) -> Option<String> {
    if let Some(named) = &instance.unit {
        return Some(named.clone());
    }
    let base = instance.service.units.first()?;
    let alone = host.instances.iter().filter(|i| i.service.name == instance.service.name).count() == 1;
    if alone || instance.name.as_str() == instance.service.name.as_str() {
        return Some(base.clone());
    }
    let stem = base.trim_end_matches(".service").trim_end_matches('@');
    Some(format!("{stem}-{}.service", instance.name))
}

/// Whether Ravelin writes the whole unit: upstream ships none, or not one for a second instance.
pub(crate) fn is_whole(instance: &Instance, unit: &Unit, name: &str) -> bool {
    unit.upstream.is_empty() || (instance.unit.is_none() && instance.service.units.first().is_some_and(|u| u != name))
}

/// Everything that goes into a unit.
pub(crate) struct Parts<'a> {
    pub instance: &'a Instance,
    pub unit: &'a Unit,
    pub name: String,
    pub account: &'a AccountName,
    pub groups: Vec<String>,
    pub places: &'a Places<'a>,
    pub settings: &'a Settings,
    pub wants: &'a Wants<'a>,
}

/// The plan of a unit.
pub(crate) fn plan(p: &Parts<'_>) -> UnitPlan {
    let service = &p.instance.service;
    let whole = is_whole(p.instance, p.unit, &p.name);
    let drop_in = drop_in(p, whole);
    let health = p.unit.health.clone().map(|says| {
        let listen = p.instance.listens.iter().find(|l| l.endpoint == says.endpoint);
        HealthPlan { port: listen.and_then(|l| l.ports.single()), says }
    });
    UnitPlan {
        name: p.name.clone(),
        title: service.title.clone(),
        instance: Some((service.name.clone(), p.instance.name.clone())),
        account: Some(p.account.clone()),
        whole: if whole { skeleton(p) } else { Vec::new() },
        drop_in,
        opened: p.wants.all(),
        health,
        data: data(p),
        origins: vec![
            p.instance.origin.clone(),
            Origin::Catalog { service: service.name.to_string(), entry: "unit".to_owned(), source: p.unit.source.clone() },
        ],
    }
}

fn data(p: &Parts<'_>) -> DataPlan {
    let service = &p.instance.service;
    let repo = service.paths.iter().find(|e| e.kind == PathKind::Repo);
    DataPlan {
        home: p.places.home.clone(),
        repo: p.places.repo.clone(),
        repo_variable: p.places.repo_setting().map(|(name, _)| name.to_owned()),
        repo_also: repo.map(|e| e.also.clone()).unwrap_or_default(),
        repo_default: repo.map(|e| e.default.clone().unwrap_or_else(|| e.path.clone())),
        writes: p.places.writes(),
        deadlines: DEADLINES.contains(&service.role),
    }
}

fn drop_in(p: &Parts<'_>, whole: bool) -> Vec<Line> {
    let mut out = Vec::new();
    let source = if p.unit.upstream.is_empty() { &p.unit.source } else { &p.unit.upstream };
    let mut service = vec![Line::new("User", p.account.as_str()), Line::new("Group", p.account.as_str())];
    if !p.groups.is_empty() {
        service.push(
            Line::new("SupplementaryGroups", p.groups.join(" "))
                .why("GPU device nodes, and the lock files GPU services share", gpu::SOURCE),
        );
    }
    service.extend(environment(p));
    service.extend(sandbox::lines(p.wants));
    if p.wants.has(Need::Gpu) {
        let why = "device nodes first: without privileges the service cannot make them";
        out.push(Line::new("Wants", gpu::UNIT).at(Section::Unit).why(why, "nvidia-modprobe(1)"));
        out.push(Line::new("After", gpu::UNIT).at(Section::Unit));
    }
    if !whole {
        for wrong in &p.unit.wrongs {
            let Some((key, value)) = wrong.line.split_once('=') else { continue };
            let section = match wrong.section.as_str() {
                "Unit" => Section::Unit,
                "Install" => Section::Install,
                _ => Section::Service,
            };
            let corrected = Line::new(key, value).at(section).why(format!("upstream's unit: {}", wrong.what), source);
            // What the plan sets itself it sets once: the reason goes to that line.
            match service.iter_mut().find(|l| l.section == section && l.key == key) {
                Some(line) => (line.why, line.source) = (corrected.why, corrected.source),
                None => out.push(corrected),
            }
        }
    }
    out.extend(service);
    out.sort_by_key(|l| l.section);
    out
}

fn environment(p: &Parts<'_>) -> Vec<Line> {
    let mut out = Vec::new();
    out.push(variable("HOME", &p.places.home));
    if let Some((name, value)) = p.places.repo_setting() {
        out.push(variable(name, value));
    }
    let why = "addresses and tokens of its peers: readable by root alone, handed over by systemd";
    out.push(Line::new("EnvironmentFile", format!("-{}", environment_file(p.instance))).why(why, ""));
    if p.wants.has(Need::Gpu) {
        let why = "GPU lock files lie in the temporary directory: one for all GPU services of the machine";
        out.push(variable("TMPDIR", gpu::LOCKS).why(why, gpu::SOURCE));
    }
    for (name, value, why, source) in &p.settings.environment {
        out.push(variable(name, value).why(why.clone(), source));
    }
    out
}

/// An `Environment=` line. Values are checked where they come from; `%` would be a specifier, a quote would end the value.
fn variable(name: &str, value: &str) -> Line {
    let plain = value.replace('%', "%%").replace('\\', "\\\\").replace('"', "\\\"");
    Line::new("Environment", format!("\"{name}={plain}\""))
}

fn skeleton(p: &Parts<'_>) -> Vec<Line> {
    let unit = p.unit;
    let mut out = vec![Line::new("Description", p.instance.service.title.clone()).at(Section::Unit)];
    if !unit.after.is_empty() {
        out.push(Line::new("After", unit.after.join(" ")).at(Section::Unit));
    }
    if !unit.wants.is_empty() {
        out.push(Line::new("Wants", unit.wants.join(" ")).at(Section::Unit));
    }
    if let Some(limit) = unit.start_limit {
        out.push(Line::new("StartLimitIntervalSec", format!("{}s", limit.interval_sec)).at(Section::Unit));
        out.push(Line::new("StartLimitBurst", limit.burst.to_string()).at(Section::Unit));
    }
    out.push(Line::new(
        "Type",
        match unit.kind {
            UnitType::Exec => "exec",
            UnitType::Notify => "notify",
            UnitType::Forking => "forking",
            UnitType::Oneshot => "oneshot",
        },
    ));
    let mut exec = unit.exec.clone();
    let mut reasons = Vec::new();
    for (flag, why, _) in &p.settings.flags {
        exec = format!("{exec} {flag}");
        reasons.push(why.clone());
    }
    reasons.dedup();
    let line = Line::new("ExecStart", exec);
    out.push(if reasons.is_empty() { line } else { line.why(reasons.join("; "), &unit.source) });
    out.push(Line::new(
        "Restart",
        match unit.restart {
            Restart::Always => "always",
            Restart::OnFailure => "on-failure",
            Restart::No => "no",
        },
    ));
    let mut number = |key: &str, value: Option<String>| out.extend(value.map(|v| Line::new(key, v)));
    number("RestartSec", unit.restart_sec.map(|s| format!("{s}s")));
    let codes: Vec<String> = unit.restart_on.iter().map(u8::to_string).collect();
    number("RestartForceExitStatus", (!codes.is_empty()).then(|| codes.join(" ")));
    number("TimeoutStopSec", unit.stop_sec.map(|s| format!("{s}s")));
    number("KillSignal", unit.stop_signal.clone());
    number("LimitNOFILE", unit.nofile.map(|n| n.to_string()));
    for (name, value) in &unit.environment {
        out.push(variable(name, value));
    }
    for file in &unit.environment_files {
        out.push(Line::new("EnvironmentFile", format!("-{file}")));
    }
    out.push(Line::new("WantedBy", "multi-user.target").at(Section::Install));
    out
}
