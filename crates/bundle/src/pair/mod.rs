//! Configuration of the two daemons of a redundant pair. In come the texts of a bundle, out comes the first line that is not of the
//! form Ravelin writes. The daemons read files that can start programs; what is admitted here cannot: no script, no notification, no
//! include, no macro, and no address that a bundle may not put on a device. Never: judges whether a configuration is a good one.
//!
//! | module | holds |
//! |---|---|
//! | `form` | how a text is held against a form, line by line |
//! | `election` | the form of keepalived's file |
//! | `sync` | the form of conntrackd's file |
//! | `value` | what may stand for an address, a device, a number |
//! | `unit` | the drop-ins of their units, known to the letter |

mod election;
mod form;
mod sync;
mod unit;
mod value;

pub use form::{MAX_LINE, is_comment};
pub use unit::drop_in;

/// keepalived's file: beside the distribution's own.
pub const KEEPALIVED: &str = "/etc/keepalived/ravelin.conf";
/// conntrackd's file: beside the distribution's, which is a conffile of its package.
pub const CONNTRACKD: &str = "/etc/conntrackd/ravelin.conf";
/// What a node is worth, as a number that is added to its priority. Root's alone to write; it outlives a boot, as a drain should.
pub const HEALTH: &str = "/etc/keepalived/ravelin.health";
/// Written there to hand everything to the other node: what is left of the priority is less than what a node has that lost every link, and
/// more than 1, below which nothing counts any more.
pub const DRAINED: i16 = -200;
/// conntrackd's lock, in its unit's own directory.
pub const LOCK: &str = "/run/ravelin-sync/lock";
/// conntrackd's control socket, beside it.
pub const CONTROL: &str = "/run/ravelin-sync/control";

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Daemon {
    /// Tells the other node of connections.
    Conntrackd,
    /// Elects the active node.
    Keepalived,
}

impl Daemon {
    /// Both, in the order they are started in: flows are known before addresses come up.
    pub const ALL: [Daemon; 2] = [Daemon::Conntrackd, Daemon::Keepalived];
    /// Its unit, which the distribution brings.
    pub fn unit(self) -> &'static str {
        match self {
            Daemon::Keepalived => "keepalived.service",
            Daemon::Conntrackd => "conntrackd.service",
        }
    }
    /// Its configuration.
    pub fn path(self) -> &'static str {
        match self {
            Daemon::Keepalived => KEEPALIVED,
            Daemon::Conntrackd => CONNTRACKD,
        }
    }
    /// Whose unit this is.
    pub fn of_unit(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|d| d.unit() == name)
    }
}

/// Holds a daemon's file against its form: the first line that does not belong there, and why.
pub(crate) fn check(daemon: Daemon, text: &str) -> Result<(), (&'static str, String)> {
    match daemon {
        Daemon::Keepalived => election::check(text),
        Daemon::Conntrackd => sync::check(text),
    }
}
