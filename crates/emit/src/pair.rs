//! A pair's daemons as files of a node's bundle. In comes the plan's pair, out come both configurations and the drop-ins of both
//! units. Never: a file of the distribution's own.

use crate::{conntrackd, keepalived};
use bundle::{OwnFile, file, pair::Daemon};
use plan::MachinePlan;

/// Mode of these files: they hold no secret, and the daemons' accounts read them.
const READABLE: u32 = 0o644;

/// The files of a node; none where there is no pair. While the layer observes they are a proposal.
pub fn files(machine: &MachinePlan) -> Vec<OwnFile> {
    let Some(pair) = &machine.pair else { return Vec::new() };
    let one = |path: String, content: String| OwnFile { path, mode: READABLE, content };
    let drop_in = |d: Daemon| one(format!("{}{}.d/{}", file::UNITS, d.unit(), file::DROP_IN), bundle::pair::drop_in(d));
    vec![
        one(Daemon::Conntrackd.path().to_owned(), conntrackd::file(pair)),
        one(Daemon::Keepalived.path().to_owned(), keepalived::file(&machine.host, pair)),
        drop_in(Daemon::Conntrackd),
        drop_in(Daemon::Keepalived),
    ]
}
