//! What every step carries: the source, the date, the diagnostics so far; and the small words about names.

use crate::{code, syntax::Text};
use std::{fmt::Display, net::IpAddr, str::FromStr};
use words::{Code, Diagnostic, NameError, Origin, SourceFile, Span};

/// Context of one reading.
pub(crate) struct Cx<'a> {
    pub source: &'a SourceFile,
    /// ISO date, UTC.
    pub today: &'a str,
    pub out: Vec<Diagnostic>,
}

impl Cx<'_> {
    pub fn push(&mut self, d: Diagnostic) {
        self.out.push(d);
    }
    /// Short for an error with one citation and a way out.
    pub fn error(&mut self, code: Code, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.push(Diagnostic::error(code, message).at(span, "").help(help));
    }
    pub fn warning(&mut self, code: Code, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.push(Diagnostic::warning(code, message).at(span, "").help(help));
    }
    pub fn failed(&self) -> bool {
        self.out.iter().any(Diagnostic::is_error)
    }
    pub fn origin(&self, span: Span, path: impl Into<String>) -> Origin {
        Origin::Site { file: self.source.name().to_owned(), line: self.source.place(span.start).line, path: path.into() }
    }
    /// A checked name, or a diagnostic.
    pub fn name<N: FromStr<Err = NameError>>(&mut self, text: &str, span: Span) -> Option<N> {
        match text.parse() {
            Ok(name) => Some(name),
            Err(e) => {
                let e: NameError = e;
                let lower: String = text.to_lowercase().chars().map(|c| if c == ' ' || c == '/' { '-' } else { c }).collect();
                let help = if lower != text && lower.parse::<words::HostName>().is_ok() {
                    format!("write `{lower}`")
                } else {
                    "use a-z, 0-9, `-`, `_`, `.`, beginning with a letter or digit, at most 63 bytes".to_owned()
                };
                self.error(code::SITE005, span, format!("`{text}` is not a name: {e}"), help);
                None
            }
        }
    }
    /// An address without a prefix length, or a diagnostic.
    pub fn address(&mut self, t: &Text) -> Option<IpAddr> {
        self.address_of(&t.text, t.span)
    }
    pub fn address_of(&mut self, text: &str, span: Span) -> Option<IpAddr> {
        if let Ok(a) = text.parse() {
            return Some(a);
        }
        let bare = text.split('/').next().unwrap_or_default();
        let help = if text.contains('/') && bare.parse::<IpAddr>().is_ok() {
            format!("write `{bare}`; the prefix length is the zone's")
        } else {
            "an address looks like 10.20.30.40 or 2001:db8::40".to_owned()
        };
        self.error(code::ADR001, span, format!("`{text}` is not an address"), help);
        None
    }
    /// A prefix, a bare address standing for itself.
    pub fn net(&mut self, t: &Text) -> Option<ipnet::IpNet> {
        if let Ok(a) = t.text.parse::<IpAddr>() {
            return Some(a.into());
        }
        match t.text.parse::<ipnet::IpNet>() {
            Ok(n) if n.trunc() == n => Some(n),
            Ok(n) => {
                let (code, short) = (code::ADR002, n.trunc());
                self.error(code, t.span, format!("`{}` has bits set behind its prefix length", t.text), format!("write `{short}`"));
                None
            }
            Err(_) => {
                self.error(
                    code::ADR002,
                    t.span,
                    format!("`{}` is not a prefix", t.text),
                    "a prefix looks like 10.20.30.0/24 or 2001:db8:1::/64",
                );
                None
            }
        }
    }
    pub fn ports(&mut self, t: &Text) -> Option<words::ProtoPorts> {
        match t.text.parse() {
            Ok(p) => Some(p),
            Err(e) => {
                let e: words::PortParseError = e;
                self.error(
                    code::SITE011,
                    t.span,
                    e.to_string(),
                    "write a port or range with its protocol: `443/tcp`, `6800-7568/tcp`, `any/udp`",
                );
                None
            }
        }
    }
    /// An ISO date, or a diagnostic.
    pub fn date(&mut self, t: &Text) -> Option<jiff::civil::Date> {
        match t.text.parse() {
            Ok(d) => Some(d),
            Err(_) => {
                self.error(code::SITE010, t.span, format!("`{}` is not a date", t.text), "write year, month, day: 2026-12-31");
                None
            }
        }
    }
}

/// The candidate nearest to a word, if it is near enough to be a slip of the finger: a third of its letters at most.
pub(crate) fn closest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let limit = (word.chars().count() / 3).max(1);
    candidates.into_iter().map(|c| (strsim::damerau_levenshtein(word, c), c)).filter(|(d, _)| *d <= limit).min().map(|(_, c)| c)
}

/// Longest enumeration in a message: more is a page, not a message.
const LISTED: usize = 12;

/// `a`, `b` and `c`.
pub(crate) fn list<T: Display>(items: &[T]) -> String {
    joined(items, "and")
}

/// `a`, `b` or `c`.
pub(crate) fn choice<T: Display>(items: &[T]) -> String {
    joined(items, "or")
}

fn joined<T: Display>(items: &[T], word: &str) -> String {
    let mut shown: Vec<String> = items.iter().take(LISTED).map(|i| format!("`{i}`")).collect();
    if items.len() > LISTED {
        return format!("{} and {} more", shown.join(", "), items.len() - LISTED);
    }
    match shown.pop() {
        None => "nothing".to_owned(),
        Some(last) if shown.is_empty() => last,
        Some(last) => format!("{} {word} {last}", shown.join(", ")),
    }
}

/// A way out for an unknown name: the near one, or all there are.
pub(crate) fn meant<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str> + Clone, none: &str) -> String {
    if let Some(near) = closest(word, candidates.clone()) {
        return format!("did you mean `{near}`?");
    }
    let all: Vec<&str> = candidates.into_iter().collect();
    if all.is_empty() { none.to_owned() } else { format!("there is {}", list(&all)) }
}
