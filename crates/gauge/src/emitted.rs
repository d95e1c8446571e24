//! The policy in the shape Ravelin emits: one `inet` table, exact permissions as elements of one hash set, each with its
//! counter and id. In comes a policy, out comes text for `nft -f`.

use crate::policy::Policy;
use std::fmt::Write as _;

/// Only tracking: what any stateful ruleset costs at least.
pub fn tracking() -> String {
    "table inet tracking {\n chain forward {\n  type filter hook forward priority 0; policy accept;\n  ct state invalid drop\n }\n}\n"
        .into()
}

/// What may be left out of the shape, to learn what it costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// The set says how many elements it holds: the kernel then takes its fixed hash table, else the growing one.
    pub sized: bool,
    /// Every element counts.
    pub counters: bool,
    /// Every element carries its id.
    pub ids: bool,
}

impl Shape {
    /// As emitted.
    pub const EMITTED: Self = Self { sized: true, counters: true, ids: true };
}

/// The emitted shape, or one with something left out.
pub fn ravelin(policy: &Policy, shape: Shape) -> String {
    let counter = if shape.counters { " counter" } else { "" };
    let mut out = format!("table inet ravelin {{\n set flows4 {{\n  type ipv4_addr . ipv4_addr . inet_proto . inet_service\n {counter}\n");
    if shape.sized {
        let _ = writeln!(out, "  size {}", policy.permits.len());
    }
    out += "  elements = {\n";
    for (n, p) in policy.permits.iter().enumerate() {
        let id = if shape.ids { format!(" comment \"f{n:08x}\"") } else { String::new() };
        let _ = writeln!(out, "   {} . {} . {} . {}{counter}{id},", p.src, p.dst, p.proto.word(), p.port);
    }
    out += "  }\n }\n chain spoofed {\n";
    for zone in &policy.zones {
        for (address, length) in &zone.subnets {
            let _ = writeln!(out, "  iifname \"{}\" ip saddr {address}/{length} return", zone.device);
        }
    }
    out += "  counter drop comment \"NET001\"\n }\n chain forward {\n  type filter hook forward priority 0; policy drop;\n";
    out += "  ct state vmap { established : accept, related : accept, invalid : drop }\n  jump spoofed\n";
    out += "  ip saddr . ip daddr . meta l4proto . th dport @flows4 accept\n";
    out += "  limit rate 10/second burst 20 packets log prefix \"ravelin drop \"\n  counter drop comment \"NET000\"\n }\n}\n";
    out
}
