//! Conditions of a rule on packet, flow and transaction: names to numbers, words to types; and what they say of the rule as a whole.

use super::{Interner, side_bits};
use crate::{
    check::{AppMode, Cond, Ends, IntCompare, Sum, app_bit, app_bits},
    fields,
    program::Names,
    seen::Known,
    tables::{DigestKind, TxCond},
};
use ips_rules::{
    Rule,
    condition::{Check, Dataset, FileCheck, Flow, Quantity},
    header::App,
};

/// Applications of names in events and keywords, by what stands before the first dot or underscore.
fn apps_named(name: &str) -> u64 {
    let head = name.split(['.', '_']).next().unwrap_or_default();
    match head {
        "http" => app_bits(App::Http),
        "http2" => app_bit(App::Http2) | app_bit(App::Http),
        "dns" | "mdns" => app_bits(App::Dns),
        "tls" | "ssl" => app_bit(App::Tls),
        "ssh" => app_bit(App::Ssh),
        "smtp" => app_bit(App::Smtp),
        "ftp" => app_bit(App::Ftp),
        "ftpdata" => app_bit(App::FtpData),
        "smb" => app_bit(App::Smb),
        "dcerpc" => app_bits(App::Dcerpc),
        "quic" => app_bit(App::Quic),
        "websocket" => app_bit(App::Websocket),
        "sip" | "sdp" => app_bit(App::Sip),
        "mqtt" => app_bit(App::Mqtt),
        _ => 0,
    }
}

const FILES: [App; 8] = [App::Http, App::Http1, App::Http2, App::Smtp, App::Smb, App::FtpData, App::Ftp, App::Nfs];

fn files() -> u64 {
    FILES.iter().map(|a| app_bit(*a)).fold(0, |a, b| a | b)
}

/// Applications that a number of a transaction belongs to.
fn apps_of_quantity(q: Quantity) -> u64 {
    use Quantity as Q;
    match q {
        Q::FileSize => files(),
        Q::TlsChainLength => app_bit(App::Tls),
        Q::DnsOpcode | Q::DnsRcode | Q::DnsRrtype => app_bits(App::Dns),
        Q::DceOpnum => app_bits(App::Dcerpc),
        Q::SshVersion => app_bit(App::Ssh),
        Q::WebsocketMask | Q::WebsocketOpcode => app_bit(App::Websocket),
        Q::MqttQuality | Q::MqttVersion | Q::MqttReason => app_bit(App::Mqtt),
        Q::Http2SizeUpdate | Q::Http2Window | Q::Http2Priority => app_bit(App::Http2) | app_bit(App::Http),
        Q::FtpPort => app_bit(App::Ftp),
        Q::HttpUriLength | Q::HttpRawUriLength => app_bits(App::Http),
        _ => 0,
    }
}

/// What a rule's checks become.
#[derive(Default)]
pub(super) struct Checks {
    pub conds: Vec<Cond>,
    pub tx: Vec<TxCond>,
    /// Applications that they are about; 0 while none said.
    pub apps: u64,
    /// They are about the packet as it came, so that payload is the packet's.
    pub packet: bool,
    pub stream: bool,
    pub sides: u8,
    pub event: Option<String>,
}

impl Checks {
    pub fn about(&mut self, apps: u64) {
        if apps != 0 {
            self.apps = if self.apps == 0 { apps } else { self.apps & apps };
        }
    }
}

fn ends(name: &str) -> Ends {
    match name {
        "client" | "src" => Ends::First,
        "server" | "dst" => Ends::Second,
        "both" => Ends::Both,
        _ => Ends::Either,
    }
}

/// Kinds of options of IPv4 (IANA); none for any.
fn ip_option(name: &str) -> Option<u8> {
    Some(match name {
        "rr" => 7,
        "eol" => 0,
        "nop" => 1,
        "ts" => 68,
        "sec" => 130,
        "esec" => 133,
        "lsrr" => 131,
        "ssrr" => 137,
        "satid" => 136,
        "cipso" => 134,
        "qs" => 25,
        "rtralt" => 148,
        _ => return None,
    })
}

fn checksum(name: &str) -> Option<Sum> {
    Some(match name {
        "ipv4" => Sum::Ipv4,
        "tcpv4" => Sum::TcpV4,
        "tcpv6" => Sum::TcpV6,
        "udpv4" => Sum::UdpV4,
        "udpv6" => Sum::UdpV6,
        "icmpv4" => Sum::Icmpv4,
        "icmpv6" => Sum::Icmpv6,
        _ => return None,
    })
}

fn split(list: &[(bool, String)]) -> (Vec<String>, Vec<String>) {
    let of = |n: bool| list.iter().filter(|(negated, _)| *negated == n).map(|(_, v)| v.clone()).collect();
    (of(false), of(true))
}

pub(super) fn checks(rule: &Rule, names: &mut Interner) -> Result<Checks, String> {
    let mut out = Checks { sides: 3, ..Checks::default() };
    for check in &rule.checks {
        match check {
            Check::Flow(f) => {
                out.sides &= f.side.map_or(3, side_bits);
                match f.stream {
                    Some(true) => out.stream = true,
                    Some(false) => out.packet = true,
                    None => {}
                }
                if *f != (Flow { stream: f.stream, ..Flow::default() }) {
                    out.conds.push(Cond::Flow(*f));
                }
            }
            Check::Quantity(q, n) if fields::of_packet(*q) => {
                use Quantity as Q;
                let of_flow = matches!(
                    q,
                    Q::FlowAge
                        | Q::FlowPackets
                        | Q::FlowPacketsToServer
                        | Q::FlowPacketsToClient
                        | Q::FlowBytes
                        | Q::FlowBytesToServer
                        | Q::FlowBytesToClient
                        | Q::VlanLayers
                        | Q::VlanId
                );
                out.packet |= !of_flow;
                out.conds.push(Cond::Quantity(*q, *n));
            }
            Check::Quantity(q, n) => {
                // An exchange of MQTT is looked at once, as a whole.
                let whole = matches!(q, Quantity::MqttQuality | Quantity::MqttVersion | Quantity::MqttReason);
                if whole || matches!(q, Quantity::HttpUriLength | Quantity::HttpRawUriLength) {
                    out.sides &= side_bits(ips_rules::buffer::Side::Client);
                }
                out.about(apps_of_quantity(*q));
                out.tx.push(TxCond::Quantity(*q, *n));
            }
            Check::SameIp => {
                out.packet = true;
                out.conds.push(Cond::SameIp);
            }
            Check::TcpFlags(b) => {
                out.packet = true;
                out.conds.push(Cond::TcpFlags(*b));
            }
            Check::FragBits(b) => {
                out.packet = true;
                out.conds.push(Cond::FragBits(*b));
            }
            Check::IpOption(name) => {
                out.packet = true;
                out.conds.push(Cond::IpOption(ip_option(name)));
            }
            Check::Checksum(name, valid) => {
                out.packet = true;
                out.conds.push(Cond::Checksum(checksum(name).ok_or_else(|| format!("no checksum `{name}`"))?, *valid));
            }
            Check::Bits { any, negated } => {
                out.conds.push(Cond::Bits { any: any.iter().map(|b| names.bit(b)).collect(), negated: *negated });
            }
            Check::FlowInt { name, compare, with } => {
                let compare = match compare.as_str() {
                    "==" => IntCompare::Equal,
                    "!=" => IntCompare::Not,
                    "<" => IntCompare::Less,
                    "<=" => IntCompare::AtMost,
                    ">" => IntCompare::Greater,
                    ">=" => IntCompare::AtLeast,
                    other => return Err(format!("no comparison `{other}`")),
                };
                out.conds.push(Cond::FlowInt { name: names.name(name), compare, with: names.with(with) });
            }
            Check::FlowIntSet { name, set } => out.conds.push(Cond::FlowIntSet { name: names.name(name), set: *set }),
            Check::StreamSize { side, size } => {
                out.packet = true;
                out.conds.push(Cond::StreamSize { ends: ends(side), size: *size });
            }
            Check::Application { name, negated, mode } => {
                let (want, apps) = match name.as_str() {
                    "unknown" => (Known::Unknown, 0),
                    "failed" => (Known::Failed, 0),
                    name => {
                        let app = ips_rules::header::app(name).ok_or_else(|| format!("no application `{name}`"))?;
                        (Known::Is(app), app_bits(app))
                    }
                };
                let mode = match mode.as_deref() {
                    Some("to_server") => AppMode::ToServer,
                    Some("to_client") => AppMode::ToClient,
                    Some("either") => AppMode::Either,
                    Some("final") => AppMode::Final,
                    Some("original") => AppMode::Original,
                    _ => AppMode::Direction,
                };
                out.conds.push(Cond::Application { want, apps, negated: *negated, mode });
            }
            Check::ApplicationEvent(name) if name.starts_with("applayer_") => out.conds.push(Cond::AppEvent(name.clone())),
            Check::ApplicationEvent(name) => {
                if name.starts_with("mqtt.") {
                    out.sides &= side_bits(ips_rules::buffer::Side::Client);
                }
                out.about(apps_named(name));
                out.event = Some(name.clone());
                out.tx.push(TxCond::Event(name.clone()));
            }
            Check::DecodeEvent(name) => {
                out.packet = true;
                out.conds.push(Cond::DecodeEvent(name.clone()));
            }
            Check::StreamEvent(name) => {
                out.packet = true;
                out.conds.push(Cond::StreamEvent(name.clone()));
            }
            Check::IpReputation { side, category, compare } => {
                out.conds.push(Cond::Reputation { ends: ends(side), category: names.category(category), compare: *compare });
            }
            Check::File(f) => {
                out.about(files());
                out.tx.push(match f {
                    FileCheck::Name(negated, text) => {
                        TxCond::FileName { negated: *negated, text: text.to_ascii_lowercase().into_bytes(), extension: false }
                    }
                    FileCheck::Extension(negated, text) => TxCond::FileName {
                        negated: *negated,
                        text: format!(".{}", text.to_ascii_lowercase()).into_bytes(),
                        extension: true,
                    },
                    FileCheck::Magic(negated, text) => {
                        TxCond::FileMagic { negated: *negated, text: text.to_ascii_lowercase().into_bytes() }
                    }
                    FileCheck::Digest(kind, list, negated) => {
                        let digest = match kind.as_str() {
                            "md5" => DigestKind::Md5,
                            "sha1" => DigestKind::Sha1,
                            "sha256" => DigestKind::Sha256,
                            other => return Err(format!("no digest `{other}`")),
                        };
                        let set =
                            Dataset { name: list.clone(), kind: Some(kind.clone()), settings: vec![("load".to_owned(), list.clone())] };
                        TxCond::FileDigest { kind: digest, set: names.set(&set), negated: *negated }
                    }
                });
            }
            Check::TlsVersion(list) | Check::TlsState(list) => {
                out.about(app_bit(App::Tls));
                let keyword = if matches!(check, Check::TlsVersion(_)) { "tls.version" } else { "ssl_state" };
                let (any, none) = split(list);
                out.tx.push(TxCond::NamedSet(keyword, any, none));
            }
            Check::TlsDate(which, n) => {
                out.about(app_bit(App::Tls));
                let which = if which == "notbefore" { "notbefore" } else { "notafter" };
                out.tx.push(TxCond::Date(which, *n));
            }
            Check::TlsInForce(valid) => {
                out.about(app_bit(App::Tls));
                out.tx.push(TxCond::InForce(*valid));
            }
            Check::DceInterface { uuid, version, any_fragment } => {
                out.about(app_bits(App::Dcerpc));
                let digits: String = uuid.chars().filter(|c| *c != '-').collect();
                let number = u128::from_str_radix(&digits, 16).map_err(|e| e.to_string())?;
                out.tx.push(TxCond::Interface { uuid: number.to_be_bytes(), version: *version, any_fragment: *any_fragment });
            }
            Check::DceOperation(ranges) => {
                out.about(app_bits(App::Dcerpc));
                out.tx.push(TxCond::Operations(ranges.clone()));
            }
            Check::Named(keyword, value) => {
                if keyword.starts_with("mqtt.") {
                    out.sides &= side_bits(ips_rules::buffer::Side::Client);
                }
                out.about(apps_named(keyword));
                let (negated, value) = value.strip_prefix('!').map_or((false, value.as_str()), |v| (true, v.trim()));
                out.tx.push(TxCond::Named(keyword.clone(), value.to_owned(), negated));
            }
        }
    }
    Ok(out)
}
