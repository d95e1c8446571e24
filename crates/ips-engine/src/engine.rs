//! The engine: frames with their time in, a verdict for each and events out. Layer by layer: decode, flow, stream, application, detection,
//! verdict. Never: asks the clock, keeps a frame.

use crate::{core::Core, output::Output, settings::Settings, stats::Stats};
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

impl Engine {
    /// With nothing seen yet.
    pub fn new(settings: Settings, tables: Arc<Tables>, parsers: Parsers) -> Self {
        Self { decoder: Decoder::new(settings.decode.clone()), core: Core::new(settings, tables, parsers) }
    }

    /// Takes a frame; `time` in microseconds since 1970.
    pub fn frame(&mut self, link: Link, time: u64, frame: &[u8], out: &mut dyn Output) -> Fate {
        let core = &mut self.core;
        core.begin(frame.len());
        let mut drop = false;
        self.decoder.decode(link, time, frame, &mut |packet| drop |= core.packet(packet, out));
        core.end(drop);
        if drop { Fate::Drop } else { Fate::Accept }
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
