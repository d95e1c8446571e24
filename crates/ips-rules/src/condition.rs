//! The conditions and effects of a rule, as types. Shapes and units only; what they are read from is in `parse`.

use crate::num::Number;
use serde::Serialize;

/// A number in a condition: written out, or taken from the bytes by `byte_extract` or `byte_math` earlier in the rule.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// Written out.
    Number(i64),
    /// The index of a variable of this rule, in the order in which the rule defines them.
    Variable {
        /// Index.
        variable: u16,
    },
}

/// Bytes to look for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Content {
    /// The bytes.
    #[serde(serialize_with = "crate::pattern::as_text")]
    pub bytes: Vec<u8>,
    /// Must not be there.
    #[serde(skip_serializing_if = "is_false")]
    pub negated: bool,
    /// The case of ASCII letters is ignored.
    #[serde(skip_serializing_if = "is_false")]
    pub nocase: bool,
    /// Begins at this byte of the buffer or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<Value>,
    /// Ends within this many bytes from `offset` on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depth: Option<Value>,
    /// Begins this many bytes after the last match's end or later; may be negative.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distance: Option<Value>,
    /// Ends within this many bytes after the last match's end (from `distance` on).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within: Option<Value>,
    /// Stands at the buffer's beginning.
    #[serde(skip_serializing_if = "is_false")]
    pub startswith: bool,
    /// Stands at the buffer's end.
    #[serde(skip_serializing_if = "is_false")]
    pub endswith: bool,
    /// Looks at bytes before any decoding.
    #[serde(skip_serializing_if = "is_false")]
    pub rawbytes: bool,
    /// The rule's wish for the prefilter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fast: Option<Fast>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(b: &bool) -> bool {
    !b
}

/// How a content was chosen as prefilter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fast {
    /// `fast_pattern`
    Whole,
    /// `fast_pattern:only`: nothing but the prefilter looks for it.
    Only,
    /// `fast_pattern:OFFSET,LENGTH`: only this part goes into the prefilter.
    Part(u16, u16),
}

/// A regular expression of PCRE2.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pcre {
    /// The expression between the slashes, as written.
    pub expression: String,
    /// Must not match.
    #[serde(skip_serializing_if = "is_false")]
    pub negated: bool,
    /// Begins where the last match ended.
    #[serde(skip_serializing_if = "is_false")]
    pub relative: bool,
    /// PCRE's own flags, of `imsxAEG`, sorted.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub flags: String,
    /// Names that its groups are kept under, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub captures: Vec<Capture>,
}

/// A named group of an expression.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Capture {
    /// Kept with the flow rather than with the packet.
    pub flow: bool,
    /// Name.
    pub name: String,
}

/// How bytes are a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// Most significant byte first.
    Big,
    /// Least significant byte first.
    Little,
    /// As the DCERPC header says.
    Dce,
    /// Text, base 8.
    Octal,
    /// Text, base 10.
    Decimal,
    /// Text, base 16.
    Hexadecimal,
}

/// Where a number stands and how it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Field {
    /// How many bytes.
    pub bytes: Value,
    /// From where.
    pub offset: Value,
    /// From the last match's end rather than the buffer's beginning.
    pub relative: bool,
    /// How it is written.
    pub encoding: Encoding,
    /// Bits looked at, shifted down to their lowest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bitmask: Option<u32>,
}

/// Comparison of `byte_test`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "each is the comparison of its name")]
pub enum Compare {
    Less,
    Greater,
    Equal,
    AtMost,
    AtLeast,
    And,
    Or,
}

/// Arithmetic of `byte_math`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "each is the operation of its name")]
pub enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    ShiftLeft,
    ShiftRight,
}

/// What a set of data is compared by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Dataset {
    /// Name.
    pub name: String,
    /// `string`, `md5`, `sha256`, `ipv4` or `ip`; none where another rule says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Further settings (`load`, `save`, `state`, `memcap`, `hashsize`), as written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<(String, String)>,
}

/// A condition on the bytes of a buffer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Test {
    /// These bytes are there, or not.
    Content(Content),
    /// This expression matches, or not.
    Pcre(Pcre),
    /// A number in the bytes compares so.
    ByteTest {
        /// Which number.
        field: Field,
        /// How.
        compare: Compare,
        /// Turned round.
        negated: bool,
        /// With what.
        value: Value,
    },
    /// The place of the last match moves by a number in the bytes.
    ByteJump {
        /// Which number.
        field: Field,
        /// Multiplied by.
        multiplier: u32,
        /// Rounded up to a multiple of 4.
        align: bool,
        /// From where it moves.
        from: From,
        /// Moved by this afterwards.
        post_offset: Value,
    },
    /// A number in the bytes gets a name.
    ByteExtract {
        /// Which number.
        field: Field,
        /// Index of the variable.
        variable: u16,
        /// Multiplied by.
        multiplier: u32,
        /// Rounded up to a multiple of this.
        #[serde(skip_serializing_if = "Option::is_none")]
        align: Option<u8>,
    },
    /// A number in the bytes is reckoned with, and the result gets a name.
    ByteMath {
        /// Which number.
        field: Field,
        /// How.
        operation: Arithmetic,
        /// With what.
        value: Value,
        /// Index of the variable.
        variable: u16,
    },
    /// Relative: at least this many bytes stand behind the last match's end. Else: the buffer has *more* than this many, as the peer counts.
    DataAt {
        /// How many.
        bytes: Value,
        /// From the last match's end.
        relative: bool,
        /// Must not be.
        negated: bool,
        /// Looks at bytes before any decoding.
        rawbytes: bool,
    },
    /// The buffer's length.
    Size(Number),
    /// The buffer is not there; with `or_else`, or the other tests hold.
    Absent {
        /// Whether the other tests may hold instead.
        or_else: bool,
    },
    /// The buffer is in a set, or not; or is put into it or taken out.
    Dataset {
        /// Which.
        set: Dataset,
        /// What with it.
        act: SetAct,
    },
    /// The buffer's reputation.
    Reputation {
        /// Which set.
        set: Dataset,
        /// How it compares.
        compare: Number,
    },
    /// Base64 is decoded, for the group of `base64_data`.
    Base64 {
        /// At most this many encoded bytes; none for all.
        #[serde(skip_serializing_if = "Option::is_none")]
        bytes: Option<u32>,
        /// From this byte on.
        offset: u32,
        /// From the last match's end.
        relative: bool,
    },
    /// Shannon entropy of the buffer in bits per byte, in thousandths.
    Entropy(Number),
    /// BER with a fault in it.
    Asn1(Asn1),
    /// The buffer's file is of this size, name or the like: see [`Check`].
    FtpBounce,
}

/// Where a jump begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum From {
    /// Where the number ended.
    Here,
    /// The buffer's beginning.
    Beginning,
    /// The buffer's end.
    End,
}

/// Faults that `asn1` looks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Asn1 {
    /// Bit strings with impossible padding.
    pub bitstring_overflow: bool,
    /// Doubles larger than their buffer.
    pub double_overflow: bool,
    /// Elements longer than this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oversize_length: Option<u32>,
    /// Begins here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub absolute_offset: Option<u16>,
    /// Begins so far after the last match.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relative_offset: Option<i16>,
}

/// What is done with a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the peer's names")]
pub enum SetAct {
    Set,
    Unset,
    Isset,
    Isnotset,
}

/// What is done to a buffer's bytes before they are looked at.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the peer's names")]
pub enum Transform {
    ToLowercase,
    ToUppercase,
    Dotprefix,
    StripWhitespace,
    CompressWhitespace,
    StripPseudoHeaders,
    HeaderLowercase,
    ToMd5,
    ToSha1,
    ToSha256,
    UrlDecode,
    Domain,
    Tld,
    /// Bytes are XORed with this key, over and over.
    Xor(Vec<u8>),
    /// The first group of this expression.
    Pcre(String),
    /// Base64 is decoded.
    FromBase64 {
        bytes: Option<u32>,
        offset: u32,
        strict: bool,
    },
    /// A part, counted from the end where negative.
    Subslice {
        offset: i32,
        bytes: Option<i32>,
        truncate: bool,
    },
}

/// What may be asked of a flow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Flow {
    /// Which way the packet goes; none for either.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub side: Option<crate::buffer::Side>,
    /// Which state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    /// Only bytes of the stream (true), only packets (false).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<bool>,
    /// Only packets made of fragments (true), only others (false).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fragment: Option<bool>,
}

/// State of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Both sides have spoken.
    Established,
    /// Not yet.
    NotEstablished,
    /// Either, and packets without flow.
    Stateless,
}

/// Fields of packet, flow or transaction that are compared as numbers. The peer's names, dots as in its version 8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[allow(missing_docs, reason = "each is the field of its keyword")]
pub enum Quantity {
    PayloadSize,
    Ttl,
    IpId,
    Tos,
    FragmentOffset,
    TcpSeq,
    TcpAck,
    TcpWindow,
    TcpMss,
    TcpWindowScale,
    IcmpType,
    IcmpCode,
    IcmpId,
    IcmpSeq,
    Icmpv6Mtu,
    IpProtocol,
    FlowAge,
    FlowPacketsToServer,
    FlowPacketsToClient,
    FlowPackets,
    FlowBytesToServer,
    FlowBytesToClient,
    FlowBytes,
    VlanLayers,
    VlanId,
    FileSize,
    TlsChainLength,
    DnsOpcode,
    DnsRcode,
    DnsRrtype,
    DceOpnum,
    SshVersion,
    WebsocketMask,
    MqttQuality,
    MqttVersion,
    MqttReason,
    WebsocketOpcode,
    Http2SizeUpdate,
    Http2Window,
    Http2Priority,
    FtpPort,
    HttpUriLength,
    HttpRawUriLength,
}

/// A named bit of state.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Bit {
    /// Kept where.
    pub scope: Scope,
    /// Name.
    pub name: String,
}

/// Where bits are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// With the flow.
    Flow,
    /// With the source address.
    Source,
    /// With the destination address.
    Destination,
    /// With the two addresses.
    Pair,
    /// With the transaction.
    Transaction,
}

/// How a variable of the flow is compared or changed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operand {
    /// A number.
    Number(u32),
    /// Another variable of the flow.
    Variable(String),
}

/// A condition on packet, flow or transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// State and direction of the flow.
    Flow(Flow),
    /// A number compares so.
    Quantity(Quantity, Number),
    /// Source and destination are the same address.
    SameIp,
    /// Flags of TCP.
    TcpFlags(Bits),
    /// Bits of fragmentation: 1 more, 2 don't, 4 reserved.
    FragBits(Bits),
    /// An option of IPv4 is there.
    IpOption(String),
    /// A checksum is right (true) or wrong.
    Checksum(String, bool),
    /// Any of these bits is set; where negated, any of them is not.
    Bits {
        /// Alternatives.
        any: Vec<Bit>,
        /// Must not be set.
        negated: bool,
    },
    /// A variable of the flow compares so.
    FlowInt {
        /// Name.
        name: String,
        /// `==`, `!=`, `<`, `<=`, `>`, `>=`.
        compare: String,
        /// With what.
        with: Operand,
    },
    /// A variable of the flow has a value, or none.
    FlowIntSet {
        /// Name.
        name: String,
        /// Has one.
        set: bool,
    },
    /// Bytes of the stream so far.
    StreamSize {
        /// `server`, `client`, `both`, `either`.
        side: String,
        /// How many.
        size: Number,
    },
    /// The application found, or not that one.
    Application {
        /// Name as in headers, or `unknown`, `failed`.
        name: String,
        /// Not that one.
        negated: bool,
        /// Looked at in which direction; none for the flow's.
        #[serde(skip_serializing_if = "Option::is_none")]
        mode: Option<String>,
    },
    /// Something unusual while reading an application.
    ApplicationEvent(String),
    /// Something unusual while decoding a packet.
    DecodeEvent(String),
    /// Something unusual in a TCP stream.
    StreamEvent(String),
    /// A list of reputations compares so.
    IpReputation {
        /// `any`, `src`, `dst` or `both`.
        side: String,
        /// Category.
        category: String,
        /// How.
        compare: Number,
    },
    /// A property of the file in the transaction.
    File(FileCheck),
    /// Versions of TLS, as the peer's names; `!` before those that must not be.
    TlsVersion(Vec<(bool, String)>),
    /// Steps of the handshake seen; `!` before those that must not have been.
    TlsState(Vec<(bool, String)>),
    /// A date of the certificate: `notbefore` or `notafter`, compared in seconds since 1970.
    TlsDate(String, Number),
    /// The certificate has expired (false) or is in force (true).
    TlsInForce(bool),
    /// Interface of DCERPC.
    DceInterface {
        /// UUID, 16 bytes as written.
        uuid: String,
        /// Version.
        #[serde(skip_serializing_if = "Option::is_none")]
        version: Option<Number>,
        /// Any fragment, not only the first.
        any_fragment: bool,
    },
    /// Operations of DCERPC: inclusive ranges.
    DceOperation(Vec<(u16, u16)>),
    /// A name out of a closed list, such as a frame type: keyword and value.
    Named(String, String),
}

/// A property of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileCheck {
    /// Its name holds this.
    Name(bool, String),
    /// Its name ends in a dot and this.
    Extension(bool, String),
    /// What `file` says of it holds this.
    Magic(bool, String),
    /// Its digest is in this list: algorithm, list, negated.
    Digest(String, String, bool),
}

/// Bits of a field: how, which, and which are left out of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct Bits {
    /// How.
    pub how: BitsHow,
    /// Which.
    pub bits: u8,
    /// Not looked at.
    pub ignored: u8,
}

/// How bits are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BitsHow {
    /// Exactly these.
    Exactly,
    /// At least these.
    All,
    /// One of these at least.
    Any,
    /// Not all of these: `flags & bits != bits`, so that `!S` is any packet without SYN.
    Not,
}

/// Done when the rule matches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// A bit is set, for so many seconds where it is not the flow's.
    Set(Bit, Option<u32>),
    /// A bit is taken away.
    Unset(Bit),
    /// A bit is turned round.
    Toggle(Bit),
    /// A variable of the flow is set (`=`), raised (`+`) or lowered (`-`).
    FlowInt {
        /// Name.
        name: String,
        /// `=`, `+`, `-`.
        operation: String,
        /// By what.
        by: Operand,
    },
    /// Nothing is told.
    NoAlert,
    /// Told although the action alone would not.
    Alert,
    /// Later packets are told too.
    Tag {
        /// All of the host rather than of the flow.
        host: Option<Target>,
        /// How much.
        count: u32,
        /// `packets`, `seconds` or `bytes`.
        unit: String,
    },
    /// Files are kept: direction and scope as written.
    StoreFile(Option<String>, Option<String>),
    /// Certificates are kept.
    StoreCertificate,
    /// The flow is let through without further inspection.
    Bypass,
    /// Logging or tracking is turned off for this.
    Config {
        /// `logging` or `tracking`.
        what: String,
        /// `tx` or `flow`.
        kind: String,
        /// `tx`, `flow` or `packet`.
        scope: String,
    },
}

/// An end of the conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// Source of the packet.
    Source,
    /// Destination of the packet.
    Destination,
}

/// By what matches are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Track {
    /// Source address.
    Source,
    /// Destination address.
    Destination,
    /// The two addresses.
    Both,
    /// All together.
    Rule,
    /// Each flow.
    Flow,
}

/// How often a rule is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct Limit {
    /// How.
    pub kind: LimitKind,
    /// Counted by.
    pub track: Track,
    /// How many.
    pub count: u32,
    /// In how many seconds.
    pub seconds: u32,
}

/// Kinds of limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LimitKind {
    /// The first so many.
    Limit,
    /// Every so many.
    Threshold,
    /// Once when so many were seen.
    Both,
    /// From so many on, growing apart by this factor.
    Backoff(u32),
    /// The rule does not match at all before so many (`detection_filter`).
    Filter,
}
