//! Events as lines of JSON, as the ecosystem reads them (the peer's EVE, versions 7 and 8). In comes what the engine tells, out go lines.
//! Never: allocates per event once its buffers have grown; stops the engine where a line cannot be written: that is kept for the caller.

mod fields;
mod flow;
pub mod names;
mod settings;
mod stats;

pub use settings::Settings;

use crate::json::Json;
use fields::{drop_fields, ends, ether, file_fields, metadata, packet, protocol_field, shown, source, vlans};
use ips_detect::Tables;
use ips_engine::{
    Output, community,
    flow::{Flow, Reason},
    output::{Alert, Anomaly, At, Dropped},
};
use ips_proto::{File, Toward, Transaction};
use ips_rules::{header::App, rule::Rule};
use ips_wire::packet::Transport;
use std::{
    io::{self, Write},
    sync::Arc,
};

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

    /// Goes on with other rules: what their classes are called, and what stands before their references.
    pub fn rename(&mut self, tables: &ips_rules::Tables) {
        self.settings.classes.clear();
        self.settings.take_classes(tables);
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
