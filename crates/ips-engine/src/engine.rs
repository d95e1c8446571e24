//! The engine: frames with their time in, a verdict for each and events out. Layer by layer: decode, flow, stream, application, detection,
//! verdict. Never: asks the clock, keeps a frame.

use crate::{core::Core, output::Output, settings::Settings, standing::Judged, stats::Stats};
use ips_detect::{Memory, Scratch, Tables};
use ips_proto::Parsers;
use ips_wire::{Decoder, Link};
use std::sync::Arc;

/// One worker.
pub struct Engine {
    decoder: Decoder,
    core: Core,
}

/// What becomes of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Fate {
    /// It goes on.
    Accept,
    /// It does not.
    Drop,
}

/// How a frame comes that waits for its verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manner {
    /// It may be dropped; else rules are only told.
    pub enforce: bool,
    /// Checksums of its transport mean something: not where a card is still to fill them in.
    pub sums: bool,
}

impl Default for Manner {
    fn default() -> Self {
        Self { enforce: true, sums: true }
    }
}

impl Engine {
    /// With nothing seen yet.
    pub fn new(settings: Settings, tables: Arc<Tables>, parsers: Parsers) -> Self {
        Self { decoder: Decoder::new(settings.decode.clone()), core: Core::new(settings, tables, parsers) }
    }

    /// Takes a frame; `time` in microseconds since 1970.
    pub fn frame(&mut self, link: Link, time: u64, frame: &[u8], out: &mut dyn Output) -> Fate {
        self.judge(link, time, frame, Manner::default(), out).fate
    }

    /// As [`Engine::frame`], for a frame that waits: what becomes of it, whom to tell, and how its flow stands.
    pub fn judge(&mut self, link: Link, time: u64, frame: &[u8], manner: Manner, out: &mut dyn Output) -> Judged {
        let core = &mut self.core;
        core.begin(frame.len(), manner);
        let mut drop = false;
        self.decoder.decode(link, time, frame, &mut |packet| drop |= core.packet(packet, out));
        core.end(drop)
    }

    /// The flow of the last frame leaves: what comes of it after all is not looked at, and its bytes are let go. It stays in the table, so that
    /// its end is told.
    pub fn leave(&mut self) {
        self.core.leave();
    }

    /// Takes other rules, with what they share between flows; flows, streams and applications stay. What rules kept with a flow goes: it is
    /// theirs. Open transactions are looked at again from their beginning. The old rules are given back, so that letting go of them
    /// need not be done here.
    pub fn exchange(&mut self, tables: Arc<Tables>, memory: Memory) -> (Arc<Tables>, Memory) {
        self.core.exchange(tables, memory)
    }

    /// Everything ends: what was still to be looked at is, and every flow is told.
    pub fn finish(&mut self, out: &mut dyn Output) {
        self.core.finish(out);
    }

    /// What was counted.
    pub fn stats(&self) -> &Stats {
        self.core.stats()
    }

    /// What rules share between flows, to load sets into.
    pub fn memory(&mut self) -> &mut Memory {
        self.core.memory()
    }

    /// How often rules were tried.
    pub fn scratch(&self) -> &Scratch {
        self.core.scratch()
    }

    /// How many flows there are.
    pub fn flows(&self) -> usize {
        self.core.flows()
    }
}
