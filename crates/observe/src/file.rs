//! Files of interest: mode, owner, kind of secret; redacted text for configuration. In come patterns, out come the files
//! that match them. A secret's content is never read, a configuration's only to redact it.

use facts::{Account, Facts, File, FileKind, Redacted, SecretKind, secret};
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

/// What to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interest {
    /// Path; `~` is every home, `*` as a whole part every entry of a directory.
    pub path: String,
    /// What it is known to hold.
    pub holds: Option<SecretKind>,
    /// Its text is configuration worth having.
    pub text: bool,
}

/// Largest configuration that is kept, in bytes.
const MOST_TEXT: u64 = 512 << 10;
/// Most files of one pattern: a keystore has tens, a mistake should not list a disk.
const MOST_MATCHES: usize = 1000;

/// Repositories of the daemons, below a home.
const REPOSITORIES: [&str; 9] =
    [".lotus", ".lotusminer", ".lotusworker", ".lotusmarkets", ".boost", ".curio", ".venus", ".droplet", ".genesis-sectors"];

/// The usual places on a machine of a storage provider.
pub fn usual() -> Vec<Interest> {
    let entry = |path: &str, holds, text| Interest { path: path.to_owned(), holds, text };
    let mut out = vec![
        entry("/etc/ssh/sshd_config", None, true),
        entry("/etc/ssh/sshd_config.d/*", None, true),
        entry("/etc/sudoers", None, false),
        entry("/etc/shadow", None, false),
        entry("/etc/curio.env", None, true),
        entry("/etc/lotus/*", None, true),
        entry("/etc/curio/*", None, true),
        entry("~/.ssh/id_rsa", Some(SecretKind::PrivateKey), false),
        entry("~/.ssh/id_ed25519", Some(SecretKind::PrivateKey), false),
        entry("~/.config/cloudflared/config.yml", None, true),
        entry("~/.cloudflared/config.yml", None, true),
    ];
    for repository in REPOSITORIES {
        out.extend([
            entry(&format!("~/{repository}"), None, false),
            entry(&format!("~/{repository}/config.toml"), None, true),
            entry(&format!("~/{repository}/storage.json"), None, true),
            entry(&format!("~/{repository}/token"), Some(SecretKind::ApiToken), false),
            entry(&format!("~/{repository}/api"), None, false),
            entry(&format!("~/{repository}/keystore"), None, false),
            entry(&format!("~/{repository}/keystore/*"), Some(SecretKind::Other), false),
        ]);
    }
    out
}

/// The files that match, sorted by path, each once. Environment files of units are added as configuration.
pub fn list(interests: &[Interest], facts: &Facts) -> Vec<File> {
    let environment = facts.units.iter().flat_map(|u| u.environment_files().into_iter().map(str::to_owned).collect::<Vec<_>>());
    let environment: Vec<Interest> =
        environment.map(|p| Interest { path: p.trim_start_matches('-').to_owned(), holds: None, text: true }).collect();
    let mut found: BTreeMap<String, File> = BTreeMap::new();
    for interest in interests.iter().chain(&environment) {
        for path in expand(&interest.path, &facts.accounts) {
            let name = path.display().to_string();
            if !found.contains_key(&name) {
                found.extend(look(&path, interest, facts).map(|f| (name, f)));
            }
        }
    }
    found.into_values().collect()
}

fn expand(pattern: &str, accounts: &[Account]) -> Vec<PathBuf> {
    let mut out: Vec<PathBuf> = match pattern.strip_prefix("~/") {
        Some(rest) => {
            let mut homes: Vec<&str> = accounts.iter().map(|a| a.home.as_str()).filter(|h| h.len() > 1).collect();
            homes.sort_unstable();
            homes.dedup();
            homes.into_iter().map(|h| Path::new(h).join(rest)).collect()
        }
        None => vec![PathBuf::from(pattern)],
    };
    while out.iter().any(|p| p.components().any(|c| c.as_os_str() == "*")) {
        out = out.iter().flat_map(|p| star(p)).take(MOST_MATCHES).collect();
    }
    out
}

/// Replaces the first part that is a star.
fn star(path: &Path) -> Vec<PathBuf> {
    let parts: Vec<_> = path.components().collect();
    let Some(at) = parts.iter().position(|c| c.as_os_str() == "*") else { return vec![path.to_owned()] };
    let (before, after): (PathBuf, PathBuf) = (parts[..at].iter().collect(), parts[at + 1..].iter().collect());
    let entries = fs::read_dir(&before).into_iter().flatten().flatten().filter(|e| e.file_name() != "*");
    let mut out: Vec<PathBuf> =
        entries.map(|e| if after.as_os_str().is_empty() { e.path() } else { e.path().join(&after) }).take(MOST_MATCHES).collect();
    out.sort();
    out
}

fn look(path: &Path, interest: &Interest, facts: &Facts) -> Option<File> {
    let m = fs::symlink_metadata(path).ok()?;
    let kind = match m.file_type() {
        t if t.is_file() => FileKind::File,
        t if t.is_dir() => FileKind::Directory,
        t if t.is_symlink() => FileKind::Symlink,
        t if t.is_socket() => FileKind::Socket,
        _ => FileKind::Other,
    };
    let mut file = File {
        path: path.display().to_string(),
        kind,
        mode: m.mode() & 0o7777,
        uid: m.uid(),
        gid: m.gid(),
        owner: facts.account(m.uid()).map(|a| a.name.clone()),
        group: facts.groups.iter().find(|g| g.gid == m.gid()).map(|g| g.name.clone()),
        size: m.len(),
        modified: m.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok()).map_or(0, |d| d.as_secs()),
        target: fs::read_link(path).ok().map(|t| t.display().to_string()),
        secrets: Vec::new(),
        text: None,
    };
    if kind == FileKind::File {
        file.secrets = interest.holds.map(|k| Redacted(keystore_kind(path).unwrap_or(k))).into_iter().collect();
        if interest.text && m.len() <= MOST_TEXT {
            // What was a file a moment ago may be a link or a pipe now.
            let bytes = sys::file::regular(path, MOST_TEXT, false).ok();
            let (text, found) = bytes.map(|b| secret::redact(&String::from_utf8_lossy(&b))).unzip();
            file.text = text;
            file.secrets.extend(found.into_iter().flatten());
        }
    }
    Some(file)
}

/// What a keystore's file name says: base32 of `wallet-`, `trash-` (a deleted wallet), `libp2p-host`, `auth-jwt-private`.
fn keystore_kind(path: &Path) -> Option<SecretKind> {
    const NAMES: [(&str, SecretKind); 4] = [
        ("O5QWY3DFOQ", SecretKind::WalletKey),
        ("ORZGC43I", SecretKind::WalletKey),
        ("NRUWE4BSOA", SecretKind::PeerKey),
        ("MF2XI2BNNJ3XI", SecretKind::JwtSecret),
    ];
    let name = path.file_name()?.to_str()?;
    NAMES.iter().find(|(begin, _)| name.starts_with(begin)).map(|&(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keystore_is_named_and_a_configuration_redacted() {
        let home = std::env::temp_dir().join(format!("ravelin-files-{}", std::process::id()));
        fs::create_dir_all(home.join(".lotus/keystore")).expect("makes");
        fs::write(home.join(".lotus/keystore/O5QWY3DFOQWXI"), "7b2254797065").expect("writes");
        fs::write(home.join(".lotus/config.toml"), "[API]\nListenAddress = \"x\"\nPassword = \"hunter2hunter2\"\n").expect("writes");
        let accounts = vec![Account { name: "lotus".into(), home: home.display().to_string(), ..Account::default() }];
        let files = list(&usual(), &Facts { accounts, ..Facts::default() });
        fs::remove_dir_all(&home).expect("removes");
        let key = files.iter().find(|f| f.path.ends_with("O5QWY3DFOQWXI")).expect("key");
        assert_eq!((key.secrets.as_slice(), &key.text), (&[Redacted(SecretKind::WalletKey)][..], &None));
        let config = files.iter().find(|f| f.path.ends_with("config.toml")).expect("configuration");
        assert!(config.text.as_deref().is_some_and(|t| t.contains("ListenAddress") && !t.contains("hunter2")));
    }
}
