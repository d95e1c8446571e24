//! The report for a terminal. Plain text: colour is the command line's affair.

use crate::{Report, Risk};
use std::fmt::Write as _;

impl Report {
    /// The report as text, ending in a newline.
    pub fn text(&self) -> String {
        let mut out = String::new();
        for f in &self.findings {
            let _ = writeln!(out, "{} {}: {}: {}", f.code, f.risk.word(), f.title, f.subject);
            for e in &f.evidence {
                let _ = writeln!(out, "    seen: {e}");
            }
            if let Some(file) = &f.file {
                let _ = writeln!(out, "      at: {file}{}", f.line.map_or(String::new(), |l| format!(":{l}")));
            }
            let _ = writeln!(out, "   means: {}", f.means);
            let _ = writeln!(out, "     fix: {}", f.fix);
            if let Some(reference) = &f.reference {
                let _ = writeln!(out, "     ref: {reference}");
            }
            out.push('\n');
        }
        for u in &self.unknown {
            let _ = writeln!(out, "{} unknown: {}: {}", u.code, u.title, u.why);
        }
        let count = |r: Risk| self.findings.iter().filter(|f| f.risk == r).count();
        let _ = writeln!(
            out,
            "{}: {} critical, {} high, {} medium, {} low; {} rules passed, {} unknown",
            self.host,
            count(Risk::Critical),
            count(Risk::High),
            count(Risk::Medium),
            count(Risk::Low),
            self.passed.len(),
            self.unknown.len()
        );
        out
    }
}
