//! Rules, settings and captures brought together: what `ravelin ips pcap` does, without its arguments.

use crate::{
    capture::{self, Trouble},
    config::Config,
    eve::Eve,
    sets,
};
use ips_detect::{Tables, tables::Refused};
use ips_engine::{Engine, Stats};
use ips_proto::Parsers;
use ips_rules::rule::Rule;
use std::{
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
};

/// What is left at the end.
#[derive(Debug)]
pub struct End<W> {
    /// What was counted.
    pub stats: Stats,
    /// Events written.
    pub events: u64,
    /// Where they went.
    pub to: W,
}

/// An engine with its rules, and where its events go.
pub struct Session<W: Write> {
    tables: Arc<Tables>,
    engine: Engine,
    eve: Eve<W>,
    inline: bool,
    rules: (usize, usize),
}

impl<W: Write> Session<W> {
    /// Compiles the rules; those that cannot be are named. `failed`: how many were not even understood.
    pub fn new(rules: Vec<Rule>, failed: usize, config: Config, to: W) -> (Self, Vec<Refused>) {
        let (tables, refused) = Tables::build(rules, &config.detect);
        let tables = Arc::new(tables);
        let loaded = tables.rules().len();
        let inline = config.engine.stream.inline;
        let engine = Engine::new(config.engine, tables.clone(), Parsers::new(config.parsers));
        let mut eve = Eve::new(to, config.eve);
        eve.know(tables.clone());
        (Self { tables, engine, eve, inline, rules: (loaded, failed + refused.len()) }, refused)
    }

    /// Loads the sets that rules name, from files in these directories; what could not be read is said.
    pub fn load_sets(&mut self, directories: &[PathBuf]) -> Vec<String> {
        sets::load(&self.tables, self.engine.memory(), directories)
    }

    /// Loads reputations of addresses: the text of the file of categories, and of those with values.
    pub fn load_reputations(&mut self, categories: &str, values: &[String]) -> Vec<String> {
        sets::reputations(&self.tables, self.engine.memory(), categories, values)
    }

    /// Rules that are loaded, and that are not.
    pub fn rules(&self) -> (usize, usize) {
        self.rules
    }

    /// Reads a capture through the engine. `progress` is told the bytes of each frame, and says whether to go on.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn capture(&mut self, path: &Path, progress: &mut dyn FnMut(u64) -> bool) -> Result<capture::Counted, Trouble> {
        let (engine, eve) = (&mut self.engine, &mut self.eve);
        capture::read(path, &mut |frame| {
            let _ = engine.frame(frame.link, frame.time, frame.bytes, eve);
            progress(frame.bytes.len() as u64)
        })
    }

    /// Ends all flows and tells what was counted.
    ///
    /// # Errors
    /// Where an event could not be written.
    pub fn end(mut self) -> std::io::Result<End<W>> {
        self.engine.finish(&mut self.eve);
        let stats = *self.engine.stats();
        self.eve.stats(&stats, self.inline, self.rules);
        let events = self.eve.written;
        Ok(End { stats, events, to: self.eve.end()? })
    }
}
