//! A text held against a form. In come a text and the steps a file of this kind takes, one after the other, out come the values that
//! stand in it, or the first line that is not the next one. A line is compared whole, and a value must be written as it would be written
//! back: there is one spelling of everything. Never: skips a line that is neither empty nor a plain comment.

/// Longest line, in bytes. keepalived reads 1023 at a time and takes what is left for a line of its own; the longest that Ravelin writes is a
/// comment of half of this.
pub const MAX_LINE: usize = 300;

/// What makes a comment more than one to a daemon: macros, expansions, quotes, lines that go on, blocks.
const MEANT: &[u8] = b"\\\"`$@~!{}";

/// What a row of a block must be.
pub(super) type Good = fn(&str) -> bool;

/// A step of a form.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    /// This line.
    Line(&'static str),
    /// A line that begins so, and goes on with such a value.
    Value(&'static str, Good),
    /// A block that opens so, has such rows, and closes. At least one row; where it may be missing, it is missing as a whole.
    Rows(&'static str, Good, Need),
}

/// Whether a block must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// It is always there.
    Always,
    /// It is missing where it would be empty.
    Filled,
}

/// The first line that does not belong, and why.
pub(super) type Refusal = (&'static str, String);

/// What a walk has seen: values, in the order of the steps that have any.
pub(super) type Values<'a> = Vec<Vec<&'a str>>;

/// Whether a line is a comment that no daemon takes for anything else.
pub fn is_comment(line: &str) -> bool {
    let text = line.trim_start_matches(' ');
    text.starts_with('#') && line.len() <= MAX_LINE && text.bytes().all(|b| (b == b' ' || b.is_ascii_graphic()) && !MEANT.contains(&b))
}

/// Walks a text along a form; `why` is what a line is not.
pub(super) fn walk<'a>(text: &'a str, form: &[Step], why: &'static str) -> Result<Values<'a>, Refusal> {
    if let Some(line) = text.lines().find(|l| l.len() > MAX_LINE) {
        return Err(("longer than any line Ravelin writes", line.to_owned()));
    }
    let mut lines = text.lines().filter(|l| !l.is_empty() && !is_comment(l)).peekable();
    let refused = |line: Option<&&str>| Err((why, line.map_or_else(|| "(the end of the file)".to_owned(), |l| (*l).to_owned())));
    let mut values = Values::new();
    for step in form {
        match *step {
            Step::Line(wanted) => {
                if lines.next_if(|l| *l == wanted).is_none() {
                    return refused(lines.peek());
                }
            }
            Step::Value(prefix, good) => {
                let Some(line) = lines.next_if(|l| l.strip_prefix(prefix).is_some_and(good)) else { return refused(lines.peek()) };
                values.push(vec![&line[prefix.len()..]]);
            }
            Step::Rows(open, good, need) => {
                if lines.next_if(|l| *l == open).is_none() {
                    if need == Need::Always {
                        return refused(lines.peek());
                    }
                    values.push(Vec::new());
                    continue;
                }
                // Rows stand one step further in than what opens their block.
                let edge = &open[..open.len() - open.trim_start_matches(' ').len()];
                let row = |l: &&str| l.strip_prefix(edge).and_then(|l| l.strip_prefix(INDENT)).is_some_and(good);
                let mut rows = Vec::new();
                while let Some(line) = lines.next_if(|l| row(l)) {
                    rows.push(&line[edge.len() + INDENT.len()..]);
                }
                let closes = |l: &&str| l.strip_prefix(edge) == Some("}");
                if rows.is_empty() || lines.next_if(|l| closes(l)).is_none() {
                    return refused(lines.peek());
                }
                values.push(rows);
            }
        }
    }
    match lines.next() {
        None => Ok(values),
        line => refused(line.as_ref()),
    }
}

/// One step inwards.
const INDENT: &str = "    ";

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: [Step; 4] =
        [Step::Line("a {"), Step::Value("    n ", |v| v == "1"), Step::Rows("    rows {", |v| v.len() == 1, Need::Filled), Step::Line("}")];

    #[test]
    fn a_text_is_its_form_and_nothing_else() {
        let walked = |text: &str| walk(text, &FORM, "no").map(|v| v.concat().join(" ")).map_err(|(_, line)| line);
        assert_eq!(walked("a {\n    n 1\n}\n").as_deref(), Ok("1"));
        assert_eq!(walked("# x\na {\n    n 1\n    rows {\n        b\n        # y\n        c\n    }\n}\n").as_deref(), Ok("1 b c"));
        for (bad, line) in [
            ("", "(the end of the file)"),
            ("a {\n    n 1\n", "(the end of the file)"),
            ("a {\n    n 1\n}\n}\n", "}"),
            ("a {\n    n 2\n}\n", "    n 2"),
            ("a {\n   n 1\n}\n", "   n 1"),
            ("a {\n    n 1 \n}\n", "    n 1 "),
            ("a {\n    n 1\n    n 1\n}\n", "    n 1"),
            ("a {\n    n 1\n    rows {\n    }\n}\n", "    }"),
            ("a {\n    n 1\n    rows {\n        bb\n    }\n}\n", "        bb"),
            ("a {\n    n 1\n\u{a0}}\n", "\u{a0}}"),
        ] {
            assert_eq!(walked(bad), Err(line.to_owned()), "{bad:?}");
        }
    }

    #[test]
    fn a_comment_is_nothing_but_one() {
        assert!(is_comment("        # the gateway of its zone (site.toml:22 edge)"));
        for bad in ["#\u{a0}x", "# \\", "# \"x", "# $X", "# @x", "# ~SEQ(x, 1, 2)", "# {", "#\tx", "\u{2003}# x", "! x", "x # y"] {
            assert!(!is_comment(bad), "{bad:?}");
        }
        assert!(is_comment(&format!("#{}", "a".repeat(MAX_LINE - 1))) && !is_comment(&format!("#{}", "a".repeat(MAX_LINE))));
    }
}
