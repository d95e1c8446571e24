//! Interfaces, routes, sockets, tracked connections, rulesets.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use words::{Family, Proto};

/// A network interface.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Interface {
    /// Name.
    pub name: String,
    /// Kernel's index.
    pub index: u32,
    /// Link-layer address, `aa:bb:...`; empty where there is none.
    pub mac: String,
    /// Largest packet in bytes.
    pub mtu: u32,
    /// Administratively up.
    pub up: bool,
    /// Kind where the kernel names one: `bridge`, `vlan`, `veth`, `bond`, `wireguard`, ...
    pub kind: Option<String>,
    /// Bridge or bond it belongs to.
    pub master: Option<String>,
    /// 802.1Q tag, for VLAN devices.
    pub vlan: Option<u16>,
    /// Device below it, for VLAN devices and the like.
    pub parent: Option<String>,
    /// Addresses with prefix length, sorted.
    pub addresses: Vec<IpNet>,
    /// Those of them that were made from a router advertisement, and go when nobody advertises any more.
    pub advertised: Vec<IpNet>,
}

/// A route.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Route {
    /// Destination; length 0 is the default route.
    pub to: IpNet,
    /// Next hop, if there is one.
    pub via: Option<IpAddr>,
    /// Device.
    pub device: Option<String>,
    /// Preferred source.
    pub source: Option<IpAddr>,
    /// Metric.
    pub metric: u32,
    /// Table; 254 is main.
    pub table: u32,
    /// `unicast`, `local`, `blackhole`, ...
    pub kind: String,
    /// It was learnt from a router advertisement, and goes when nobody advertises any more.
    #[serde(default)]
    pub advertised: bool,
}

/// State of a socket, TCP's words; UDP sockets are `Established` when connected, else `Close`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "TCP's own words, RFC 9293")]
pub enum SocketState {
    Established,
    SynSent,
    SynRecv,
    FinWait1,
    FinWait2,
    TimeWait,
    Close,
    CloseWait,
    LastAck,
    Listen,
    Closing,
    NewSynRecv,
}

impl SocketState {
    /// The kernel's number (`include/net/tcp_states.h`).
    pub fn from_number(n: u8) -> Option<Self> {
        use SocketState::*;
        const ALL: [SocketState; 12] =
            [Established, SynSent, SynRecv, FinWait1, FinWait2, TimeWait, Close, CloseWait, LastAck, Listen, Closing, NewSynRecv];
        ALL.get(usize::from(n).checked_sub(1)?).copied()
    }
}

/// A TCP or UDP socket. Addresses mapped from v4 are written as v4.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Socket {
    /// TCP or UDP.
    pub proto: Proto,
    /// Local address and port; the unspecified address where bound to all.
    pub local: SocketAddr,
    /// The other end, if connected.
    pub remote: Option<SocketAddr>,
    /// State.
    pub state: SocketState,
    /// Bound to the unspecified v6 address and takes v4 as well.
    pub dual: bool,
    /// Device it is bound to.
    pub device: Option<String>,
    /// Owner of the socket.
    pub uid: u32,
    /// Inode, by which processes are found; 0 for sockets nobody holds any more.
    pub inode: u64,
    /// Processes that hold it, where it could be seen.
    pub pids: Vec<u32>,
}

impl Socket {
    /// Whether it waits for others: a TCP listener, or an unconnected UDP socket with a port.
    pub fn listens(&self) -> bool {
        self.state == SocketState::Listen || (self.proto == Proto::Udp && self.remote.is_none() && self.local.port() != 0)
    }
    /// Whether it listens on every address.
    pub fn on_any_address(&self) -> bool {
        self.local.ip().is_unspecified()
    }
    /// Whether only this machine can reach it.
    pub fn on_loopback(&self) -> bool {
        self.local.ip().is_loopback()
    }
}

/// One direction of a connection. For ICMP the ports are 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Tuple {
    /// Source address.
    pub src: IpAddr,
    /// Destination address.
    pub dst: IpAddr,
    /// Source port.
    pub sport: u16,
    /// Destination port.
    pub dport: u16,
}

impl Tuple {
    /// The same path, walked back, without translation.
    pub fn reversed(self) -> Self {
        Self { src: self.dst, dst: self.src, sport: self.dport, dport: self.sport }
    }
    /// Family of both addresses.
    pub fn family(&self) -> Family {
        Family::of(&self.src)
    }
}

/// Status bits of a tracked connection (`include/uapi/linux/netfilter/nf_conntrack_common.h`).
pub mod status {
    /// Something came back.
    pub const SEEN_REPLY: u32 = 1 << 1;
    /// Traffic in both directions long enough that the entry is not dropped early.
    pub const ASSURED: u32 = 1 << 2;
    /// In the table.
    pub const CONFIRMED: u32 = 1 << 3;
    /// Source translated.
    pub const SRC_NAT: u32 = 1 << 4;
    /// Destination translated.
    pub const DST_NAT: u32 = 1 << 5;
}

/// A tracked connection.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Connection {
    /// Protocol.
    pub proto: Proto,
    /// As it was opened.
    pub original: Tuple,
    /// As answers come back; differs from the reversed original where an address is translated.
    pub reply: Tuple,
    /// TCP's state, as tracking names it: `ESTABLISHED`, `SYN_SENT`, ...
    pub state: Option<String>,
    /// [`status`] bits.
    pub status: u32,
    /// Mark.
    pub mark: u32,
    /// Tracking zone.
    pub zone: u16,
    /// Seconds it stays without traffic.
    pub timeout: u32,
    /// Packets and bytes as opened, where accounting is on.
    pub sent: Option<(u64, u64)>,
    /// Packets and bytes coming back, where accounting is on.
    pub received: Option<(u64, u64)>,
}

/// Packet filter rulesets, each as its own tool prints it. `None` where the tool is missing or failed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rulesets {
    /// `nft -j list ruleset`.
    pub nft_json: Option<String>,
    /// `iptables-save -c`.
    pub iptables_save: Option<String>,
    /// `ip6tables-save -c`.
    pub ip6tables_save: Option<String>,
    /// Filters that no tool above shows: legacy iptables tables, tc and XDP programs.
    pub unread: Vec<String>,
}
