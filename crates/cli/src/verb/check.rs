//! `ravelin check`: read, resolve and prove. Cited lines, stable codes, exit 1 on an error.

use crate::{
    args::Global,
    exit::Exit,
    face::{Face, show},
    input::{self, SiteArgument},
    paint::{BAD, GOOD, WARN, diagnostic, paint},
    planning,
    proof::{self, Proof},
    sarif,
    trouble::Trouble,
};
use clap::Args;
use serde::Serialize;
use words::{Diagnostic, Severity, SourceFile};

/// Arguments of `check`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    site: SiteArgument,
}

#[derive(Serialize)]
struct Checked {
    site: Option<String>,
    file: String,
    counts: Option<Counts>,
    diagnostics: Vec<Cited>,
    proof: Option<Proof>,
    #[serde(skip)]
    source: SourceFile,
}

#[derive(Serialize)]
struct Counts {
    zones: usize,
    hosts: usize,
    managed: usize,
    flows: usize,
}

/// A diagnostic with the line people and editors look for.
#[derive(Serialize)]
struct Cited {
    line: Option<u32>,
    column: Option<u32>,
    #[serde(flatten)]
    diagnostic: Diagnostic,
}

impl Checked {
    fn count(&self, severity: Severity) -> usize {
        self.diagnostics.iter().filter(|d| d.diagnostic.severity == severity).count()
    }
}

impl Face for Checked {
    fn text(&self) -> String {
        let mut out: String = self.diagnostics.iter().map(|d| diagnostic(&d.diagnostic, &self.source) + "\n").collect();
        let (errors, warnings) = (self.count(Severity::Error), self.count(Severity::Warning));
        let name = self.site.as_deref().unwrap_or(&self.file);
        if let Some(c) = &self.counts {
            out += &format!("{name}: {} zones, {} hosts ({} managed), {} flows\n", c.zones, c.hosts, c.managed, c.flows);
        }
        if let Some(proof) = &self.proof {
            out += &proof.deviations.iter().map(|d| format!("{}\n", paint(BAD, proof::words(d)))).collect::<String>();
            out += &format!(
                "{name}: proven over all packets: {} rulesets against the flows, {} deviations\n",
                proof.machines,
                proof.deviations.len()
            );
        }
        let errors = errors + self.proof.as_ref().map_or(0, |p| p.deviations.len());
        let verdict = match (errors, warnings) {
            (0, 0) => paint(GOOD, "no error, no warning"),
            (0, w) => paint(WARN, format!("no error, {w} warnings")),
            (e, w) => paint(BAD, format!("{e} errors, {w} warnings")),
        };
        out + &format!("{name}: {verdict}\n")
    }
    fn sarif(&self) -> Option<serde_json::Value> {
        Some(sarif::log(&self.diagnostics.iter().map(|d| sarif::finding(&d.diagnostic, &self.source)).collect::<Vec<_>>()))
    }
}

/// Reads, resolves, proves.
pub fn run(arguments: &Arguments, global: &Global) -> Result<Exit, Trouble> {
    let read = input::read(&arguments.site.site, global)?;
    let source = read.source;
    let counts = read.model.as_ref().map(|m| Counts {
        zones: m.zones.len(),
        hosts: m.hosts.len(),
        managed: m.hosts.values().filter(|h| h.managed).count(),
        flows: m.flows.len(),
    });
    let cited = |diagnostic: Diagnostic| {
        let place = diagnostic.labels.first().map(|l| source.place(l.span.start));
        Cited { line: place.map(|p| p.line), column: place.map(|p| p.column), diagnostic }
    };
    let (proof, notes) =
        read.model.as_ref().map(|m| (planning::plan(m), m)).map_or((None, Vec::new()), |(plan, m)| (Some(Proof::of(m)), plan.notes));
    let diagnostics: Vec<Cited> = read.diagnostics.into_iter().chain(notes).map(cited).collect();
    let checked = Checked { site: read.model.map(|m| m.name), file: source.name().to_owned(), counts, diagnostics, proof, source };
    show(global, &checked)?;
    let holds = checked.proof.as_ref().is_none_or(Proof::holds);
    Ok(Exit::found(checked.count(Severity::Error) > 0 || !holds))
}
