//! The sudo policy with its includes, line by line. In comes the host's name, out come logical lines; what could not be
//! followed is said. Secrets in arguments are taken out, names and tags are kept: a rule must stay the rule it is.

use crate::{Error, Root};
use facts::{
    Source, SudoersLine, secret,
    sudo::{counts, include, lines as logical, resolve},
};
use std::fs;

/// How deep includes are followed: a tenth of sudo's own limit, no site nests more.
const DEEPEST: u32 = 12;
/// Most lines that are kept.
const MOST_LINES: usize = 60_000;

/// Lines of the policy. A machine without sudo has none.
pub fn lines(root: &Root, host: &str, failed: &mut dyn FnMut(Source, String)) -> Vec<SudoersLine> {
    let mut out = Vec::new();
    match fs::metadata(root.followed("/etc/sudoers")) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        _ => follow(root, "/etc/sudoers", host, DEEPEST, &mut out, failed),
    }
    out
}

fn follow(root: &Root, path: &str, host: &str, depth: u32, out: &mut Vec<SudoersLine>, failed: &mut dyn FnMut(Source, String)) {
    let content = match root.text(path) {
        Ok(content) => content,
        Err(e) => {
            let cause = std::error::Error::source(&e).map_or(String::new(), |c| format!(": {c}"));
            return failed(Source::Sudoers, format!("{e}{cause}"));
        }
    };
    for (line, text) in logical(&content) {
        if out.len() >= MOST_LINES {
            return failed(Source::Sudoers, Error::Partly(format!("{path}:{line}: more than {MOST_LINES} lines")).to_string());
        }
        let Some(found) = include(&text) else {
            out.push(SudoersLine { file: path.to_owned(), line, text: redact(&text) });
            continue;
        };
        let target = resolve(&found.path, path, host);
        if depth == 0 {
            failed(Source::Sudoers, format!("{path}:{line}: includes nest deeper than {DEEPEST}"));
        } else if !found.directory {
            follow(root, &target, host, depth - 1, out, failed);
        } else {
            match fs::read_dir(root.followed(&target)) {
                // sudo takes a missing directory for an empty one.
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                Err(e) => failed(Source::Sudoers, format!("read {target}: {e}")),
                Ok(entries) => {
                    let mut names: Vec<String> = entries.flatten().filter_map(|e| e.file_name().into_string().ok()).collect();
                    names.retain(|n| counts(n));
                    names.sort();
                    for name in names {
                        let file = format!("{target}/{name}");
                        if fs::metadata(root.followed(&file)).is_ok_and(|m| m.is_file()) {
                            follow(root, &file, host, depth - 1, out, failed);
                        }
                    }
                }
            }
        }
    }
}

/// Takes secrets out of arguments: what stands behind a path, up to the next comma.
fn redact(line: &str) -> String {
    let mut out = String::new();
    for part in line.split_inclusive(',') {
        match part.find('/').and_then(|p| Some(part[p..].find(' ')? + p)) {
            Some(behind) => {
                out.push_str(&part[..behind]);
                out.push_str(&secret::redact(&part[behind..]).0);
            }
            None => out.push_str(part),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_stays_the_rule_it_is() {
        for line in [
            "lotus ALL=(root) PASSWD: /bin/ls -l, NOPASSWD: /bin/cat",
            "Cmnd_Alias TOKENS = /usr/bin/lotus-token",
            "Defaults passwd_tries=3, passprompt=\"secret: \"",
        ] {
            assert_eq!(redact(line), line);
        }
        let taken = redact("lotus ALL=/usr/bin/backup --password=hunter2hunter2, /bin/ls");
        assert!(!taken.contains("hunter2") && taken.contains("/usr/bin/backup"), "{taken}");
    }
}
