//! `ravelin report`: each requirement with how it stands on this site, the invariants that prove it, and what is wrong with them; accepted
//! weakenings with their end; what the plan holds; what carries SELinux' part on machines whose kernel has none. As text, JSON or one HTML file, readable for its owner alone: it is a map.

use super::learn::reported;
use crate::{
    args::Global,
    exit::Exit,
    face::{Face, remark},
    input::{self, SiteArgument},
    machine,
    paint::{BAD, DIM, GOOD, HEAD, WARN, paint, table},
    planning, proof,
    redact::{Redactor, Reveal},
    save,
    trouble::Trouble,
};
use clap::Args;
use learn::Observation;
use plan::selinux::instead::{self, Carried};
use serde::Serialize;
use site::{
    model::{Model, Weakening},
    tier::{Row, Stand, named, tier},
};
use std::path::PathBuf;
use words::{Digest, HostName};

/// Which invariants prove a requirement, as far as packets go.
const PROVEN_BY: [(&str, &[&str]); 7] = [
    ("N1", &["NET007"]),
    ("N2", &["NET001", "NET005", "NET008", "NET011"]),
    ("N3", &["NET002", "NET003", "NET004", "NET010", "NET011"]),
    ("S1", &["NET009", "NET011"]),
    ("U1", &["NET006", "NET009"]),
    ("U2", &["NET001", "NET003"]),
    ("U3", &[]),
];

/// Arguments of `report`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    site: SiteArgument,
    /// Also write it as one HTML file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Reports of machines, NAME=FILE, written there with `ravelin init --facts`: whose kernel will not have SELinux
    #[arg(long, value_name = "NAME=FILE", num_args = 1..)]
    facts: Vec<String>,
    /// Look at this machine as well
    #[arg(long)]
    here: bool,
    #[command(flatten)]
    reveal: Reveal,
}

#[derive(Serialize)]
struct Report {
    site: String,
    on: String,
    plan: Digest,
    machines: usize,
    flows: usize,
    requirements: Vec<Requirement>,
    /// Machines that get SELinux domains and whose kernel will not have SELinux; those alone that were looked at.
    without_selinux: Vec<HostName>,
    /// What carries its part there.
    instead: Vec<Carried>,
    weakenings: Vec<Weakening>,
    /// Every violated or unproven invariant.
    violations: Vec<reach::Violation>,
}

#[derive(Serialize)]
struct Requirement {
    #[serde(flatten)]
    row: Row,
    /// Invariants that prove it over all packets.
    invariants: Vec<Invariant>,
}

#[derive(Serialize)]
struct Invariant {
    code: String,
    /// `holds`, `violated`, or `unproven`.
    state: &'static str,
}

impl Requirement {
    fn proof(&self) -> String {
        self.invariants
            .iter()
            .map(|i| if i.state == "holds" { i.code.clone() } else { format!("{} {}", i.code, i.state) })
            .collect::<Vec<_>>()
            .join(", ")
    }
}

impl Report {
    fn head(&self) -> String {
        format!("{} on {}: {} machines, {} flows, plan {}", self.site, self.on, self.machines, self.flows, self.plan.short())
    }

    /// Which machines go without, in words.
    fn without(&self) -> String {
        let names: Vec<&HostName> = self.without_selinux.iter().collect();
        format!("in SELinux' place on {}", named(&names))
    }

    fn html(&self) -> String {
        let rows: String = self
            .requirements
            .iter()
            .map(|r| {
                let cells =
                    [r.row.id, r.row.asks, &r.row.stand.to_string(), &r.row.why, &r.proof()].map(|c| format!("<td>{}</td>", escape(c)));
                format!("<tr>{}</tr>\n", cells.concat())
            })
            .collect();
        let item = |text: String| format!("<li>{}</li>\n", escape(&text));
        let instead = if self.instead.is_empty() {
            String::new()
        } else {
            let parts: String = self.instead.iter().map(|c| item(c.text())).collect();
            format!("<h2>{}</h2><ul>\n{parts}</ul>\n", escape(&self.without()))
        };
        let weak: String = self.weakenings.iter().map(|w| item(format!("until {}: {} ({})", w.until, w.what, w.why))).collect();
        let wrong: String = self.violations.iter().map(|v| item(format!("{}: {}", v.code, v.message))).collect();
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Ravelin: {site}</title>\n\
             <style>body{{font-family:sans-serif;max-width:70em;margin:2em auto}}td,th{{text-align:left;padding:.3em .8em;border-bottom:1px solid #ccc;vertical-align:top}}</style></head>\n\
             <body><h1>{site}</h1><p>{head}</p>\n<table><tr><th>#</th><th>asked for</th><th>stands</th><th>why</th><th>proven by</th></tr>\n{rows}</table>\n{instead}\
             <h2>Accepted weakenings</h2><ul>\n{weak}</ul>\n<h2>Violated or unproven</h2><ul>\n{wrong}</ul></body></html>\n",
            site = escape(&self.site),
            head = escape(&self.head()),
        )
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

impl Face for Report {
    fn text(&self) -> String {
        let rows: Vec<Vec<String>> = self
            .requirements
            .iter()
            .map(|r| {
                let style = match r.row.stand {
                    Stand::Enforced | Stand::Verified => GOOD,
                    Stand::Observed | Stand::Partly | Stand::Reported => WARN,
                    Stand::No | Stand::Later => DIM,
                };
                vec![r.row.id.to_owned(), r.row.asks.to_owned(), paint(style, r.row.stand), paint(DIM, r.proof()), r.row.why.clone()]
            })
            .collect();
        let weak: String =
            self.weakenings.iter().map(|w| format!("{} until {}: {} ({})\n", paint(WARN, "weakened"), w.until, w.what, w.why)).collect();
        let wrong: String =
            self.violations.iter().map(|v| format!("{} {}\n", paint(if v.is_error() { BAD } else { WARN }, v.code), v.message)).collect();
        let mut instead = String::new();
        if !self.instead.is_empty() {
            instead = format!("{}\n", paint(HEAD, self.without()));
            self.instead.iter().for_each(|c| instead += &format!("  {}\n", c.text()));
        }
        format!("{}\n{}{instead}{weak}{wrong}", paint(HEAD, self.head()), table(&rows))
    }
}

/// Of the machines that are to have domains, those whose kernel will not have SELinux, as far as they were looked at.
fn without_selinux(arguments: &Arguments, model: &Model, plan: &plan::Plan) -> Result<Vec<HostName>, Trouble> {
    let mut looks = arguments.facts.iter().map(|named| reported(model, named)).collect::<Result<Vec<_>, _>>()?;
    if arguments.here {
        let facts = machine::facts();
        looks.push(Observation { machine: planning::this_machine(model, None, &facts)?, facts });
    }
    let domains = |h: &HostName| plan.machines.get(h).and_then(|m| m.selinux.as_ref()).is_some_and(|s| !s.domains.is_empty());
    let mut out: Vec<HostName> =
        looks.into_iter().filter(|o| o.facts.system.never_selinux() && domains(&o.machine)).map(|o| o.machine).collect();
    out.sort();
    out.dedup();
    Ok(out)
}

/// Gathers what stands.
pub fn run(arguments: &Arguments, global: &Global) -> Result<Exit, Trouble> {
    let (model, _) = input::model(&arguments.site.site, global)?;
    let plan = planning::plan(&model);
    let without_selinux = without_selinux(arguments, &model, &plan)?;
    let without: Vec<&HostName> = without_selinux.iter().collect();
    let proven = proof::violations(&model);
    let violations = proven.clone().unwrap_or_default();
    let state = |code: &str| match violations.iter().filter(|v| v.code.0 == code).max_by_key(|v| v.is_error()) {
        None => "holds",
        Some(v) if v.is_error() => "violated",
        Some(_) => "unproven",
    };
    let codes = |id: &str| PROVEN_BY.iter().find(|(r, _)| *r == id).map_or(&[][..], |(_, codes)| codes);
    let requirements = tier(&model).into_iter().map(|row| {
        let own = if proven.is_some() { codes(row.id) } else { &[] };
        let invariants = own.iter().map(|c| Invariant { code: (*c).to_owned(), state: state(c) }).collect();
        Requirement { row: instead::row(row, &model.layers, &without), invariants }
    });
    let report = Report {
        on: global.today(),
        plan: plan.digest,
        machines: plan.machines.len(),
        flows: model.flows.len(),
        requirements: requirements.collect(),
        instead: if without.is_empty() { Vec::new() } else { instead::carried(&model.layers) },
        without_selinux: without_selinux.clone(),
        weakenings: model.weakenings.clone(),
        site: model.name.clone(),
        violations,
    };
    let redactor = Redactor::new(Some(&model), arguments.reveal);
    if let Some(path) = &arguments.html {
        save::private(path, redactor.text(&report.html()).as_bytes())?;
        remark(&format!("Written to {}, readable for you alone: it is a map of the site.", path.display()));
    }
    redactor.show(global, &report)?;
    Ok(Exit::found(report.violations.iter().any(reach::Violation::is_error)))
}
