//! `ravelin check`: read, resolve and prove. Cited lines, stable codes, exit 1 on an error.

use crate::{
    args::Global,
    exit::Exit,
    face::{Face, show},
    input::{self, SiteArgument},
    paint::{BAD, DIM, GOOD, WARN, diagnostic, paint, table},
    planning, proof, sarif,
    trouble::Trouble,
};
use clap::Args;
use reach::Violation;
use serde::Serialize;
use site::tier::{Row, Stand};
use words::{Diagnostic, Severity, SourceFile};

/// Arguments of `check`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    site: SiteArgument,
    /// Also say which requirements hold on this site, and why not
    #[arg(long)]
    rows: bool,
}

#[derive(Serialize)]
struct Checked {
    site: Option<String>,
    file: String,
    counts: Option<Counts>,
    diagnostics: Vec<Cited>,
    /// Violated invariants with their witnesses; absent where nothing is proven.
    proof: Option<Vec<Violation>>,
    /// Which requirements hold on this site.
    rows: Vec<Row>,
    #[serde(skip)]
    asked_rows: bool,
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
        if self.asked_rows {
            let rows: Vec<Vec<String>> =
                self.rows.iter().map(|r| vec![format!("  {}", r.id), r.asks.to_owned(), stand(r.stand), r.why.clone()]).collect();
            out += &table(&rows);
        }
        match &self.proof {
            Some(found) => {
                let violated = found.iter().filter(|v| v.is_error()).count();
                let rest = found.len() - violated;
                let all = reach::invariant::ALL.len();
                out += &format!("{name}: {all} invariants over all packets: {violated} violations, {rest} unproven or accepted\n");
            }
            None if self.counts.is_some() => out += &format!("{name}: the network layer is off: nothing is proven\n"),
            None => {}
        }
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
    let proof = read.model.as_ref().and_then(proof::violations);
    let notes = read.model.as_ref().map(planning::notes).unwrap_or_default();
    let proven = proof.iter().flatten().map(|v| v.diagnostic(&source));
    let diagnostics: Vec<Cited> = read.diagnostics.into_iter().chain(notes).chain(proven).map(cited).collect();
    let rows = read.model.as_ref().map(site::tier::tier).unwrap_or_default();
    let site = read.model.as_ref().map(|m| m.name.clone());
    // The process ends here: giving the model's memory back flow by flow would only delay that.
    std::mem::forget(read.model);
    let checked = Checked { site, file: source.name().to_owned(), counts, diagnostics, proof, rows, asked_rows: arguments.rows, source };
    show(global, &checked)?;
    Ok(Exit::found(checked.count(Severity::Error) > 0))
}

fn stand(stand: Stand) -> String {
    let style = match stand {
        Stand::Enforced | Stand::Verified => GOOD,
        Stand::Observed | Stand::Partly | Stand::Reported => WARN,
        Stand::No | Stand::Later => DIM,
    };
    paint(style, stand)
}
