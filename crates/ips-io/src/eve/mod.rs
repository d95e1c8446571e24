//! Events as lines of JSON, as the ecosystem reads them (the peer's EVE, versions 7 and 8). In comes what the engine tells, out go lines.
//! Never: allocates per event once its buffers have grown; stops the engine where a line cannot be written: that is kept for the caller.

mod flow;
pub mod names;
mod stats;

use crate::json::Json;
use ips_detect::Tables;
use ips_engine::{
    Output, community,
    flow::{Flow, Reason},
    output::{Alert, Anomaly, At, Dropped},
    stream::buffer::Kept,
};
use ips_proto::{File, FileState, Toward, Transaction};
use ips_rules::{header::App, rule::Rule};
use ips_wire::{
    Packet,
    packet::{Network, Transport},
};
use std::{
    collections::BTreeMap,
    io::{self, Write},
    sync::Arc,
};

/// The peer's `payload-buffer-size` where none is given, in bytes.
const PAYLOAD: usize = 4096;
/// What stands before the value of a reference where no file says it: the peer's `reference.config`.
const PREFIXES: [(&str, &str); 12] = [
    ("bugtraq", "http://www.securityfocus.com/bid/"),
    ("bid", "http://www.securityfocus.com/bid/"),
    ("cve", "https://cve.mitre.org/cgi-bin/cvename.cgi?name="),
    ("secunia", "http://www.secunia.com/advisories/"),
    ("arachnids", "http://www.whitehats.com/info/IDS"),
    ("mcafee", "https://vil.nai.com/vil/content/v_"),
    ("nessus", "https://www.nessus.org/plugins/index.php?view=single&id="),
    ("url", "https://"),
    ("et", "http://doc.emergingthreats.net/"),
    ("etpro", "http://doc.emergingthreatspro.com/"),
    ("telus", "http://"),
    ("md5", "https://www.threatexpert.com/report.aspx?md5="),
];

/// What is written, and how.
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools, reason = "each is a setting of its own")]
pub struct Settings {
    /// Kinds of events; empty for all.
    pub kinds: Vec<String>,
    /// The payload of a packet with an alert, in base64.
    pub payload: bool,
    /// The same, readable.
    pub payload_printable: bool,
    /// Most bytes of a stream that are shown as payload.
    pub payload_most: usize,
    /// The packet itself, in base64.
    pub packet: bool,
    /// The packet itself with anomalies of it.
    pub anomaly_packet: bool,
    /// What a rule refers to.
    pub references: bool,
    /// What stands before the value of each kind of reference.
    pub prefixes: BTreeMap<String, String>,
    /// What was done with connections whose beginning was not seen, in events of flows.
    pub exceptions: bool,
    /// Packets that follow one that a rule tagged.
    pub tagged: bool,
    /// What becomes of the packet, in alerts.
    pub verdict: bool,
    /// Hardware addresses.
    pub ethernet: bool,
    /// The flow's name in other tools.
    pub community_id: bool,
    /// Its seed.
    pub community_seed: u16,
    /// Anomalies of packets.
    pub decode: bool,
    /// Anomalies of streams.
    pub stream: bool,
    /// Anomalies of applications.
    pub application: bool,
    /// Names and values that rules keep.
    pub metadata: bool,
    /// Counts of nothing are left out of statistics.
    pub no_zeros: bool,
    /// The frame's number in the capture.
    pub numbers: bool,
    /// What classes of rules are called.
    pub classes: BTreeMap<String, String>,
}

impl Settings {
    /// Takes what classes are called, and what kinds of references stand for.
    pub fn take_classes(&mut self, tables: &ips_rules::Tables) {
        for (name, class) in tables.classes.iter().flatten() {
            self.classes.insert(name.clone(), class.text.clone());
        }
        if let Some(references) = &tables.references {
            self.prefixes.clone_from(references);
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            kinds: Vec::new(),
            payload: false,
            payload_printable: false,
            payload_most: PAYLOAD,
            packet: false,
            anomaly_packet: false,
            references: false,
            prefixes: PREFIXES.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            exceptions: false,
            tagged: true,
            verdict: true,
            ethernet: false,
            community_id: false,
            community_seed: 0,
            decode: false,
            stream: false,
            application: true,
            metadata: true,
            no_zeros: false,
            numbers: true,
            classes: BTreeMap::new(),
        }
    }
}

/// Writes events.
pub struct Eve<W> {
    to: W,
    settings: Settings,
    json: Json,
    /// Events written, by no kind in particular.
    pub written: u64,
    failed: Option<io::Error>,
    last: u64,
    payload: Vec<u8>,
    tables: Option<Arc<Tables>>,
}

impl<W: Write> Eve<W> {
    /// Writes to here.
    pub fn new(to: W, settings: Settings) -> Self {
        Self { to, settings, json: Json::default(), written: 0, failed: None, last: 0, payload: Vec::new(), tables: None }
    }

    /// These rules have given flows their bits and variables: their names are told.
    pub fn know(&mut self, tables: Arc<Tables>) {
        self.tables = Some(tables);
    }

    /// Everything is written; what could not be is said.
    ///
    /// # Errors
    /// The first fault while writing.
    pub fn end(mut self) -> io::Result<W> {
        match self.failed.take() {
            Some(e) => Err(e),
            None => self.to.flush().map(|()| self.to),
        }
    }

    /// Where lines go.
    pub fn to(&mut self) -> &mut W {
        &mut self.to
    }

    /// Takes what classes of other rules are called.
    pub fn rename(&mut self, classes: BTreeMap<String, String>) {
        self.settings.classes = classes;
    }

    /// Writes an event of whoever runs the engine: `body` adds its fields.
    pub fn other(&mut self, time: u64, kind: &str, body: &mut dyn FnMut(&mut Json)) {
        if !self.wants(kind) {
            return;
        }
        self.json.clear();
        self.json.open();
        self.json.time("timestamp", time);
        self.json.text("event_type", kind);
        body(&mut self.json);
        self.line();
    }

    fn wants(&self, kind: &str) -> bool {
        self.settings.kinds.is_empty() || self.settings.kinds.iter().any(|k| k == kind)
    }

    fn line(&mut self) {
        self.json.close();
        self.json.raw().push(b'\n');
        if self.failed.is_none()
            && let Err(e) = self.to.write_all(self.json.bytes())
        {
            self.failed = Some(e);
        }
        self.written += 1;
    }

    /// What every event of a packet begins with. `of_flow`: seen from who opened the flow, whichever way the packet goes.
    fn begin(&mut self, at: &At<'_>, kind: &str, of_flow: bool) {
        let json = &mut self.json;
        json.clear();
        json.open();
        self.last = self.last.max(at.packet.time);
        json.time("timestamp", at.packet.time);
        if let Some(flow) = at.flow {
            json.number("flow_id", flow.id);
        }
        if at.number > 0 && self.settings.numbers {
            json.number("pcap_cnt", at.number);
        }
        json.text("event_type", kind);
        vlans(json, at.packet.tags());
        ends(json, at, of_flow);
        json.text("pkt_src", source(at));
        if self.settings.community_id && (at.flow.is_some() || community::has(&at.packet.transport)) {
            let p = at.packet;
            let (a, b, proto) = match at.flow {
                Some(f) => (f.client, f.server, f.protocol),
                None => ((p.source, p.source_port), (p.destination, p.destination_port), p.protocol),
            };
            let id = community::id(self.settings.community_seed, a, b, proto);
            self.json.bytes_text("community_id", &id);
        }
        if self.settings.ethernet {
            ether(&mut self.json, at.packet);
        }
        if let Some(outer) = at.packet.outer.filter(|o| o.protocol != 0) {
            self.json.object("tunnel", |j| {
                j.address("src_ip", outer.source);
                j.number("src_port", u64::from(outer.source_port));
                j.address("dest_ip", outer.destination);
                j.number("dest_port", u64::from(outer.destination_port));
                protocol_field(j, outer.protocol);
                j.number("depth", u64::from(at.packet.depth));
            });
        }
    }

    fn object(&mut self, tx: &dyn Transaction) {
        let key = names::event(tx.app());
        self.json.key(key);
        let before = self.json.bytes().len();
        tx.describe(self.json.raw());
        if self.json.bytes().len() == before {
            self.json.raw().extend_from_slice(b"{}");
        }
        tx.beside(self.json.raw());
    }

    fn rule(&mut self, alert: &Alert<'_>, rule: &Rule) {
        let inline = alert.inline;
        let settings = &self.settings;
        let class = rule.meta.class.as_deref().unwrap_or("");
        let class = settings.classes.get(class).map_or(class, String::as_str);
        self.json.object("alert", |j| {
            j.text("action", names::action(alert.hit.action, inline));
            j.number("gid", u64::from(rule.meta.gid));
            j.number("signature_id", u64::from(rule.meta.sid));
            j.number("rev", u64::from(rule.meta.rev));
            j.text("signature", &rule.meta.msg);
            j.text("category", class);
            j.number("severity", u64::from(rule.meta.priority));
            if settings.references && !rule.meta.references.is_empty() {
                j.list("references", |j| {
                    for (kind, value) in &rule.meta.references {
                        let prefix = settings.prefixes.get(&kind.to_ascii_lowercase()).map_or("", String::as_str);
                        // One that names its own scheme needs none.
                        let prefix = if value.contains("://") { "" } else { prefix };
                        j.item(&format!("{prefix}{value}"));
                    }
                });
            }
            let mut contexts = alert.contexts.iter().filter(|c| c.rule == alert.hit.rule).peekable();
            if contexts.peek().is_some() {
                j.object("context", |j| {
                    for c in contexts {
                        let set = alert.tables.sets().get(usize::from(c.set));
                        let named = set.and_then(|s| s.settings.iter().find(|(k, _)| k == "context_key").map(|(_, v)| v.as_str()));
                        j.key(named.or(set.map(|s| s.name.as_str())).unwrap_or_default());
                        j.raw().extend_from_slice(c.json.as_bytes());
                    }
                });
            }
            if !rule.meta.metadata.is_empty() {
                j.object("metadata", |j| {
                    let pairs = &rule.meta.metadata;
                    for (i, (key, _)) in pairs.iter().enumerate() {
                        if pairs[..i].iter().any(|(k, _)| k == key) {
                            continue;
                        }
                        j.list(key, |j| pairs.iter().filter(|(k, _)| k == key).for_each(|(_, v)| j.item(v)));
                    }
                });
            }
        });
    }
}

impl<W: Write> Output for Eve<W> {
    fn alert(&mut self, at: &At<'_>, alert: &Alert<'_>) {
        if !self.wants("alert") {
            return;
        }
        let Some(rule) = alert.tables.rules().get(alert.hit.rule as usize) else { return };
        self.begin(at, "alert", false);
        let p = at.packet;
        match p.transport {
            Transport::Icmpv4([t, c, ..]) | Transport::Icmpv6([t, c, ..]) => {
                self.json.number("icmp_type", u64::from(*t));
                self.json.number("icmp_code", u64::from(*c));
            }
            _ => {}
        }
        if let Some(id) = alert.hit.tx {
            self.json.number("tx_id", id);
        }
        self.rule(alert, rule);
        if self.settings.verdict {
            let v = alert.verdict;
            self.json.object("verdict", |j| {
                j.text(
                    "action",
                    if v.drop && alert.inline {
                        "drop"
                    } else if v.pass {
                        "pass"
                    } else {
                        "alert"
                    },
                );
                if v.reject_source || v.reject_destination {
                    j.text(
                        "reject-target",
                        match (v.reject_source, v.reject_destination) {
                            (true, true) => "both",
                            (true, false) => "to_client",
                            _ => "to_server",
                        },
                    );
                }
            });
        }
        if let Some(tx) = alert.transaction {
            self.object(tx);
            if let Some(file) = tx.file(at.toward, 0).filter(|_| at.flow.is_some()) {
                self.json.list("files", |j| {
                    j.open();
                    file_fields(j, &file, tx.id());
                    j.close();
                });
            }
        }
        if let Some(flow) = at.flow {
            if let Some(name) = names::known(flow.app.view.flow) {
                self.json.text("app_proto", name);
            }
            self.json.text("direction", if at.toward == Toward::Server { "to_server" } else { "to_client" });
            self.json.object("flow", |j| {
                flow::counts(j, flow);
                j.time("start", flow.start);
                j.address("src_ip", flow.client.0);
                j.address("dest_ip", flow.server.0);
                if matches!(flow.protocol, 6 | 17 | 132) {
                    j.number("src_port", u64::from(flow.client.1));
                    j.number("dest_port", u64::from(flow.server.1));
                }
            });
            if self.settings.metadata {
                metadata(&mut self.json, flow, alert.tables);
            }
        }
        let stream = alert.hit.stream || alert.hit.tx.is_some() && at.flow.is_some_and(|f| f.protocol == 6);
        if self.settings.payload || self.settings.payload_printable {
            let mut payload = std::mem::take(&mut self.payload);
            shown(at, stream, self.settings.payload_most, &mut payload);
            if self.settings.payload {
                self.json.base64("payload", &payload);
            }
            if self.settings.payload_printable {
                self.json.printable("payload_printable", &payload);
            }
            self.json.number("payload_length", payload.len() as u64);
            self.payload = payload;
        }
        self.json.number("stream", u64::from(stream));
        if self.settings.packet {
            packet(&mut self.json, p);
        }
        self.line();
    }

    fn tagged(&mut self, at: &At<'_>) {
        if !self.settings.tagged || !self.wants("packet") && !self.wants("alert") {
            return;
        }
        self.begin(at, "packet", false);
        packet(&mut self.json, at.packet);
        self.line();
    }

    fn dropped(&mut self, at: &At<'_>, why: Dropped, by: Option<&Alert<'_>>) {
        if !self.wants("drop") {
            return;
        }
        self.begin(at, "drop", false);
        self.json.object("drop", |j| drop_fields(j, at.packet, why));
        if let Some(alert) = by
            && let Some(rule) = alert.tables.rules().get(alert.hit.rule as usize)
        {
            self.rule(alert, rule);
        }
        if let Some(flow) = at.flow {
            self.json.text("direction", if at.toward == Toward::Server { "to_server" } else { "to_client" });
            if let Some(name) = names::known(flow.app.view.flow) {
                self.json.text("app_proto", name);
            }
        }
        self.line();
    }

    fn anomaly(&mut self, at: &At<'_>, kind: Anomaly, event: &'static str, transaction: Option<&dyn Transaction>) {
        let wanted = match kind {
            Anomaly::Decode => self.settings.decode,
            Anomaly::Stream => self.settings.stream,
            Anomaly::Application(_) => self.settings.application,
        };
        if !wanted || !self.wants("anomaly") {
            return;
        }
        self.begin(at, "anomaly", false);
        if let Some(tx) = transaction {
            self.json.number("tx_id", tx.id());
        }
        if self.settings.anomaly_packet && !matches!(kind, Anomaly::Application(_)) {
            packet(&mut self.json, at.packet);
        }
        if let (true, Some(flow), Some(tables)) = (self.settings.metadata, at.flow, self.tables.as_deref()) {
            metadata(&mut self.json, flow, tables);
        }
        let app = at.flow.map(|f| f.app.view.flow);
        self.json.object("anomaly", |j| {
            if let (Anomaly::Application(_), Some(name)) = (kind, transaction.map(|t| names::app(t.app())).or(app.and_then(names::known))) {
                j.text("app_proto", name);
            }
            let (text, prefix) = match kind {
                Anomaly::Decode => ("decode", "decoder."),
                Anomaly::Stream => ("stream", "stream."),
                Anomaly::Application(_) => ("applayer", ""),
            };
            j.text("type", text);
            j.key("event");
            let out = j.raw();
            out.push(b'"');
            out.extend_from_slice(prefix.as_bytes());
            let capitals = transaction.map_or(matches!(kind, Anomaly::Application(_)), |t| names::capitals(t.app()));
            // Rules name an application's events with the application in front, the peer's events do not.
            let name = if transaction.is_some() { event.split_once('.').map_or(event, |(_, n)| n) } else { event };
            out.extend(name.bytes().map(|b| if capitals { b.to_ascii_uppercase() } else { b }));
            out.push(b'"');
            if let Anomaly::Application(layer) = kind {
                j.text("layer", layer);
            }
        });
        if let (Some(app), true) = (app.and_then(names::known), !matches!(kind, Anomaly::Application(_))) {
            self.json.text("app_proto", app);
        }
        self.line();
    }

    fn transaction(&mut self, at: &At<'_>, transaction: &dyn Transaction) {
        let kind = names::event(transaction.app());
        if !self.wants(kind) {
            return;
        }
        // Names: each message by itself, as it went.
        let of_flow = !matches!(transaction.app(), App::Dns | App::Mdns | App::Llmnr);
        self.begin(at, kind, of_flow);
        self.json.number("tx_id", transaction.id());
        self.object(transaction);
        self.line();
    }

    fn file(&mut self, at: &At<'_>, transaction: &dyn Transaction, toward: Toward, file: &File<'_>) {
        if !self.wants("fileinfo") {
            return;
        }
        // Seen from who sends the file.
        let turned = At { toward, ..*at };
        self.begin(&turned, "fileinfo", true);
        self.object(transaction);
        self.json.text("app_proto", names::app(transaction.app()));
        self.json.object("fileinfo", |j| file_fields(j, file, transaction.id()));
        self.line();
    }

    fn flow(&mut self, flow: &Flow, reason: Reason) {
        self.flow_events(flow, reason);
    }
}

fn file_fields(j: &mut Json, file: &File<'_>, tx: u64) {
    j.bytes_text("filename", file.name);
    j.flag("gaps", file.gaps);
    j.text(
        "state",
        match file.state {
            FileState::Open => "UNKNOWN",
            FileState::Closed => "CLOSED",
            FileState::Truncated => "TRUNCATED",
        },
    );
    j.flag("stored", false);
    if let Some(d) = file.digests {
        if let Some(d) = &d.md5 {
            j.hex("md5", d);
        }
        if let Some(d) = &d.sha1 {
            j.hex("sha1", d);
        }
        if let Some(d) = &d.sha256 {
            j.hex("sha256", d);
        }
    }
    j.number("size", file.size);
    j.number("tx_id", tx);
}

/// The line that says that something of the settings is wrong, as the peer's log in this form has it. `time` in microseconds since 1970.
pub fn fault(time: u64, module: &str, message: &str) -> Vec<u8> {
    let mut j = Json::default();
    j.open();
    j.time("timestamp", time);
    j.text("log_level", "Error");
    j.text("event_type", "engine");
    j.object("engine", |j| {
        j.text("message", message);
        j.text("module", module);
    });
    j.close();
    let mut out = std::mem::take(j.raw());
    out.push(b'\n');
    out
}

/// What rules keep with a flow: labels of traffic (bits named `traffic/KIND/NAME`), bits, variables, what expressions kept.
fn metadata(j: &mut Json, flow: &Flow, tables: &Tables) {
    const TRAFFIC: &str = "traffic/";
    let state = &flow.detect;
    let names = || state.bits().iter().map(|b| tables.name(*b));
    if names().any(|n| n.starts_with(TRAFFIC)) {
        j.object("traffic", |j| {
            for kind in ["id", "label"] {
                let of =
                    |n: &'_ str| n.strip_prefix(TRAFFIC).and_then(|r| r.strip_prefix(kind)).and_then(|r| r.strip_prefix('/')).is_some();
                if names().any(of) {
                    let skip = TRAFFIC.len() + kind.len() + 1;
                    j.list(kind, |j| names().filter(|n| of(n)).for_each(|n| j.item(&n[skip..])));
                }
            }
        });
    }
    let plain = || names().filter(|n| !n.starts_with(TRAFFIC));
    let bits = plain().next().is_some();
    if !bits && state.ints().is_empty() && state.captures.is_empty() {
        return;
    }
    j.object("metadata", |j| {
        if bits {
            j.list("flowbits", |j| plain().for_each(|n| j.item(n)));
        }
        if !state.ints().is_empty() {
            j.object("flowints", |j| state.ints().iter().for_each(|(n, v)| j.number(tables.name(*n), u64::from(*v))));
        }
        if !state.captures.is_empty() {
            j.list("flowvars", |j| {
                for (name, value) in &state.captures {
                    j.open();
                    j.bytes_text(tables.name(*name), value);
                    j.close();
                }
            });
        }
    });
}

/// What an alert shows: what is held of the stream, with a word where something is missing; else the packet's payload.
fn shown(at: &At<'_>, stream: bool, most: usize, out: &mut Vec<u8>) {
    out.clear();
    if let Some(session) = at.flow.and_then(|f| f.session.as_deref()).filter(|_| stream) {
        for part in session.side(at.toward).buffer.kept() {
            match part {
                Kept::Bytes(bytes) => out.extend_from_slice(&bytes[..bytes.len().min(most.saturating_sub(out.len()))]),
                Kept::Missing(n) => {
                    let _ = write!(out, "[{n} bytes missing]");
                }
            }
            if out.len() >= most {
                break;
            }
        }
    }
    if out.is_empty() {
        out.extend_from_slice(at.packet.payload);
    }
}

/// A packet as a capture would hold it: of what was put together from fragments with the headers of the last one's link.
fn packet(j: &mut Json, p: &Packet<'_>) {
    let front = if p.rebuilt { p.front } else { &[] };
    j.base64_of("packet", front.iter().chain(p.bytes).copied());
    j.object("packet_info", |j| {
        j.number("linktype", u64::from(p.link.number()));
        j.text("linktype_name", p.link.name());
    });
}

fn vlans(json: &mut Json, tags: &[u16]) {
    if !tags.is_empty() {
        json.list("vlan", |j| tags.iter().for_each(|t| j.item_number(u64::from(*t))));
    }
}

fn ends(json: &mut Json, at: &At<'_>, of_flow: bool) {
    let p = at.packet;
    let ((source, destination), protocol) =
        match at.flow.filter(|f| of_flow || f.protocol == p.protocol && matches!(p.transport, Transport::Other)) {
            Some(f) => ((f.client, f.server), f.protocol),
            None => (((p.source, p.source_port), (p.destination, p.destination_port)), p.protocol),
        };
    if matches!(p.network, Network::None) {
        return;
    }
    json.address("src_ip", source.0);
    let ports = matches!(protocol, 6 | 17 | 132) && !p.fragment;
    if ports {
        json.number("src_port", u64::from(source.1));
    }
    json.address("dest_ip", destination.0);
    if ports {
        json.number("dest_port", u64::from(destination.1));
    }
    protocol_field(json, protocol);
    json.number("ip_v", if source.0.is_ipv4() { 4 } else { 6 });
}

fn protocol_field(json: &mut Json, protocol: u8) {
    match names::protocol(protocol) {
        Some(name) => json.text("proto", name),
        None => {
            json.key("proto");
            let out = json.raw();
            let [h, t, u] = [protocol / 100, protocol / 10 % 10, protocol % 10].map(|d| b'0' + d);
            out.extend_from_slice(&[b'"', h, t, u, b'"']);
        }
    }
}

fn source(at: &At<'_>) -> &'static str {
    let p = at.packet;
    match () {
        () if at.number == 0 => "stream (flow timeout)",
        () if p.rebuilt => "defrag",
        () if p.tunnelled && !p.ethernet.is_empty() => "vxlan encapsulation",
        () if p.tunnelled => match p.network {
            Network::V6(..) => "ipv6 tunnel",
            _ => "ipv4 tunnel",
        },
        () => "wire/pcap",
    }
}

fn ether(json: &mut Json, packet: &Packet<'_>) {
    if let Some(header) = packet.ethernet.first_chunk::<14>() {
        json.object("ether", |j| {
            j.mac("src_mac", &header[6..12]);
            j.mac("dest_mac", &header[..6]);
        });
    }
}

fn drop_fields(j: &mut Json, p: &Packet<'_>, why: Dropped) {
    let two = |b: &[u8], at: usize| u64::from(ips_wire::bytes::u16_at(b, at).unwrap_or(0));
    match p.network {
        Network::V4(h) if h.len() >= 20 => {
            j.number("len", two(h, 2));
            j.number("tos", u64::from(h[1]));
            j.number("ttl", u64::from(h[8]));
            j.number("ipid", two(h, 4));
        }
        Network::V6(h, _) if h.len() >= 40 => {
            j.number("len", two(h, 4));
            j.number("tc", u64::from(h[0] & 15) << 4 | u64::from(h[1] >> 4));
            j.number("hoplimit", u64::from(h[7]));
            j.number("flowlbl", u64::from(ips_wire::bytes::u32_at(h, 0).unwrap_or(0) & 0x000f_ffff));
        }
        _ => {}
    }
    if let Some(t) = p.tcp() {
        j.number("tcpseq", u64::from(t.seq()));
        j.number("tcpack", u64::from(t.ack()));
        j.number("tcpwin", u64::from(t.window()));
        use ips_wire::tcp::{ACK, FIN, PSH, RST, SYN, URG};
        for (name, flag) in [("syn", SYN), ("ack", ACK), ("psh", PSH), ("rst", RST), ("urg", URG), ("fin", FIN)] {
            j.flag(name, t.has(flag));
        }
        j.number("tcpres", 0);
        j.number("tcpurgp", u64::from(t.urgent()));
    }
    if let Transport::Udp(h) = p.transport {
        j.number("udplen", two(h, 4));
    }
    j.text("reason", why.name());
}
