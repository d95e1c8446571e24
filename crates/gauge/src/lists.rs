//! The same policy as others write it: one linear list for `iptables-restore`, and UFW's chains around the same list.
//!
//! The layout of UFW's chains is that of its 0.36 `ufw-init-functions` and `iptables/before.rules`, forward side, with the
//! default logging level and the default forward policy; its user rules are one line per permission, as `ufw route allow`
//! writes them. Both get the same translation as the emitted ruleset, since it costs a new connection something too.

use crate::policy::{Policy, Side};
use std::fmt::Write as _;

/// One filter table, forward chain: established first, then a line per permission.
pub fn linear(policy: &Policy) -> String {
    let mut out = String::from("*filter\n:INPUT ACCEPT [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n");
    out += "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n";
    out += "-A FORWARD -m conntrack --ctstate INVALID -j DROP\n";
    lines(&mut out, "FORWARD", policy);
    out += "COMMIT\n";
    translation(&mut out, policy);
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
    lines(&mut out, "ufw-user-forward", policy);
    out += "COMMIT\n";
    translation(&mut out, policy);
    out
}

fn lines(out: &mut String, chain: &str, policy: &Policy) {
    for line in &policy.lines {
        let from = match &line.from {
            Side::Net(n) => format!("-s {n}"),
            Side::Device(d) => format!("-i {d}"),
        };
        let to = match &line.to {
            Side::Net(n) => format!("-d {n}"),
            Side::Device(d) => format!("-o {d}"),
        };
        let word = line.proto.word();
        let ports = if line.ports.0 == line.ports.1 { line.ports.0.to_string() } else { format!("{}:{}", line.ports.0, line.ports.1) };
        let _ = writeln!(out, "-A {chain} {from} {to} -p {word} -m {word} --dport {ports} -j ACCEPT");
    }
}

fn translation(out: &mut String, policy: &Policy) {
    *out += "*nat\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n";
    for (proto, at, port, to, to_port) in &policy.published {
        let word = proto.word();
        let _ = writeln!(out, "-A PREROUTING -d {at}/32 -p {word} -m {word} --dport {port} -j DNAT --to-destination {to}:{to_port}");
    }
    let _ = writeln!(out, "-A POSTROUTING -o {} -j MASQUERADE", policy.uplink);
    *out += "COMMIT\n";
}
