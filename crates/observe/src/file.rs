//! Files of interest: mode, owner, kind of secret; redacted text for configuration. In come patterns, out come the files
//! that match them. A secret's content is never read, a configuration's only to redact it.

use crate::Root;
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
    /// What of its text is kept, always redacted.
    pub keep: Keep,
}

/// What of a file's text is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Keep {
    /// Nothing.
    #[default]
    Nothing,
    /// Configuration: all of it.
    Text,
    /// A record of what somebody typed: the lines that hold a secret or take a key out of a wallet; the others are empty.
    Lines,
    /// Nothing, and the file is named only where a key or token stands in it.
    Kinds,
}

impl Keep {
    /// Text of configuration, or nothing.
    pub fn configuration(text: bool) -> Self {
        if text { Keep::Text } else { Keep::Nothing }
    }
}

/// Largest configuration that is kept, in bytes.
const MOST_TEXT: u64 = 512 << 10;
/// Largest file that is searched for keys: an exported wallet key has some hundred bytes.
const MOST_SEARCHED: u64 = 64 << 10;
/// Where homes are whose files people and daemons put there themselves.
const OWN_HOMES: [&str; 5] = ["/home/", "/root", "/var/lib/", "/srv/", "/opt/"];
/// Commands that take a key out of a wallet.
const EXPORTS: [&str; 3] = ["wallet export", "WalletExport", "wallet-export"];
/// Most files of one pattern: a keystore has tens, a mistake should not list a disk.
const MOST_MATCHES: usize = 1000;

/// Repositories of the daemons, below a home.
const REPOSITORIES: [&str; 9] =
    [".lotus", ".lotusminer", ".lotusworker", ".lotusmarkets", ".boost", ".curio", ".venus", ".droplet", ".genesis-sectors"];

/// Where shells and clients keep what was typed.
const HISTORIES: [&str; 6] =
    [".bash_history", ".zsh_history", ".local/share/fish/fish_history", ".psql_history", ".python_history", ".viminfo"];

/// The usual places on a machine of a storage provider.
pub fn usual() -> Vec<Interest> {
    let entry = |path: &str, holds, text| Interest { path: path.to_owned(), holds, keep: Keep::configuration(text) };
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
    out.extend(HISTORIES.map(|h| Interest { path: format!("~/{h}"), holds: None, keep: Keep::Lines }));
    out.push(Interest { path: "~/*".to_owned(), holds: None, keep: Keep::Kinds });
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
pub fn list(root: &Root, interests: &[Interest], facts: &Facts) -> Vec<File> {
    let environment = facts.units.iter().flat_map(|u| u.environment_files().into_iter().map(str::to_owned).collect::<Vec<_>>());
    let environment: Vec<Interest> =
        environment.map(|p| Interest { path: p.trim_start_matches('-').to_owned(), holds: None, keep: Keep::Text }).collect();
    let mut found: BTreeMap<String, File> = BTreeMap::new();
    for interest in interests.iter().chain(&environment) {
        for path in expand(root, interest, &facts.accounts) {
            let name = path.display().to_string();
            if !found.contains_key(&name) {
                found.extend(look(root, &path, interest, facts).map(|f| (name, f)));
            }
        }
    }
    found.into_values().collect()
}

fn expand(root: &Root, interest: &Interest, accounts: &[Account]) -> Vec<PathBuf> {
    let pattern = &interest.path;
    let below_home = pattern.strip_prefix("~/").or_else(|| (pattern == "~").then_some(""));
    let mut out: Vec<PathBuf> = match below_home {
        Some(rest) => {
            // `/usr/sbin` is the home of an account as well; nobody leaves keys there.
            let own = |h: &&str| interest.keep != Keep::Kinds || OWN_HOMES.iter().any(|o| h.starts_with(o));
            let mut homes: Vec<&str> = accounts.iter().map(|a| a.home.as_str()).filter(|h| h.len() > 1).filter(own).collect();
            homes.sort_unstable();
            homes.dedup();
            homes.into_iter().map(|h| if rest.is_empty() { h.trim_end_matches('/').into() } else { Path::new(h).join(rest) }).collect()
        }
        None => vec![PathBuf::from(pattern)],
    };
    while out.iter().any(|p| p.components().any(|c| c.as_os_str() == "*")) {
        out = out.iter().flat_map(|p| star(root, p)).take(MOST_MATCHES).collect();
    }
    out
}

/// Replaces the first part that is a star.
fn star(root: &Root, path: &Path) -> Vec<PathBuf> {
    let parts: Vec<_> = path.components().collect();
    let Some(at) = parts.iter().position(|c| c.as_os_str() == "*") else { return vec![path.to_owned()] };
    let (before, after): (PathBuf, PathBuf) = (parts[..at].iter().collect(), parts[at + 1..].iter().collect());
    let entries = root.entries(&before).into_iter().filter(|(name, _)| name != "*");
    entries.map(|(_, path)| if after.as_os_str().is_empty() { path } else { path.join(&after) }).take(MOST_MATCHES).collect()
}

fn look(root: &Root, path: &Path, interest: &Interest, facts: &Facts) -> Option<File> {
    let lies = root.at(path);
    let m = fs::symlink_metadata(&lies).ok()?;
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
        target: fs::read_link(&lies).ok().map(|t| t.display().to_string()),
        secrets: Vec::new(),
        text: None,
    };
    if kind == FileKind::File {
        file.secrets = interest.holds.map(|k| Redacted(keystore_kind(path).unwrap_or(k))).into_iter().collect();
        let most = if interest.keep == Keep::Kinds { MOST_SEARCHED } else { MOST_TEXT };
        if interest.keep != Keep::Nothing && m.len() <= most {
            // What was a file a moment ago may be a link or a pipe now.
            let bytes = sys::file::regular(&lies, most, false).ok();
            let text = bytes.map(|b| String::from_utf8_lossy(&b).into_owned());
            match interest.keep {
                Keep::Text => {
                    let (text, found) = text.map(|t| secret::redact(&t)).unzip();
                    file.text = text;
                    file.secrets.extend(found.into_iter().flatten());
                }
                Keep::Lines => (file.text, file.secrets) = text.map(|t| marked(&t)).map_or((None, Vec::new()), |(t, s)| (Some(t), s)),
                Keep::Kinds => file.secrets = text.map(|t| secret::redact(&t).1).unwrap_or_default(),
                Keep::Nothing => {}
            }
        }
        let keys = [SecretKind::WalletKey, SecretKind::PrivateKey, SecretKind::ApiToken];
        if interest.keep == Keep::Kinds && !file.secrets.iter().any(|s| keys.contains(&s.0)) {
            return None;
        }
    } else if interest.keep == Keep::Kinds {
        return None;
    }
    Some(file)
}

/// The lines that hold a secret or take a key out of a wallet, redacted, at their own numbers; and the kinds.
fn marked(text: &str) -> (String, Vec<Redacted>) {
    let (mut out, mut kinds) = (String::new(), Vec::new());
    for line in text.lines() {
        let (clean, found) = secret::redact(line);
        if !found.is_empty() || EXPORTS.iter().any(|e| line.contains(e)) {
            out.push_str(clean.trim());
        }
        kinds.extend(found);
        out.push('\n');
    }
    kinds.sort_unstable();
    kinds.dedup();
    (out, kinds)
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
        fs::write(home.join(".bash_history"), "ls\nexport TOKEN=hunter2hunter2\nlotus wallet export f1abc > k\n").expect("writes");
        let accounts = vec![Account { name: "lotus".into(), home: home.display().to_string(), ..Account::default() }];
        let files = list(&Root::machine(), &usual(), &Facts { accounts, ..Facts::default() });
        fs::remove_dir_all(&home).expect("removes");
        let histories: Vec<_> = files.iter().filter(|f| f.path.ends_with(".bash_history")).map(|f| f.text.as_deref()).collect();
        assert_eq!(
            histories,
            [Some("\n[redacted: token]\nlotus wallet export f1abc > k\n".replace("[redacted: token]", "export TOKEN=[redacted: token]"))
                .as_deref()]
        );
        let key = files.iter().find(|f| f.path.ends_with("O5QWY3DFOQWXI")).expect("key");
        assert_eq!((key.secrets.as_slice(), &key.text), (&[Redacted(SecretKind::WalletKey)][..], &None));
        let config = files.iter().find(|f| f.path.ends_with("config.toml")).expect("configuration");
        assert!(config.text.as_deref().is_some_and(|t| t.contains("ListenAddress") && !t.contains("hunter2")));
    }
}
