//! Ravelin's part of UFW's files, as a bundle holds it. In come entries, out comes whether they are Ravelin's to write. Never: holds
//! an entry of somebody else's; the operator's own stay on the machine.

use ruleset::ufw as rules;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use words::{Digest, Family};

/// How the names of Ravelin's application profiles begin.
pub const PROFILE: &str = "ravelin-";

/// Ravelin's part of UFW's files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UfwFiles {
    /// Rules for IPv4; `None` where UFW has no such file.
    pub v4: Option<UfwFile>,
    /// Rules for IPv6; `None` where UFW has no such file.
    pub v6: Option<UfwFile>,
    /// Application profiles by file name.
    pub profiles: BTreeMap<String, String>,
    /// UFW's chains are loaded and must hold the same; otherwise the files alone are changed.
    pub active: bool,
}

/// Ravelin's part of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UfwFile {
    /// Ravelin's entries; none takes them out.
    pub block: String,
    /// Digest of everybody else's entries, which it was planned and proven with.
    pub others: Digest,
}

impl UfwFiles {
    /// The files by family.
    pub fn files(&self) -> impl Iterator<Item = (Family, &UfwFile)> {
        [(Family::V4, &self.v4), (Family::V6, &self.v6)].into_iter().filter_map(|(f, file)| Some((f, file.as_ref()?)))
    }

    /// The first thing in it that is not Ravelin's to write.
    pub(crate) fn foreign(&self) -> Option<String> {
        let plain = |n: &str| n.starts_with(PROFILE) && n.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        let profile = self.profiles.keys().find(|n| !plain(n)).cloned();
        profile.or_else(|| self.files().find_map(|(family, file)| rules::foreign(&file.block, family)))
    }
}

/// The file of people's rules of a family, below UFW's directory.
pub fn ufw_file(family: Family) -> &'static str {
    match family {
        Family::V4 => "user.rules",
        Family::V6 => "user6.rules",
    }
}

/// Digest of the entries of a rule file that are not Ravelin's, wherever Ravelin's stand among them.
pub fn others(file: &str) -> Digest {
    let all = rules::entries(file);
    Digest::of(rules::text(all.iter().filter(|e| e.owned().is_none())).as_bytes())
}
