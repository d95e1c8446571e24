//! The typed rule: what the engine will be written over. Everything is resolved: names of buffers are ids, variables are
//! sets, contents are bytes, what stands behind a content is part of it. Conditions keep the order of the rule; those on bytes
//! are grouped by the buffer they look into.

use crate::{buffer::Buffer, header::Header, num::Number};
use serde::Serialize;
use words::Span;

pub use crate::condition::*;

/// What a rule says about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Meta {
    /// Its number.
    pub sid: u32,
    /// Its generator; 1 where it says none.
    pub gid: u32,
    /// Its revision; 0 where it says none.
    pub rev: u32,
    /// What to tell.
    pub msg: String,
    /// Its class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// 1 (most urgent) to 255; from the rule, else from its class, else 3.
    pub priority: u8,
    /// References: kind and value.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<(String, String)>,
    /// Free pairs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub metadata: Vec<(String, String)>,
    /// Which end is the target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
}

/// Conditions on the bytes of one buffer, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Group {
    /// Which buffer.
    pub buffer: Buffer,
    /// What is done to its bytes first, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub transforms: Vec<Transform>,
    /// What must be true of them.
    pub tests: Vec<Test>,
}

/// Which content is looked for in all traffic at once, before a rule is held against anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Prefilter {
    /// Which of the rule's groups.
    pub group: usize,
    /// Which of its tests.
    pub test: usize,
    /// The bytes: the content, or the part that the rule chose.
    #[serde(serialize_with = "crate::pattern::as_text")]
    pub bytes: Vec<u8>,
    /// Whether the case of letters is ignored.
    pub nocase: bool,
    /// Whether the rule chose it.
    pub chosen: bool,
    /// The content need not be looked for again once it was found here.
    pub suffices: bool,
}

/// A rule, understood in full.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// What it says about itself.
    pub meta: Meta,
    /// Who with whom.
    pub header: Header,
    /// Conditions on packet, flow and transaction, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Check>,
    /// Conditions on bytes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<Group>,
    /// What is done once everything is true, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub effects: Vec<Effect>,
    /// How often it is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<Limit>,
    /// Which content is looked for first; none where no content will do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefilter: Option<Prefilter>,
    /// Its bytes in the source.
    #[serde(skip)]
    pub span: Span,
    /// Which of the files read together, from 0.
    #[serde(skip)]
    pub file: usize,
}

impl Rule {
    /// The flow condition, where there is one.
    pub fn flow(&self) -> Option<&Flow> {
        self.checks.iter().find_map(|c| match c {
            Check::Flow(f) => Some(f),
            _ => None,
        })
    }
    /// The size that a group's buffer must have, where the rule says one.
    pub fn size(group: &Group) -> Option<Number> {
        group.tests.iter().find_map(|t| match t {
            Test::Size(n) => Some(*n),
            _ => None,
        })
    }
}
