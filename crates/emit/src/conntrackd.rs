//! conntrackd's configuration for one node of a pair. In comes the plan's pair, out comes a text that the daemon takes. Never: a script.
//!
//! What the other node says of a connection goes straight into this kernel's table (no external cache): no address comes up before its
//! flows are known. Tracking stays strict: windows are told with the states.

use plan::election::PairPlan;
use std::fmt::Write as _;
use std::net::IpAddr;

/// Messages kept until the other node has acknowledged them: what a burst of connections makes in a second or two.
pub const RESEND_QUEUE: u32 = 131_072;
/// Socket buffers between the nodes, in bytes: `net.core.rmem_max` caps them, CAP_NET_ADMIN lets the daemon go past it.
pub const SYNC_BUFFER: u32 = 24 << 20;
/// Events of the kernel that wait for the daemon, in bytes: at first, and as far as it grows.
pub const EVENT_BUFFER: (u32, u32) = (2 << 20, 32 << 20);
/// Connections per bucket of the daemon's own table.
const PER_BUCKET: u32 = 16;
/// The daemon's table may hold twice what the kernel's does: what ends and what begins overlap.
const HEADROOM: u32 = 2;

/// The file's text.
pub fn file(pair: &PairPlan) -> String {
    let family = |a: &IpAddr| if a.is_ipv4() { "IPv4" } else { "IPv6" };
    let mut out = format!(
        "{}; changes are reported as drift.\n\
         Sync {{\n\
         \x20   Mode FTFW {{\n\
         \x20       # Into the kernel at once: no address comes up before its flows are known.\n\
         \x20       DisableExternalCache On\n\
         \x20       StartupResync On\n\
         \x20       ResendQueueSize {RESEND_QUEUE}\n\
         \x20   }}\n\
         \x20   UDP {{\n\
         \x20       {f}_address {here}\n\
         \x20       {f}_Destination_Address {there}\n\
         \x20       Port {port}\n\
         \x20       Interface {link}\n\
         \x20       SndSocketBuffer {SYNC_BUFFER}\n\
         \x20       RcvSocketBuffer {SYNC_BUFFER}\n\
         \x20       Checksum On\n\
         \x20   }}\n\
         \x20   Options {{\n\
         \x20       # Windows go along: the other node judges by them, not liberally.\n\
         \x20       TCPWindowTracking On\n\
         \x20       ExpectationSync On\n\
         \x20   }}\n\
         }}\n\
         General {{\n\
         \x20   Systemd On\n\
         \x20   HashSize {size}\n\
         \x20   HashLimit {limit}\n\
         \x20   LogFile Off\n\
         \x20   Syslog On\n\
         \x20   LockFile {lock}\n\
         \x20   UNIX {{\n\
         \x20       Path {control}\n\
         \x20   }}\n\
         \x20   NetlinkBufferSize {first}\n\
         \x20   NetlinkBufferSizeMaxGrowth {most}\n\
         \x20   NetlinkOverrunResync On\n\
         \x20   Filter From Kernelspace {{\n\
         \x20       # The node's own connections are nobody else's.\n\
         \x20       Address Ignore {{\n",
        bundle::file::MARK,
        f = family(&pair.here),
        here = pair.here,
        there = pair.there,
        port = pair.port,
        link = pair.link,
        size = pair.connections / PER_BUCKET,
        limit = pair.connections.saturating_mul(HEADROOM),
        lock = bundle::pair::LOCK,
        control = bundle::pair::CONTROL,
        first = EVENT_BUFFER.0,
        most = EVENT_BUFFER.1,
    );
    let loopback: [IpAddr; 2] = [std::net::Ipv4Addr::LOCALHOST.into(), std::net::Ipv6Addr::LOCALHOST.into()];
    for a in loopback.iter().chain(&pair.own) {
        let _ = writeln!(out, "            {}_address {a}", family(a));
    }
    out += "        }\n    }\n}\n";
    out
}
