//! Names in events: applications, protocols, actions. Tables only.

use ips_detect::Known;
use ips_rules::header::{Action, App};

/// An application as events and rules name it.
pub fn app(app: App) -> &'static str {
    match app {
        App::Http | App::Http1 => "http",
        App::Http2 => "http2",
        App::Dns => "dns",
        App::Doh2 => "doh2",
        App::Tls => "tls",
        App::Ssh => "ssh",
        App::Smtp => "smtp",
        App::Ftp => "ftp",
        App::FtpData => "ftp-data",
        App::Smb => "smb",
        App::Dcerpc => "dcerpc",
        App::Quic => "quic",
        App::Websocket => "websocket",
        App::Imap => "imap",
        App::Pop3 => "pop3",
        App::Nfs => "nfs",
        App::Ntp => "ntp",
        App::Tftp => "tftp",
        App::Ike => "ike",
        App::Krb5 => "krb5",
        App::Dhcp => "dhcp",
        App::Snmp => "snmp",
        App::Sip => "sip",
        App::Rfb => "rfb",
        App::Mqtt => "mqtt",
        App::Telnet => "telnet",
        App::Rdp => "rdp",
        App::Bittorrent => "bittorrent-dht",
        App::Modbus => "modbus",
        App::Dnp3 => "dnp3",
        App::Enip => "enip",
        App::Ldap => "ldap",
        App::Pgsql => "pgsql",
        App::Mdns => "mdns",
        App::Llmnr => "llmnr",
    }
}

/// The kind of event, and the key of its object.
pub fn event(of: App) -> &'static str {
    match of {
        App::Http2 => "http",
        App::FtpData => "ftp_data",
        App::Bittorrent => "bittorrent_dht",
        other => app(other),
    }
}

/// What is known of an application; none where nothing is said.
pub fn known(known: Known) -> Option<&'static str> {
    match known {
        Known::Unknown => None,
        Known::Failed => Some("failed"),
        Known::Is(a) => Some(app(a)),
    }
}

/// Whether the peer writes an application's events in capitals: those of its parsers in C.
pub fn capitals(app: App) -> bool {
    matches!(app, App::Http | App::Http1 | App::Smtp | App::Tls | App::Modbus | App::Dnp3)
}

/// What an alert says was done.
pub fn action(action: Action, inline: bool) -> &'static str {
    match action {
        Action::Drop | Action::RejectSource | Action::RejectDestination | Action::RejectBoth if inline => "blocked",
        _ => "allowed",
    }
}

/// Protocols over IP by number, as the peer (and `/etc/protocols`) names them.
const PROTOCOLS: &[(u8, &str)] = &[
    (0, "HOPOPT"),
    (1, "ICMP"),
    (2, "IGMP"),
    (4, "IP-in-IP"),
    (6, "TCP"),
    (8, "EGP"),
    (17, "UDP"),
    (33, "DCCP"),
    (41, "IPv6"),
    (46, "RSVP"),
    (47, "GRE"),
    (50, "ESP"),
    (51, "AH"),
    (58, "IPv6-ICMP"),
    (88, "EIGRP"),
    (89, "OSPFIGP"),
    (103, "PIM"),
    (112, "VRRP"),
    (115, "L2TP"),
    (132, "SCTP"),
    (136, "UDPLite"),
];

/// The name of a protocol over IP.
pub fn protocol(number: u8) -> Option<&'static str> {
    PROTOCOLS.iter().find(|(n, _)| *n == number).map(|(_, name)| *name)
}
