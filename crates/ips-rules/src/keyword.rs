//! The table of keywords: what each is, as data. Sticky buffers and older modifiers are in the table of buffers. What this
//! release does not take stands here too, with the reason. Never: holds how a value is read; that is `parse`'s.

use crate::{
    buffer,
    build::Build,
    fault::Fault,
    option::Opt,
    parse::{bits, bytes, content, data, effect, file, flow, header, limit, meta, pcre, tls, transform},
    rule::{Quantity, Transform},
};
use rustc_hash::FxHashMap;
use std::sync::LazyLock;

/// Reads one option.
pub(crate) type Reader = fn(&mut Build<'_>, &Opt<'_>) -> Result<(), Fault>;

/// What a keyword is.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// Selects a buffer.
    Sticky(buffer::Buffer),
    /// Gives the content before it a buffer.
    Modifier(buffer::Buffer),
    /// Changes a buffer's bytes; without value.
    Transform(&'static Transform),
    /// A number that is compared, up to its largest.
    Quantity(Quantity, u64),
    /// Has a reader of its own.
    Read(Reader),
    /// Not taken, and why.
    Not(&'static str),
}

use Kind::{Not, Quantity as Q, Read, Transform as T};

const BYTE: u64 = u8::MAX as u64;
const SHORT: u64 = u16::MAX as u64;
const WORD: u64 = u32::MAX as u64;
const LONG: u64 = u64::MAX;

/// Keywords beside the buffers.
#[rustfmt::skip]
const KEYWORDS: &[(&str, Kind)] = &[
    // About the rule itself.
    ("msg", Read(meta::msg)), ("sid", Read(meta::sid)), ("gid", Read(meta::gid)), ("rev", Read(meta::rev)),
    ("classtype", Read(meta::classtype)), ("priority", Read(meta::priority)), ("reference", Read(meta::reference)),
    ("metadata", Read(meta::metadata)), ("target", Read(meta::target)), ("requires", Read(meta::requires)),
    // Contents.
    ("content", Read(content::content)), ("uricontent", Read(content::uricontent)), ("nocase", Read(content::nocase)),
    ("depth", Read(content::depth)), ("offset", Read(content::offset)), ("distance", Read(content::distance)),
    ("within", Read(content::within)), ("startswith", Read(content::startswith)), ("endswith", Read(content::endswith)),
    ("rawbytes", Read(content::rawbytes)), ("fast_pattern", Read(content::fast_pattern)), ("prefilter", Read(content::prefilter)),
    ("pcre", Read(pcre::pcre)), ("isdataat", Read(content::isdataat)), ("bsize", Read(content::bsize)),
    ("absent", Read(content::absent)), ("entropy", Read(content::entropy)),
    // Numbers in bytes.
    ("byte_test", Read(bytes::test)), ("byte_jump", Read(bytes::jump)), ("byte_extract", Read(bytes::extract)),
    ("byte_math", Read(bytes::math)), ("base64_decode", Read(bytes::base64_decode)), ("base64_data", Read(bytes::base64_data)),
    ("asn1", Read(bytes::asn1)), ("ftpbounce", Read(bytes::ftpbounce)),
    // Transforms.
    ("to_lowercase", T(&Transform::ToLowercase)), ("to_uppercase", T(&Transform::ToUppercase)), ("dotprefix", T(&Transform::Dotprefix)),
    ("strip_whitespace", T(&Transform::StripWhitespace)), ("compress_whitespace", T(&Transform::CompressWhitespace)),
    ("strip_pseudo_headers", T(&Transform::StripPseudoHeaders)), ("header_lowercase", T(&Transform::HeaderLowercase)),
    ("to_md5", T(&Transform::ToMd5)), ("to_sha1", T(&Transform::ToSha1)), ("to_sha256", T(&Transform::ToSha256)),
    ("url_decode", T(&Transform::UrlDecode)), ("domain", T(&Transform::Domain)), ("tld", T(&Transform::Tld)),
    ("xor", Read(transform::xor)), ("pcrexform", Read(transform::pcrexform)), ("from_base64", Read(transform::from_base64)),
    ("subslice", Read(transform::subslice)),
    // Flow and its state.
    ("flow", Read(flow::flow)), ("flowbits", Read(bits::flowbits)), ("flowint", Read(bits::flowint)), ("xbits", Read(bits::xbits)),
    ("hostbits", Read(bits::hostbits)), ("stream_size", Read(flow::stream_size)), ("flow.age", Q(Quantity::FlowAge, WORD)),
    ("flow.pkts_toserver", Q(Quantity::FlowPacketsToServer, WORD)), ("flow.pkts_toclient", Q(Quantity::FlowPacketsToClient, WORD)),
    ("flow.bytes_toserver", Q(Quantity::FlowBytesToServer, LONG)), ("flow.bytes_toclient", Q(Quantity::FlowBytesToClient, LONG)),
    ("flow.pkts", Read(flow::packets)), ("flow.bytes", Read(flow::bytes)),
    ("app-layer-protocol", Read(flow::application)), ("app-layer-event", Read(flow::application_event)),
    ("decode-event", Read(flow::decode_event)), ("engine-event", Read(flow::decode_event)), ("stream-event", Read(flow::stream_event)),
    // How often.
    ("threshold", Read(limit::threshold)), ("detection_filter", Read(limit::detection_filter)),
    // Packet headers.
    ("dsize", Q(Quantity::PayloadSize, SHORT)), ("ttl", Q(Quantity::Ttl, BYTE)), ("id", Q(Quantity::IpId, SHORT)), ("tos", Q(Quantity::Tos, BYTE)),
    ("fragoffset", Q(Quantity::FragmentOffset, SHORT)), ("seq", Q(Quantity::TcpSeq, WORD)), ("tcp.seq", Q(Quantity::TcpSeq, WORD)),
    ("ack", Q(Quantity::TcpAck, WORD)), ("tcp.ack", Q(Quantity::TcpAck, WORD)), ("window", Q(Quantity::TcpWindow, SHORT)),
    ("tcp.window", Q(Quantity::TcpWindow, SHORT)), ("tcp.mss", Q(Quantity::TcpMss, SHORT)), ("tcp.wscale", Q(Quantity::TcpWindowScale, BYTE)),
    ("itype", Q(Quantity::IcmpType, BYTE)), ("icode", Q(Quantity::IcmpCode, BYTE)), ("icmp_id", Q(Quantity::IcmpId, SHORT)),
    ("icmp_seq", Q(Quantity::IcmpSeq, SHORT)), ("icmpv6.mtu", Q(Quantity::Icmpv6Mtu, WORD)), ("vlan.layers", Q(Quantity::VlanLayers, 3)),
    ("vlan.id", Q(Quantity::VlanId, 4094)), ("ip_proto", Read(header::ip_proto)), ("flags", Read(header::flags)), ("tcp.flags", Read(header::flags)),
    ("fragbits", Read(header::fragbits)), ("ipopts", Read(header::ipopts)), ("sameip", Read(header::sameip)),
    ("ipv4-csum", Read(header::checksum)), ("tcpv4-csum", Read(header::checksum)), ("tcpv6-csum", Read(header::checksum)),
    ("udpv4-csum", Read(header::checksum)), ("udpv6-csum", Read(header::checksum)), ("icmpv4-csum", Read(header::checksum)),
    ("icmpv6-csum", Read(header::checksum)),
    // Applications.
    ("urilen", Read(content::urilen)), ("dns.opcode", Q(Quantity::DnsOpcode, 15)), ("dns.rcode", Read(data::rcode)), ("dns.rrtype", Read(data::rrtype)),
    ("tls.version", Read(tls::version)), ("ssl_version", Read(tls::version)), ("ssl_state", Read(tls::state)),
    ("tls.subject", Read(tls::subject)), ("tls.issuerdn", Read(tls::issuer)), ("tls.fingerprint", Read(tls::fingerprint)),
    ("tls_cert_notbefore", Read(tls::date)), ("tls_cert_notafter", Read(tls::date)), ("tls_cert_expired", Read(tls::expired)),
    ("tls_cert_valid", Read(tls::valid)), ("tls.store", Read(tls::store)), ("tls_store", Read(tls::store)),
    ("tls.cert_chain_len", Q(Quantity::TlsChainLength, WORD)), ("ssh.protoversion", Read(data::ssh_version)), ("ssh.softwareversion", Read(data::ssh_software)),
    ("dcerpc.iface", Read(data::iface)), ("dce_iface", Read(data::iface)), ("dcerpc.opnum", Read(data::opnum)), ("dce_opnum", Read(data::opnum)),
    ("mqtt.type", Read(data::mqtt_type)), ("mqtt.flags", Read(data::mqtt_flags)), ("mqtt.connect.flags", Read(data::mqtt_connect_flags)),
    ("mqtt.connack.session_present", Read(data::mqtt_session)), ("mqtt.qos", Q(Quantity::MqttQuality, 2)),
    ("mqtt.protocol_version", Q(Quantity::MqttVersion, BYTE)), ("mqtt.reason_code", Q(Quantity::MqttReason, BYTE)),
    ("mqtt.connack.return_code", Q(Quantity::MqttReason, BYTE)),
    ("websocket.opcode", Read(data::opcode)), ("websocket.mask", Q(Quantity::WebsocketMask, WORD)), ("websocket.flags", Read(data::ws_flags)),
    ("http2.frametype", Read(data::frame_type)), ("http2.errorcode", Read(data::error_code)), ("http2.priority", Q(Quantity::Http2Priority, BYTE)),
    ("http2.window", Q(Quantity::Http2Window, WORD)), ("http2.size_update", Q(Quantity::Http2SizeUpdate, LONG)), ("http2.settings", Read(data::settings)),
    ("ftpdata_command", Read(data::ftp_data)), ("ftp.mode", Read(data::ftp_mode)), ("ftp.reply_received", Read(data::ftp_reply_received)),
    ("ftp.dynamic_port", Q(Quantity::FtpPort, SHORT)),
    // Files and sets.
    ("filename", Read(file::name)), ("fileext", Read(file::extension)), ("filemagic", Read(file::magic)), ("filesize", Q(Quantity::FileSize, LONG)),
    ("filemd5", Read(file::digest)), ("filesha1", Read(file::digest)), ("filesha256", Read(file::digest)), ("filestore", Read(file::store)),
    ("dataset", Read(data::dataset)), ("datarep", Read(data::datarep)), ("iprep", Read(data::iprep)),
    // What happens.
    ("noalert", Read(effect::noalert)), ("alert", Read(effect::alert)), ("tag", Read(effect::tag)), ("bypass", Read(effect::bypass)),
    ("config", Read(effect::config)),
    // Not taken.
    ("lua", Not(SCRIPT)), ("luajit", Not(SCRIPT)), ("luaxform", Not(SCRIPT)), ("geoip", Not("there is no database of places in this release")),
    ("replace", Not("Ravelin drops packets, it does not rewrite them")), ("frame", Not("frames are not looked into in this release")),
    ("nfq_set_mark", Not("the mark belongs to the connection mark layout of Ravelin")), ("flowvar", Not(OLD)), ("pktvar", Not(OLD)), ("l3_proto", Not(OLD)),
    ("template2", Not("it is an example in the peer's source")), ("rpc", Not(PROTOCOL)), ("tcp.session", Not("it belongs to the peer's firewall mode")),
];

const SCRIPT: &str = "scripts are not run";
const OLD: &str = "the peer itself no longer documents it";
const PROTOCOL: &str = "this protocol is identified, not parsed, in this release";

/// Beginnings of keywords of protocols that are identified, not parsed.
const PROTOCOLS: [&str; 26] = [
    "mqtt.", "sip.", "sdp.", "snmp.", "krb5", "nfs", "ike.", "dnp3", "modbus", "enip", "cip_", "rfb.", "dhcp.", "rdp.", "ntp.", "ldap.",
    "pgsql.", "mdns.", "llmnr.", "sctp.", "tftp.", "imap.", "pop3.", "igmp.", "arp.", "telnet.",
];

/// What the keyword is; none where nobody knows it. Case counts only for the first look, as older rules write `Content`.
pub(crate) fn find(name: &str) -> Option<Kind> {
    static ALL: LazyLock<FxHashMap<&'static str, Kind>> = LazyLock::new(|| KEYWORDS.iter().copied().collect());
    let look =
        |n: &str| ALL.get(n).copied().or_else(|| buffer::sticky(n).map(Kind::Sticky)).or_else(|| buffer::modifier(n).map(Kind::Modifier));
    look(name)
        .or_else(|| Some(name.to_ascii_lowercase()).filter(|l| l != name).and_then(|l| look(&l)))
        .or_else(|| PROTOCOLS.iter().any(|p| name.starts_with(p)).then_some(Not(PROTOCOL)))
}

/// The name most like this one.
pub(crate) fn near(name: &str) -> Option<&'static str> {
    let rows = buffer::BUFFERS.iter().flat_map(|r| std::iter::once(r.name).chain(r.also.iter().copied()).chain(r.modifier.iter().copied()));
    most_like(name, KEYWORDS.iter().map(|(n, _)| *n).chain(rows))
}

/// Longest name, in bytes, for which a likeness is looked for: its cost is the product of both lengths, and no name is half as long.
const LONGEST_NAME: usize = 64;

/// Which of these is most like a name that nobody knows.
pub(crate) fn most_like<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > LONGEST_NAME {
        return None;
    }
    known.min_by_key(|k| strsim::damerau_levenshtein(k, name)).filter(|k| strsim::jaro(k, name) > 0.8)
}

/// Every keyword that is taken, sorted.
pub fn taken() -> Vec<&'static str> {
    let rows = buffer::BUFFERS.iter().flat_map(|r| std::iter::once(r.name).chain(r.also.iter().copied()).chain(r.modifier.iter().copied()));
    let mut all: Vec<&str> = KEYWORDS.iter().filter(|(_, k)| !matches!(k, Not(_))).map(|(n, _)| *n).chain(rows).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Kinds of MQTT's packets by their numbers (version 5, 2.1.2); the first one is none.
pub const MQTT_PACKETS: [&str; 16] = [
    "UNASSIGNED",
    "CONNECT",
    "CONNACK",
    "PUBLISH",
    "PUBACK",
    "PUBREC",
    "PUBREL",
    "PUBCOMP",
    "SUBSCRIBE",
    "SUBACK",
    "UNSUBSCRIBE",
    "UNSUBACK",
    "PINGREQ",
    "PINGRESP",
    "DISCONNECT",
    "AUTH",
];
