//! The sudo policy's lines: in comes the text of a file, out come its logical lines, comments and continuations resolved as
//! sudo's lexer does, and what its include directives name. Never: understands a rule; that is another crate's work.

use serde::{Deserialize, Serialize};

/// A line of the sudo policy, continued lines joined.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct SudoersLine {
    /// File.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Text, redacted.
    pub text: String,
}

/// An include directive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Include {
    /// Path as written, quotes and escapes taken off; may be relative and hold `%h`.
    pub path: String,
    /// Every file of a directory.
    pub directory: bool,
}

/// Logical lines with the number of their first one; comments are gone, empty lines left out, include directives kept.
pub fn lines(text: &str) -> Vec<(u32, String)> {
    let mut out = Vec::new();
    let mut current = String::new();
    let (mut number, mut begin) = (1u32, 1u32);
    let mut quoted = false;
    let mut directive = false;
    let mut chars = text.chars().peekable();
    let flush = |current: &mut String, begin: u32, out: &mut Vec<(u32, String)>| {
        if !current.trim().is_empty() {
            out.push((begin, current.trim_matches([' ', '\t', '\r']).to_owned()));
        }
        current.clear();
    };
    while let Some(c) = chars.next() {
        match c {
            '\n' => {
                flush(&mut current, begin, &mut out);
                number += 1;
                (begin, quoted, directive) = (number, false, false);
            }
            '\\' => match continues(&mut chars) {
                Some(_) => {
                    number += 1;
                    current.push(' ');
                }
                None => {
                    current.push(c);
                    // What is escaped is neither a quote nor a comment.
                    if let Some(next) = chars.next_if(|n| *n != '\n') {
                        current.push(next);
                    }
                }
            },
            '"' => {
                quoted = !quoted;
                current.push(c);
            }
            '#' if !quoted && !directive => {
                let rest: String = chars.clone().take_while(|n| *n != '\n').take(MOST_DIRECTIVE).collect();
                let number_follows = rest.strip_prefix('-').unwrap_or(&rest).starts_with(|n: char| n.is_ascii_digit());
                let word = rest.split([' ', '\t']).next().unwrap_or_default();
                if current.is_empty() && ["include", "includedir"].contains(&word) && rest.len() > word.len() {
                    directive = true;
                    current.push(c);
                } else if number_follows {
                    current.push(c);
                } else {
                    while chars.next_if(|n| *n != '\n').is_some() {}
                }
            }
            '@' if current.trim().is_empty() => {
                directive = true;
                current.push(c);
            }
            _ => current.push(c),
        }
    }
    flush(&mut current, begin, &mut out);
    out
}

/// Characters looked ahead for a directive; paths are shorter.
const MOST_DIRECTIVE: usize = 8192;

/// After a backslash: whether only blanks stand before the end of the line. Takes them and the end.
fn continues(chars: &mut std::iter::Peekable<std::str::Chars>) -> Option<()> {
    let mut ahead = chars.clone();
    loop {
        match ahead.next() {
            Some(' ' | '\t' | '\r') => {}
            Some('\n') => {
                *chars = ahead;
                return Some(());
            }
            _ => return None,
        }
    }
}

/// The include directive a logical line is, if it is one.
pub fn include(line: &str) -> Option<Include> {
    let body = line.trim_start().strip_prefix(['@', '#'])?;
    let (word, rest) = body.split_once([' ', '\t'])?;
    let directory = match word {
        "include" => false,
        "includedir" => true,
        _ => return None,
    };
    let rest = rest.trim();
    let path = match rest.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next().unwrap_or_default().to_owned(),
        None => {
            let mut path = String::new();
            let mut chars = rest.chars();
            while let Some(c) = chars.next() {
                match c {
                    '\\' => path.extend(chars.next()),
                    ' ' | '\t' => break,
                    _ => path.push(c),
                }
            }
            path
        }
    };
    (!path.is_empty()).then_some(Include { path, directory })
}

/// Where an include leads, seen from the file it stands in, on a host of this short name.
pub fn resolve(path: &str, from: &str, host: &str) -> String {
    let path = path.replace("%h", host.split('.').next().unwrap_or_default());
    match from.rsplit_once('/') {
        Some((directory, _)) if !path.starts_with('/') => format!("{directory}/{path}"),
        _ => path,
    }
}

/// Whether a file of an included directory is read: names with a dot or with a tilde at the end are left out.
pub fn counts(name: &str) -> bool {
    !name.is_empty() && !name.contains('.') && !name.ends_with('~')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_as_sudo_cuts_them() {
        let text = "# a comment \\\nlotus ALL = \\\n  /bin/ls # why\n#990 ALL=ALL\n#include /etc/x y\n@includedir /etc/sudoers.d\n\"a#b\" ALL=ALL\nx ALL=/bin/a\\#b\n#include\n";
        let all = lines(text);
        let texts: Vec<(u32, &str)> = all.iter().map(|(n, t)| (*n, t.as_str())).collect();
        assert_eq!(
            texts,
            [
                (2, "lotus ALL =    /bin/ls"),
                (4, "#990 ALL=ALL"),
                (5, "#include /etc/x y"),
                (6, "@includedir /etc/sudoers.d"),
                (7, "\"a#b\" ALL=ALL"),
                (8, "x ALL=/bin/a\\#b"),
            ]
        );
    }

    #[test]
    fn includes_are_resolved() {
        assert_eq!(include("@include \"/etc/a b\""), Some(Include { path: "/etc/a b".into(), directory: false }));
        assert_eq!(include("#includedir sudo\\ x"), Some(Include { path: "sudo x".into(), directory: true }));
        assert_eq!(include("#990 ALL=ALL"), None);
        assert_eq!(resolve("local.%h", "/etc/sudoers", "a.b"), "/etc/local.a");
        assert!(!counts("README.md") && !counts("x~") && counts("90-ops"));
    }
}
