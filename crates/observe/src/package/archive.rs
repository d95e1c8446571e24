//! Archives that apt is told of: `sources.list` in one line, and `.sources` in stanzas (sources.list(5)). In come texts, out come
//! archives with the options that speak of trust; lines that do not read are named.

use crate::Root;
use facts::{Repository, Source, Unread, secret};

/// Options kept, in small letters.
const TRUST: [&str; 5] = ["trusted", "allow-insecure", "allow-weak", "allow-downgrade-to-insecure", "signed-by"];

/// All archives of a machine.
pub fn all(root: &Root, unread: &mut Vec<Unread>) -> Vec<Repository> {
    const DIRECTORY: &str = "/etc/apt/sources.list.d";
    let mut files = vec!["/etc/apt/sources.list".to_owned()];
    files.extend(root.entries(DIRECTORY).into_iter().map(|(_, path)| path.display().to_string()));
    let mut out = Vec::new();
    for file in files {
        let Ok(text) = root.text(&file) else { continue };
        let (found, odd) = if file.ends_with(".sources") {
            deb822(&file, &text)
        } else if file.ends_with(".list") {
            one_line(&file, &text)
        } else {
            continue;
        };
        out.extend(found);
        unread.extend(odd.into_iter().map(|line| Unread { source: Source::Packages, file: file.clone(), line }));
    }
    out
}

/// `deb [option=value ...] uri suite component ...`; with the numbers of lines that do not read.
pub fn one_line(file: &str, text: &str) -> (Vec<Repository>, Vec<u32>) {
    let (mut out, mut odd) = (Vec::new(), Vec::new());
    for (line, body) in (1u32..).zip(text.lines()) {
        let body = body.split('#').next().unwrap_or_default().trim();
        let Some(rest) = ["deb ", "deb-src ", "deb\t", "deb-src\t"].iter().find_map(|k| body.strip_prefix(k)).map(str::trim_start) else {
            if !body.is_empty() {
                odd.push(line);
            }
            continue;
        };
        let (options, rest) = match rest.strip_prefix('[') {
            Some(inside) => match inside.split_once(']') {
                Some((options, rest)) => (options, rest),
                None => {
                    odd.push(line);
                    continue;
                }
            },
            None => ("", rest),
        };
        let mut words = rest.split_whitespace();
        let (Some(uri), Some(suite)) = (words.next(), words.next()) else {
            odd.push(line);
            continue;
        };
        let options = options.split_whitespace().filter_map(|o| o.split_once('='));
        let options = options.map(|(k, v)| (k.to_lowercase(), v.to_owned())).filter(|(k, _)| TRUST.contains(&k.as_str()));
        out.push(Repository {
            file: file.to_owned(),
            line,
            uri: secret::redact(uri).0,
            suite: suite.to_owned(),
            options: options.map(|(k, v)| format!("{k}={}", v.to_lowercase())).collect(),
        });
    }
    (out, odd)
}

/// Stanzas of `Field: value`; each address with each suite is one archive.
pub fn deb822(file: &str, text: &str) -> (Vec<Repository>, Vec<u32>) {
    let (mut out, mut odd) = (Vec::new(), Vec::new());
    let mut fields: Vec<(u32, String, String)> = Vec::new();
    for (line, body) in (1u32..).zip(text.lines().chain([""])) {
        if body.starts_with('#') {
            continue;
        }
        if body.trim().is_empty() {
            stanza(file, &std::mem::take(&mut fields), &mut out);
        } else if body.starts_with([' ', '\t']) {
            match fields.last_mut() {
                Some((_, _, value)) => {
                    value.push(' ');
                    value.push_str(body.trim());
                }
                None => odd.push(line),
            }
        } else if let Some((name, value)) = body.split_once(':') {
            fields.push((line, name.trim().to_lowercase(), value.trim().to_owned()));
        } else {
            odd.push(line);
        }
    }
    (out, odd)
}

fn stanza(file: &str, fields: &[(u32, String, String)], out: &mut Vec<Repository>) {
    let get = |name: &str| fields.iter().rev().find(|(_, n, _)| n == name);
    if get("enabled").is_some_and(|(_, _, v)| v.eq_ignore_ascii_case("no")) {
        return;
    }
    let Some((_, _, uris)) = get("uris") else { return };
    let suites = get("suites").map_or("", |(_, _, v)| v.as_str());
    let trust: Vec<(u32, String)> =
        fields.iter().filter(|(_, n, _)| TRUST.contains(&n.as_str())).map(|(l, n, v)| (*l, format!("{n}={}", one_word(v)))).collect();
    let line = trust.first().map(|(l, _)| *l).or_else(|| fields.first().map(|f| f.0)).unwrap_or(0);
    for uri in uris.split_whitespace() {
        for suite in suites.split_whitespace() {
            out.push(Repository {
                file: file.to_owned(),
                line,
                uri: secret::redact(uri).0,
                suite: suite.to_owned(),
                options: trust.iter().map(|(_, o)| o.clone()).collect(),
            });
        }
    }
}

/// A key may stand in the field itself; its first word tells what it is.
fn one_word(value: &str) -> String {
    value.split_whitespace().next().unwrap_or_default().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_read() {
        let text = "# deb x y\ndeb [trusted=yes arch=amd64] http://repo.example ./ # why\ndeb http://deb.example bookworm main\nodd\ndeb [x http://a b\ndeb http://a\n";
        let (found, odd) = one_line("/etc/apt/sources.list", text);
        assert_eq!(found.iter().map(|r| (r.line, r.suite.as_str())).collect::<Vec<_>>(), [(2, "./"), (3, "bookworm")]);
        assert_eq!((found[0].options.as_slice(), odd), (&["trusted=yes".to_owned()][..], vec![4, 5, 6]));
        let text = "Types: deb\nURIs: https://a.example\n http://b.example\nSuites: s s-updates\nTrusted: yes\n\n# c\nURIs: https://off.example\nSuites: s\nEnabled: no\nodd line\n\n lost\n";
        let (found, odd) = deb822("/etc/apt/sources.list.d/x.sources", text);
        assert_eq!(found.len(), 4);
        assert!(found.iter().all(|r| r.options == ["trusted=yes"] && r.line == 5));
        assert_eq!(odd, [11, 13]);
        let (found, _) = one_line("x", "deb https://me:hunter2hunter2@repo.example s main\n");
        assert!(!found[0].uri.contains("hunter2"), "{}", found[0].uri);
    }
}
