//! What may be set for the engine, with the peer's defaults.

use crate::{key::Apart, stream, table};
use ips_wire::decode;

/// Whether checksums are verified.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Checksums {
    /// Streams do not take segments with wrong ones.
    Verify,
    /// They count as right.
    Ignore,
    /// As [`Checksums::Verify`], until a tenth of the first thousand packets was wrong: then the machine that captured them left them to its
    /// network card.
    #[default]
    Auto,
}

/// Settings.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Frames.
    pub decode: decode::Settings,
    /// Flows.
    pub flows: table::Settings,
    /// Streams.
    pub stream: stream::Settings,
    /// What keeps flows apart.
    pub apart: Apart,
    /// Checksums.
    pub checksums: Checksums,
    /// A number that nobody outside knows, for the flow table.
    pub seed: u64,
}
