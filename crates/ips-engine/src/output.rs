//! What the engine tells: alerts, drops, anomalies, transactions, files, flows. Whoever writes events implements it; everything is borrowed.

use crate::flow::{Flow, Reason};
use ips_detect::{Hit, Tables, Verdict};
use ips_proto::{Toward, Transaction};
use ips_wire::Packet;

/// Where something happened.
#[derive(Clone, Copy)]
pub struct At<'a> {
    /// With which packet.
    pub packet: &'a Packet<'a>,
    /// Its number in the capture, from 1; 0 where it stands for what was still to be looked at when a flow ended.
    pub number: u64,
    /// Its flow.
    pub flow: Option<&'a Flow>,
    /// Which way it goes.
    pub toward: Toward,
}

/// Where an anomaly lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anomaly {
    /// In a packet.
    Decode,
    /// In a stream.
    Stream,
    /// In an application, in this layer of its reading.
    Application(&'static str),
}

/// Why a packet was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dropped {
    /// By a rule.
    Rules,
    /// By a rate filter, which made a rule drop.
    Rate,
    /// Its flow is dropped.
    Flow,
    /// Its flow is dropped for what could not be known of it.
    Exception,
    /// The receiver would not take it.
    Stream,
    /// Its connection's beginning was not seen.
    Midstream,
    /// What it carries could not be kept: memory.
    Memory,
}

impl Dropped {
    /// All there are, in the order of [`Dropped::index`].
    pub const ALL: [Self; 7] = [Self::Rules, Self::Rate, Self::Flow, Self::Exception, Self::Stream, Self::Midstream, Self::Memory];

    /// Its place in counts.
    pub fn index(self) -> usize {
        self as usize
    }

    /// As events name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rules => "rules",
            Self::Rate => "threshold detection_filter",
            Self::Flow => "flow drop",
            Self::Exception => "exception policy flow drop",
            Self::Stream => "stream error",
            Self::Midstream => "stream midstream",
            Self::Memory => "stream memcap",
        }
    }
}

/// An alert.
#[derive(Clone, Copy)]
pub struct Alert<'a> {
    /// The rule's part of it.
    pub hit: &'a Hit,
    /// The rules.
    pub tables: &'a Tables,
    /// The transaction it matched in.
    pub transaction: Option<&'a dyn Transaction>,
    /// What sets know of values that the rules of this packet found in them.
    pub contexts: &'a [ips_detect::Context],
    /// What becomes of the packet.
    pub verdict: &'a Verdict,
    /// Whether packets wait for the verdict.
    pub inline: bool,
}

/// Takes what the engine tells. Everything may be left out.
#[allow(unused_variables, reason = "what is not wanted is not looked at")]
pub trait Output {
    /// A rule was hit and is to be told.
    fn alert(&mut self, at: &At<'_>, alert: &Alert<'_>) {}
    /// A packet was dropped; by which rule, where by one.
    fn dropped(&mut self, at: &At<'_>, why: Dropped, by: Option<&Alert<'_>>) {}
    /// A packet is to be kept with what a rule tagged before.
    fn tagged(&mut self, at: &At<'_>) {}
    /// Something was unusual.
    fn anomaly(&mut self, at: &At<'_>, kind: Anomaly, event: &'static str, transaction: Option<&dyn Transaction>) {}
    /// A transaction is over.
    fn transaction(&mut self, at: &At<'_>, transaction: &dyn Transaction) {}
    /// A file is over.
    fn file(&mut self, at: &At<'_>, transaction: &dyn Transaction, toward: Toward, file: &ips_proto::File<'_>) {}
    /// A flow is over.
    fn flow(&mut self, flow: &Flow, reason: Reason) {}
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nobody;

impl Output for Nobody {}
