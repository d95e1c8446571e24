//! Changes to lines of a file. In come a text and edits that say which line they were made for, out comes the new text, or the line that is
//! not what was looked at. A line that goes stays as a comment. Never: a change to any other line.

use serde::{Deserialize, Serialize};

/// What stands before a line that was taken out.
pub const MARK: &str = "# ravelin harden: ";

/// How lines are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Syntax {
    /// The sudo policy: lines go on after a backslash, `visudo` checks them.
    Sudoers,
    /// logrotate's rules: logrotate checks them.
    Logrotate,
    /// Lines are lines.
    Plain,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Edit {
    /// Line it begins at, from 1.
    pub line: u32,
    /// What it was when it was looked at, blanks at its ends taken off.
    pub seen: String,
    /// What becomes of it.
    pub how: How,
}

/// What becomes of a line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// It is made a comment.
    Comment,
    /// These members leave its list of users.
    Without(Vec<String>),
    /// It becomes this.
    Becomes(String),
    /// This comes after it.
    After(String),
}

impl Edit {
    /// What changes, `-` and `+`.
    pub(super) fn difference(&self) -> Vec<String> {
        let old = format!("- {}", self.seen);
        match &self.how {
            How::Comment => vec![old, format!("+ {MARK}{}", self.seen)],
            How::Without(who) => {
                let new = without(&self.seen, who).unwrap_or_default();
                vec![old, format!("+ {new}")]
            }
            How::Becomes(text) => vec![old, format!("+ {text}")],
            How::After(text) => vec![format!("  {}", self.seen), format!("+ {text}")],
        }
    }
}

/// Why a text was not changed: the line, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surprise {
    /// Line, from 1.
    pub line: u32,
    /// What is wrong.
    pub why: &'static str,
}

/// The text with every edit made, or none.
pub fn apply(text: &str, syntax: Syntax, edits: &[Edit]) -> Result<String, Surprise> {
    let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    let logical = if syntax == Syntax::Sudoers { facts::sudo::lines(text) } else { Vec::new() };
    let mut sorted: Vec<&Edit> = edits.iter().collect();
    // From the end, so that the numbers of what is before hold.
    sorted.sort_by_key(|e| std::cmp::Reverse(e.line));
    let mut expected = logical.clone();
    for edit in sorted {
        let surprise = |why| Surprise { line: edit.line, why };
        let first = usize::try_from(edit.line).ok().and_then(|n| n.checked_sub(1)).filter(|n| *n < lines.len());
        let first = first.ok_or(surprise("it is not there any more"))?;
        let seen = match syntax {
            Syntax::Sudoers => logical.iter().find(|(n, _)| *n == edit.line).map(|(_, t)| t.as_str()),
            _ => lines.get(first).map(|l| l.trim()),
        };
        if seen != Some(edit.seen.as_str()) {
            return Err(surprise("it is not what was looked at"));
        }
        let last = if syntax == Syntax::Sudoers { last(&lines, first) } else { first };
        let blanks: String = lines.get(first).map_or("", String::as_str).chars().take_while(|c| [' ', '\t'].contains(c)).collect();
        let mut comment = || lines.iter_mut().take(last + 1).skip(first).for_each(|l| *l = format!("{MARK}{l}"));
        match &edit.how {
            How::Comment => {
                comment();
                expected.retain(|(n, _)| *n != edit.line);
            }
            How::Without(who) => {
                let new = without(&edit.seen, who).ok_or(surprise("its list of users is not a plain one"))?;
                comment();
                lines.insert(last + 1, new.clone());
                expected.iter_mut().filter(|(n, _)| *n == edit.line).for_each(|(_, t)| t.clone_from(&new));
            }
            How::Becomes(new) => {
                if let Some(l) = lines.get_mut(first) {
                    *l = format!("{blanks}{new}");
                }
            }
            How::After(new) => lines.insert(last + 1, format!("{blanks}{new}")),
        }
    }
    let out = lines.join("\n");
    // Read again as sudo reads it: exactly the meant lines have changed.
    let texts = |lines: &[(u32, String)]| lines.iter().map(|(_, t)| t.clone()).collect::<Vec<_>>();
    if syntax == Syntax::Sudoers && texts(&facts::sudo::lines(&out)) != texts(&expected) {
        return Err(Surprise { line: 0, why: "another line would change its meaning" });
    }
    Ok(out)
}

/// Last physical line of a logical one.
fn last(lines: &[String], first: usize) -> usize {
    let goes_on = |l: &String| l.trim_end_matches([' ', '\t', '\r']).ends_with('\\');
    (first..lines.len()).find(|n| !lines.get(*n).is_some_and(goes_on)).unwrap_or(first)
}

/// A specification or a `User_Alias` without these members; `None` where its list is no plain one, does not name them, or would
/// be empty.
pub fn without(text: &str, who: &[String]) -> Option<String> {
    let (begin, text) = match text.strip_prefix("User_Alias") {
        None => ("", text),
        // Several aliases on one line are for people.
        Some(rest) if rest.contains(':') => return None,
        Some(rest) => {
            let at = rest.find('=')? + 1 + "User_Alias".len();
            (text.get(..at)?, text.get(at..)?)
        }
    };
    let mut members: Vec<&str> = Vec::new();
    let mut rest = text.trim_start();
    loop {
        let end = rest.find([',', ' ', '\t', '=']).unwrap_or(rest.len());
        let (word, behind) = rest.split_at(end);
        if word.is_empty() || word == "!" || word.contains(['"', '\\', '(', ')', ':']) {
            return None;
        }
        members.push(word);
        match behind.trim_start().strip_prefix(',') {
            Some(more) => rest = more.trim_start(),
            None => {
                rest = behind;
                break;
            }
        }
    }
    let left: Vec<&str> = members.iter().filter(|m| !who.iter().any(|w| w == *m)).copied().collect();
    let positive = left.iter().any(|m| !m.starts_with('!'));
    let space = if begin.is_empty() { "" } else { " " };
    (left.len() < members.len() && positive).then(|| format!("{begin}{space}{}{rest}", left.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn edit(line: u32, seen: &str, how: How) -> Edit {
        Edit { line, seen: seen.into(), how }
    }

    #[test]
    fn lines_are_taken_out_and_members_leave() {
        let text = "# top\nlotus, ops ALL = \\\n  NOPASSWD: ALL\nDefaults x\nlotus ALL=(root) /bin/a, \\\n\t/bin/b\n";
        let seen: Vec<(u32, String)> = facts::sudo::lines(text);
        let edits = [edit(2, &seen[0].1, How::Without(vec!["lotus".into()])), edit(5, &seen[2].1, How::Comment)];
        let new = apply(text, Syntax::Sudoers, &edits).expect("applies");
        assert_eq!(
            new,
            "# top\n# ravelin harden: lotus, ops ALL = \\\n# ravelin harden:   NOPASSWD: ALL\nops ALL =    NOPASSWD: ALL\nDefaults x\n# ravelin harden: lotus ALL=(root) /bin/a, \\\n# ravelin harden: \t/bin/b\n"
        );
        assert!(apply(&text.replace("/bin/b", "/bin/c"), Syntax::Sudoers, &edits).is_err(), "another line than the one looked at");
    }

    #[test]
    fn lists_that_are_not_plain_are_left() {
        let out = |t: &str| without(t, &["lotus".to_owned()]);
        assert_eq!(out("ops,lotus , %x ALL=ALL").as_deref(), Some("ops, %x ALL=ALL"));
        assert_eq!(out("User_Alias SP = lotus, curio").as_deref(), Some("User_Alias SP = curio"));
        for odd in ["lotus ALL=ALL", "ops ALL=ALL", "\"lotus\", ops ALL=ALL", "lotus, !ops ALL=ALL", "User_Alias A = lotus, b : B = c", ""]
        {
            assert_eq!(out(odd), None, "{odd}");
        }
    }

    #[test]
    fn other_files_keep_their_blanks() {
        let text = "/var/log/x/*.log {\n\tcreate 0644 root root\n}\n";
        let edits = [
            edit(1, "/var/log/x/*.log {", How::After("\tsu lotus lotus".into())),
            edit(2, "create 0644 root root", How::Becomes("create 0644 lotus lotus".into())),
        ];
        let new = apply(text, Syntax::Logrotate, &edits).expect("applies");
        assert_eq!(new, "/var/log/x/*.log {\n\tsu lotus lotus\n\tcreate 0644 lotus lotus\n}\n");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(\\PC|[ ,!=:\\\\\n\"#]|lotus){0,80}", line in 0u32..9) {
            let _ = without(&text, &["lotus".to_owned()]);
            for (number, seen) in facts::sudo::lines(&text).into_iter().chain([(line, text.clone())]) {
                for how in [How::Comment, How::Without(vec!["lotus".into()]), How::After("x".into())] {
                    let _ = apply(&text, Syntax::Sudoers, &[Edit { line: number, seen: seen.clone(), how: how.clone() }]);
                    let _ = apply(&text, Syntax::Plain, &[Edit { line: number, seen: seen.clone(), how }]);
                }
            }
        }
    }
}
