//! What can go wrong on the machine. Every message says what and where; `help` says what to do.

use crate::Step;
use std::path::PathBuf;
use words::{Digest, Generation, HostName};

/// Trouble while applying.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum Error {
    #[error("another apply holds {path}")]
    Busy { path: PathBuf },
    #[error(transparent)]
    Kernel(#[from] sys::Error),
    #[error(transparent)]
    Observe(#[from] observe::Error),
    #[error("read {path}")]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{path} is damaged: {why}")]
    Damaged { path: PathBuf, why: String },
    #[error("the bundle is not accepted")]
    Bundle(#[from] bundle::ReadError),
    #[error("what was handed in is not accepted")]
    Signed(#[from] bundle::signed::SignedError),
    #[error("the bundle is not signed, and this machine takes only what keys it trusts have signed")]
    Unsigned,
    #[error("not believed: {0}")]
    Distrust(#[from] bundle::trust::Distrust),
    #[error("a list of flows from elsewhere is not signed, and would let connections through: this machine takes none")]
    UnsignedFlows,
    #[error("this machine has a trust already, epoch {epoch}: it is begun once")]
    TrustExists { epoch: u64 },
    #[error("generation {generation} was taken before this machine's trust changed: it cannot be confirmed any more")]
    TrustChanged { generation: Generation },
    #[error("generation {generation} was taken back by name: this very bundle is not taken again")]
    GivenUp { generation: Generation },
    #[error("this machine has no trust: it takes what root hands in")]
    NoTrust,
    #[error("the trust stays: this session came over a connection, it is no console")]
    ForgetNotConsole,
    #[error("the trust stays: no reason was given")]
    ForgetReason,
    #[error("{path} is not this machine's state directory, and that one has a trust")]
    OtherState { path: PathBuf },
    #[error("the bundle is for machine `{bundle}`, this is `{here}`")]
    OtherMachine { bundle: HostName, here: HostName },
    #[error("generation {offered} is stale: generation {confirmed} is confirmed here")]
    Stale { offered: Generation, confirmed: Generation },
    #[error("generation {offered} is older than generation {highest}, which was already tried here")]
    Older { offered: Generation, highest: Generation },
    #[error("generation {offered} is too far from generation {known}: at most {} more at once", crate::transaction::LONGEST_LEAP)]
    Leap { offered: Generation, known: Generation },
    #[error("the bundle follows {said}, but {is} is confirmed here")]
    OtherParent { said: String, is: String },
    #[error("generation {0} waits to be confirmed or reverted")]
    StillPending(Generation),
    #[error("no confirmed state says which connections are the way in, so none is ended")]
    NothingConfirmed,
    #[error("nothing waits to be confirmed")]
    NothingPending,
    #[error("{offered:?} does not wait to be confirmed, {pending:?} does")]
    OtherPending { offered: Digest, pending: Digest },
    #[error("this is another network namespace than the one the change was made in")]
    OtherNamespace,
    #[error("{asked} connections are asked for, at most {most} are tried at once")]
    TooManyTrials { asked: usize, most: usize },
    #[error("the pair: {0}")]
    Pair(String),
    #[error("UFW: {0}")]
    Ufw(String),
    #[error("nft: {0}")]
    Nft(String),
    #[error("the ruleset is too large for one transaction here: {0}")]
    BatchTooLarge(String),
    #[error("{path} is there and not ours: it does not begin with `{}`", bundle::file::MARK)]
    Foreign { path: String },
    #[error("setting {name} = {value}: {why}")]
    Setting { name: String, value: String, why: String },
    #[error("there is no device {device} to put {address} on")]
    NoDevice { device: String, address: std::net::IpAddr },
    #[error("{what}: {why}")]
    Address { what: String, why: String },
    #[error("the kernel does not hold what was meant: {}", .0.join("; "))]
    ReadBack(Vec<String>),
    #[error("what must work does not: {}", .0.join("; "))]
    Probe(Vec<String>),
    #[error("the revert timer did not start: {0}")]
    Timer(String),
    #[error("too late: the time to confirm it is over")]
    TooLate,
    #[error("not confirmed: this session's connection from {from} was open before the new rules, so it does not show that they let you in")]
    OldConnection { from: String },
    #[error(
        "not confirmed: this session belongs to a login from {from} whose connection is not above it (tmux, screen, a job left behind)"
    )]
    UnknownConnection { from: String },
    #[error("not confirmed: this session came over no connection, so it says nothing of the way in")]
    ConsoleReason,
    #[error("not confirmed: this session came over a connection, it is no console")]
    NotConsole,
    #[error("failed on purpose after step {0}")]
    Injected(Step),
    #[error("no state could be put back: {}", .0.join("; "))]
    Lost(Vec<String>),
}

impl Error {
    /// What to do about it, where there is something.
    pub fn help(&self) -> Option<&'static str> {
        Some(match self {
            Error::Busy { .. } => "wait for it to end, or see `ravelin-applier status`",
            Error::Unsigned => "sign it: `ravelin apply --key FILE`; `ravelin-applier trust show` names the keys that count here",
            Error::Distrust(bundle::trust::Distrust::NotEnough { .. }) => {
                "name a second key as well (--key FILE --key FILE), or have its owner sign the file: `ravelin keys sign`"
            }
            Error::Distrust(_) => {
                "`ravelin-applier trust show` names the keys that count here; a machine that missed a change of keys needs that first"
            }
            Error::UnsignedFlows => "leave --flows away: connections to be taken over stand in the bundle",
            Error::TrustExists { .. } => "keys change with `trust change FILE`, signed by one of those that count; see `trust show`",
            Error::TrustChanged { .. } => "`ravelin-applier revert` takes it back now; then apply again, signed by keys that count today",
            Error::GivenUp { .. } => "plan anew: the next bundle has a higher generation",
            Error::NoTrust => "`ravelin-applier trust begin FILE --machine NAME` begins one",
            Error::ForgetNotConsole => {
                "with keys at hand: `trust change FILE`. Without: go to the machine's console (or its management board's)"
            }
            Error::ForgetReason => "say why: --from-console REASON (recorded)",
            Error::OtherState { .. } => "leave --state away",
            Error::Leap { .. } => "plan again: numbers go up one by one",
            Error::Stale { .. } | Error::Older { .. } | Error::OtherParent { .. } => "plan again: the state of this machine has moved on",
            Error::StillPending(_) => "`ravelin-applier confirm` or `ravelin-applier revert`",
            Error::BatchTooLarge(_) => {
                "without privileges in the first user namespace the socket's limit is net.core.wmem_max: raise it, or run as root. \
                 The change is never split: half a ruleset is not a ruleset"
            }
            Error::Lost(_) => "`ravelin-applier break-glass` on the console leaves the management path and drops the rest",
            Error::OldConnection { .. } => {
                "open a new connection and confirm there (an ssh client that shares connections needs `-o ControlPath=none`); \
                 if none opens, do nothing: the old state comes back at the deadline"
            }
            Error::UnknownConnection { .. } => {
                "open a new connection and confirm right there, outside of tmux or screen; if none opens, do nothing: the old state \
                 comes back at the deadline"
            }
            Error::ConsoleReason => {
                "open a connection over the network and confirm there; or say why the console may decide: --from-console REASON \
                 (recorded). Otherwise the old state comes back at the deadline"
            }
            Error::NotConsole => "leave --from-console away",
            Error::Foreign { .. } => "move it away, or name another unit in the site file; it was left alone",
            Error::NoDevice { .. } => "name the zone's device in the site file: [hosts.NAME] devices = { ZONE = \"eth1\" }",
            Error::OtherNamespace => "run it where the change was made",
            _ => return None,
        })
    }
    /// The message with its causes, in one line.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            let more = cause.to_string();
            if !text.ends_with(&more) {
                text.push_str(": ");
                text.push_str(&more);
            }
            source = cause.source();
        }
        text
    }
}
