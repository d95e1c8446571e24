//! Connections under way before the first apply. A machine without connection tracking gets a table that tracks and drops
//! nothing, so that what opens from now on is seen from its first packet; then every connection that the sockets of this
//! machine hold, or that the bundle lists for a forwarding node, is put into the tracking table as established.

use crate::{Error, nft};
use bundle::{SeedFlow, TABLE_FAMILY, TABLE_NAME, seed};
use std::time::Duration;
use sys::track::{Inserted, Tracking, Tuple};
use words::Proto;

/// Seconds an idle TCP connection that was put in stays: as long as the kernel keeps an established one (five days), since
/// sealing workers hold connections that say nothing for hours.
const TCP_TIMEOUT: u32 = 432_000;
/// Seconds an idle UDP flow that was put in stays: the kernel's own for a stream.
const UDP_TIMEOUT: u32 = 180;

/// How long a node that forwards only listens before it enforces, unless told otherwise: long enough that busy
/// connections which no list names are seen in both directions.
pub const TRACKING_PERIOD: Duration = Duration::from_secs(3);

/// How the seeding went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Seeded {
    /// Connections found or listed.
    pub known: usize,
    /// Put in.
    pub inserted: usize,
    /// Tracked already; marked as established.
    pub updated: usize,
    /// Refused by the kernel.
    pub refused: usize,
}

/// A table of our own that makes the kernel track, and drops nothing. Tracking begins with the first rule that asks for
/// a connection's state (`nf_ct_netns_get`).
pub fn tracking_script() -> String {
    let chains: String = ["prerouting", "output"]
        .map(|hook| {
            format!(
                "  chain track-{hook} {{\n    type filter hook {hook} priority 0; policy accept;\n    ct state established accept\n  }}\n"
            )
        })
        .concat();
    nft::replacing(&format!("table {TABLE_FAMILY} {TABLE_NAME} {{\n{chains}}}\n"))
}

/// Puts the connections of this machine's sockets and the listed ones into the tracking table.
pub fn seed(listed: &[SeedFlow]) -> Result<Seeded, Error> {
    let sockets = observe::socket::list()?;
    let mut flows = seed::from_sockets([sockets.as_slice()]);
    flows.extend(listed.iter().cloned());
    let mut tracking = Tracking::open()?;
    let mut seeded = Seeded { known: flows.len(), ..Seeded::default() };
    for flow in &flows {
        let timeout = if flow.proto == Proto::Tcp { TCP_TIMEOUT } else { UDP_TIMEOUT };
        match insert(&mut tracking, flow, timeout) {
            Ok(Inserted::New) => seeded.inserted += 1,
            Ok(Inserted::Updated) => seeded.updated += 1,
            Err(_) => seeded.refused += 1,
        }
    }
    Ok(seeded)
}

/// One connection. Where tracking has it the other way round, that one is marked: which end opened it does not matter
/// for what is established.
fn insert(tracking: &mut Tracking, flow: &SeedFlow, timeout: u32) -> Result<Inserted, sys::Error> {
    let tuple = |t: facts::Tuple| Tuple { src: t.src, dst: t.dst, sport: t.sport, dport: t.dport };
    let (original, reply) = (tuple(flow.original), tuple(flow.reply));
    let protocol = flow.proto.number();
    tracking.insert(protocol, original, reply, timeout).or_else(|_| tracking.insert(protocol, reply, original, timeout))
}
