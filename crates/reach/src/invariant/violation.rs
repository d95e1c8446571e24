//! A violation and its two faces: a struct with its witness, and a diagnostic that cites the responsible line.

use crate::{network::Journey, packet::Packet};
use serde::Serialize;
use site::Model;
use words::{Code, Diagnostic, HostName, Origin, SourceFile, Span};

/// Something that must not be, with its witness.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// The invariant.
    pub code: Code,
    /// The machine it is about.
    pub host: HostName,
    /// What is wrong, in a line.
    pub message: String,
    /// A packet that shows it, as it is sent.
    pub witness: Option<Packet>,
    /// The witness's way, rule by rule.
    pub journey: Option<Journey>,
    /// Proved. Otherwise it hangs on something that cannot be seen, which the notes name: a warning, not an error.
    pub certain: bool,
    /// Accepted by a weakening of the site file that has not ended: a warning, not an error.
    pub accepted: bool,
    /// What else is known.
    pub notes: Vec<String>,
    /// Which lines and entries let it happen; the first is the one to change.
    pub origins: Vec<Origin>,
    /// The way out.
    pub help: String,
}

/// Steps of a witness's way that are told in a note; the whole of it stands in the JSON.
const TOLD: usize = 12;

impl Violation {
    pub(crate) fn new(code: Code, host: &HostName, message: impl Into<String>, help: &str) -> Self {
        Self {
            code,
            host: host.clone(),
            message: message.into(),
            witness: None,
            journey: None,
            certain: true,
            accepted: false,
            notes: Vec::new(),
            origins: Vec::new(),
            help: help.to_owned(),
        }
    }

    /// Takes over the witness of a deviation and names the rule that decided.
    pub(super) fn deviates(&mut self, d: &crate::Deviation) {
        self.witness = Some(d.witness);
        if let Some(s) = &d.step {
            let id = s.id.as_deref().map(|i| format!(" ({i})")).unwrap_or_default();
            self.notes.push(format!("{} in table {}, chain {}{id}", s.did, s.table, s.chain));
        }
    }

    /// Finds the lines behind it: those of the flows whose rules let the witness pass, else the machine's own.
    pub(crate) fn blame(&mut self, model: &Model) {
        let ids = self.journey.iter().flat_map(|j| j.ids()).map(str::to_owned).collect::<Vec<_>>();
        for id in ids {
            if let Some(f) = super::flow(model, &id) {
                self.blame_origins(&f.origins);
            }
        }
        if !self.origins.iter().any(|o| matches!(o, Origin::Site { .. }))
            && let Some(h) = model.hosts.get(&self.host)
        {
            self.blame_origins(std::slice::from_ref(&h.origin));
        }
    }

    /// Notes the weakenings that accept it.
    pub(crate) fn accept(&mut self, model: &Model) {
        self.accepted = true;
        let ids: Vec<String> = self.journey.iter().flat_map(|j| j.ids()).map(str::to_owned).collect();
        for w in model.weakenings.iter().filter(|w| w.flows.iter().any(|f| ids.contains(&f.0))) {
            self.notes.push(format!("accepted until {}: {}", w.until, w.why));
            self.blame_origins(std::slice::from_ref(&w.origin));
        }
    }

    /// Whether it stops a change.
    pub fn is_error(&self) -> bool {
        self.certain && !self.accepted
    }

    pub(crate) fn blame_origins(&mut self, origins: &[Origin]) {
        for o in origins {
            if !self.origins.contains(o) {
                self.origins.push(o.clone());
            }
        }
        // Lines of the site file first: those the operator can change.
        self.origins.sort_by_key(|o| !matches!(o, Origin::Site { .. }));
    }

    /// The diagnostic, citing the site file.
    pub fn diagnostic(&self, source: &SourceFile) -> Diagnostic {
        let mut d = if self.accepted {
            Diagnostic::warning(self.code, format!("accepted for now: {}", self.message))
        } else if self.certain {
            Diagnostic::error(self.code, &self.message)
        } else {
            Diagnostic::warning(self.code, format!("unproven: {}", self.message))
        };
        let mut cited = Vec::new();
        for o in &self.origins {
            if let Origin::Site { file, line, path } = o {
                if file == source.name() && !cited.contains(line) {
                    let text = if cited.is_empty() { "this lets it happen" } else { "together with this" };
                    d = d.at(line_span(source, *line), text);
                    cited.push(*line);
                    continue;
                }
                if cited.contains(line) {
                    continue;
                }
                d = d.with_note(format!("from {file}:{line} {path}"));
            } else {
                d = d.with_note(format!("from {o}"));
            }
        }
        if let Some(w) = &self.witness {
            d = d.with_note(format!("witness: {w}"));
        }
        if let Some(j) = &self.journey {
            for h in j.hops.iter().take(TOLD) {
                // A policy that accepts what nobody asked about explains nothing.
                if let Some(s) = h.trace.steps.last().filter(|s| s.id.is_some() || !h.trace.passed) {
                    let id = s.id.as_deref().map(|i| format!(" ({i})")).unwrap_or_default();
                    d = d.with_note(format!("{} {}: {} in chain {}{id}", h.host, h.hook, s.did, s.chain));
                }
            }
        }
        for n in &self.notes {
            d = d.with_note(n);
        }
        d.help(&self.help)
    }
}

/// The text of a line, without its indentation.
fn line_span(source: &SourceFile, line: u32) -> Span {
    let mut start = 0;
    for (n, text) in (1u32..).zip(source.text().split_inclusive('\n')) {
        if n == line {
            let body = text.trim_end();
            let indent = body.len() - body.trim_start().len();
            return Span::new(start + indent, start + body.len());
        }
        start += text.len();
    }
    Span::new(start, start)
}
