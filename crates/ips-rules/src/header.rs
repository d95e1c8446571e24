//! A rule's header: action, protocol, both ends and the direction. In come a text and the variables, out comes a [`Header`]
//! or everything that is wrong with it.

use crate::{
    fault::{self, Fault},
    group::{Addresses, Ports, addresses, ports},
    option::within,
    vars::Vars,
};
use rustc_hash::FxHashMap;
use serde::Serialize;
use std::sync::Arc;

/// What a matching rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// The packet goes through unseen by later rules. Highest precedence.
    Pass,
    /// The packet is dropped.
    Drop,
    /// Dropped, and the source is told.
    RejectSource,
    /// Dropped, and the destination is told.
    RejectDestination,
    /// Dropped, and both are told.
    RejectBoth,
    /// Told only.
    Alert,
    /// Changes how the engine treats the flow; nothing is told.
    Config,
}

const ACTIONS: [(&str, Action); 8] = [
    ("alert", Action::Alert),
    ("drop", Action::Drop),
    ("pass", Action::Pass),
    ("reject", Action::RejectSource),
    ("rejectsrc", Action::RejectSource),
    ("rejectdst", Action::RejectDestination),
    ("rejectboth", Action::RejectBoth),
    ("config", Action::Config),
];

/// What is carried over what, as far as headers name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "each is the protocol of its name")]
pub enum App {
    Http,
    Http1,
    Http2,
    Dns,
    Doh2,
    Tls,
    Ssh,
    Smtp,
    Ftp,
    FtpData,
    Smb,
    Dcerpc,
    Quic,
    Websocket,
    Imap,
    Pop3,
    Nfs,
    Ntp,
    Tftp,
    Ike,
    Krb5,
    Dhcp,
    Snmp,
    Sip,
    Rfb,
    Mqtt,
    Telnet,
    Rdp,
    Bittorrent,
    Modbus,
    Dnp3,
    Enip,
    Ldap,
    Pgsql,
    Mdns,
    Llmnr,
}

/// Names in headers and in `app-layer-protocol`.
pub(crate) const APPS: [(&str, App); 39] = [
    ("http", App::Http),
    ("http1", App::Http1),
    ("http2", App::Http2),
    ("dns", App::Dns),
    ("doh2", App::Doh2),
    ("tls", App::Tls),
    ("ssl", App::Tls),
    ("ssh", App::Ssh),
    ("smtp", App::Smtp),
    ("ftp", App::Ftp),
    ("ftp-data", App::FtpData),
    ("smb", App::Smb),
    ("dcerpc", App::Dcerpc),
    ("quic", App::Quic),
    ("websocket", App::Websocket),
    ("imap", App::Imap),
    ("pop3", App::Pop3),
    ("nfs", App::Nfs),
    ("ntp", App::Ntp),
    ("tftp", App::Tftp),
    ("ike", App::Ike),
    ("ikev2", App::Ike),
    ("krb5", App::Krb5),
    ("dhcp", App::Dhcp),
    ("snmp", App::Snmp),
    ("sip", App::Sip),
    ("rfb", App::Rfb),
    ("mqtt", App::Mqtt),
    ("telnet", App::Telnet),
    ("rdp", App::Rdp),
    ("bittorrent-dht", App::Bittorrent),
    ("modbus", App::Modbus),
    ("dnp3", App::Dnp3),
    ("enip", App::Enip),
    ("ldap", App::Ldap),
    ("pgsql", App::Pgsql),
    ("mdns", App::Mdns),
    ("llmnr", App::Llmnr),
    ("dcerpc-udp", App::Dcerpc),
];

/// The application of a name as rules write it.
pub fn app(name: &str) -> Option<App> {
    APPS.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, a)| *a)
}

/// The protocol of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// Any packet with an IP header.
    Ip,
    /// IPv4 only.
    Ipv4,
    /// IPv6 only.
    Ipv6,
    /// TCP, packets and stream.
    Tcp,
    /// TCP, single packets only.
    TcpPackets,
    /// TCP, the stream only.
    TcpBytes,
    /// UDP.
    Udp,
    /// ICMP of both families.
    Icmp,
    /// ICMP of IPv4.
    Icmpv4,
    /// ICMP of IPv6.
    Icmpv6,
    /// SCTP.
    Sctp,
    /// Packets with trouble while decoding, and any other.
    PacketHeader,
    /// A flow in which this application was found.
    App(App),
}

const PROTOCOLS: [(&str, Protocol); 14] = [
    ("ip", Protocol::Ip),
    ("ipv4", Protocol::Ipv4),
    ("ip4", Protocol::Ipv4),
    ("ipv6", Protocol::Ipv6),
    ("ip6", Protocol::Ipv6),
    ("tcp", Protocol::Tcp),
    ("tcp-pkt", Protocol::TcpPackets),
    ("tcp-stream", Protocol::TcpBytes),
    ("udp", Protocol::Udp),
    ("icmp", Protocol::Icmp),
    ("icmpv4", Protocol::Icmpv4),
    ("icmpv6", Protocol::Icmpv6),
    ("sctp", Protocol::Sctp),
    ("pkthdr", Protocol::PacketHeader),
];

/// Which way packets go between the two ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// `->`
    To,
    /// `<>`: either way, each packet by itself.
    Either,
    /// `=>`: both directions of one transaction.
    Transaction,
}

/// A rule's header. Groups are shared among rules that wrote the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Header {
    /// What to do.
    pub action: Action,
    /// In which protocol.
    pub protocol: Protocol,
    /// Source addresses.
    pub source: Arc<Addresses>,
    /// Source ports.
    pub source_ports: Arc<Ports>,
    /// Which way.
    pub direction: Direction,
    /// Destination addresses.
    pub destination: Arc<Addresses>,
    /// Destination ports.
    pub destination_ports: Arc<Ports>,
}

/// Groups that were resolved already, by their text.
#[derive(Default)]
pub(crate) struct Groups {
    addresses: FxHashMap<String, Result<Arc<Addresses>, String>>,
    ports: FxHashMap<String, Result<Arc<Ports>, String>>,
}

impl Groups {
    fn addresses(&mut self, text: &str, vars: &Vars) -> Result<Arc<Addresses>, String> {
        if let Some(known) = self.addresses.get(text) {
            return known.clone();
        }
        let read = addresses(text, vars).map(Arc::new);
        self.addresses.insert(text.to_owned(), read.clone());
        read
    }
    fn ports(&mut self, text: &str, vars: &Vars) -> Result<Arc<Ports>, String> {
        if let Some(known) = self.ports.get(text) {
            return known.clone();
        }
        let read = ports(text, vars).map(Arc::new);
        self.ports.insert(text.to_owned(), read.clone());
        read
    }
}

/// Words of the header: blanks part them, except within brackets.
fn words(text: &str) -> Vec<&str> {
    let (mut out, mut depth, mut from) = (Vec::new(), 0i32, None);
    for (i, b) in text.bytes().enumerate() {
        match b {
            b'[' => depth += 1,
            b']' => depth -= 1,
            _ => {}
        }
        if b.is_ascii_whitespace() && depth <= 0 {
            out.extend(from.take().map(|f| &text[f..i]));
        } else if from.is_none() {
            from = Some(i);
        }
    }
    out.extend(from.map(|f| &text[f..]));
    out
}

/// Reads a header; faults are added, all of them.
pub(crate) fn read(text: &str, head: &str, vars: &Vars, groups: &mut Groups, faults: &mut Vec<Fault>) -> Option<Header> {
    let parts = words(head);
    let [action, protocol, source, source_ports, direction, destination, destination_ports] = parts.as_slice() else {
        let help = "a rule begins: ACTION PROTOCOL SOURCE PORTS -> DESTINATION PORTS (";
        let at = within(text, head.trim());
        faults.push(Fault::new(fault::FORM, format!("the header has {} parts, not 7", parts.len()), help).at(at));
        return None;
    };
    let mut keep = |found: Result<(), Fault>, part: &str| faults.extend(found.err().map(|f| f.at(within(text, part))));
    let action_read = action_of(action);
    keep(action_read.as_ref().map(|_| ()).map_err(Clone::clone), action);
    let protocol_read = protocol_of(protocol);
    keep(protocol_read.as_ref().map(|_| ()).map_err(Clone::clone), protocol);
    let direction_read = match *direction {
        "->" => Ok(Direction::To),
        "<>" => Ok(Direction::Either),
        "=>" => Ok(Direction::Transaction),
        "<-" => Err(Fault::new(fault::FORM, "`<-` is no direction", "turn the ends round and write `->`")),
        other => Err(Fault::new(fault::FORM, format!("`{other}` is no direction"), "write `->`, `<>` or `=>`")),
    };
    keep(direction_read.as_ref().map(|_| ()).map_err(Clone::clone), direction);
    let wrong = |e: String| {
        Fault::new(fault::GROUP, e, "mend the group, or set it: `--set vars.address-groups.NAME=...`, `--set vars.port-groups.NAME=...`")
    };
    let (s, d) = (groups.addresses(source, vars).map_err(wrong), groups.addresses(destination, vars).map_err(wrong));
    let (sp, dp) = (groups.ports(source_ports, vars).map_err(wrong), groups.ports(destination_ports, vars).map_err(wrong));
    keep(s.as_ref().map(|_| ()).map_err(Clone::clone), source);
    keep(sp.as_ref().map(|_| ()).map_err(Clone::clone), source_ports);
    keep(d.as_ref().map(|_| ()).map_err(Clone::clone), destination);
    keep(dp.as_ref().map(|_| ()).map_err(Clone::clone), destination_ports);
    Some(Header {
        action: action_read.ok()?,
        protocol: protocol_read.ok()?,
        source: s.ok()?,
        source_ports: sp.ok()?,
        direction: direction_read.ok()?,
        destination: d.ok()?,
        destination_ports: dp.ok()?,
    })
}

fn action_of(text: &str) -> Result<Action, Fault> {
    if let Some((_, action)) = ACTIONS.iter().find(|(n, _)| n.eq_ignore_ascii_case(text)) {
        return Ok(*action);
    }
    if text.contains(':') {
        let help = "write the rule with alert, drop, reject or pass; firewall policy is the site file's part in Ravelin";
        return Err(Fault::new(fault::NOT_TAKEN, format!("`{text}` is an action of the peer's firewall mode"), help));
    }
    Err(Fault::new(fault::FORM, format!("`{text}` is no action"), "alert, drop, reject, rejectsrc, rejectdst, rejectboth, pass or config"))
}

fn protocol_of(text: &str) -> Result<Protocol, Fault> {
    if let Some((_, p)) = PROTOCOLS.iter().find(|(n, _)| n.eq_ignore_ascii_case(text)) {
        return Ok(*p);
    }
    if let Some((_, a)) = APPS.iter().find(|(n, _)| n.eq_ignore_ascii_case(text)) {
        return Ok(Protocol::App(*a));
    }
    if text.contains(':') {
        let help = "leave the hook out; keywords say by themselves at which point of a transaction a rule is held against it";
        return Err(Fault::new(fault::NOT_TAKEN, format!("`{text}` names a hook of the peer's firewall mode"), help));
    }
    Err(Fault::new(
        fault::NOT_TAKEN,
        format!("`{text}` is no protocol this release knows"),
        "use tcp, udp, icmp, ip or an application such as http, dns, tls",
    ))
}
