//! One change of nodes under traffic, measured: what happens to the active node, how long the hole is, what became of the connections.
//! In come a pair with traffic and an event, out comes the drill in numbers. Afterwards both nodes are whole again and the one that took
//! over stays active. Never: leaves a node killed or unplugged, or tells a node what its timer would tell it later: until then another
//! change may cost connections, and a drill that follows at once says so (`Pair::timers`).

use super::{
    Pair,
    event::Event,
    forbidden::{self, Forbidden},
    traffic::{Count, Flows, Gap, Opened},
    watch::{Roles, Watch},
};
use crate::error::LabError;
use serde::Serialize;
use std::time::Duration;
use words::Proto;

/// How long the probe runs before and after, so that the hole has edges.
const BEFORE: Duration = Duration::from_millis(300);
const AFTER: Duration = Duration::from_millis(1500);
/// Connections older than this must live: what the other node may not have been told of yet is younger.
const TOLD_WITHIN: Duration = Duration::from_millis(200);
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
    /// What a stream over TCP saw at the same time: its hole has the sender's retransmissions in it.
    pub stream: Gap,
    /// What became of connections older than the time the other node needs to be told.
    pub flows: Count,
    /// New connections meanwhile.
    pub arrivals: Opened,
    /// What the policy forbids, sent all the while.
    pub forbidden: Forbidden,
    /// Who took and gave the addresses, of both nodes.
    pub roles: Roles,
}

/// Carries out one drill. Every connection of `flows` is older than 200 ms when it begins.
pub fn drill(pair: &mut Pair<'_>, flows: &mut Flows<'_>, event: Event) -> Result<Drill, LabError> {
    let from = pair.settled()?;
    std::thread::sleep(TOLD_WITHIN);
    let (probe, stream) = (flows.probe(Proto::Udp)?, flows.probe(Proto::Tcp)?);
    let (arrivals, trespass, watch) = (flows.arrivals()?, forbidden::begin(pair.stage)?, Watch::begin(pair)?);
    std::thread::sleep(BEFORE);
    let done = event.happen(pair, &from);
    std::thread::sleep(AFTER);
    let (gap, stream, arrivals) = (probe.end(), stream.end(), arrivals.end());
    let (forbidden, roles) = (trespass.end(), watch.end());
    done?;
    let roles = roles?;
    let to = match event {
        // A dead node has its addresses still, and nobody reaches it.
        Event::Kill => pair.other(&from)?,
        _ => pair.settled()?,
    };
    let flows = flows.ask();
    event.restore(pair, &from)?;
    pair.settled()?;
    Ok(Drill { event, from, to, gap, stream, flows, arrivals, forbidden, roles })
}
