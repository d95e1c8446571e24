//! Syntax: TOML to a tree with spans, held against the table of keys.

pub(crate) mod check;
pub mod keys;
pub(crate) mod node;
pub(crate) mod range;

pub use check::words_for;
pub use keys::{Key, Kind, SECTIONS, Section};
pub(crate) use node::{Entry, Node, Text};

use crate::{code, cx::Cx};
use toml::{Spanned, de::DeTable};
use words::Diagnostic;

/// Largest site file in bytes. 5,000 hosts written one by one take about a megabyte; beyond this it is not a site file.
const MAX_BYTES: usize = 16 << 20;

/// Reads the text; `None` after syntax errors, which are all reported.
pub(crate) fn read<'a>(cx: &mut Cx<'a>) -> Option<(Node, Spanned<DeTable<'a>>)> {
    let text = cx.source.text();
    if text.len() > MAX_BYTES {
        cx.push(
            Diagnostic::error(code::SYN002, format!("the file has {} bytes, a site file at most {MAX_BYTES}", text.len()))
                .help("use groups with ranges such as `worker[01-40]`"),
        );
        return None;
    }
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        let root = Node::root(&table);
        check::section(cx, &root, &keys::ROOT, words::Span::new(0, 0));
        return Some((root, table));
    }
    for e in errors {
        let message: Vec<&str> = e.message().lines().map(str::trim).filter(|l| !l.is_empty()).collect();
        let mut d = Diagnostic::error(code::SYN001, message.join("; "));
        if let Some(span) = e.span() {
            d = d.at(span, "");
        }
        cx.push(d.help(hint(&d_text(text, e.span()), e.message())));
    }
    None
}

fn d_text(text: &str, span: Option<std::ops::Range<usize>>) -> String {
    span.and_then(|s| text.get(s)).unwrap_or_default().to_owned()
}

fn hint(cited: &str, message: &str) -> &'static str {
    if message.contains("duplicate key") {
        "merge the two, or rename one: TOML takes each key once"
    } else if cited.contains('\'') || cited.contains('"') || message.contains("string") || message.contains("quoted") {
        "texts stand in double quotes on one line: name = \"value\""
    } else {
        "see https://toml.io: texts are quoted, lists stand in [ ], tables begin with [name] or [[name]]"
    }
}
