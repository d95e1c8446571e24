//! What the engine hands over with each packet: the packet, the flow as it stands, the bytes of the stream that can be looked at now,
//! and what was unusual. Borrowed, nothing is kept of it.

use ips_proto::Toward;
use ips_rules::header::App;
use ips_wire::Packet;

/// A packet and what is known around it.
#[derive(Clone, Copy)]
pub struct Seen<'a> {
    /// The packet.
    pub packet: &'a Packet<'a>,
    /// Which way it goes in its flow; `Server` where there is none.
    pub toward: Toward,
    /// Its flow, this packet counted.
    pub flow: Option<FlowView>,
    /// Bytes of the stream of this direction that can be looked at now.
    pub stream: Option<Chunk<'a>>,
    /// The packet's payload was put into the stream: rules about the stream look there and not at the packet.
    pub in_stream: bool,
    /// What was unusual while decoding: names of the peer without their prefix, as in `decode-event`.
    pub decode_events: &'a [&'static str],
    /// What was unusual in the stream: names as in `stream-event`.
    pub stream_events: &'a [&'static str],
    /// What was unusual in finding the application: names as in `app-layer-event` that begin with `applayer_`.
    pub app_events: &'a [&'static str],
    /// Whether its checksums are right.
    pub checksums: Checksums,
}

/// A part of a stream.
#[derive(Debug, Clone, Copy)]
pub struct Chunk<'a> {
    /// The bytes, with as many before the new ones as are still held.
    pub bytes: &'a [u8],
    /// Where they begin in the stream.
    pub offset: u64,
    /// Nothing comes behind them.
    pub last: bool,
}

/// Checksums of a packet; none where it was not reckoned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Checksums {
    /// Of the IPv4 header.
    pub network: Option<bool>,
    /// Of TCP, UDP, ICMP.
    pub transport: Option<bool>,
}

/// A flow as rules ask about it. Pairs are: from who opened it, and the answers.
#[derive(Debug, Clone, Copy)]
pub struct FlowView {
    /// Both sides have spoken; for TCP the handshake is over.
    pub established: bool,
    /// Since its first packet, in seconds.
    pub age: u32,
    /// Packets.
    pub packets: [u64; 2],
    /// Bytes.
    pub bytes: [u64; 2],
    /// For TCP: next sequence number less the first, of client and server, as `stream_size` counts it.
    pub sent: Option<[u32; 2]>,
    /// The application.
    pub app: AppView,
}

/// What is known of an application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Known {
    /// Not yet.
    #[default]
    Unknown,
    /// It will not be known.
    Failed,
    /// This.
    Is(App),
}

/// A flow's application.
#[derive(Debug, Clone, Copy, Default)]
pub struct AppView {
    /// Of the flow.
    pub flow: Known,
    /// As seen in each direction.
    pub sides: [Known; 2],
    /// What it was before it changed.
    pub original: Option<App>,
    /// What it is going to be, where it is changing.
    pub expected: Option<App>,
    /// It was found, or given up, with this packet; over UDP: now or before, as each datagram is looked at by itself.
    pub found_now: bool,
}
