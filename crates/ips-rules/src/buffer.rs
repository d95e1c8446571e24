//! The table of buffers: the bytes of a packet, stream or transaction that contents are looked for in. One row says name,
//! older names, the applications that fill it, the direction, whether one transaction has several, and the rank as
//! prefilter (smaller is taken first). Data only; sources are the peer's published keyword lists, versions 7.0 and 8.0.

use crate::header::App;
use rustc_hash::FxHashMap;
use serde::{Serialize, Serializer};
use std::sync::LazyLock;

/// Which side's bytes a buffer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// What goes to the server.
    Client,
    /// What goes to the client.
    Server,
    /// Either.
    Both,
}

/// What must be true of the bytes before a rule may speak of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Over {
    /// Nothing: the packet has it.
    Packet,
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP.
    Icmp,
    /// One of these applications.
    Apps(&'static [App]),
}

/// One row.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Which.
    pub id: Buffer,
    /// The sticky buffer's name.
    pub name: &'static str,
    /// Other names of the sticky buffer.
    pub also: &'static [&'static str],
    /// The older keyword that stands behind its content.
    pub modifier: &'static [&'static str],
    /// Where it comes from.
    pub over: Over,
    /// Whose bytes.
    pub side: Side,
    /// One transaction may have several; contents of one selection are looked for in the same one.
    pub multi: bool,
    /// Rank as prefilter: smaller is taken first.
    pub rank: u8,
}

/// The default rank; a method or status code is the same in too many transactions, payload is in every packet.
const USUAL: u8 = 2;
/// Rank of payload.
const PAYLOAD: u8 = 3;
/// Rank of what hardly tells one transaction from another.
const COMMON: u8 = 4;
/// Never a prefilter.
pub const NEVER: u8 = u8::MAX;

const WEB: Over = Over::Apps(&[App::Http, App::Http1, App::Http2]);
const WEB1: Over = Over::Apps(&[App::Http, App::Http1]);
const H2: Over = Over::Apps(&[App::Http2, App::Http]);
const NAMES: Over = Over::Apps(&[App::Dns, App::Doh2]);
const TLS: Over = Over::Apps(&[App::Tls]);
const HELLO: Over = Over::Apps(&[App::Tls, App::Quic]);
const SSH: Over = Over::Apps(&[App::Ssh]);
const MAIL: Over = Over::Apps(&[App::Smtp]);
const FTP: Over = Over::Apps(&[App::Ftp]);
const SMB: Over = Over::Apps(&[App::Smb]);
const RPC: Over = Over::Apps(&[App::Dcerpc, App::Smb]);
const QUIC: Over = Over::Apps(&[App::Quic]);
const WS: Over = Over::Apps(&[App::Websocket]);
const MQTT: Over = Over::Apps(&[App::Mqtt]);
const SIP: Over = Over::Apps(&[App::Sip]);
const FILES: Over = Over::Apps(&[App::Http, App::Http1, App::Http2, App::Smtp, App::Smb, App::FtpData, App::Ftp, App::Nfs]);

macro_rules! buffers {
    ($($id:ident $name:literal [$($also:literal)*] [$($old:literal)*] $over:expr, $side:ident, $multi:literal, $rank:expr;)*) => {
        /// A buffer.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(missing_docs, reason = "each is the buffer of its row")]
        pub enum Buffer { $($id),* }

        /// Every buffer, in the order of [`Buffer`].
        pub const BUFFERS: &[Row] = &[$(Row {
            id: Buffer::$id, name: $name, also: &[$($also),*], modifier: &[$($old),*], over: $over, side: Side::$side, multi: $multi,
            rank: $rank,
        }),*];
    };
}

#[rustfmt::skip]
mod table {
    use super::*;
    buffers! {
    Payload "pkt_data" [] [] Over::Packet, Both, false, PAYLOAD;
    Base64 "base64_data" [] [] Over::Packet, Both, false, NEVER;
    EtherHeader "ether.hdr" [] [] Over::Packet, Both, false, USUAL;
    Ipv4Header "ipv4.hdr" [] [] Over::Packet, Both, false, USUAL;
    Ipv6Header "ipv6.hdr" [] [] Over::Packet, Both, false, USUAL;
    TcpHeader "tcp.hdr" [] [] Over::Tcp, Both, false, USUAL;
    UdpHeader "udp.hdr" [] [] Over::Udp, Both, false, USUAL;
    Icmpv4Header "icmpv4.hdr" [] [] Over::Icmp, Both, false, USUAL;
    Icmpv6Header "icmpv6.hdr" [] [] Over::Icmp, Both, false, USUAL;
    IpSource "ip.src" [] [] Over::Packet, Both, true, NEVER;
    IpDestination "ip.dst" [] [] Over::Packet, Both, true, NEVER;
    HttpUri "http.uri" [] ["http_uri"] WEB, Client, false, USUAL;
    HttpUriRaw "http.uri.raw" [] ["http_raw_uri"] WEB, Client, false, USUAL;
    HttpMethod "http.method" [] ["http_method"] WEB, Client, false, COMMON;
    HttpRequestLine "http.request_line" ["http_request_line"] [] WEB, Client, false, USUAL;
    HttpRequestBody "http.request_body" [] ["http_client_body"] WEB, Client, false, USUAL;
    HttpResponseBody "http.response_body" [] ["http_server_body"] WEB, Server, true, USUAL;
    HttpHeader "http.header" [] ["http_header"] WEB, Both, false, USUAL;
    HttpHeaderRaw "http.header.raw" [] ["http_raw_header"] WEB, Both, false, USUAL;
    HttpRequestHeader "http.request_header" [] [] WEB, Client, true, USUAL;
    HttpResponseHeader "http.response_header" [] [] WEB, Server, true, USUAL;
    HttpHeaderNames "http.header_names" ["http_header_names"] [] WEB, Both, false, USUAL;
    HttpCookie "http.cookie" [] ["http_cookie"] WEB, Both, false, USUAL;
    HttpUserAgent "http.user_agent" [] ["http_user_agent"] WEB, Client, false, USUAL;
    HttpHost "http.host" [] ["http_host"] WEB, Client, false, USUAL;
    HttpHostRaw "http.host.raw" [] ["http_raw_host"] WEB, Client, false, USUAL;
    HttpAccept "http.accept" ["http_accept"] [] WEB, Client, false, USUAL;
    HttpAcceptEncoding "http.accept_enc" ["http_accept_enc"] [] WEB, Client, false, USUAL;
    HttpAcceptLanguage "http.accept_lang" ["http_accept_lang"] [] WEB, Client, false, USUAL;
    HttpReferer "http.referer" ["http_referer"] [] WEB, Client, false, USUAL;
    HttpConnection "http.connection" ["http_connection"] [] WEB, Both, false, USUAL;
    HttpContentLength "http.content_len" ["http_content_len"] [] WEB, Both, false, USUAL;
    HttpContentType "http.content_type" ["http_content_type"] [] WEB, Both, false, USUAL;
    HttpProtocol "http.protocol" ["http_protocol"] [] WEB, Both, false, USUAL;
    HttpStart "http.start" ["http_start"] [] WEB, Both, false, USUAL;
    HttpResponseLine "http.response_line" ["http_response_line"] [] WEB, Server, false, USUAL;
    HttpStatusCode "http.stat_code" [] ["http_stat_code"] WEB, Server, false, COMMON;
    HttpStatusMessage "http.stat_msg" [] ["http_stat_msg"] WEB1, Server, false, USUAL;
    HttpLocation "http.location" ["http_location"] [] WEB, Server, false, USUAL;
    HttpServer "http.server" ["http_server"] [] WEB, Server, false, USUAL;
    Http2HeaderName "http2.header_name" [] [] H2, Both, true, USUAL;
    FileData "file.data" ["file_data"] [] FILES, Both, true, USUAL;
    FileName "file.name" [] [] FILES, Both, true, USUAL;
    FileMagic "file.magic" [] [] FILES, Both, true, USUAL;
    DnsQuery "dns.query" ["dns_query"] [] NAMES, Both, true, USUAL;
    DnsQueryName "dns.query.name" ["dns.queries.rrname"] [] NAMES, Both, true, USUAL;
    DnsAnswerName "dns.answer.name" ["dns.answers.rrname"] [] NAMES, Both, true, USUAL;
    DnsAuthorityName "dns.authorities.rrname" [] [] NAMES, Server, true, USUAL;
    DnsAdditionalName "dns.additionals.rrname" [] [] NAMES, Server, true, USUAL;
    DnsResponseName "dns.response.rrname" [] [] NAMES, Server, true, USUAL;
    TlsSni "tls.sni" ["tls_sni"] [] TLS, Client, false, USUAL;
    TlsAlpn "tls.alpn" [] [] TLS, Both, true, USUAL;
    TlsCertificates "tls.certs" [] [] TLS, Both, true, USUAL;
    TlsCertIssuer "tls.cert_issuer" ["tls_cert_issuer"] [] TLS, Both, false, USUAL;
    TlsCertSubject "tls.cert_subject" ["tls_cert_subject"] [] TLS, Both, true, USUAL;
    TlsCertSerial "tls.cert_serial" ["tls_cert_serial"] [] TLS, Both, false, USUAL;
    TlsCertFingerprint "tls.cert_fingerprint" ["tls_cert_fingerprint"] [] TLS, Both, false, USUAL;
    TlsSubjectAltName "tls.subjectaltname" [] [] TLS, Server, true, USUAL;
    TlsRandom "tls.random" [] [] TLS, Both, false, USUAL;
    TlsRandomTime "tls.random_time" [] [] TLS, Both, false, USUAL;
    TlsRandomBytes "tls.random_bytes" [] [] TLS, Both, false, USUAL;
    Ja3Hash "ja3.hash" ["ja3_hash"] [] HELLO, Client, false, USUAL;
    Ja3String "ja3.string" ["ja3_string"] [] HELLO, Client, false, USUAL;
    Ja3sHash "ja3s.hash" [] [] HELLO, Server, false, USUAL;
    Ja3sString "ja3s.string" [] [] HELLO, Server, false, USUAL;
    Ja4Hash "ja4.hash" ["ja4_hash"] [] HELLO, Client, false, USUAL;
    SshProto "ssh.proto" ["ssh_proto"] [] SSH, Both, false, USUAL;
    SshSoftware "ssh.software" ["ssh_software"] [] SSH, Both, false, USUAL;
    SshHassh "ssh.hassh" [] [] SSH, Client, false, USUAL;
    SshHasshString "ssh.hassh.string" [] [] SSH, Client, false, USUAL;
    SshHasshServer "ssh.hassh.server" [] [] SSH, Server, false, USUAL;
    SshHasshServerString "ssh.hassh.server.string" [] [] SSH, Server, false, USUAL;
    SmtpHelo "smtp.helo" [] [] MAIL, Client, false, USUAL;
    SmtpMailFrom "smtp.mail_from" [] [] MAIL, Client, false, USUAL;
    SmtpRcptTo "smtp.rcpt_to" [] [] MAIL, Client, true, USUAL;
    EmailFrom "email.from" [] [] MAIL, Client, false, USUAL;
    EmailTo "email.to" [] [] MAIL, Client, false, USUAL;
    EmailCc "email.cc" [] [] MAIL, Client, false, USUAL;
    EmailSubject "email.subject" [] [] MAIL, Client, false, USUAL;
    EmailDate "email.date" [] [] MAIL, Client, false, USUAL;
    EmailMessageId "email.message_id" [] [] MAIL, Client, false, USUAL;
    EmailMailer "email.x_mailer" [] [] MAIL, Client, false, USUAL;
    EmailBodyMd5 "email.body_md5" [] [] MAIL, Client, false, USUAL;
    EmailUrl "email.url" [] [] MAIL, Client, true, USUAL;
    EmailReceived "email.received" [] [] MAIL, Client, true, USUAL;
    FtpCommand "ftp.command" [] [] FTP, Client, false, USUAL;
    FtpCommandData "ftp.command_data" [] [] FTP, Client, false, USUAL;
    FtpReply "ftp.reply" [] [] FTP, Server, true, USUAL;
    FtpCompletionCode "ftp.completion_code" [] [] FTP, Server, true, USUAL;
    SmbNamedPipe "smb.named_pipe" ["smb_named_pipe"] [] SMB, Client, false, USUAL;
    SmbShare "smb.share" ["smb_share"] [] SMB, Client, false, USUAL;
    SmbUser "smb.ntlmssp_user" [] [] SMB, Client, false, USUAL;
    SmbDomain "smb.ntlmssp_domain" [] [] SMB, Client, false, USUAL;
    DceStub "dcerpc.stub_data" ["dce_stub_data"] [] RPC, Both, false, USUAL;
    QuicVersion "quic.version" [] [] QUIC, Both, false, USUAL;
    QuicSni "quic.sni" [] [] QUIC, Client, false, USUAL;
    QuicUserAgent "quic.ua" [] [] QUIC, Client, false, USUAL;
    QuicCyuHash "quic.cyu.hash" [] [] QUIC, Client, true, USUAL;
    QuicCyuString "quic.cyu.string" [] [] QUIC, Client, true, USUAL;
    WebsocketPayload "websocket.payload" [] [] WS, Both, false, USUAL;
    MqttClientId "mqtt.connect.clientid" [] [] MQTT, Client, false, USUAL;
    MqttProtocol "mqtt.connect.protocol_string" [] [] MQTT, Client, false, COMMON;
    MqttUser "mqtt.connect.username" [] [] MQTT, Client, false, USUAL;
    MqttPassword "mqtt.connect.password" [] [] MQTT, Client, false, USUAL;
    MqttWillTopic "mqtt.connect.willtopic" [] [] MQTT, Client, false, USUAL;
    MqttWillMessage "mqtt.connect.willmessage" [] [] MQTT, Client, false, USUAL;
    MqttPublishTopic "mqtt.publish.topic" [] [] MQTT, Client, false, USUAL;
    MqttPublishMessage "mqtt.publish.message" [] [] MQTT, Client, false, USUAL;
    MqttSubscribeTopic "mqtt.subscribe.topic" [] [] MQTT, Client, true, USUAL;
    MqttUnsubscribeTopic "mqtt.unsubscribe.topic" [] [] MQTT, Client, true, USUAL;
    SipMethod "sip.method" [] [] SIP, Client, false, USUAL;
    SipUri "sip.uri" [] [] SIP, Client, false, USUAL;
    SipRequestLine "sip.request_line" [] [] SIP, Client, false, USUAL;
    SipResponseLine "sip.response_line" [] [] SIP, Server, false, USUAL;
    SipStatusCode "sip.stat_code" [] [] SIP, Server, false, USUAL;
    SipStatusMessage "sip.stat_msg" [] [] SIP, Server, false, USUAL;
    SipProtocol "sip.protocol" [] [] SIP, Both, false, USUAL;
    SipFrom "sip.from" [] [] SIP, Both, true, USUAL;
    SipTo "sip.to" [] [] SIP, Both, true, USUAL;
    SipVia "sip.via" [] [] SIP, Both, true, USUAL;
    SipUserAgent "sip.user_agent" [] [] SIP, Both, true, USUAL;
    SipContentType "sip.content_type" [] [] SIP, Both, true, USUAL;
    SipContentLength "sip.content_length" [] [] SIP, Both, true, USUAL;
    SdpOrigin "sdp.origin" [] [] SIP, Both, false, USUAL;
    SdpSessionName "sdp.session_name" [] [] SIP, Both, false, USUAL;
    SdpSessionInfo "sdp.session_info" [] [] SIP, Both, false, USUAL;
    SdpUri "sdp.uri" [] [] SIP, Both, false, USUAL;
    SdpEmail "sdp.email" [] [] SIP, Both, false, USUAL;
    SdpPhone "sdp.phone_number" [] [] SIP, Both, false, USUAL;
    SdpConnection "sdp.connection_data" [] [] SIP, Both, false, USUAL;
    SdpBandwidth "sdp.bandwidth" [] [] SIP, Both, true, USUAL;
    SdpTime "sdp.time" [] [] SIP, Both, true, USUAL;
    SdpRepeat "sdp.repeat_time" [] [] SIP, Both, true, USUAL;
    SdpTimezone "sdp.timezone" [] [] SIP, Both, false, USUAL;
    SdpKey "sdp.encryption_key" [] [] SIP, Both, false, USUAL;
    SdpAttribute "sdp.attribute" [] [] SIP, Both, true, USUAL;
    SdpMedia "sdp.media.media" [] [] SIP, Both, true, USUAL;
    SdpMediaInfo "sdp.media.media_info" [] [] SIP, Both, true, USUAL;
    SdpMediaConnection "sdp.media.connection_data" [] [] SIP, Both, true, USUAL;
    SdpMediaKey "sdp.media.encryption_key" [] [] SIP, Both, true, USUAL;
    }
}
pub use table::{BUFFERS, Buffer};

impl Buffer {
    /// Its row.
    pub fn row(self) -> &'static Row {
        &BUFFERS[self as usize]
    }
}

impl Serialize for Buffer {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.row().name)
    }
}

/// Sticky buffers by name.
pub(crate) fn sticky(name: &str) -> Option<Buffer> {
    static NAMES: LazyLock<FxHashMap<&'static str, Buffer>> = LazyLock::new(|| {
        BUFFERS
            .iter()
            .filter(|r| r.id != Buffer::Base64)
            .flat_map(|r| [r.name].into_iter().chain(r.also.iter().copied()).map(|n| (n, r.id)))
            .collect()
    });
    NAMES.get(name).copied()
}

/// Older modifiers by name.
pub(crate) fn modifier(name: &str) -> Option<Buffer> {
    static NAMES: LazyLock<FxHashMap<&'static str, Buffer>> =
        LazyLock::new(|| BUFFERS.iter().flat_map(|r| r.modifier.iter().map(|n| (*n, r.id))).collect());
    NAMES.get(name).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_name_is_given_once_and_rows_stand_in_order() {
        let names: Vec<&str> =
            BUFFERS.iter().flat_map(|r| [r.name].into_iter().chain(r.also.iter().copied()).chain(r.modifier.iter().copied())).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
        assert!(BUFFERS.iter().enumerate().all(|(i, r)| r.id as usize == i));
    }
}
