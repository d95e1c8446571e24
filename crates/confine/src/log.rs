//! The text of the audit log. In comes the machine, out comes what auditd kept, or what the kernel said where auditd does not run. Never:
//! understands it (that is `learn::denial`).

use std::{fs, path::Path};

/// Where auditd keeps its log and its rotated ones.
const DIRECTORY: &str = "/var/log/audit";
/// Most bytes of one file: auditd rotates at 8 MB unless told otherwise.
const MOST: u64 = 256 << 20;

/// The log's text; `None` where nobody writes one.
pub fn text() -> Option<String> {
    if observe::run::output("systemctl", &["is-active", "auditd.service"]).is_ok() {
        return kept(Path::new(DIRECTORY));
    }
    observe::run::output("journalctl", &["-k", "-b", "-o", "cat", "--no-pager"]).ok()
}

fn kept(directory: &Path) -> Option<String> {
    let mut paths: Vec<_> = fs::read_dir(directory).ok()?.flatten().map(|e| e.path()).collect();
    paths.retain(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("audit.log")));
    paths.sort();
    let texts: Option<Vec<String>> =
        paths.iter().map(|p| sys::file::regular(p, MOST, false).ok().map(|b| String::from_utf8_lossy(&b).into_owned())).collect();
    texts.filter(|t| !t.is_empty()).map(|t| t.join("\n"))
}
