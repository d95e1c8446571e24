//! Colour for texts that the crates below write plainly. In comes plain text, out comes the same text with ANSI styles,
//! which the output stream takes out again where no terminal shows them. Never: changes a character.

use anstyle::{AnsiColor, Style};
use words::{Diagnostic, Severity, SourceFile};

/// Headings.
pub const HEAD: Style = Style::new().bold();
/// What is well.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// What wants a look.
pub const WARN: Style = AnsiColor::Yellow.on_default();
/// What is wrong.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// What is there for completeness.
pub const DIM: Style = Style::new().dimmed();

/// The text in a style.
pub fn paint(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}

/// A diagnostic as the house writes it: the code in the colour of its severity, carets likewise.
pub fn diagnostic(d: &Diagnostic, source: &SourceFile) -> String {
    let style = match d.severity {
        Severity::Error => BAD,
        Severity::Warning => WARN,
        Severity::Note => DIM,
    };
    let mut out = String::new();
    for (i, line) in d.render(source).lines().enumerate() {
        if i == 0 {
            out += &line.replacen(d.code.0, &paint(style, d.code.0), 1);
        } else if let Some((gutter, carets)) = line.split_once("| ").filter(|(g, c)| g.trim().is_empty() && c.trim_start().starts_with('^'))
        {
            out += &format!("{gutter}| {}", paint(style, carets));
        } else if let Some(help) = line.strip_prefix("help: ") {
            out += &format!("{} {help}", paint(GOOD, "help:"));
        } else {
            out += line;
        }
        out.push('\n');
    }
    out
}

/// Columns of words, padded to the widest, two spaces between, the last one left as it is.
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width: Vec<usize> = (0..columns).map(|c| rows.iter().filter_map(|r| r.get(c)).map(|w| visible(w)).max().unwrap_or(0)).collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (c, word) in row.iter().enumerate() {
            line += word;
            if c + 1 < row.len() {
                line += &" ".repeat(width[c] - visible(word) + 2);
            }
        }
        out += line.trim_end();
        out.push('\n');
    }
    out
}

/// Characters a terminal shows: ANSI sequences count nothing.
fn visible(text: &str) -> usize {
    let mut inside = false;
    text.chars()
        .filter(|&c| {
            let shown = !inside && c != '\u{1b}';
            inside = (inside || c == '\u{1b}') && c != 'm';
            shown
        })
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_with_and_without_colour() {
        let plain = table(&[vec!["a".into(), "b".into()], vec!["long".into(), "c".into()]]);
        assert_eq!(plain, "a     b\nlong  c\n");
        let painted = table(&[vec![paint(BAD, "a"), "b".into()], vec!["long".into(), "c".into()]]);
        assert_eq!(anstream::adapter::strip_str(&painted).to_string(), plain);
    }
}
