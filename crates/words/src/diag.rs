//! Diagnostics: what is wrong with the user's input, cited with carets, with a way out.
//!
//! In come spans over a source; out comes text as the house writes it:
//! ```text
//! site.toml:41:13: NET014: `lotus` on daemon1 is reachable from `internet` on 1234/tcp
//!    41 |   expose = ["lotus.api"]
//!       |             ^~~~~~~~~~~ this opens the node's JSON-RPC API to every peer
//! help: expose it to zone `ops`, or accept the risk with a reason and an end date
//! ```
//! Never: prints anything itself, stops at the first error, panics on a span outside the source.

use serde::Serialize;
use std::fmt;

/// A stable code such as `NET014`: letters name the area, digits the rule. Documented one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Code(pub &'static str);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know; changes no exit code.
    Note,
    /// Works, but look at it.
    Warning,
    /// Nothing is changed until this is mended.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        })
    }
}

/// Bytes `start..end` of a source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// `start..end`.
    pub fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }
}

impl From<std::ops::Range<usize>> for Span {
    fn from(r: std::ops::Range<usize>) -> Self {
        Self { start: r.start, end: r.end }
    }
}

/// A text with a name, and where its lines begin.
#[derive(Debug, Clone)]
pub struct SourceFile {
    name: String,
    text: String,
    line_starts: Vec<usize>,
}

/// A place for people: line and column from 1, column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

impl SourceFile {
    /// A source under the name the user knows it by.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        let text = text.into();
        let line_starts = std::iter::once(0).chain(text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(i, _)| i + 1)).collect();
        Self { name: name.into(), text, line_starts }
    }
    /// The name the user knows it by.
    pub fn name(&self) -> &str {
        &self.name
    }
    /// The whole text.
    pub fn text(&self) -> &str {
        &self.text
    }
    /// Line and column of a byte; the end of the text for a byte beyond it.
    pub fn place(&self, byte: usize) -> Place {
        let byte = floor_char(&self.text, byte);
        let line = self.line_starts.partition_point(|&s| s <= byte).max(1) - 1;
        let column = self.text[self.line_starts[line]..byte].chars().count();
        Place { line: u32::try_from(line + 1).unwrap_or(u32::MAX), column: u32::try_from(column + 1).unwrap_or(u32::MAX) }
    }
    fn line_text(&self, line: u32) -> &str {
        let i = line.saturating_sub(1) as usize;
        let start = self.line_starts.get(i).copied().unwrap_or(self.text.len());
        let end = self.line_starts.get(i + 1).copied().unwrap_or(self.text.len());
        self.text[start..end].trim_end_matches(['\n', '\r'])
    }
}

fn floor_char(text: &str, byte: usize) -> usize {
    let mut b = byte.min(text.len());
    while !text.is_char_boundary(b) {
        b -= 1;
    }
    b
}

/// A cited place with a word about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Label {
    /// The bytes the carets stand under.
    pub span: Span,
    /// What to say beside the carets; may be empty.
    pub text: String,
}

/// One thing that is wrong, or worth knowing, about the user's input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[must_use = "a diagnostic nobody sees helps nobody"]
pub struct Diagnostic {
    /// Stable code.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in one line.
    pub message: String,
    /// Cited places; the first is the main one. Empty where the input as a whole is meant.
    pub labels: Vec<Label>,
    /// What else is known (a witness packet, the other definition).
    pub notes: Vec<String>,
    /// The way out. Wrong input without one is a defect of ours.
    pub help: Option<String>,
}

impl Diagnostic {
    fn new(severity: Severity, code: Code, message: impl Into<String>) -> Self {
        Self { code, severity, message: message.into(), labels: Vec::new(), notes: Vec::new(), help: None }
    }
    /// An error: nothing is changed until it is mended.
    pub fn error(code: Code, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, message)
    }
    /// A warning: works, but look at it.
    pub fn warning(code: Code, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, message)
    }
    /// Good to know.
    pub fn note(code: Code, message: impl Into<String>) -> Self {
        Self::new(Severity::Note, code, message)
    }
    /// Cites a place with a word about it.
    pub fn at(mut self, span: impl Into<Span>, text: impl Into<String>) -> Self {
        self.labels.push(Label { span: span.into(), text: text.into() });
        self
    }
    /// Adds what else is known.
    pub fn with_note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }
    /// Says the way out.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
    /// Whether it stops a change.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// The diagnostic as the house writes it, ending in a newline. Plain text: colour is the command line's affair.
    pub fn render(&self, source: &SourceFile) -> String {
        let mut out = String::new();
        match self.labels.first() {
            Some(main) => {
                let p = source.place(main.span.start);
                out += &format!("{}:{}:{}: ", source.name(), p.line, p.column);
            }
            None => out += &format!("{}: ", source.name()),
        }
        if self.severity != Severity::Error {
            out += &format!("{}: ", self.severity);
        }
        out += &format!("{}: {}\n", self.code, self.message);
        for (i, label) in self.labels.iter().enumerate() {
            let start = source.place(label.span.start);
            if i > 0 {
                out += &format!("{}:{}:{}: here\n", source.name(), start.line, start.column);
            }
            cite(&mut out, source, start, label);
        }
        for note in &self.notes {
            out += &format!("note: {note}\n");
        }
        if let Some(help) = &self.help {
            out += &format!("help: {help}\n");
        }
        out
    }
}

/// Longest cited line in characters: past that the citation shows a window around the carets, so that a one-line file
/// of a megabyte does not fill the terminal.
const CITE_WIDTH: usize = 160;

fn cite(out: &mut String, source: &SourceFile, start: Place, label: &Label) {
    let line: Vec<char> = source.line_text(start.line).chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let column = (start.column as usize - 1).min(line.len());
    let end = source.place(label.span.end.max(label.span.start));
    let width = if end.line == start.line { (end.column as usize).saturating_sub(start.column as usize) } else { line.len() - column };
    let from = column.saturating_sub(CITE_WIDTH / 2);
    let shown: String = line.iter().skip(from).take(CITE_WIDTH).collect();
    let width = width.clamp(1, CITE_WIDTH - (column - from).min(CITE_WIDTH - 1));
    let carets = format!("^{}", "~".repeat(width - 1));
    *out += &format!("{:5} | {shown}\n", start.line);
    *out += format!("      | {}{carets} {}", " ".repeat(column - from), label.text).trim_end();
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn renders_as_the_house_writes_it() {
        let source = SourceFile::new("site.toml", "[a]\n  expose = [\"lotus.api\"]\n");
        let d = Diagnostic::error(Code("NET014"), "`lotus` is reachable").at(Span::new(16, 27), "this opens the API").help("close it");
        let expected = "site.toml:2:13: NET014: `lotus` is reachable\n    2 |   expose = [\"lotus.api\"]\n      |             ^~~~~~~~~~~ this opens the API\nhelp: close it\n";
        assert_eq!(d.render(&source), expected);
    }

    proptest! {
        #[test]
        fn no_span_makes_it_panic(text in "(\\PC|\n){0,40}", start in 0usize..60, len in 0usize..60) {
            let source = SourceFile::new("x", text);
            let d = Diagnostic::warning(Code("X001"), "m").at(Span::new(start, start + len), "t");
            prop_assert!(d.render(&source).ends_with('\n'));
        }
    }
}
