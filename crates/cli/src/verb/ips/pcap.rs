//! `ravelin ips pcap`: captures through the inspection engine. In come captures, rules and settings, out come events in a file and a summary.
//! Never: sends a packet; leaves a rule or a setting out without saying so.

use super::{
    rules::{self, Beside},
    settings,
};
use crate::{
    args::Global,
    exit::Exit,
    face::{Face, remark, show},
    input, progress,
    trouble::Trouble,
};
use clap::{Args, ValueEnum};
use ips_engine::settings::Checksums;
use ips_io::{capture, config::Config, session::Session};
use ips_rules::limits::MAX_FILE_BYTES;
use serde::Serialize;
use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    time::Instant,
};

/// Arguments of `ips pcap`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Captures: pcap or pcapng, also in gzip or zstd; directories with captures in them; `-` for standard input
    #[arg(value_name = "FILE", required = true)]
    captures: Vec<PathBuf>,
    /// Rules files, read together; may be repeated
    #[arg(long, short, value_name = "RULES")]
    rules: Vec<PathBuf>,
    /// Writes events here, a JSON object a line; `-` for standard output
    #[arg(long, short, value_name = "EVE")]
    output: Option<PathBuf>,
    /// Whether checksums are verified; by default until a tenth of the first thousand is wrong
    #[arg(short = 'k', value_enum, value_name = "HOW")]
    checksums: Option<Sums>,
    /// As if packets waited for the verdict: bytes are looked at when they are seen, and drops are told
    #[arg(long)]
    simulate_ips: bool,
    /// Takes settings from the peer's configuration: vars, stream, flow, defrag, HTTP, events; what is not known is named
    #[arg(long, short, value_name = "YAML")]
    config: Option<PathBuf>,
    /// Sets one of them, e.g. stream.midstream=true; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    #[command(flatten)]
    beside: Beside,
}

/// Whether checksums are verified.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Sums {
    /// All are
    All,
    /// None is
    None,
}

/// What was seen.
#[derive(Debug, Serialize)]
struct Inspected {
    captures: usize,
    packets: u64,
    bytes: u64,
    flows: u64,
    alerts: u64,
    dropped: u64,
    events: u64,
    seconds: f64,
    /// Payload that rules could look at, of all payload: the rest was encrypted, beyond the depth, or lost.
    inspected: f64,
    rules: Rules,
    /// Settings that mean nothing here.
    unknown_settings: Vec<String>,
    /// Captures that end within a frame.
    cut: Vec<String>,
    /// Frames of link types that are not looked into.
    foreign: u64,
}

/// Rules by what became of them.
#[derive(Debug, Serialize)]
struct Rules {
    loaded: usize,
    rejected: usize,
}

impl Face for Inspected {
    fn text(&self) -> String {
        let rate = if self.seconds > 0.0 { self.bytes as f64 * 8.0 / self.seconds / 1e9 } else { 0.0 };
        let mut out = format!(
            "{} packets, {} bytes, {} flows in {:.2} s ({rate:.2} Gbit/s)\n{} alerts, {} packets dropped; {:.1} % of the payload could be looked at\n",
            self.packets,
            self.bytes,
            self.flows,
            self.seconds,
            self.alerts,
            self.dropped,
            self.inspected * 100.0
        );
        if self.foreign > 0 {
            out += &format!("{} frames of link types that are not looked into\n", self.foreign);
        }
        out
    }
}

/// Where events go.
enum To {
    Nowhere,
    Stdout,
    File(BufWriter<File>),
}

/// Bytes of events that are written at once.
const BUFFER: usize = 1 << 20;

impl Write for To {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Nowhere => Ok(bytes.len()),
            Self::Stdout => io::stdout().lock().write(bytes),
            Self::File(f) => f.write(bytes),
        }
    }
    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Nowhere => Ok(()),
            Self::Stdout => io::stdout().lock().flush(),
            Self::File(f) => f.flush(),
        }
    }
}

impl Arguments {
    fn config(&self) -> Result<Config, Trouble> {
        let mut config = Config::default();
        settings::take(&mut config, self.config.as_deref(), &self.set)?;
        if self.simulate_ips || config.engine.stream.inline {
            config.inline();
        }
        settings::settle(&mut config)?;
        match self.checksums {
            Some(Sums::All) => config.engine.checksums = Checksums::Verify,
            Some(Sums::None) => config.engine.checksums = Checksums::Ignore,
            None => {}
        }
        if self.output.is_none() {
            config.eve.kinds = vec!["none".to_owned()];
        }
        Ok(config)
    }

    fn to(&self) -> Result<To, Trouble> {
        Ok(match &self.output {
            None => To::Nowhere,
            Some(path) if path == Path::new("-") => To::Stdout,
            Some(path) => {
                let file = File::create(path).map_err(|e| Trouble::io(path, e))?;
                To::File(BufWriter::with_capacity(BUFFER, file))
            }
        })
    }
}

fn read(e: &capture::Trouble) -> Trouble {
    Trouble::usage(e, "captures are pcap or pcapng files, as they are or in gzip or zstd")
}

/// Reads and tells.
pub fn run(arguments: &Arguments, global: &Global) -> Result<Exit, Trouble> {
    let mut config = match arguments.config() {
        Ok(config) => config,
        Err(trouble) => {
            // Whoever reads the events alone learns of it too.
            if arguments.output.is_some() {
                let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
                let time = u64::try_from(now.as_micros()).unwrap_or(u64::MAX);
                if let Ok(mut to) = arguments.to() {
                    let line = ips_io::eve::fault(time, "config", &trouble.to_string());
                    if let Err(e) = to.write_all(&line).and_then(|()| to.flush()) {
                        remark(&format!("the event of this was not written: {e}"));
                    }
                }
            }
            return Err(trouble);
        }
    };
    let named = |own: &Option<PathBuf>, configured: &Option<String>| own.clone().or(configured.as_ref().map(PathBuf::from));
    let beside = Beside {
        classification: named(&arguments.beside.classification, &config.classification),
        reference: named(&arguments.beside.reference, &config.reference),
        threshold: named(&arguments.beside.threshold, &config.threshold),
    };
    let loaded = rules::load(&arguments.rules, config.vars.clone(), &beside)?;
    loaded.remarks("loaded");
    config.eve.take_classes(&loaded.tables);
    config.detect.overrides = loaded.overrides;
    let rejected = loaded.set.rejected.len();
    for key in &config.unknown {
        remark(&format!("setting `{key}` is not known here"));
    }
    let reputation = (config.reputation_categories.take(), std::mem::take(&mut config.reputations));
    let unknown_settings = std::mem::take(&mut config.unknown);
    let files = capture::files(&arguments.captures).map_err(|e| read(&e))?;
    let (mut session, refused) = Session::new(loaded.set.rules, rejected, config, arguments.to()?);
    let directories: Vec<PathBuf> = arguments.rules.iter().filter_map(|r| r.parent().map(Path::to_owned)).collect();
    session.load_sets(&directories).iter().for_each(|fault| remark(fault));
    if let Some(path) = &reputation.0 {
        let values = reputation.1.iter().map(|p| input::text(Path::new(p), MAX_FILE_BYTES)).collect::<Result<Vec<_>, _>>()?;
        session.load_reputations(&input::text(Path::new(path), MAX_FILE_BYTES)?, &values).iter().for_each(|fault| remark(fault));
    }
    for r in &refused {
        remark(&format!("rule {} is not loaded: {}", r.sid, r.why));
    }
    let total = files.iter().filter_map(|f| std::fs::metadata(f).ok()).map(|m| m.len()).sum();
    let bar = progress::Bar::new(total);
    let (mut cut, mut foreign) = (Vec::new(), 0);
    let begun = Instant::now();
    for file in &files {
        let counted = session
            .capture(file, &mut |bytes| {
                bar.add(bytes);
                true
            })
            .map_err(|e| read(&e))?;
        foreign += counted.foreign;
        if counted.cut {
            remark(&format!("{}: ends within a frame", file.display()));
            cut.push(file.display().to_string());
        }
    }
    let rules = session.rules();
    let end = session.end().map_err(|e| Trouble::io(arguments.output.as_deref().unwrap_or(Path::new("standard output")), e))?;
    bar.end();
    let stats = end.stats;
    let share = if stats.payload == 0 { 1.0 } else { (stats.inspected as f64 / stats.payload as f64).min(1.0) };
    let inspected = Inspected {
        captures: files.len(),
        packets: stats.frames,
        bytes: stats.bytes,
        flows: stats.flows,
        alerts: stats.alerts,
        dropped: stats.dropped,
        events: end.events,
        seconds: begun.elapsed().as_secs_f64(),
        inspected: share,
        rules: Rules { loaded: rules.0, rejected: rules.1 },
        unknown_settings,
        cut,
        foreign,
    };
    match end.to {
        // Standard output is the events'.
        To::Stdout => remark(inspected.text().trim_end()),
        _ => show(global, &inspected)?,
    }
    Ok(Exit::Ok)
}
