//! Origins: why a fact is there. Every flow, rule, label and setting carries at least one, and `explain` prints them.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Where a fact comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "from")]
pub enum Origin {
    /// A line of the site file.
    Site {
        /// File as the operator named it.
        file: String,
        /// Line, from 1.
        line: u32,
        /// Key path, e.g. `hosts.daemon1.runs[0]`.
        path: String,
    },
    /// An entry of the catalogue.
    Catalog {
        /// Service's name.
        service: String,
        /// Entry in it, e.g. `peer lotus.api` or `endpoint api`.
        entry: String,
        /// Where the catalogue has it from, e.g. `lotus:node/config/def.go`.
        source: String,
    },
    /// A rule of Ravelin's own, named by its stable code, e.g. `NET001`.
    Builtin {
        /// Code or short name.
        code: String,
        /// Why it is there, in a sentence.
        why: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Site { file, line, path } => write!(f, "{file}:{line} {path}"),
            Origin::Catalog { service, entry, source } => write!(f, "catalogue {service}, {entry} ({source})"),
            Origin::Builtin { code, why } => write!(f, "built in {code}: {why}"),
        }
    }
}
