//! Events about flows: one for the whole, one for each direction.

use super::{
    Eve,
    fields::{metadata, protocol_field, vlans},
    names,
};
use crate::json::Json;
use ips_engine::{
    community,
    flow::{Fate, Flow, Reason},
    stream::Session,
};
use ips_proto::Toward;
use ips_wire::tcp::{ACK, FIN, PSH, RST, SYN, URG};
use std::io::Write;

const SECOND: u64 = 1_000_000;
const FLAGS: [(&str, u8); 8] =
    [("syn", SYN), ("fin", FIN), ("rst", RST), ("psh", PSH), ("ack", ACK), ("urg", URG), ("ecn", 0x40), ("cwr", 0x80)];

/// Packets and bytes both ways.
pub(super) fn counts(j: &mut Json, flow: &Flow) {
    j.number("pkts_toserver", flow.packets[0]);
    j.number("pkts_toclient", flow.packets[1]);
    j.number("bytes_toserver", flow.bytes[0]);
    j.number("bytes_toclient", flow.bytes[1]);
}

fn hex(j: &mut Json, key: &str, flags: u8) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let text = [DIGITS[usize::from(flags >> 4)], DIGITS[usize::from(flags & 15)]];
    j.bytes_text(key, &text);
}

fn flags(j: &mut Json, seen: u8) {
    for (name, flag) in FLAGS {
        if seen & flag != 0 {
            j.flag(name, true);
        }
    }
}

impl<W: Write> Eve<W> {
    fn flow_begin(&mut self, flow: &Flow, kind: &str, toward: Toward) {
        let at = self.last.max(flow.last);
        let j = &mut self.json;
        j.clear();
        j.open();
        j.time("timestamp", at);
        j.number("flow_id", flow.id);
        j.text("event_type", kind);
        vlans(j, &flow.vlans[..usize::from(flow.vlan_layers).min(3)]);
        let (from, to) = if toward == Toward::Server { (flow.client, flow.server) } else { (flow.server, flow.client) };
        let ports = matches!(flow.protocol, 6 | 17 | 132);
        j.address("src_ip", from.0);
        if ports {
            j.number("src_port", u64::from(from.1));
        }
        j.address("dest_ip", to.0);
        if ports {
            j.number("dest_port", u64::from(to.1));
        }
        j.number("ip_v", if from.0.is_ipv4() { 4 } else { 6 });
        protocol_field(j, flow.protocol);
        if matches!(flow.protocol, 1 | 58) {
            j.number("icmp_type", u64::from(flow.icmp[0]));
            j.number("icmp_code", u64::from(flow.icmp[1]));
        }
        if self.settings.community_id {
            let id = community::id(self.settings.community_seed, flow.client, flow.server, flow.protocol);
            self.json.bytes_text("community_id", &id);
        }
        let app = flow.app.view;
        if let Some(name) = names::known(app.flow) {
            self.json.text("app_proto", name);
        }
        for (key, side) in [("app_proto_ts", app.sides[0]), ("app_proto_tc", app.sides[1])] {
            if side != app.flow
                && let Some(name) = names::known(side)
            {
                self.json.text(key, name);
            }
        }
        if self.settings.ethernet && flow.has_ethernet {
            self.json.object("ether", |j| {
                let (to, from) = flow.ethernet.split_at(6);
                let (to, from) = if toward == Toward::Server { (to, from) } else { (from, to) };
                j.list("dest_macs", |j| j.item_mac(to));
                j.list("src_macs", |j| j.item_mac(from));
            });
        }
        if let (true, Some(tables)) = (self.settings.metadata, self.tables.as_deref()) {
            metadata(&mut self.json, flow, tables);
        }
        if let Some(was) = app.original {
            self.json.text("app_proto_orig", names::app(was));
        }
    }

    pub(super) fn flow_events(&mut self, flow: &Flow, reason: Reason) {
        if self.wants("flow") {
            self.flow_begin(flow, "flow", Toward::Server);
            let exceptions = self.settings.exceptions;
            self.json.object("flow", |j| {
                counts(j, flow);
                j.time("start", flow.start);
                j.time("end", flow.last);
                j.number("age", (flow.last / SECOND).saturating_sub(flow.start / SECOND));
                if flow.emergency {
                    j.flag("emergency", true);
                }
                j.text("state", if flow.detect.bypassed { "bypassed" } else { flow.phase.name() });
                j.text("reason", reason.name());
                if let (true, Some(done)) = (exceptions, flow.unseen) {
                    j.list("exception_policy", |j| {
                        j.open();
                        j.text("target", "stream_midstream");
                        j.text("policy", done.name(false));
                        j.close();
                    });
                }
                j.flag("alerted", flow.alerted);
                match flow.fate {
                    Fate::Dropped => j.text("action", "drop"),
                    Fate::Passed if flow.detect.passed => j.text("action", "pass"),
                    _ => {}
                }
            });
            if let Some(session) = &flow.session {
                self.json.object("tcp", |j| tcp(j, session, None));
            }
            self.line();
        }
        if self.settings.kinds.iter().any(|k| k == "netflow") {
            for (side, toward) in [Toward::Server, Toward::Client].into_iter().enumerate() {
                if flow.packets[side] == 0 {
                    continue;
                }
                self.flow_begin(flow, "netflow", toward);
                self.json.object("netflow", |j| {
                    j.number("pkts", flow.packets[side]);
                    j.number("bytes", flow.bytes[side]);
                    j.time("start", flow.start);
                    j.time("end", flow.last);
                    j.number("age", (flow.last / SECOND).saturating_sub(flow.start / SECOND));
                    j.number("min_ttl", u64::from(flow.ttl[side][0]));
                    j.number("max_ttl", u64::from(flow.ttl[side][1]));
                });
                if let Some(session) = &flow.session {
                    self.json.object("tcp", |j| tcp(j, session, Some(toward)));
                }
                self.line();
            }
        }
    }
}

fn tcp(j: &mut Json, session: &Session, toward: Option<Toward>) {
    let (client, server) = (session.client.flags, session.server.flags);
    match toward {
        Some(t) => {
            let seen = session.side(t).flags;
            hex(j, "tcp_flags", seen);
            flags(j, seen);
        }
        None => {
            hex(j, "tcp_flags", client | server);
            hex(j, "tcp_flags_ts", client);
            hex(j, "tcp_flags_tc", server);
            flags(j, client | server);
            j.text("state", session.state.name());
            j.number("ts_max_regions", 1);
            j.number("tc_max_regions", 1);
        }
    }
}
