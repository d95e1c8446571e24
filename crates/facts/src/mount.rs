//! Mounted file systems and swap: where, with which options, and whether what lies below them is encrypted, as far as it shows.

use serde::{Deserialize, Serialize};

/// A mounted file system.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Mount {
    /// Device or server.
    pub source: String,
    /// Where it is mounted.
    pub at: String,
    /// Kind, e.g. `ext4`, `tmpfs`, `nfs4`.
    pub kind: String,
    /// Options in force.
    pub options: Vec<String>,
    /// Whether the device below is encrypted; `None` where that does not show (no device, or one of somebody else's).
    pub encrypted: Option<bool>,
}

impl Mount {
    /// Whether an option is in force.
    pub fn has(&self, option: &str) -> bool {
        self.options.iter().any(|o| o == option)
    }
    /// Whether the files lie on another machine.
    pub fn remote(&self) -> bool {
        const REMOTE: [&str; 9] = ["nfs", "nfs4", "cifs", "ceph", "fuse.ceph", "fuse.sshfs", "fuse.s3fs", "fuse.rclone", "9p"];
        REMOTE.contains(&self.kind.as_str())
    }
}

/// A swap area in use.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Swap {
    /// Device or file.
    pub device: String,
    /// Whether what is written there is encrypted or never leaves memory; `None` where that does not show.
    pub encrypted: Option<bool>,
}

/// The mount that holds a path: of those above it the longest.
pub fn holding<'a>(mounts: &'a [Mount], path: &str) -> Option<&'a Mount> {
    let above = |m: &&Mount| m.at == "/" || path == m.at || path.strip_prefix(m.at.as_str()).is_some_and(|rest| rest.starts_with('/'));
    // Of two at one place the later one is seen.
    mounts.iter().filter(above).max_by_key(|m| m.at.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_mount_above_a_path_holds_it() {
        let mount = |at: &str, source: &str| Mount { at: at.into(), source: source.into(), ..Mount::default() };
        let all = [mount("/", "a"), mount("/srv", "b"), mount("/srv/store", "c"), mount("/srv/store", "d")];
        let of = |path: &str| holding(&all, path).map(|m| m.source.as_str());
        assert_eq!((of("/srv/store/x"), of("/srv/storey"), of("/etc"), of("/srv")), (Some("d"), Some("b"), Some("a"), Some("b")));
    }
}
