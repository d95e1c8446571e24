//! sshd's configuration as sshd reads it: of a keyword the first value counts, includes stand where they are named, and what is
//! below `Match` is for some only. In come the facts, out come values with their place. Never: judges.

use facts::{Facts, File};
use std::collections::BTreeSet;

/// What holds for everybody.
#[derive(Debug)]
pub struct Sshd<'a> {
    settings: Vec<Setting<'a>>,
}

/// A line in force or hidden by an earlier one.
#[derive(Debug, Clone)]
pub struct Setting<'a> {
    /// Keyword in small letters.
    pub key: String,
    /// What follows it.
    pub value: String,
    /// File.
    pub file: &'a str,
    /// Line, from 1.
    pub line: u32,
}

/// Where it begins.
const MAIN: &str = "/etc/ssh/sshd_config";
impl<'a> Sshd<'a> {
    /// The configuration; `None` where there is none, or its text was not read.
    pub fn read(facts: &'a Facts) -> Option<Self> {
        let main = facts.file(MAIN).filter(|f| f.text.is_some())?;
        let mut out = Self { settings: Vec::new() };
        out.file(facts, main, &mut BTreeSet::new());
        Some(out)
    }

    /// A file, with its includes. Each is read once: the first value counts, so a second reading says nothing new, and files that
    /// include each other (sshd refuses them) would be read for ever.
    fn file(&mut self, facts: &'a Facts, file: &'a File, read: &mut BTreeSet<&'a str>) {
        if !read.insert(&file.path) {
            return;
        }
        for (text, line) in file.text.as_deref().unwrap_or_default().lines().zip(1u32..) {
            let text = text.trim();
            let end = text.find(|c: char| c.is_whitespace() || c == '=').unwrap_or(text.len());
            let (key, rest) = text.split_at(end);
            let key = key.to_ascii_lowercase();
            let rest = rest.split(" #").next().unwrap_or_default();
            let value = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '=').trim().trim_matches('"').to_owned();
            match key.as_str() {
                "match" => break,
                k if k.is_empty() || k.starts_with('#') => {}
                "include" => {
                    for pattern in value.split_whitespace() {
                        let pattern = if pattern.starts_with('/') { pattern.to_owned() } else { format!("/etc/ssh/{pattern}") };
                        for included in facts.files.iter().filter(|f| named(&pattern, &f.path)) {
                            self.file(facts, included, read);
                        }
                    }
                }
                _ => self.settings.push(Setting { key, value, file: &file.path, line }),
            }
        }
    }

    /// The value in force.
    pub fn get(&self, key: &str) -> Option<&Setting<'a>> {
        self.settings.iter().find(|s| s.key == key)
    }
    /// Whether a switch has this value; `default` where it is not set.
    pub fn is(&self, key: &str, value: &str, default: bool) -> bool {
        self.get(key).map_or(default, |s| s.value.eq_ignore_ascii_case(value))
    }
}

/// Whether an include's pattern names a path; a star is any text without a slash.
fn named(pattern: &str, path: &str) -> bool {
    let (Some((directory, last)), Some((its_directory, name))) = (pattern.rsplit_once('/'), path.rsplit_once('/')) else { return false };
    match last.split_once('*') {
        _ if directory != its_directory => false,
        Some((begin, end)) => name.len() >= begin.len() + end.len() && name.starts_with(begin) && name.ends_with(end),
        None => last == name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_value_counts_and_match_is_for_some() {
        let file = |path: &str, text: &str| File { path: path.into(), text: Some(text.into()), ..File::default() };
        let facts = Facts {
            files: vec![
                file(MAIN, "Include /etc/ssh/sshd_config.d/*.conf\nX11Forwarding yes\nPort=22\nMatch User x\nPasswordAuthentication yes\n"),
                file("/etc/ssh/sshd_config.d/a.conf", "x11forwarding no # why\n"),
                file("/etc/ssh/sshd_config.d/b.off", "Port 9\n"),
            ],
            ..Facts::default()
        };
        let sshd = Sshd::read(&facts).expect("reads");
        assert_eq!(sshd.get("x11forwarding").map(|s| (s.file, s.line)), Some(("/etc/ssh/sshd_config.d/a.conf", 1)));
        assert_eq!(sshd.get("port").map(|s| s.value.as_str()), Some("22"));
        assert!(sshd.get("passwordauthentication").is_none());
    }

    /// Found by fuzzing: forty files that include each other took for ever.
    #[test]
    fn files_that_include_each_other_end() {
        let text = "Include /etc/ssh/*\nPort 22\nInclude /etc/ssh/*\nMaxAuthTries 3\n";
        let file = |path: String| File { path, text: Some(text.into()), ..File::default() };
        let files = (0..40).map(|n| file(format!("/etc/ssh/f{n}"))).chain([file(MAIN.into())]).collect();
        let facts = Facts { files, ..Facts::default() };
        let sshd = Sshd::read(&facts).expect("reads");
        assert_eq!(sshd.settings.len(), 82);
        assert_eq!(sshd.get("maxauthtries").map(|s| s.value.as_str()), Some("3"));
    }
}
