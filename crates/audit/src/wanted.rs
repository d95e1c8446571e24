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

/// Files of the operating system and of common servers that rules ask about, with their text.
const TEXTS: [&str; 31] = [
    "/etc/ssh/sshd_config",
    "/etc/ssh/sshd_config.d/*",
    "/etc/pam.d/sshd",
    "/etc/pam.d/login",
    "/etc/pam.d/password-auth",
    "/etc/exports",
    "/etc/exports.d/*",
    "/etc/docker/daemon.json",
    "/etc/grafana/grafana.ini",
    "/etc/redis/*",
    "/etc/valkey/*",
    "/etc/mongod.conf",
    "/etc/default/minio",
    "/etc/postgresql/*/*/pg_hba.conf",
    "/etc/postgresql/*/*/postgresql.conf",
    "/var/lib/pgsql/data/pg_hba.conf",
    "/var/lib/pgsql/data/postgresql.conf",
    "/var/lib/pgsql/*/data/pg_hba.conf",
    "/var/lib/pgsql/*/data/postgresql.conf",
    "/etc/systemd/journald.conf",
    "/etc/systemd/journald.conf.d/*",
    "/etc/rsyslog.conf",
    "/etc/rsyslog.d/*",
    "/etc/syslog-ng/*",
    "/etc/audit/audit.rules",
    "/etc/audit/rules.d/*",
    "/etc/apt/apt.conf",
    "/etc/apt/apt.conf.d/*",
    "~/.lotusminer/storage.json",
    "~/.lotusworker/storage.json",
    "~/.curio/storage.json",
];

/// Files that rules ask about without their text.
const MODES: [(&str, Option<SecretKind>); 16] = [
    ("~", None),
    ("/var/log/journal", None),
    ("/run/docker.sock", None),
    ("/var/run/docker.sock", None),
    ("/run/podman/podman.sock", None),
    ("/run/containerd/containerd.sock", None),
    ("/run/crio/crio.sock", None),
    ("/dev/ipmi0", None),
    ("/dev/ipmi/0", None),
    ("/dev/ipmidev/0", None),
    ("/usr/bin/nvidia-modprobe", None),
    ("/usr/lib/nvidia/current/nvidia-modprobe", None),
    ("/etc/ssh/ssh_host_ed25519_key", Some(SecretKind::PrivateKey)),
    ("/etc/ssh/ssh_host_ecdsa_key", Some(SecretKind::PrivateKey)),
    ("/etc/ssh/ssh_host_rsa_key", Some(SecretKind::PrivateKey)),
    ("/etc/wireguard/wg0.conf", Some(SecretKind::PrivateKey)),
];

/// Every file, once, sorted by path.
pub fn wanted() -> Vec<Wanted> {
    let mut out: BTreeMap<String, Wanted> = BTreeMap::new();
    let mut add = |path: &str, holds, text| {
        out.entry(path.to_owned()).or_insert(Wanted { path: path.to_owned(), holds, text });
    };
    TEXTS.into_iter().for_each(|path| add(path, None, true));
    MODES.into_iter().for_each(|(path, holds)| add(path, holds, false));
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
