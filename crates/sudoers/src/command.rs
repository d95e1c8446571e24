//! Whether a command matches. In come commands of rules and one that is asked about, out come outcomes. Paths are compared as
//! text; two names that end alike may be one file through a link, and that is unknown.

use crate::{
    form::{Arguments, Command, Policy},
    matching::{Budget, decide},
    outcome::Outcome,
};

/// A command that is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Path, or `sudoedit`.
    pub path: String,
    /// Arguments joined by blanks, or the file to edit.
    pub arguments: String,
}

/// How deep command aliases nest before the answer is unknown.
const DEEPEST: u32 = 24;
/// Longest pattern that is tried, in bytes.
const LONGEST_PATTERN: usize = 4096;

impl Policy {
    pub(crate) fn command(&self, command: &Command, digest: bool, asked: &Asked, depth: u32, budget: &Budget) -> Outcome {
        let found = match command {
            Command::All => Outcome::ALLOW,
            Command::List => Outcome::SILENT,
            Command::Regex => Outcome::PERHAPS,
            Command::Alias(_) if depth >= DEEPEST => Outcome::ANYTHING,
            Command::Alias(name) => match self.command_aliases.get(name) {
                Some(members) => {
                    let signed: Vec<_> =
                        members.iter().map(|(s, d)| crate::form::Signed { negated: s.negated, item: (&s.item, *d) }).collect();
                    decide(&signed, budget, &|(item, d)| self.command(item, *d, asked, depth + 1, budget))
                }
                None => Outcome::SILENT,
            },
            Command::Edit(arguments) if asked.path == "sudoedit" => both(Outcome::ALLOW, arguments_match(arguments, &asked.arguments)),
            Command::Edit(_) => Outcome::SILENT,
            Command::Path(path, arguments) => both(path_matches(path, &asked.path), arguments_match(arguments, &asked.arguments)),
        };
        if digest && found.may(Outcome::ALLOW) { found.or(Outcome::SILENT) } else { found }
    }
}

fn both(a: Outcome, b: Outcome) -> Outcome {
    if a == Outcome::SILENT || b == Outcome::SILENT {
        Outcome::SILENT
    } else if a == Outcome::ALLOW && b == Outcome::ALLOW {
        Outcome::ALLOW
    } else {
        Outcome::PERHAPS
    }
}

fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

fn path_matches(rule: &str, asked: &str) -> Outcome {
    if let Some(directory) = rule.strip_suffix('/') {
        return match asked.rsplit_once('/') {
            Some((of, name)) if of == directory && !name.is_empty() => Outcome::ALLOW,
            // Another name of the same directory.
            Some(_) => Outcome::PERHAPS,
            None => Outcome::SILENT,
        };
    }
    if !asked.starts_with('/') {
        return Outcome::SILENT;
    }
    if rule == asked {
        return Outcome::ALLOW;
    }
    let wild = |text: &str| text.contains(['*', '?', '[', ']']);
    if wild(rule) {
        return match glob(rule, asked, true) {
            Some(true) => Outcome::ALLOW,
            // sudo expands the pattern in the file system and compares files: links make other names of one file.
            _ if wild(base(rule)) && glob(base(rule), base(asked), true) != Some(false) => Outcome::PERHAPS,
            _ if base(rule) == base(asked) => Outcome::PERHAPS,
            _ => Outcome::SILENT,
        };
    }
    if base(rule) == base(asked) { Outcome::PERHAPS } else { Outcome::SILENT }
}

fn arguments_match(rule: &Arguments, asked: &str) -> Outcome {
    match rule {
        Arguments::Any => Outcome::ALLOW,
        Arguments::None => Outcome::matches(asked.is_empty()),
        Arguments::Regex => Outcome::PERHAPS,
        Arguments::Pattern(pattern) => glob(pattern, asked, false).map_or(Outcome::PERHAPS, Outcome::matches),
    }
}

/// Shell pattern against text; `None` where the pattern is beyond this matcher. `pathname`: wildcards stop at slashes.
pub(crate) fn glob(pattern: &str, text: &str, pathname: bool) -> Option<bool> {
    if pattern.contains('[') || pattern.len() > LONGEST_PATTERN || text.len() > LONGEST_PATTERN {
        // Brackets have classes, ranges and locales: not guessed at, unless the text is the same anyway.
        return if pattern == text { Some(true) } else { None };
    }
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    loop {
        let matched = match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
                continue;
            }
            Some('?') => text.get(t).is_some_and(|c| !pathname || *c != '/').then_some(1),
            Some('\\') if pattern.get(p + 1).is_some() => (pattern.get(p + 1) == text.get(t)).then_some(2),
            Some(c) => (Some(c) == text.get(t)).then_some(1),
            None if t == text.len() => return Some(true),
            None => None,
        };
        if let Some(width) = matched {
            p += width;
            t += 1;
            continue;
        }
        match star {
            Some((sp, st)) if st < text.len() && !(pathname && text[st] == '/') => {
                star = Some((sp, st + 1));
                p = sp + 1;
                t = st + 1;
            }
            _ => return Some(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_stop_at_slashes_in_paths_and_not_in_arguments() {
        assert_eq!(glob("/usr/bin/*", "/usr/bin/ls", true), Some(true));
        assert_eq!(glob("/usr/*", "/usr/bin/ls", true), Some(false));
        assert_eq!(glob("-a *", "-a /x/y z", false), Some(true));
        assert_eq!(glob("a?c*", "abc", false), Some(true));
        assert_eq!(glob("\\*", "*", false), Some(true));
        assert_eq!(glob("\\*", "x", false), Some(false));
        assert_eq!(glob("[a-z]", "b", false), None);
        assert_eq!(glob("*a*b", &"a".repeat(3000), false), Some(false));
    }
}
