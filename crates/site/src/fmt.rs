//! Canonical formatting: in comes a site file, out comes the same file with the same comments, laid out one way. Order is
//! the operator's; spaces are ours: `=` aligned within a run of keys, one blank line before a table, lists on one line
//! unless they were spread over several. What is formatted once stays as it is.
//!
//! Never: changes a value, loses a comment.

use crate::code;
use toml_edit::{Array, DocumentMut, InlineTable, Item, RawString, Table, Value};
use words::{Diagnostic, SourceFile};

/// Indentation of the items of a list over several lines.
const INDENT: &str = "    ";

/// The file in canonical form, or why it is not TOML.
pub fn format(source: &SourceFile) -> Result<String, Vec<Diagnostic>> {
    let mut doc: DocumentMut = match source.text().parse() {
        Ok(doc) => doc,
        Err(e) => {
            let e: toml_edit::TomlError = e;
            let message = e.message().lines().collect::<Vec<_>>().join("; ");
            let mut d = Diagnostic::error(code::SYN001, message).help("mend the syntax first; `ravelin check` shows every such place");
            if let Some(span) = e.span() {
                d = d.at(span, "");
            }
            return Err(vec![d]);
        }
    };
    table(doc.as_table_mut());
    let end = comments(text(doc.trailing()));
    doc.set_trailing(if end.is_empty() { String::new() } else { format!("\n{}", end.trim_start_matches('\n')) });
    let out = doc.to_string();
    let out = out.trim_matches('\n');
    Ok(if out.is_empty() { String::new() } else { format!("{out}\n") })
}

fn text(raw: &RawString) -> &str {
    raw.as_str().unwrap_or_default()
}

/// Whole-line comments and the blank lines between them: at most one blank line in a row, none at the beginning unless
/// something stood before.
fn comments(prefix: &str) -> String {
    let mut out = String::new();
    let mut blank = false;
    let lines: Vec<&str> = prefix.split('\n').collect();
    // What follows the last newline is the indentation of what comes next.
    for line in lines.iter().take(lines.len().saturating_sub(1)).map(|l| l.trim()) {
        if line.is_empty() {
            blank = true;
            continue;
        }
        if blank {
            out.push('\n');
        }
        blank = false;
        out.push_str(line);
        out.push('\n');
    }
    if blank {
        out.push('\n');
    }
    // A comment may stand in the last line where the file ends with it.
    match lines.last().map(|l| l.trim()) {
        Some(last) if last.starts_with('#') => out + last + "\n",
        _ => out,
    }
}

/// A comment at the end of a line.
fn tail(suffix: &str) -> String {
    match suffix.trim() {
        "" => String::new(),
        comment => format!("  {comment}"),
    }
}

fn table(t: &mut Table) {
    let head = comments(t.decor().prefix().map(text).unwrap_or_default());
    let rest = tail(t.decor().suffix().map(text).unwrap_or_default());
    t.decor_mut().set_prefix(format!("\n{}", head.trim_start_matches('\n')));
    t.decor_mut().set_suffix(rest);
    let widths = runs(t);
    for ((mut key, item), width) in t.iter_mut().zip(widths) {
        match item {
            Item::Value(value) => {
                let repr = key.display_repr().chars().count();
                let decor = key.leaf_decor_mut();
                let head = comments(decor.prefix().map(text).unwrap_or_default());
                decor.set_prefix(head);
                decor.set_suffix(" ".repeat(width.saturating_sub(repr) + 1));
                let rest = tail(value.decor().suffix().map(text).unwrap_or_default());
                inner(value, 0);
                value.decor_mut().set_prefix(" ");
                value.decor_mut().set_suffix(rest);
            }
            Item::Table(t) if t.is_dotted() => dotted(t),
            Item::Table(t) => table(t),
            Item::ArrayOfTables(all) => all.iter_mut().for_each(table),
            Item::None => {}
        }
    }
}

/// `a.b = 1`: the keys stay as they are written, the values are laid out.
fn dotted(t: &mut Table) {
    for (mut key, item) in t.iter_mut() {
        match item {
            Item::Value(value) => {
                let head = comments(key.leaf_decor().prefix().map(text).unwrap_or_default());
                let rest = tail(value.decor().suffix().map(text).unwrap_or_default());
                key.leaf_decor_mut().set_prefix(head);
                key.leaf_decor_mut().set_suffix(" ");
                inner(value, 0);
                value.decor_mut().set_prefix(" ");
                value.decor_mut().set_suffix(rest);
            }
            Item::Table(t) => dotted(t),
            _ => {}
        }
    }
}

/// Width of the key column for each entry: the longest key of its run. A blank line, a table or a list over several lines
/// ends a run.
fn runs(t: &Table) -> Vec<usize> {
    let mut out: Vec<usize> = Vec::new();
    let mut start = 0;
    let mut widest = 0;
    for (i, (name, item)) in t.iter().enumerate() {
        let key = t.key(name);
        let width = key.map_or(name.len(), |k| k.display_repr().chars().count());
        let prefix = key.and_then(|k| k.leaf_decor().prefix()).map(text).unwrap_or_default();
        let parts: Vec<&str> = prefix.split('\n').collect();
        let gap = parts.iter().take(parts.len() - 1).any(|l| l.trim().is_empty());
        if i > start && (gap || !item.is_value()) {
            out.resize(i, widest);
            (start, widest) = (i, 0);
        }
        widest = widest.max(width);
    }
    out.resize(t.len(), widest);
    out
}

/// The inside of a value; its own decor is its owner's.
fn inner(value: &mut Value, depth: usize) {
    match value {
        Value::Array(a) => array(a, depth),
        Value::InlineTable(t) => inline(t, depth),
        _ => {}
    }
}

fn array(a: &mut Array, depth: usize) {
    let spread = text(a.trailing()).contains('\n')
        || a.iter().any(|v| [v.decor().prefix(), v.decor().suffix()].into_iter().flatten().any(|r| text(r).contains('\n')));
    let count = a.len();
    let margin = INDENT.repeat(depth + 1);
    for (i, value) in a.iter_mut().enumerate() {
        let (before, after) = (lines(value.decor().prefix()), lines(value.decor().suffix()));
        inner(value, if spread { depth + 1 } else { depth });
        if spread {
            let notes: String = before.iter().map(|c| format!("\n{margin}{c}")).collect();
            value.decor_mut().set_prefix(format!("{notes}\n{margin}"));
            // A comment between an item and its comma would swallow the comma: it needs a line of its own.
            let late: String = after.iter().map(|c| format!("  {c}\n{margin}")).collect();
            value.decor_mut().set_suffix(late);
        } else {
            value.decor_mut().set_prefix(if i == 0 { "" } else { " " });
            value.decor_mut().set_suffix("");
        }
    }
    let end = lines(Some(a.trailing()));
    a.set_trailing_comma(spread && count > 0);
    if spread && (count > 0 || !end.is_empty()) {
        let notes: String = end.iter().map(|c| format!("\n{margin}{c}")).collect();
        a.set_trailing(format!("{notes}\n{}", INDENT.repeat(depth)));
    } else {
        a.set_trailing("");
    }
}

/// The comments in a piece of white space.
fn lines(raw: Option<&RawString>) -> Vec<String> {
    raw.map(text).unwrap_or_default().lines().map(str::trim).filter(|l| l.starts_with('#')).map(str::to_owned).collect()
}

fn inline(t: &mut InlineTable, depth: usize) {
    // Comments inside braces are rare (TOML 1.1); moving them is riskier than leaving the table as it is written.
    if t.to_string().contains('\n') {
        return;
    }
    let count = t.len();
    for (i, (mut key, value)) in t.iter_mut().enumerate() {
        inner(value, depth);
        key.leaf_decor_mut().set_prefix(" ");
        key.leaf_decor_mut().set_suffix(" ");
        value.decor_mut().set_prefix(" ");
        value.decor_mut().set_suffix(if i + 1 == count { " " } else { "" });
    }
    t.set_trailing_comma(false);
    t.set_trailing("");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EXAMPLES: [&str; 3] = [
        include_str!("../../../examples/small/site.toml"),
        include_str!("../../../examples/single-host/site.toml"),
        include_str!("../../../examples/curio-cluster/site.toml"),
    ];

    fn fmt(text: &str) -> String {
        format(&SourceFile::new("site.toml", text)).expect("valid TOML")
    }

    fn hashes(text: &str) -> Vec<String> {
        let mut out: Vec<String> = text.lines().filter_map(|l| l.split_once('#')).map(|(_, c)| c.trim().to_owned()).collect();
        out.sort();
        out
    }

    #[test]
    fn a_sloppy_file_is_laid_out() {
        let sloppy = "\n\n# the site\n[site]\nname=\"a\"   # short\n\n\n\nmanagement={from=[\"ops\" , \"198.51.100.7/32\" ],by = \"ssh\"}\nuplink =   \"10Gbit\"\n[hosts.x]\nruns=[ \"lotus\",\n# second\n\"ssh\"]\n# the end\n";
        let neat = "# the site\n[site]\nname = \"a\"  # short\n\nmanagement = { from = [\"ops\", \"198.51.100.7/32\"], by = \"ssh\" }\nuplink     = \"10Gbit\"\n\n[hosts.x]\nruns = [\n    \"lotus\",\n    # second\n    \"ssh\",\n]\n\n# the end\n";
        assert_eq!(fmt(sloppy), neat);
    }

    #[test]
    fn the_examples_are_in_canonical_form() {
        for text in EXAMPLES {
            assert_eq!(fmt(text), text);
        }
    }

    #[test]
    fn broken_toml_is_a_diagnostic() {
        let errors = format(&SourceFile::new("site.toml", "[site\n")).expect_err("broken");
        assert_eq!(errors[0].code, code::SYN001);
    }

    proptest! {
        #[test]
        fn formatting_changes_no_value_loses_no_comment_and_is_done_once(
            which in 0usize..3,
            edits in proptest::collection::vec((0usize..5000, prop_oneof![Just(" "), Just("\n"), Just("  # note\n"), Just("\n# note\n"), Just(", ")]), 0..4),
        ) {
            let mut text = EXAMPLES[which].to_owned();
            for (at, piece) in edits {
                let at = at % text.len();
                text.insert_str(at, piece);
            }
            if let Ok(before) = text.parse::<toml::Table>() {
                let once = fmt(&text);
                prop_assert_eq!(once.parse::<toml::Table>().expect("still TOML"), before);
                prop_assert_eq!(hashes(&once), hashes(&text));
                prop_assert_eq!(fmt(&once), once);
            }
        }
    }
}
