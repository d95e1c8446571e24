//! `ravelin ips rules check`: which rules are understood in full, and every reason why the others are not.

use super::{Loaded, Sources};
use crate::{
    args::Global,
    exit::Exit,
    face::{Face, show},
    paint::{BAD, GOOD, WARN, diagnostic, paint, table},
    sarif,
    trouble::Trouble,
};
use clap::Args;
use ips_rules::{Finding, set::Rejected};
use serde::Serialize;
use std::{cmp::Reverse, collections::BTreeMap};
use words::{Diagnostic, Severity, SourceFile};

/// Arguments of `ips rules check`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    sources: Sources,
    /// Also say what costs more than it must (a rule without usable prefilter)
    #[arg(long)]
    advice: bool,
}

/// What the words mean in this release; part of every result.
const MEANING: &str =
    "understood in full, as `ravelin ips pcap` runs them over captures; packets on their way are not inspected in this release";

#[derive(Serialize)]
struct Checked {
    /// How many rules were understood.
    loaded: usize,
    /// What that means.
    meaning: &'static str,
    rejected: Vec<Told>,
    /// Rules that say themselves that they may be left out here.
    skipped: Vec<Told>,
    /// Rejected rules by the keyword that stood in the way.
    by_keyword: BTreeMap<String, usize>,
    findings: Vec<Cited>,
    #[serde(skip)]
    sources: Vec<SourceFile>,
    #[serde(skip)]
    beside: Vec<(SourceFile, Diagnostic)>,
}

#[derive(Serialize)]
struct Told {
    file: String,
    line: u32,
    sid: Option<u32>,
    reasons: Vec<Cited>,
    #[serde(skip)]
    source: usize,
}

#[derive(Serialize)]
struct Cited {
    file: String,
    line: Option<u32>,
    column: Option<u32>,
    #[serde(flatten)]
    finding: Finding,
    #[serde(skip)]
    source: usize,
}

fn cited(sources: &[SourceFile], file: usize, finding: Finding) -> Cited {
    let place = finding.diagnostic.labels.first().and_then(|l| sources.get(file).map(|s| s.place(l.span.start)));
    let name = sources.get(file).map(|s| s.name().to_owned()).unwrap_or_default();
    Cited { file: name, line: place.map(|p| p.line), column: place.map(|p| p.column), finding, source: file }
}

fn told(sources: &[SourceFile], r: Rejected) -> Told {
    let file = sources.get(r.file).map(|s| s.name().to_owned()).unwrap_or_default();
    Told { file, line: r.line, sid: r.sid, reasons: r.reasons.into_iter().map(|f| cited(sources, r.file, f)).collect(), source: r.file }
}

impl Checked {
    fn all(&self) -> impl Iterator<Item = (usize, &Diagnostic)> {
        let rejected = self.rejected.iter().flat_map(|t| t.reasons.iter().map(|c| (t.source, &c.finding.diagnostic)));
        rejected.chain(self.findings.iter().map(|c| (c.source, &c.finding.diagnostic)))
    }
}

impl Face for Checked {
    fn text(&self) -> String {
        let mut out = String::new();
        for (source, d) in &self.beside {
            out += &(diagnostic(d, source) + "\n");
        }
        for (file, d) in self.all() {
            out += &(diagnostic(d, &self.sources[file]) + "\n");
        }
        let mut rows: Vec<(&String, &usize)> = self.by_keyword.iter().collect();
        rows.sort_by_key(|(k, n)| (Reverse(**n), (*k).clone()));
        if !rows.is_empty() {
            out += "rejected by keyword:\n";
            out += &table(&rows.iter().map(|(k, n)| vec![format!("  {k}"), n.to_string()]).collect::<Vec<_>>());
        }
        let (rejected, skipped) = (self.rejected.len(), self.skipped.len());
        let warnings = self.findings.iter().filter(|c| c.finding.diagnostic.severity == Severity::Warning).count();
        let style = if rejected > 0 || !self.beside.is_empty() {
            BAD
        } else if warnings > 0 {
            WARN
        } else {
            GOOD
        };
        let verdict = format!("{} rules understood, {rejected} rejected, {skipped} left out as they ask, {warnings} warnings", self.loaded);
        out + &format!("{}\nunderstood: {}\n", paint(style, verdict), self.meaning.trim_start_matches("understood "))
    }
    fn sarif(&self) -> Option<serde_json::Value> {
        let rules = self.all().map(|(file, d)| sarif::finding(d, &self.sources[file]));
        let beside = self.beside.iter().map(|(s, d)| sarif::finding(d, s));
        Some(sarif::log(&rules.chain(beside).collect::<Vec<_>>()))
    }
}

/// Reads and tells.
pub fn run(arguments: &Arguments, global: &Global) -> Result<Exit, Trouble> {
    let Loaded { sources, set, beside, .. } = arguments.sources.load()?;
    let by_keyword = set.by_keyword();
    let wanted = |f: &Finding| arguments.advice || f.diagnostic.severity > Severity::Note;
    let checked = Checked {
        loaded: set.rules.len(),
        meaning: MEANING,
        rejected: set.rejected.into_iter().map(|r| told(&sources, r)).collect(),
        skipped: set.skipped.into_iter().map(|r| told(&sources, r)).collect(),
        by_keyword,
        findings: set.findings.into_iter().filter(|(_, f)| wanted(f)).map(|(file, f)| cited(&sources, file, f)).collect(),
        sources,
        beside,
    };
    show(global, &checked)?;
    Ok(Exit::found(!checked.rejected.is_empty() || !checked.beside.is_empty()))
}
