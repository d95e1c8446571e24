//! One change of nodes under traffic, measured: what happens to the active node, how long the hole is, what became of the connections.
//! In come a pair with traffic and an event, out comes the drill in numbers. Afterwards both nodes are whole again and the one that took
//! over stays active. Never: leaves a node killed or unplugged, or tells a node what its timer would tell it later: until then another
//! change may cost connections, and a drill that follows at once says so (`Pair::timers`).

use super::{
    Pair,
    traffic::{Count, Flows, Gap, Opened},
    watch::{Roles, Watch},
};
use crate::error::LabError;
use serde::Serialize;
use std::time::Duration;

/// How long the probe runs before and after, so that the hole has edges.
const BEFORE: Duration = Duration::from_millis(300);
const AFTER: Duration = Duration::from_millis(1500);
/// Connections older than this must live: what the other node may not have been told of yet is younger.
const TOLD_WITHIN: Duration = Duration::from_millis(200);
/// How long a stalled node is silent.
const STALL: Duration = Duration::from_secs(1);

/// What happens to the active node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "event", content = "device")]
pub enum Event {
    /// It is told to hand over.
    Drain,
    /// Its daemons are gone and its links down, at once.
    Kill,
    /// Its daemons are stopped for a second while its kernel forwards.
    Stall,
    /// It loses one device.
    Unplug(String),
}

/// A drill in numbers.
#[derive(Debug, Clone, Serialize)]
pub struct Drill {
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
    /// Active before.
    pub from: String,
    /// Active afterwards.
    pub to: String,
    /// What the probe saw.
    pub gap: Gap,
    /// What became of connections older than the time the other node needs to be told.
    pub flows: Count,
    /// New connections meanwhile.
    pub arrivals: Opened,
    /// Who took and gave the addresses, of both nodes.
    pub roles: Roles,
}

/// Carries out one drill. Every connection of `flows` is older than 200 ms when it begins.
pub fn drill(pair: &mut Pair<'_>, flows: &mut Flows<'_>, event: Event) -> Result<Drill, LabError> {
    let from = pair.settled()?;
    std::thread::sleep(TOLD_WITHIN);
    let (probe, arrivals, watch) = (flows.probe()?, flows.arrivals()?, Watch::begin(pair)?);
    std::thread::sleep(BEFORE);
    let done = happen(pair, &from, &event);
    std::thread::sleep(AFTER);
    let (gap, arrivals, roles) = (probe.end(), arrivals.end(), watch.end());
    done?;
    let roles = roles?;
    let to = match event {
        // A dead node has its addresses still, and nobody reaches it.
        Event::Kill => pair.other(&from)?,
        _ => pair.settled()?,
    };
    let flows = flows.ask();
    restore(pair, &from, &event)?;
    pair.settled()?;
    Ok(Drill { event, from, to, gap, flows, arrivals, roles })
}

fn happen(pair: &mut Pair<'_>, node: &str, event: &Event) -> Result<(), LabError> {
    match event {
        Event::Drain => pair.drain(node, true),
        Event::Kill => pair.power_off(node),
        Event::Stall => pair.stall(node, STALL),
        Event::Unplug(device) => pair.plug(node, device, false),
    }
}

fn restore(pair: &mut Pair<'_>, node: &str, event: &Event) -> Result<(), LabError> {
    match event {
        Event::Drain => pair.drain(node, false),
        Event::Kill => {
            // A machine that boots again holds none of the addresses.
            pair.forget(node)?;
            pair.devices(node)?.iter().try_for_each(|d| pair.plug(node, d, true))?;
            pair.run(node)
        }
        Event::Stall => Ok(()),
        Event::Unplug(device) => pair.plug(node, device, true),
    }
}
