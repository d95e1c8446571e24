//! The same policy as others write it: one linear list for `iptables-restore`, and UFW's chains around the same list.
//!
//! The layout of UFW's chains is that of its 0.36 `ufw-init-functions` and `iptables/before.rules`, forward side, with the
//! default logging level and the default forward policy; its user rules are one line per permission, as `ufw route allow` writes.

use crate::policy::{Permit, Policy};
use std::fmt::Write as _;

/// One filter table, forward chain: established first, then a line per permission.
pub fn linear(policy: &Policy) -> String {
    let mut out = String::from("*filter\n:INPUT ACCEPT [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n");
    out += "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n";
    out += "-A FORWARD -m conntrack --ctstate INVALID -j DROP\n";
    lines(&mut out, "FORWARD", &policy.permits);
    out += "COMMIT\n";
    out
}

/// UFW's forward side.
pub fn ufw(policy: &Policy) -> String {
    let mut out = String::from("*filter\n:INPUT ACCEPT [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n");
    let order = ["before-logging", "before", "after", "after-logging", "reject", "track"];
    for chain in order.iter().chain(&["user"]) {
        let _ = writeln!(out, ":ufw-{chain}-forward - [0:0]");
    }
    for chain in order {
        let _ = writeln!(out, "-A FORWARD -j ufw-{chain}-forward");
    }
    out += "-A ufw-before-forward -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n";
    for kind in ["destination-unreachable", "time-exceeded", "parameter-problem", "echo-request"] {
        let _ = writeln!(out, "-A ufw-before-forward -p icmp --icmp-type {kind} -j ACCEPT");
    }
    out += "-A ufw-before-forward -j ufw-user-forward\n";
    out += "-A ufw-after-logging-forward -j LOG --log-prefix \"[UFW BLOCK] \" -m limit --limit 3/min --limit-burst 10\n";
    lines(&mut out, "ufw-user-forward", &policy.permits);
    out += "COMMIT\n";
    out
}

fn lines(out: &mut String, chain: &str, permits: &[Permit]) {
    for p in permits {
        let word = p.proto.word();
        let _ = writeln!(out, "-A {chain} -s {}/32 -d {}/32 -p {word} -m {word} --dport {} -j ACCEPT", p.src, p.dst, p.port);
    }
}
