//! A packet with all that is known around it against the rules: first what is about packets and the stream, then open transactions of the
//! packet's direction, then the verdict; and what is to be told of it.

use crate::{
    app::Conversation,
    engine::Manner,
    flow::{Fate, Flow},
    output::{Alert, Anomaly, At, Dropped, Output},
    stats::Stats,
    stream::{Session, State, StreamEvents, buffer::Next},
};
use ips_detect::{Checksums, Chunk, FlowState, FlowView, Hit, Hits, Memory, Scratch, Seen, Tables, Verdict};
use ips_proto::{FileState, Toward};
use ips_rules::header::Action;
use ips_wire::{
    Packet,
    checksum::{self, Sum},
    packet::{Network, Transport},
};
use std::{net::IpAddr, sync::Arc};

/// Microseconds in a second.
const SECOND: u64 = 1_000_000;
/// Parts of a direction that are looked at when its flow ends.
const MAX_LAST: usize = 64;
/// Files of one transaction in one direction that are told.
const MAX_FILES: usize = 1024;

/// What the layers below found out about a packet.
#[derive(Clone, Copy)]
pub(crate) struct Around {
    pub number: u64,
    pub toward: Toward,
    pub established: bool,
    pub in_stream: bool,
    pub stream_events: StreamEvents,
    pub wrong_sum: bool,
    /// There is no packet: something stands for it where a flow ends.
    pub stand_in: bool,
    /// How it came.
    pub manner: Manner,
}

impl Default for Around {
    fn default() -> Self {
        Self {
            number: 0,
            toward: Toward::Server,
            established: false,
            in_stream: false,
            stream_events: StreamEvents::NONE,
            wrong_sum: false,
            stand_in: false,
            manner: Manner::default(),
        }
    }
}

/// Rules and the room to try them in.
pub(crate) struct Inspector {
    tables: Arc<Tables>,
    pub memory: Memory,
    pub scratch: Scratch,
    hits: Hits,
    decode_names: Vec<&'static str>,
    stream_names: Vec<&'static str>,
    inline: bool,
    sums: bool,
    /// Whom to tell of what was dropped: source, destination.
    pub tell: (bool, bool),
    /// What is only observed would have been dropped.
    pub would_drop: bool,
}

/// A header without anything in it, for what stands for a packet when a flow ends.
const EMPTY_TCP: [u8; 20] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x10, 0, 0, 0, 0, 0, 0];

impl Inspector {
    pub fn new(tables: Arc<Tables>, inline: bool) -> Self {
        Self {
            memory: tables.memory(),
            scratch: tables.scratch(),
            hits: Hits::default(),
            decode_names: Vec::new(),
            stream_names: Vec::new(),
            inline,
            sums: ask_for_sums(&tables),
            tell: (false, false),
            would_drop: false,
            tables,
        }
    }

    /// Takes other rules; gives the old ones back.
    pub fn exchange(&mut self, tables: Arc<Tables>, memory: Memory) -> (Arc<Tables>, Memory) {
        self.sums = ask_for_sums(&tables);
        self.scratch = tables.scratch();
        self.hits = Hits::default();
        (std::mem::replace(&mut self.tables, tables), std::mem::replace(&mut self.memory, memory))
    }

    /// True where the packet must not go on.
    pub fn packet(
        &mut self,
        packet: &Packet<'_>,
        mut flow: Option<&mut Flow>,
        around: Around,
        stats: &mut Stats,
        out: &mut dyn Output,
    ) -> bool {
        self.decode_names.clear();
        self.decode_names.extend(packet.events.iter().map(ips_wire::Event::name));
        self.stream_names.clear();
        self.stream_names.extend(around.stream_events.iter().map(crate::stream::StreamEvent::name));
        self.hits.clear();
        let verdict = match &mut flow {
            None => self.alone(packet, around),
            Some(flow) => self.in_flow(packet, flow, around, stats),
        };
        stats.alerts_lost += u64::from(self.hits.discarded);
        let inline = self.inline && around.manner.enforce;
        let drop = inline && verdict.drop;
        self.would_drop |= self.inline && !inline && verdict.drop;
        if drop {
            self.tell.0 |= verdict.reject_source;
            self.tell.1 |= verdict.reject_destination;
        }
        self.say(packet, flow.as_deref(), around, &verdict, stats, out);
        if let Some(flow) = flow {
            flow.alerted |= self.hits.list.iter().any(|h| h.told);
            if inline && (verdict.drop_flow || flow.detect.dropped) {
                flow.fate = Fate::Dropped;
            } else if flow.detect.passed || flow.detect.bypassed {
                flow.fate = Fate::Passed;
            }
            flow.quiet |= verdict.quiet_flow;
            self.transactions(packet, flow, around, verdict.quiet_tx, stats, out);
        }
        drop
    }

    /// A packet without a flow.
    fn alone(&mut self, packet: &Packet<'_>, around: Around) -> Verdict {
        let Self { tables, memory, scratch, hits, decode_names, stream_names, sums: want_sums, .. } = self;
        let seen = Seen {
            packet,
            toward: around.toward,
            flow: None,
            stream: None,
            in_stream: around.in_stream,
            decode_events: decode_names,
            stream_events: stream_names,
            app_events: &[],
            checksums: if *want_sums { sums(packet, around.manner.sums) } else { Checksums::default() },
        };
        tables.packet(scratch, &seen, None, memory, hits);
        tables.settle(&seen, None, memory, hits)
    }

    fn in_flow(&mut self, packet: &Packet<'_>, flow: &mut Flow, around: Around, stats: &mut Stats) -> Verdict {
        let toward = around.toward;
        let view = view(flow, packet, around);
        let raw = flow.session.as_deref_mut().and_then(|s| due(s, toward, self.inline, around.stand_in));
        let chunk = raw.and_then(|r| {
            let buffer = &flow.session.as_deref()?.side(toward).buffer;
            Some(Chunk { bytes: buffer.bytes(r.from, r.to), offset: r.from, last: r.last })
        });
        stats.inspected += match chunk {
            Some(c) => c.bytes.len() as u64,
            None if !around.in_stream => packet.payload.len() as u64,
            None => 0,
        };
        let Self { tables, memory, scratch, hits, decode_names, stream_names, sums: want_sums, .. } = self;
        let seen = Seen {
            packet,
            toward,
            flow: Some(view),
            stream: chunk,
            in_stream: around.in_stream,
            decode_events: decode_names,
            stream_events: stream_names,
            app_events: &[],
            checksums: if *want_sums { sums(packet, around.manner.sums) } else { Checksums::default() },
        };
        tables.packet(scratch, &seen, Some(&mut flow.detect), memory, hits);
        for conversation in &mut flow.app.conversations {
            look(conversation, tables, scratch, &seen, &mut flow.detect, memory, hits);
        }
        if around.stand_in {
            // Rules about packets have no packet here.
            hits.list.retain(|h| h.stream || h.tx.is_some());
        }
        let verdict = tables.settle(&seen, Some(&mut flow.detect), memory, hits);
        if let Some(raw) = raw
            && let Some(session) = &mut flow.session
        {
            let side = session.side_mut(toward);
            side.buffer.raw = raw.to;
            side.push_raw = false;
        }
        verdict
    }

    /// Alerts, drops, anomalies.
    fn say(&self, packet: &Packet<'_>, flow: Option<&Flow>, around: Around, verdict: &Verdict, stats: &mut Stats, out: &mut dyn Output) {
        let at = At { packet, number: around.number, flow, toward: around.toward };
        let inline = self.inline && around.manner.enforce;
        let alert = |hit: &Hit, out: &mut dyn FnMut(&Alert<'_>)| {
            let transaction = hit.tx.zip(flow).and_then(|(id, f)| f.app.conversations.iter().rev().find_map(|c| c.by_id(id)));
            out(&Alert { hit, tables: &self.tables, transaction, contexts: &self.hits.contexts, verdict, inline });
        };
        for hit in self.hits.list.iter().filter(|h| h.told) {
            stats.alerts += 1;
            alert(hit, &mut |a| out.alert(&at, a));
        }
        if inline && verdict.drop {
            let why = if verdict.dropped_by_rate { Dropped::Rate } else { Dropped::Rules };
            stats.reasons[why.index()] += 1;
            match self.hits.list.iter().find(|h| Some(h.rule) == verdict.dropped_by && !matches!(h.action, Action::Alert | Action::Pass)) {
                Some(hit) => alert(hit, &mut |a| out.dropped(&at, why, Some(a))),
                None => out.dropped(&at, why, None),
            }
        }
        if verdict.tagged && !verdict.tags && !around.stand_in {
            out.tagged(&at);
        }
        for event in &self.decode_names {
            out.anomaly(&at, Anomaly::Decode, event, None);
        }
        for event in &self.stream_names {
            out.anomaly(&at, Anomaly::Stream, event, None);
        }
    }

    /// Tells what is over of transactions, and forgets it.
    fn transactions(&self, packet: &Packet<'_>, flow: &mut Flow, around: Around, quiet: bool, stats: &mut Stats, out: &mut dyn Output) {
        if flow.app.conversations.is_empty() {
            return;
        }
        let mut conversations = std::mem::take(&mut flow.app.conversations);
        {
            let at = At { packet, number: around.number, flow: Some(flow), toward: around.toward };
            for c in &mut conversations {
                tell_conversation(c, &at, quiet, false, stats, out);
            }
        }
        for c in &mut conversations {
            c.parser.looked(around.toward);
            forget(c);
        }
        flow.app.conversations = conversations;
        flow.app.tidy();
    }

    /// A flow is over: what was still to be looked at of a direction is.
    pub fn last(&mut self, flow: &mut Flow, toward: Toward, manner: Manner, stats: &mut Stats, out: &mut dyn Output) {
        let waits = |s: &Session| {
            let side = s.side(toward);
            !matches!(side.buffer.next_raw(u64::MAX, u64::MAX), Next::Nothing) && !side.silent
        };
        // What was lost cuts the rest into parts.
        for _ in 0..MAX_LAST {
            let raw = flow.session.as_deref().is_some_and(waits);
            // Datagrams were looked at when they came.
            if flow.protocol != 6 || !(raw || flow.app.fresh(toward)) || flow.fate != Fate::Open {
                break;
            }
            let packet = stand_in(flow, toward);
            let established = flow.protocol != 6 || flow.session.as_ref().is_some_and(|s| s.state >= State::Established);
            let around = Around { toward, established, stand_in: true, manner, ..Around::default() };
            self.packet(&packet, Some(flow), around, stats, out);
        }
    }

    /// A flow is over, and everything of it was looked at: what was not told is.
    pub fn rest(&mut self, flow: &mut Flow, stats: &mut Stats, out: &mut dyn Output) {
        if !flow.app.conversations.is_empty() {
            let packet = stand_in(flow, Toward::Server);
            let mut conversations = std::mem::take(&mut flow.app.conversations);
            let at = At { packet: &packet, number: 0, flow: Some(flow), toward: Toward::Server };
            for c in &mut conversations {
                tell_conversation(c, &at, false, true, stats, out);
            }
            flow.app.conversations = conversations;
        }
    }
}

/// A part of the stream that rules are to look at now.
#[derive(Clone, Copy)]
struct Due {
    from: u64,
    to: u64,
    last: bool,
}

fn due(session: &mut Session, toward: Toward, inline: bool, ends: bool) -> Option<Due> {
    // What came before the rest became opaque is looked at once more.
    let over = ends || session.state == State::Closed || session.state == State::None || session.side(toward).silent;
    let edge = if inline || over || session.one_sided { u64::MAX } else { session.side(toward).acked() };
    let side = session.side_mut(toward);
    let acked = if over { u64::MAX } else { side.acked() };
    loop {
        match side.buffer.next_raw(edge, acked) {
            Next::Gap(bytes) => side.buffer.raw += bytes,
            Next::Nothing => return None,
            Next::Bytes(from, to) => {
                let fin = side.fin.is_some_and(|f| u64::try_from(side.offset(f)).is_ok_and(|o| to >= o));
                let enough = to - from >= side.chunk;
                if !(inline || enough || side.push_raw || fin || over || side.buffer.full) {
                    return None;
                }
                // Inline what may begin before the packet is looked at together with it.
                let from = if inline { from.saturating_sub(side.chunk).max(side.buffer.base()) } else { from };
                return Some(Due { from, to, last: fin || over });
            }
        }
    }
}

fn view(flow: &Flow, packet: &Packet<'_>, around: Around) -> FlowView {
    let sent = flow.session.as_ref().map(|s| [s.client.next_seq.wrapping_sub(s.client.isn), s.server.next_seq.wrapping_sub(s.server.isn)]);
    FlowView {
        established: around.established,
        age: u32::try_from(packet.time.saturating_sub(flow.start) / SECOND).unwrap_or(u32::MAX),
        packets: flow.packets,
        bytes: flow.bytes,
        sent,
        app: flow.app.view,
    }
}

/// Whether a rule asks for checksums.
fn ask_for_sums(tables: &Tables) -> bool {
    tables.rules().iter().flat_map(|r| &r.checks).any(|c| matches!(c, ips_rules::condition::Check::Checksum(..)))
}

fn sums(packet: &Packet<'_>, count: bool) -> Checksums {
    let transport = match packet.transport {
        _ if !count => None,
        Transport::Tcp(_) => checksum::right(packet, Sum::Tcp),
        Transport::Udp(_) => checksum::right(packet, Sum::Udp),
        Transport::Icmpv4(_) => checksum::right(packet, Sum::Icmpv4),
        Transport::Icmpv6(_) => checksum::right(packet, Sum::Icmpv6),
        Transport::Other => None,
    };
    let network = if matches!(packet.network, Network::V4(_)) { checksum::right(packet, Sum::Ipv4) } else { None };
    Checksums { network, transport }
}

/// Open transactions against the rules, where something of them is new.
fn look(
    c: &mut Conversation,
    tables: &Tables,
    scratch: &mut Scratch,
    seen: &Seen<'_>,
    detect: &mut FlowState,
    memory: &mut Memory,
    hits: &mut Hits,
) {
    if !std::mem::take(&mut c.fresh[seen.toward.index()]) {
        return;
    }
    for at in 0..c.parser.count() {
        let Some(kept) = c.kept.get_mut(at) else { break };
        let tx = c.parser.get(at);
        tables.transaction(scratch, seen, tx, &mut kept.rules, detect, memory, hits);
        kept.looked[seen.toward.index()] |= tx.done(Toward::Server) && tx.done(Toward::Client);
    }
}

fn tell_conversation(c: &mut Conversation, at: &At<'_>, quiet: bool, all: bool, stats: &mut Stats, out: &mut dyn Output) {
    for i in 0..c.parser.count() {
        let Some(kept) = c.kept.get_mut(i) else { break };
        let tx = c.parser.get(i);
        kept.quiet |= quiet && !kept.told;
        let events = tx.events();
        for event in events.get(kept.events..).unwrap_or_default() {
            out.anomaly(at, Anomaly::Application("proto_parser"), event, Some(tx));
        }
        kept.events = events.len();
        for toward in [Toward::Server, Toward::Client] {
            let told = &mut kept.files[toward.index()];
            while *told < MAX_FILES {
                let Some(file) = tx.file(toward, *told) else { break };
                // More may come behind what was lost.
                let open = match file.state {
                    FileState::Open => true,
                    FileState::Truncated => !tx.done(toward),
                    FileState::Closed => false,
                };
                if open && !all {
                    break;
                }
                *told += 1;
                out.file(at, tx, toward, &file);
            }
        }
        let over = tx.done(Toward::Server) && tx.done(Toward::Client);
        kept.over = over || all;
        if (over || all || tx.told_early()) && !kept.told {
            kept.told = true;
            if let Some(s) = stats.apps.of_mut(c.app) {
                s.transactions[usize::from(at.flow.is_some_and(|f| f.protocol != 6))] += 1;
            }
            if !kept.quiet {
                out.transaction(at, tx);
            }
        }
    }
}

/// Forgets the oldest transactions of which everything is told and looked at. Where each packet brings a request or an answer something of the
/// conversation is new always: what counts is the transaction.
fn forget(c: &mut Conversation) {
    let mut gone = 0;
    while c.kept.front().is_some_and(|k| k.told && k.over && k.looked == [true; 2]) {
        c.kept.pop_front();
        gone += 1;
    }
    if gone > 0 {
        c.parser.forget(gone);
    }
}

/// What stands for a packet where a flow ends.
fn stand_in(flow: &Flow, toward: Toward) -> Packet<'static> {
    let (from, to) = if toward == Toward::Server { (flow.client, flow.server) } else { (flow.server, flow.client) };
    let mut packet = Packet::new(flow.last, 0);
    packet.source = from.0;
    packet.source_port = from.1;
    packet.destination = to.0;
    packet.destination_port = to.1;
    packet.protocol = flow.protocol;
    packet.vlans = flow.vlans;
    packet.vlan_layers = flow.vlan_layers;
    packet.flow = true;
    packet.network = match from.0 {
        IpAddr::V4(_) => Network::V4(&[]),
        IpAddr::V6(_) => Network::V6(&[], &[]),
    };
    packet.transport = match flow.protocol {
        6 => Transport::Tcp(&EMPTY_TCP),
        17 => Transport::Udp(&[]),
        1 => Transport::Icmpv4(&[]),
        58 => Transport::Icmpv6(&[]),
        _ => Transport::Other,
    };
    packet
}
