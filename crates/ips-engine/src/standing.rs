//! How a flow stands towards the rules once a frame of it was judged: whether anything is left of it that they could see. In comes a flow, out
//! comes why nothing is left, or nothing. Never: decides that a flow leaves the engine; whoever holds the packets does.

use crate::{
    engine::Fate,
    flow::{self, Flow},
    key::End,
};
use ips_detect::Known;
use ips_proto::Toward;
use ips_rules::header::App;

/// What became of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Judged {
    /// It goes on or not.
    pub fate: Fate,
    /// A rule wants its source, its destination told that it was dropped.
    pub tell: (bool, bool),
    /// It was only observed, and would have been dropped.
    pub would_drop: bool,
    /// Its flow, where the frame was one packet of one flow: neither a fragment nor a tunnel.
    pub standing: Option<Standing>,
}

/// A flow after a frame of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Its number in events.
    pub flow: u64,
    /// Who opened it, who was called.
    pub ends: (End, End),
    /// Protocol over IP.
    pub protocol: u8,
    /// A rule has spoken of it, or dropped it.
    pub suspect: bool,
    /// It was said before that it leaves: these are packets that were under way.
    pub left: bool,
    /// Why nothing is left that rules on streams and applications could see.
    pub over: Option<Over>,
    /// Bytes both ways so far, headers included.
    pub bytes: u64,
}

/// Why nothing of a flow is left to see. Rules about single packets (their size, flags, rate) could still speak of any of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Over {
    /// A rule let all of it through.
    Passed,
    /// The rest is encrypted, and everything before was looked at.
    Opaque,
    /// Both directions are past the depth that is looked at.
    Deep,
}

impl Over {
    /// As events name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Opaque => "opaque",
            Self::Deep => "depth",
        }
    }
}

impl Standing {
    pub(crate) fn of(flow: &Flow) -> Self {
        let suspect = flow.alerted || flow.fate == flow::Fate::Dropped;
        let bytes = flow.bytes[0].saturating_add(flow.bytes[1]);
        Self { flow: flow.id, ends: (flow.client, flow.server), protocol: flow.protocol, suspect, left: flow.left, over: over(flow), bytes }
    }
}

fn over(flow: &Flow) -> Option<Over> {
    if flow.fate == flow::Fate::Passed {
        return Some(Over::Passed);
    }
    // What both directions of a transaction say is looked at with the next packet of each. An application that is not read any further for
    // another reason than encryption (a tunnel, nonsense) stays: whoever writes it chooses the moment.
    let encrypted = matches!(flow.app.view.flow, Known::Is(App::Tls | App::Ssh | App::Quic));
    if flow.app.opaque && encrypted && flow.app.settled() {
        return Some(Over::Opaque);
    }
    let session = flow.session.as_deref()?;
    let deep = [Toward::Server, Toward::Client].iter().all(|t| {
        let buffer = &session.side(*t).buffer;
        buffer.full && buffer.raw >= buffer.end()
    });
    let waits = flow.app.view.flow == Known::Unknown;
    (deep && !waits && flow.app.settled()).then_some(Over::Deep)
}
