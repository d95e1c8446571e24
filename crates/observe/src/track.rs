//! The connection tracking table of this network namespace.

use crate::Error;
use facts::{Connection, Tuple};
use words::Proto;

/// All tracked connections, sorted.
pub fn list() -> Result<Vec<Connection>, Error> {
    let tuple = |t: sys::track::Tuple| Tuple { src: t.src, dst: t.dst, sport: t.sport, dport: t.dport };
    let mut out: Vec<Connection> = sys::track::Tracking::open()?
        .list()?
        .into_iter()
        .map(|e| Connection {
            proto: Proto::from_number(e.protocol),
            original: tuple(e.original),
            reply: tuple(e.reply),
            state: e.state.map(str::to_owned),
            status: e.status,
            mark: e.mark,
            zone: e.zone,
            timeout: e.timeout,
            sent: e.sent,
            received: e.received,
        })
        .collect();
    out.sort();
    Ok(out)
}
