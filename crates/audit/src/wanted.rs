//! Which files the rules want to see: in comes the catalogue, out come patterns for the observer. Paths that only a unit's
//! environment knows are not here; the observer adds environment files by itself.

use catalog::{PathKind, builtin};
use facts::SecretKind;
use std::collections::BTreeMap;

/// A file to look at. `~` is every home, `*` as a whole part every entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Path or pattern.
    pub path: String,
    /// What it is known to hold.
    pub holds: Option<SecretKind>,
    /// Its text is configuration worth having, redacted.
    pub text: bool,
}

/// Files of the operating system that rules ask about.
const SYSTEM: [(&str, Option<SecretKind>, bool); 6] = [
    ("/etc/ssh/sshd_config", None, true),
    ("/etc/ssh/sshd_config.d/*", None, true),
    ("/etc/ssh/ssh_host_ed25519_key", Some(SecretKind::PrivateKey), false),
    ("/etc/ssh/ssh_host_ecdsa_key", Some(SecretKind::PrivateKey), false),
    ("/etc/ssh/ssh_host_rsa_key", Some(SecretKind::PrivateKey), false),
    ("/etc/wireguard/wg0.conf", Some(SecretKind::PrivateKey), false),
];

/// Every file, once, sorted by path.
pub fn wanted() -> Vec<Wanted> {
    let mut out: BTreeMap<String, Wanted> = BTreeMap::new();
    let mut add = |path: &str, holds, text| {
        out.entry(path.to_owned()).or_insert(Wanted { path: path.to_owned(), holds, text });
    };
    for (path, holds, text) in SYSTEM {
        add(path, holds, text);
    }
    for w in breach::wanted() {
        add(w.path, None, true);
    }
    for p in builtin().values().flat_map(|s| &s.paths) {
        let path = p.default.as_deref().unwrap_or(&p.path);
        if !path.starts_with(['/', '~']) {
            continue;
        }
        match p.kind {
            PathKind::Keystore => {
                add(path, None, false);
                add(&format!("{path}/*"), Some(SecretKind::Other), false);
            }
            PathKind::Token => add(path, Some(SecretKind::ApiToken), false),
            PathKind::Config => add(path, None, true),
            _ => {}
        }
    }
    out.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_keystore_token_and_configuration_of_the_catalogue_is_wanted() {
        let all = wanted();
        let find = |path: &str| all.iter().find(|w| w.path == path).unwrap_or_else(|| panic!("{path}"));
        assert_eq!(find("~/.lotuswallet/keystore/*").holds, Some(SecretKind::Other));
        assert_eq!(find("~/.local/share/forest/token").holds, Some(SecretKind::ApiToken));
        assert!(find("/etc/curio.env").text);
        assert!(all.iter().all(|w| !w.path.contains('$') && !w.path.contains('<')), "no variable is left");
    }
}
