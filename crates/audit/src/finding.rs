//! Findings and the report that holds them.

use crate::rules::Rule;
use serde::Serialize;
use words::Code;

/// How much is at stake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Risk {
    /// Untidy; helps an attacker a little.
    Low,
    /// One layer less than there should be.
    Medium,
    /// One step away from funds, data or control.
    High,
    /// Open now.
    Critical,
}

impl Risk {
    /// The word.
    pub fn word(self) -> &'static str {
        match self {
            Risk::Low => "low",
            Risk::Medium => "medium",
            Risk::High => "high",
            Risk::Critical => "critical",
        }
    }
}

/// What a rule saw: the rule's own words are added by [`Finding::of`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Service, unit, account, path or setting it is about.
    pub subject: String,
    /// What was seen, redacted; one line each.
    pub evidence: Vec<String>,
    /// File and line it can be mended at, where there is one.
    pub at: Option<(String, u32)>,
    /// More or less than the rule's usual risk.
    pub risk: Option<Risk>,
    /// What to do, if the rule's general advice can be made concrete.
    pub fix: Option<String>,
}

impl Seen {
    /// Something about `subject`.
    pub fn new(subject: impl Into<String>, evidence: impl Into<String>) -> Self {
        Self { subject: subject.into(), evidence: vec![evidence.into()], at: None, risk: None, fix: None }
    }
    /// One more line of evidence.
    pub fn and(mut self, evidence: impl Into<String>) -> Self {
        self.evidence.push(evidence.into());
        self
    }
    /// The file it can be mended in; line 0 where no line is known.
    pub fn at(mut self, file: impl Into<String>, line: u32) -> Self {
        self.at = Some((file.into(), line));
        self
    }
    /// Another risk than the rule's usual one.
    pub fn risk(mut self, risk: Risk) -> Self {
        self.risk = Some(risk);
        self
    }
    /// Concrete advice.
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Stable code; its page is `docs/audit/CODE.md`.
    pub code: Code,
    /// How much is at stake.
    pub risk: Risk,
    /// The rule in a few words.
    pub title: String,
    /// Service, unit, account, path or setting it is about.
    pub subject: String,
    /// What was seen, redacted.
    pub evidence: Vec<String>,
    /// File it can be mended in.
    pub file: Option<String>,
    /// Line there, from 1.
    pub line: Option<u32>,
    /// What an attacker, or bad luck, makes of it.
    pub means: String,
    /// What to do.
    pub fix: String,
    /// Number in a public benchmark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

impl Finding {
    /// What a rule saw, with the rule's words.
    pub fn of(rule: &Rule, seen: Seen) -> Self {
        let (file, line) = seen.at.unzip();
        Self {
            code: rule.code,
            risk: seen.risk.unwrap_or(rule.risk),
            title: rule.title.to_owned(),
            subject: seen.subject,
            evidence: seen.evidence,
            file,
            line: line.filter(|l| *l > 0),
            means: rule.means.to_owned(),
            fix: seen.fix.unwrap_or_else(|| rule.fix.to_owned()),
            reference: rule.reference.map(str::to_owned),
        }
    }
}

/// A rule that could not be decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unknown {
    /// The rule.
    pub code: Code,
    /// The rule in a few words.
    pub title: String,
    /// Which source could not be read, and why.
    pub why: String,
}

/// The outcome of all rules over one machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Machine.
    pub host: String,
    /// When it was looked at, seconds since 1970-01-01 UTC.
    pub taken_at: u64,
    /// What is wrong, worst first.
    pub findings: Vec<Finding>,
    /// What could not be decided.
    pub unknown: Vec<Unknown>,
    /// Rules without a finding.
    pub passed: Vec<Code>,
}

impl Report {
    /// Findings of at least this risk.
    pub fn at_least(&self, risk: Risk) -> usize {
        self.findings.iter().filter(|f| f.risk >= risk).count()
    }
}
