//! Whether a confirmation proves that the way in still works. In come the connections that were there when the change began to
//! wait and what the confirming process was started through, out comes what is proven or why it is refused. Pure: the reading is
//! [`crate::came_by`].
//!
//! A connection is told from an earlier one by the kernel's socket cookie: 64 bits, given once and to no other socket of the same
//! boot, and handed on from the half-open connection to the open one. Addresses and ports come again after a close, inode
//! numbers and process ids wrap.

use crate::Error;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt, net::SocketAddr};

/// A connection to a port of this machine, open now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inbound {
    /// What tells it from all others of this boot.
    pub cookie: u64,
    /// The other end.
    pub from: SocketAddr,
}

/// What the confirming process was started through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CameBy {
    /// Connections from other machines that its ancestors hold.
    pub held: Vec<Inbound>,
    /// An ancestor's environment says that it belongs to an ssh login: the client's address.
    pub told: Option<String>,
}

/// What a confirmation rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proof {
    /// It came over a connection that the new rules let open.
    NewConnection {
        /// The other end.
        from: SocketAddr,
    },
    /// It came over no connection: it proves nothing of the way in, and somebody answers for that.
    Console {
        /// Why it was confirmed all the same.
        reason: String,
    },
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Proof::NewConnection { from } => write!(f, "on a new connection from {from}"),
            // Quoted: a line break in it must not look like another line.
            Proof::Console { reason } => write!(f, "from the console, which proves no way in: {reason:?}"),
        }
    }
}

/// Judges a confirmation. `before` is `None` where nobody noted what was there: then no connection counts as new.
pub fn judge(before: Option<&BTreeSet<u64>>, came: &CameBy, console: Option<&str>) -> Result<Proof, Error> {
    // One old connection is enough: which of several carries the operator cannot be seen.
    let old = came.held.iter().find(|c| before.is_none_or(|b| b.contains(&c.cookie)));
    match (old, came.held.first(), &came.told, console.map(str::trim)) {
        (Some(old), ..) => Err(Error::OldConnection { from: old.from.to_string() }),
        (None, Some(_), _, Some(_)) => Err(Error::NotConsole),
        (None, Some(new), _, None) => Ok(Proof::NewConnection { from: new.from }),
        (None, None, Some(from), _) => Err(Error::UnknownConnection { from: from.clone() }),
        (None, None, None, Some(reason)) if !reason.is_empty() => Ok(Proof::Console { reason: reason.to_owned() }),
        (None, None, None, _) => Err(Error::ConsoleReason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: u64 = 7;
    const NEW: u64 = 8;

    fn came(cookies: &[u64], told: Option<&str>) -> CameBy {
        // The same addresses and ports each time: a port used again makes nothing old or new.
        let from = "198.51.100.7:50000".parse().expect("socket");
        CameBy { held: cookies.iter().map(|&cookie| Inbound { cookie, from }).collect(), told: told.map(str::to_owned) }
    }

    fn judged(came: &CameBy, console: Option<&str>) -> Result<Proof, Error> {
        judge(Some(&BTreeSet::from([OLD])), came, console)
    }

    #[test]
    fn only_a_connection_that_was_not_there_confirms() {
        assert!(matches!(judged(&came(&[NEW], None), None), Ok(Proof::NewConnection { .. })));
        assert!(matches!(judged(&came(&[NEW], Some("198.51.100.7")), None), Ok(Proof::NewConnection { .. })));
        assert!(matches!(judged(&came(&[OLD], None), None), Err(Error::OldConnection { .. })));
        assert!(matches!(judged(&came(&[NEW, OLD], None), None), Err(Error::OldConnection { .. })));
        assert!(matches!(judge(None, &came(&[NEW], None), None), Err(Error::OldConnection { .. })), "unknown is not new");
    }

    #[test]
    fn a_login_without_its_connection_is_unknown() {
        for console in [None, Some("I say so")] {
            assert!(matches!(judged(&came(&[], Some("198.51.100.7")), console), Err(Error::UnknownConnection { .. })));
        }
    }

    #[test]
    fn a_console_needs_a_reason_and_a_connection_is_no_console() {
        assert!(matches!(judged(&came(&[], None), None), Err(Error::ConsoleReason)));
        assert!(matches!(judged(&came(&[], None), Some("  ")), Err(Error::ConsoleReason)));
        assert_eq!(judged(&came(&[], None), Some(" at the rack ")).ok(), Some(Proof::Console { reason: "at the rack".into() }));
        assert!(matches!(judged(&came(&[OLD], None), Some("at the rack")), Err(Error::OldConnection { .. })));
        assert!(matches!(judged(&came(&[NEW], None), Some("at the rack")), Err(Error::NotConsole)));
    }
}
