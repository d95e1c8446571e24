//! `ravelin learn`: what really flows and runs here, what the site file would cut, and the lines that would allow it. Changes
//! nothing. Each look is recorded, for the decision about going to `enforce`.

use crate::{
    args::Global,
    exit::Exit,
    face::{Face, show},
    input::{self, SiteArgument},
    machine,
    paint::{GOOD, WARN, paint},
    planning,
    trouble::Trouble,
    window,
};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use learn::{Observation, Report, Window};
use serde::Serialize;
use std::{
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

/// Seconds between two looks: a sixth of the two minutes a closed connection stays in the tracking table.
const EVERY_SECONDS: u64 = 20;

/// Arguments of `learn`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    site: SiteArgument,
    /// How long to look, e.g. 10m, 24h [default: once]
    #[arg(long = "for", value_name = "TIME")]
    time: Option<jiff::SignedDuration>,
    /// Seconds between two looks
    #[arg(long, value_name = "SECONDS", default_value_t = EVERY_SECONDS)]
    every: u64,
    /// Which machine of the site this is [default: by its host name, else by its addresses]
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// Reports of machines, NAME=FILE, written there with `ravelin init --facts`, instead of looking here
    #[arg(long, value_name = "NAME=FILE", conflicts_with_all = ["host", "time"])]
    facts: Vec<String>,
    /// The ledger of all looks [default: below the account's state directory]
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
}

#[derive(Serialize)]
struct Learned {
    #[serde(flatten)]
    report: Report,
    window: Window,
}

impl Face for Learned {
    fn text(&self) -> String {
        let style = if matches!(self.window, Window::Clean { .. }) { GOOD } else { WARN };
        format!("{}window {}\n", self.report, paint(style, &self.window))
    }
}

/// Looks, judges, records.
pub fn run(arguments: &Arguments, global: &Global) -> Result<Exit, Trouble> {
    let (model, _) = input::model(&arguments.site.site, global)?;
    let path = arguments.record.clone().unwrap_or_else(|| window::default_path(&model.name));
    let mut ledger = window::load(&path)?;
    if arguments.facts.is_empty() {
        let until = Instant::now() + arguments.time.and_then(|t| Duration::try_from(t).ok()).unwrap_or_default();
        let bar = bar(arguments.time.is_some());
        for looks in 1.. {
            let facts = machine::facts();
            let machine = planning::this_machine(&model, arguments.host.as_deref(), &facts)?;
            let found = ledger.absorb(&model, &[Observation { machine, facts }]);
            window::store(&path, &ledger)?;
            bar.set_message(format!("{looks} looks, {} flows would be cut", found.cut.len()));
            let now = Instant::now();
            if now >= until {
                break;
            }
            thread::sleep(Duration::from_secs(arguments.every).min(until - now));
        }
        bar.finish_and_clear();
    } else {
        let looks = arguments.facts.iter().map(|named| reported(&model, named)).collect::<Result<Vec<_>, _>>()?;
        ledger.absorb(&model, &looks);
        window::store(&path, &ledger)?;
    }
    let learned = Learned { report: ledger.report(&model), window: window::decision(&ledger, &model) };
    show(global, &learned)?;
    Ok(Exit::found(!learned.report.cut.is_empty()))
}

/// A machine's report by `NAME=FILE`.
pub(super) fn reported(model: &site::model::Model, named: &str) -> Result<Observation, Trouble> {
    let (name, file) =
        named.split_once('=').ok_or_else(|| Trouble::usage(format!("`{named}` is not NAME=FILE"), "e.g. --facts daemon1=daemon1.json"))?;
    let facts = super::init::read(file.as_ref())?;
    let machine = planning::this_machine(model, Some(name), &facts)?;
    Ok(Observation { machine, facts })
}

fn bar(long: bool) -> ProgressBar {
    if !long {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} looking at what flows, {msg}, {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
