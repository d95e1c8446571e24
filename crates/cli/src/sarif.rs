//! SARIF 2.1.0, as far as code scanners read it. In come findings of any verb, out comes the log as JSON.

use serde_json::{Value, json};
use words::{Diagnostic, Severity, SourceFile};

/// One finding, wherever it comes from.
pub struct Finding {
    /// Stable code.
    pub code: String,
    /// `error`, `warning` or `note`.
    pub level: &'static str,
    /// What is wrong, and the way out.
    pub message: String,
    /// File and line, where it has a place.
    pub place: Option<(String, u32)>,
}

/// SARIF's word for a severity.
pub fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

/// A diagnostic as a finding.
pub fn finding(d: &Diagnostic, source: &SourceFile) -> Finding {
    let help = d.help.as_ref().map(|h| format!(" ({h})")).unwrap_or_default();
    Finding {
        code: d.code.to_string(),
        level: level(d.severity),
        message: format!("{}{help}", d.message),
        place: d.labels.first().map(|l| (source.name().to_owned(), source.place(l.span.start).line)),
    }
}

/// The log.
pub fn log(findings: &[Finding]) -> Value {
    let mut codes: Vec<&str> = findings.iter().map(|f| f.code.as_str()).collect();
    codes.sort_unstable();
    codes.dedup();
    let results: Vec<Value> = findings
        .iter()
        .map(|f| {
            let mut result = json!({ "ruleId": f.code, "level": f.level, "message": { "text": f.message } });
            if let Some((file, line)) = &f.place {
                result["locations"] =
                    json!([{ "physicalLocation": { "artifactLocation": { "uri": file }, "region": { "startLine": line } } }]);
            }
            result
        })
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "ravelin",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": codes.iter().map(|c| json!({ "id": c })).collect::<Vec<_>>(),
            }},
            "results": results,
        }],
    })
}
