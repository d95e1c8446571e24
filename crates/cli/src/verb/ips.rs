//! `ravelin ips`: the inspection engine's parts that can be used by themselves: its rule language, and the engine over captures. Packets
//! on their way are not inspected yet.

mod pcap;
mod rules;

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
}

/// Dispatches.
pub fn run(arguments: &Arguments, global: &Global) -> Result<Exit, Trouble> {
    match &arguments.what {
        What::Rules(a) => rules::run(a, global),
        What::Pcap(a) => pcap::run(a, global),
    }
}
