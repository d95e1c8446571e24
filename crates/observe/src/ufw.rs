//! UFW's configuration and files of rules. In comes what iptables holds, out comes what UFW says of itself; nothing where it is not
//! installed. Never: runs UFW.

use crate::{Error, Root};
use facts::{Rulesets, Ufw};
use std::{fs, io, path::Path};

/// Where UFW keeps its files.
pub const DIRECTORY: &str = "/etc/ufw";
/// Where its defaults are.
const DEFAULTS: &str = "/etc/default/ufw";

/// What is there, and the files that could not be read.
pub fn look(root: &Root, rulesets: &Rulesets) -> (Option<Ufw>, Vec<Error>) {
    let mut troubles = Vec::new();
    let mut read = |path: &Path| match fs::read_to_string(root.followed(path)) {
        Ok(text) => Some(text),
        Err(e) if e.kind() == io::ErrorKind::NotFound => None,
        Err(source) => {
            troubles.push(Error::File { path: path.display().to_string(), source });
            None
        }
    };
    let directory = Path::new(DIRECTORY);
    let Some(conf) = read(&directory.join("ufw.conf")) else { return (None, troubles) };
    let holds =
        |save: &Option<String>, chain: &str| save.as_deref().is_some_and(|s| s.lines().any(|l| l.starts_with(&format!(":{chain} "))));
    let ufw = Ufw {
        enabled: setting(&conf, "ENABLED").is_some_and(|v| v == "yes"),
        ipv6: read(Path::new(DEFAULTS)).and_then(|t| setting(&t, "IPV6")).is_some_and(|v| v == "yes"),
        loaded: holds(&rulesets.iptables_save, "ufw-user-input"),
        loaded6: holds(&rulesets.ip6tables_save, "ufw6-user-input"),
        user_rules: read(&directory.join("user.rules")),
        user6_rules: read(&directory.join("user6.rules")),
    };
    (Some(ufw), troubles)
}

/// The last value of a setting as a shell would read it, in small letters.
fn setting(text: &str, name: &str) -> Option<String> {
    let value = |l: &str| l.trim().strip_prefix(name)?.strip_prefix('=').map(|v| v.trim().trim_matches(['"', '\'']).to_lowercase());
    text.lines().filter_map(value).next_back()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_as_a_shell_reads_them() {
        let text = "# ENABLED=yes\nENABLED=no\nENABLEDX=no\nIPV6=\"YES\"\nENABLED=yes\n";
        assert_eq!(setting(text, "ENABLED").as_deref(), Some("yes"));
        assert_eq!(setting(text, "IPV6").as_deref(), Some("yes"));
        assert_eq!(setting(text, "LOGLEVEL"), None);
    }
}
