//! Nodes, edges, evidence. Types only.

use crate::technique::Technique;
use serde::Serialize;
use std::fmt;

/// Something an attacker can hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind", content = "name")]
pub enum Node {
    /// An account, by name.
    Account(String),
    /// Membership of a group, by name.
    Group(String),
    /// A file, directory or device that can be changed, by path.
    File(String),
    /// A socket that can be spoken to, by path.
    Socket(String),
    /// A secret that can be read, by path.
    Secret(String),
    /// The end of the way up.
    Root,
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Node::Account(n) => write!(f, "account {n}"),
            Node::Group(n) => write!(f, "group {n}"),
            Node::File(p) => write!(f, "{p}"),
            Node::Socket(p) => write!(f, "socket {p}"),
            Node::Secret(p) => write!(f, "secret {p}"),
            Node::Root => f.write_str("uid 0"),
        }
    }
}

/// What was seen, and where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Evidence {
    /// In words: mode and owner, the line's text, the setting.
    pub seen: String,
    /// File it stands in.
    pub file: Option<String>,
    /// Line there, from 1.
    pub line: Option<u32>,
}

impl Evidence {
    /// Something seen without a place of its own.
    pub fn new(seen: impl Into<String>) -> Self {
        Self { seen: seen.into(), file: None, line: None }
    }
    /// At a line of a file; line 0 where none is known.
    pub fn at(mut self, file: impl Into<String>, line: u32) -> Self {
        self.file = Some(file.into());
        self.line = (line > 0).then_some(line);
        self
    }
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Edge {
    /// From.
    pub from: Node,
    /// To.
    pub to: Node,
    /// How.
    pub technique: Technique,
    /// Certain; else it could not be excluded, and the evidence says what is not known.
    pub certain: bool,
    /// What was seen.
    pub evidence: Vec<Evidence>,
}

/// A way from an account to what an attacker wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Way {
    /// Its steps, by index into [`Closure::edges`].
    pub steps: Vec<usize>,
    /// Every step is certain.
    pub certain: bool,
}

/// Ways of one account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AccountWays {
    /// The account.
    pub account: String,
    /// Services that run under it.
    pub services: Vec<String>,
    /// Shortest ways, certain ones first.
    pub ways: Vec<Way>,
    /// There were more than are listed.
    pub cut: bool,
}

/// A setting that is no way by itself and helps on many.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Weakness {
    /// Setting or file.
    pub subject: String,
    /// What it lets somebody do.
    pub means: String,
}

/// The whole result.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Closure {
    /// Every edge reached.
    pub edges: Vec<Edge>,
    /// Service accounts with their ways, by name.
    pub accounts: Vec<AccountWays>,
    /// Settings that help.
    pub weaknesses: Vec<Weakness>,
    /// What could not be read, and so what may be missing.
    pub unread: Vec<String>,
}
