//! What may happen to a pair. In come a pair, its active node and a word for it, out comes a pair to which that has happened; what it ends by
//! itself (a link that is back, a daemon its unit starts again) has ended then, and the rest is restored later. Never: measures.

use super::Pair;
use crate::error::LabError;
use bundle::pair::Daemon;
use serde::Serialize;
use std::{fmt, time::Duration};

/// How long a stalled node is silent, a link is away that comes back, a machine takes to boot.
const AWAY: Duration = Duration::from_secs(1);
/// A flapping link: so often, so long down and so long up.
const FLAPS: (u32, Duration) = (5, Duration::from_millis(150));

/// What happens to the active node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "event", content = "device")]
pub enum Event {
    /// It is told to hand over.
    Drain,
    /// Its daemons are gone and its links down, at once.
    Kill,
    /// As killed, and a second later it is back with empty tables.
    Reboot,
    /// Its daemons are stopped for a second while its kernel forwards.
    Stall,
    /// It loses one device.
    Unplug(String),
    /// Both nodes lose the same device for a second.
    UnplugBoth(String),
    /// It loses one device and has it back, five times.
    Flap(String),
    /// The link between the nodes is away for a second.
    Cable,
    /// keepalived is killed, and started again as its unit does it.
    EndElection,
    /// conntrackd is killed, and started again as its unit does it.
    EndSync,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Drain => f.write_str("drain"),
            Event::Kill => f.write_str("kill"),
            Event::Reboot => f.write_str("reboot"),
            Event::Stall => f.write_str("stall of a second"),
            Event::Unplug(d) => write!(f, "{d} lost"),
            Event::UnplugBoth(d) => write!(f, "{d} lost on both for a second"),
            Event::Flap(d) => write!(f, "{d} lost and back five times"),
            Event::Cable => f.write_str("link between the nodes lost for a second"),
            Event::EndElection => f.write_str("keepalived killed"),
            Event::EndSync => f.write_str("conntrackd killed"),
        }
    }
}

/// How long systemd waits before it starts a daemon again (`bundle::pair::unit`).
fn pause(daemon: Daemon) -> Duration {
    match daemon {
        Daemon::Keepalived => Duration::from_millis(100),
        Daemon::Conntrackd => Duration::from_secs(1),
    }
}

impl Event {
    /// All of them, with this zone's device for those that want one.
    pub fn all(device: &str) -> Vec<Event> {
        let d = || device.to_owned();
        vec![
            Event::Drain,
            Event::Kill,
            Event::Reboot,
            Event::Stall,
            Event::Unplug(d()),
            Event::UnplugBoth(d()),
            Event::Flap(d()),
            Event::Cable,
            Event::EndElection,
            Event::EndSync,
        ]
    }

    /// Whether a change of nodes is what it is for; the others may do with none.
    pub fn changes_nodes(&self) -> bool {
        matches!(self, Event::Drain | Event::Kill | Event::Reboot | Event::Unplug(_))
    }

    pub(super) fn happen(&self, pair: &mut Pair<'_>, node: &str) -> Result<(), LabError> {
        match self {
            Event::Drain => pair.drain(node, true),
            Event::Kill => pair.power_off(node),
            Event::Reboot => {
                pair.power_off(node)?;
                std::thread::sleep(AWAY);
                boot(pair, node)
            }
            Event::Stall => pair.stall(node, AWAY),
            Event::Unplug(device) => pair.plug(node, device, false),
            Event::UnplugBoth(device) => {
                let both = pair.names();
                both.iter().try_for_each(|n| pair.plug(n, device, false))?;
                std::thread::sleep(AWAY);
                both.iter().try_for_each(|n| pair.plug(n, device, true))
            }
            Event::Flap(device) => (0..FLAPS.0).try_for_each(|_| away(pair, node, device, FLAPS.1)),
            Event::Cable => {
                let link = pair.link(node)?;
                away(pair, node, &link, AWAY)
            }
            Event::EndElection => end(pair, node, Daemon::Keepalived),
            Event::EndSync => end(pair, node, Daemon::Conntrackd),
        }
    }

    pub(super) fn restore(&self, pair: &mut Pair<'_>, node: &str) -> Result<(), LabError> {
        match self {
            Event::Drain => pair.drain(node, false),
            Event::Kill => boot(pair, node),
            Event::Unplug(device) => pair.plug(node, device, true),
            _ => Ok(()),
        }
    }
}

/// A machine that boots again holds none of the addresses and knows no connection.
fn boot(pair: &mut Pair<'_>, node: &str) -> Result<(), LabError> {
    pair.forget(node)?;
    pair.devices(node)?.iter().try_for_each(|d| pair.plug(node, d, true))?;
    pair.run(node)
}

fn away(pair: &Pair<'_>, node: &str, device: &str, how_long: Duration) -> Result<(), LabError> {
    pair.plug(node, device, false)?;
    std::thread::sleep(how_long);
    pair.plug(node, device, true)?;
    std::thread::sleep(how_long);
    Ok(())
}

fn end(pair: &mut Pair<'_>, node: &str, daemon: Daemon) -> Result<(), LabError> {
    pair.kill_one(node, daemon)?;
    std::thread::sleep(pause(daemon));
    pair.run_one(node, daemon)
}
