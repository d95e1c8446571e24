//! What is wrong with a rule, while it is being read. In come reasons of the readers, out come diagnostics with a place.
//! Codes are listed in `docs/ips-rules.md`.

use crate::lines::Logical;
use serde::Serialize;
use std::ops::Range;
use words::{Code, Diagnostic, Severity};

/// The line has not the form of a rule.
pub const FORM: Code = Code("IPS001");
/// A keyword nobody knows.
pub const UNKNOWN: Code = Code("IPS002");
/// A keyword or value that this release does not take, with the reason.
pub const NOT_TAKEN: Code = Code("IPS003");
/// A value that the keyword does not take.
pub const VALUE: Code = Code("IPS004");
/// A keyword where it cannot stand, or with others it cannot stand with.
pub const PLACE: Code = Code("IPS005");
/// Addresses, ports or variables.
pub const GROUP: Code = Code("IPS006");
/// A regular expression that does not compile.
pub const PCRE: Code = Code("IPS007");
/// The rule can never match.
pub const NEVER: Code = Code("IPS008");
/// Rules that speak against each other.
pub const CONFLICT: Code = Code("IPS009");
/// The rule costs more than it must.
pub const COST: Code = Code("IPS010");
/// Works, and probably not as meant.
pub const DOUBT: Code = Code("IPS011");
/// A bound of the reader.
pub const LIMIT: Code = Code("IPS012");
/// A line of a configuration file.
pub const CONFIG: Code = Code("IPS013");
/// The rule asks for something this release does not have, and says that it may be left out then.
pub const SKIPPED: Code = Code("IPS014");

/// One thing that is wrong, by bytes of the rule's text.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub code: Code,
    pub text: String,
    pub help: String,
    pub at: Option<Range<usize>>,
    pub keyword: Option<String>,
    pub severity: Severity,
}

impl Fault {
    pub fn new(code: Code, text: impl Into<String>, help: impl Into<String>) -> Self {
        Self { code, text: text.into(), help: help.into(), at: None, keyword: None, severity: Severity::Error }
    }
    /// A value that does not do, with the form that would.
    pub fn value(text: impl Into<String>, form: &str) -> Self {
        Self::new(VALUE, text, format!("written as `{form}`"))
    }
    pub fn place(text: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new(PLACE, text, help)
    }
    pub fn never(text: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new(NEVER, text, help)
    }
    pub fn warning(code: Code, text: impl Into<String>, help: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::new(code, text, help) }
    }
    pub fn note(code: Code, text: impl Into<String>, help: impl Into<String>) -> Self {
        Self { severity: Severity::Note, ..Self::new(code, text, help) }
    }
    pub fn at(mut self, at: Range<usize>) -> Self {
        self.at = Some(at);
        self
    }
    pub fn or_at(mut self, at: &Range<usize>, keyword: &str) -> Self {
        self.at.get_or_insert_with(|| at.clone());
        self.keyword.get_or_insert_with(|| keyword.to_owned());
        self
    }
    pub fn finding(self, line: &Logical<'_>, sid: Option<u32>) -> Finding {
        let make = match self.severity {
            Severity::Error => Diagnostic::error,
            Severity::Warning => Diagnostic::warning,
            Severity::Note => Diagnostic::note,
        };
        let message = match (&self.keyword, sid) {
            (Some(k), Some(s)) => format!("`{k}` in rule {s}: {}", self.text),
            (Some(k), None) => format!("`{k}`: {}", self.text),
            (None, Some(s)) => format!("rule {s}: {}", self.text),
            (None, None) => self.text,
        };
        let at = self.at.unwrap_or(0..line.text.len().min(5));
        Finding { sid, keyword: self.keyword, diagnostic: make(self.code, message).at(line.span(&at), "").help(self.help) }
    }
}

/// A diagnostic with the rule and the keyword it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[must_use = "a finding nobody sees helps nobody"]
pub struct Finding {
    /// The rule, where its number could be read.
    pub sid: Option<u32>,
    /// The keyword, where it is about one.
    pub keyword: Option<String>,
    /// What is wrong, where, and the way out.
    pub diagnostic: Diagnostic,
}
