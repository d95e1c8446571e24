//! Kernel settings that stand behind the rules: no redirects, no source routes, reverse path, room to track. In comes a
//! machine, out come settings with what reading them back must show. Never: a setting that a machine may depend on
//! without saying so (forwarding on hosts, router advertisements where the gateway may be learnt from them).

use crate::build::Build;
use crate::host::advertised;
use crate::{Sysctl, SysctlPhase, SysctlRule};
use site::model::Mode;
use std::collections::BTreeSet;

/// Connections an edge node can track: a libp2p daemon holds thousands, dials more; 1,048,576 entries are about 340 MB
/// when full.
pub const EDGE_CONNECTIONS: u32 = 1 << 20;
/// Connections a host can track: 262,144 entries are about 85 MB when full.
pub const HOST_CONNECTIONS: u32 = 1 << 18;

struct List(BTreeSet<Sysctl>);

impl List {
    fn exactly(&mut self, key: &str, value: &str, why: &str) {
        self.push(key, value, SysctlRule::Exactly, SysctlPhase::WithRules, why);
    }
    fn push(&mut self, key: &str, value: &str, rule: SysctlRule, phase: SysctlPhase, why: &str) {
        self.0.insert(Sysctl { key: key.to_owned(), value: value.to_owned(), rule, phase, why: why.to_owned() });
    }
    /// For all devices, those to come, and each one known: for some settings `all` alone is not enough
    /// (Documentation/networking/ip-sysctl.rst).
    fn each(&mut self, devices: &[&str], family: &str, name: &str, value: &str, why: &str) {
        for device in ["all", "default"].iter().chain(devices) {
            self.exactly(&format!("net/{family}/conf/{device}/{name}"), value, why);
        }
    }
}

fn devices<'a>(b: &'a Build<'_>) -> Vec<&'a str> {
    b.devices.values().map(String::as_str).collect()
}

fn common(b: &Build<'_>, list: &mut List, connections: u32) {
    list.push(
        "net/netfilter/nf_conntrack_max",
        &connections.to_string(),
        SysctlRule::AtLeast,
        SysctlPhase::WithRules,
        "a full table drops new connections, proofs among them",
    );
    if b.mode != Mode::Enforce {
        return;
    }
    let d = devices(b);
    for family in ["ipv4", "ipv6"] {
        list.each(&d, family, "accept_redirects", "0", "a redirect from the link would reroute the machine");
        list.each(&d, family, "accept_source_route", "0", "a sender must not choose its path around the filter");
    }
    list.each(&d, "ipv4", "secure_redirects", "0", "the same, from those who claim to be gateways");
    list.each(&d, "ipv4", "send_redirects", "0", "a redirect would send neighbours past the filter");
    list.exactly("net/ipv4/icmp_echo_ignore_broadcasts", "1", "one forged echo must not be answered by everybody");
    list.exactly("net/ipv4/tcp_syncookies", "1", "a flood of opening packets must not shut out others");
    list.push(
        "net/netfilter/nf_conntrack_tcp_loose",
        "0",
        SysctlRule::Exactly,
        SysctlPhase::AfterSeeding,
        "a connection begins with its opening packet; before seeding this would cut what is under way",
    );
}

/// Settings of a host.
pub(crate) fn host(b: &Build<'_>) -> Vec<Sysctl> {
    let mut list = List(BTreeSet::new());
    common(b, &mut list, HOST_CONNECTIONS);
    if b.mode == Mode::Enforce {
        // Several interfaces may answer on another than the question came by: loose there, strict otherwise.
        let value = if b.host.interfaces.len() > 1 { "2" } else { "1" };
        list.each(&devices(b), "ipv4", "rp_filter", value, "a source must be reachable through the device it claims to come from");
        let v6 = b.host.interfaces.iter().any(|i| {
            i.addresses.iter().any(|a| a.addr().is_ipv6())
                || b.model.zones.get(&i.zone).is_none_or(|z| z.subnets.is_empty() || z.subnets.iter().any(|n| n.addr().is_ipv6()))
        });
        let advertisement = if !v6 {
            Some("no zone of this machine has IPv6: an advertisement is an attack")
        } else {
            (!advertised(b)).then_some("the gateway is known: an advertisement could only be another one's")
        };
        if let Some(why) = advertisement {
            list.each(&devices(b), "ipv6", "accept_ra", "0", why);
        }
    }
    list.0.into_iter().collect()
}

/// Settings of an edge node.
pub(crate) fn edge(b: &Build<'_>) -> Vec<Sysctl> {
    let mut list = List(BTreeSet::new());
    common(b, &mut list, EDGE_CONNECTIONS);
    if b.mode == Mode::Enforce {
        let d = devices(b);
        list.exactly("net/ipv4/ip_forward", "1", "it forwards between the zones");
        list.exactly("net/ipv6/conf/all/forwarding", "1", "it forwards between the zones");
        list.each(&d, "ipv4", "rp_filter", "1", "a source must be reachable through the device it claims to come from");
        list.each(&d, "ipv4", "log_martians", "1", "impossible sources are worth a line");
        list.each(&d, "ipv4", "arp_ignore", "1", "an address is answered for only on the device that holds it");
        if b.model.edge.nodes.len() > 1 {
            list.exactly("net/netfilter/nf_conntrack_events", "1", "the other node learns of connections by events");
            list.exactly("net/netfilter/nf_conntrack_tcp_be_liberal", "0", "what the other node was told is judged by its windows too");
            // keepalived does not put back what the kernel takes off, and a link lost on both nodes changes nothing else.
            list.each(&d, "ipv6", "keep_addr_on_down", "1", "an address outlives a link that is lost and comes back");
        }
        let wan = b.devices.iter().find(|(z, _)| z.is_internet()).map(|(_, d)| d.clone());
        for device in d.iter().filter(|d| !b.model.edge.wan_dynamic || Some(**d) != wan.as_deref()) {
            list.exactly(&format!("net/ipv6/conf/{device}/accept_ra"), "0", "an edge node's routes are written, not learnt");
        }
    }
    list.0.into_iter().collect()
}
