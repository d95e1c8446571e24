//! Ends tracked connections. In comes a list that somebody else decided, or "all but the way in"; out comes how many went. The
//! next packet of one that went is judged like any other: with `nf_conntrack_tcp_loose` off it belongs to no connection. Never:
//! ends a connection on the management path, or one of this machine with itself.

use crate::{Error, state::State};
use bundle::Management;
use facts::Connection;
use serde::Serialize;
use std::net::IpAddr;
use sys::track::{Tracking, Tuple};

/// How the cutting went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Cut {
    /// Ended.
    pub ended: usize,
    /// Left alone: the management path, and what `spare` names.
    pub spared: usize,
    /// Had ended by themselves.
    pub gone: usize,
    /// Refused by the kernel.
    pub refused: usize,
}

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} connections ended, {} left alone as the way in", self.ended, self.spared)?;
        match (self.gone, self.refused) {
            (0, 0) => Ok(()),
            (gone, refused) => write!(f, ", {gone} had ended by themselves, {refused} refused by the kernel"),
        }
    }
}

/// Ends exactly these, the way in excepted. Only under a confirmed state: what may still go back must not cost a connection.
pub fn listed(state: &State, list: &[Connection], spare: &[IpAddr]) -> Result<Cut, Error> {
    if let Some(pending) = state.pending()? {
        return Err(Error::StillPending(pending.generation));
    }
    let bundle = state.confirmed_bundle()?.ok_or(Error::NothingConfirmed)?;
    let cut = end(list, &bundle.draft().management, spare)?;
    state.note(Some(bundle.draft().generation), None, format!("cut: {cut}"));
    Ok(cut)
}

/// Ends everything but the way in. Without a known way in nothing is ended: it might be the operator's.
pub fn all_but_management(state: &State, spare: &[IpAddr]) -> Result<Cut, Error> {
    let confirmed = state.confirmed_bundle().ok().flatten();
    let bundle = confirmed.or_else(|| state.pending_bundle().ok().flatten()).ok_or(Error::NothingConfirmed)?;
    let all = observe::track::list()?;
    let cut = end(&all, &bundle.draft().management, spare)?;
    state.note(None, None, format!("break-glass: {cut}"));
    Ok(cut)
}

fn end(list: &[Connection], management: &Management, spare: &[IpAddr]) -> Result<Cut, Error> {
    let mut tracking = Tracking::open()?;
    let mut cut = Cut::default();
    for c in list.iter().filter(|c| c.proto.has_ports()) {
        let o = &c.original;
        // Both ways round: an entry that was put in may stand the wrong way.
        let way_in = |t: &facts::Tuple| management.covers(t) || spare.contains(&t.src);
        if o.src.is_loopback() || o.dst.is_loopback() || o.src == o.dst || way_in(o) || way_in(&c.reply) {
            cut.spared += 1;
            continue;
        }
        let tuple = Tuple { src: o.src, dst: o.dst, sport: o.sport, dport: o.dport };
        match tracking.delete(c.proto.number(), tuple, c.zone) {
            Ok(true) => cut.ended += 1,
            Ok(false) => cut.gone += 1,
            Err(_) => cut.refused += 1,
        }
    }
    Ok(cut)
}
