//! The event that says what was counted.

use super::{Eve, names};
use ips_engine::stats::AppStats;
use ips_engine::{Stats, output::Dropped, stream::Exception};
use ips_rules::header::App;
use std::io::Write;

/// Applications that are counted.
const APPS: [App; 26] = [
    App::Http1,
    App::Http2,
    App::Dns,
    App::Doh2,
    App::Tls,
    App::Ssh,
    App::Smtp,
    App::Ftp,
    App::FtpData,
    App::Smb,
    App::Dcerpc,
    App::Quic,
    App::Websocket,
    App::Imap,
    App::Pop3,
    App::Nfs,
    App::Ntp,
    App::Tftp,
    App::Ike,
    App::Krb5,
    App::Dhcp,
    App::Snmp,
    App::Sip,
    App::Rfb,
    App::Rdp,
    App::Enip,
];

/// Applications over TCP and over UDP, which are counted apart.
fn over_both(app: App) -> bool {
    matches!(app, App::Dns | App::Dcerpc | App::Nfs | App::Krb5 | App::Sip | App::Enip)
}

impl<W: Write> Eve<W> {
    /// Writes what was counted so far.
    pub fn stats(&mut self, stats: &Stats, inline: bool, rules: (usize, usize)) {
        if !self.wants("stats") {
            return;
        }
        let (at, s) = (self.last, *stats);
        let j = &mut self.json;
        j.without_zeros(self.settings.no_zeros);
        j.clear();
        j.open();
        j.time("timestamp", at);
        j.text("event_type", "stats");
        j.object("stats", |j| {
            j.object("decoder", |j| {
                for (key, value) in [
                    ("pkts", s.frames),
                    ("bytes", s.bytes),
                    ("invalid", s.invalid),
                    ("ipv4", s.ipv4),
                    ("ipv6", s.ipv6),
                    ("tcp", s.tcp),
                    ("udp", s.udp),
                    ("icmpv4", s.icmpv4),
                    ("icmpv6", s.icmpv6),
                    ("vlan", s.vlan),
                ] {
                    j.number(key, value);
                }
            });
            j.object("defrag", |j| {
                j.number("fragments", s.fragments);
                j.number("reassembled", s.rebuilt);
            });
            j.object("tcp", |j| {
                j.number("sessions", s.sessions);
                j.number("midstream_pickups", s.midstream);
                j.number("invalid_checksum", s.checksum_wrong);
                j.number("reassembly_gap", s.gaps);
                j.number("segment_memcap_drop", s.stream_memory);
            });
            j.object("flow", |j| {
                j.number("total", s.flows);
                j.number("tcp", s.flows_tcp);
                j.number("udp", s.flows_udp);
                j.number("icmp", s.flows_icmp);
                j.number("emerg_mode_entered", s.emergencies);
                j.number("get_used", s.flows_forced);
            });
            j.object("detect", |j| {
                j.list("engines", |j| {
                    j.open();
                    j.number("id", 0);
                    j.number("rules_loaded", rules.0 as u64);
                    j.number("rules_failed", rules.1 as u64);
                    j.close();
                });
                j.number("alert", s.alerts);
                j.number("alert_queue_overflow", s.alerts_lost);
            });
            j.object("app_layer", |j| {
                for (key, of) in [("flow", (|s: AppStats| s.flows) as fn(AppStats) -> [u64; 2]), ("tx", |s| s.transactions)] {
                    j.object(key, |j| {
                        for app in APPS {
                            let counts = of(s.apps.of(app));
                            if over_both(app) {
                                j.number(&format!("{}_tcp", names::app(app)), counts[0]);
                                j.number(&format!("{}_udp", names::app(app)), counts[1]);
                            } else {
                                j.number(names::app(app), counts[0] + counts[1]);
                            }
                        }
                    });
                }
                j.object("error", |j| {
                    for app in APPS {
                        let counts = s.apps.of(app).failed;
                        if over_both(app) {
                            j.object(&format!("{}_tcp", names::app(app)), |j| j.number("parser", counts[0]));
                            j.object(&format!("{}_udp", names::app(app)), |j| j.number("parser", counts[1]));
                        } else {
                            j.object(names::app(app), |j| j.number("parser", counts[0] + counts[1]));
                        }
                    }
                });
            });
            j.object("exception_policy", |j| {
                j.object("tcp", |j| {
                    j.object("midstream", |j| {
                        for done in Exception::ALL.into_iter().skip(1) {
                            j.number(done.name(inline), s.unseen[done.index()]);
                        }
                    });
                });
            });
            if inline {
                j.object("ips", |j| {
                    j.number("accepted", s.passed);
                    j.number("blocked", s.dropped);
                    j.object("drop_reason", |j| {
                        for why in Dropped::ALL {
                            j.number(&why.name().replace(' ', "_"), s.reasons[why.index()]);
                        }
                    });
                });
            }
        });
        self.json.without_zeros(false);
        self.line();
    }
}
