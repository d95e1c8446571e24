//! Bounds of the reader, each with its reason. What is beyond is a diagnostic, never a panic and never half read.

/// Longest rule in bytes: eight times the peer's 8,192; the longest public rule has about 4,000.
pub const MAX_RULE_BYTES: usize = 65_536;
/// Options of one rule: the longest public rules have about 100.
pub const MAX_OPTIONS: usize = 1_024;
/// Longest content in bytes: the peer's longest rule.
pub const MAX_CONTENT: usize = 8_192;
/// How deep groups and variables may nest: the peer recurses to about this depth.
pub const MAX_NESTING: usize = 16;
/// Members of one address or port group with its variables resolved.
pub const MAX_MEMBERS: usize = 100_000;
/// Longest name of a flowbit, variable or dataset in bytes.
pub const MAX_NAME: usize = 255;
/// Longest file of rules or configuration in bytes: the public set of 36,765 rules has 25 MB with its comments.
pub const MAX_FILE_BYTES: u64 = 256 << 20;
/// Priority where neither rule nor class says one, as with the peer.
pub const DEFAULT_PRIORITY: u8 = 3;
/// Bytes of a fast pattern beyond which more bytes add nothing to how rare it is.
pub const STRONG_ENOUGH: usize = 64;
