//! `ravelin ips`: the inspection engine: its rule language, the engine over captures, and the engine in the packet path with its console.

mod control;
mod pcap;
mod rules;
mod run;
mod settings;

use crate::{args::Global, exit::Exit, trouble::Trouble};
use clap::{Args, Subcommand};

/// Arguments of `ips`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Rules in Suricata's language: check, list, explain
    Rules(Box<rules::Arguments>),
    /// Captures through the engine: alerts, application events and flows as lines of JSON
    Pcap(Box<pcap::Arguments>),
    /// The engine in the packet path, until it is stopped: packets from the kernel's queues, verdicts back
    Run(Box<run::Arguments>),
    /// How a running engine stands: what it counted, which policies, which queues
    Status(control::Arguments),
    /// A running engine reads its rules again; where they are broken the old ones stay, exit 1
    Reload(control::Arguments),
    /// A running engine opens its events' file again, which was moved away
    Reopen(control::Arguments),
    /// A running engine ends: then what is said for failure holds
    Stop(control::Arguments),
    /// The kill switch: no packet waits for the engine any more, whether it runs or hangs
    Off,
    /// Packets wait for the engine again
    On,
}

/// Dispatches.
pub fn run(arguments: &Arguments, global: &Global) -> Result<Exit, Trouble> {
    match &arguments.what {
        What::Rules(a) => rules::run(a, global),
        What::Pcap(a) => pcap::run(a, global),
        What::Run(a) => run::run(a, global),
        What::Status(a) => control::ask("status", a, global),
        What::Reload(a) => control::ask("reload", a, global),
        What::Reopen(a) => control::ask("reopen", a, global),
        What::Stop(a) => control::ask("stop", a, global),
        What::Off => control::switch(true, global),
        What::On => control::switch(false, global),
    }
}
