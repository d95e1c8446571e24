//! keepalived's configuration for one node of a pair. In comes the plan's pair, out comes a text that `keepalived -t` takes. Never: a
//! script, an include, a notification.
//!
//! One instance moves every address, in both families, over the link between the nodes: zones hear no advertisement, so nobody in
//! them can forge one. Both nodes have the same priority and lose some with each link: a node that comes back takes nothing over, and
//! the same link lost on both moves nothing.

use plan::election::PairPlan;
use std::fmt::Write as _;
use words::HostName;

use bundle::pair::HEALTH;

/// Both nodes': below the owner's 255, and far enough from 1 for every loss to count.
pub const PRIORITY: u8 = 200;
/// What a lost link costs: ten of them as much as a drain.
pub const LINK_WEIGHT: i16 = -5;
/// Written to the file at [`HEALTH`] to hand everything to the other node.
pub const DRAINED: i16 = -50;
/// Between two advertisements, in milliseconds. Three of them missed and a skew of 56/256 make 193 ms before the other node takes over:
/// what is left of 300 ms is for addresses and their announcement.
pub const ADVERTISE_MS: u32 = 60;
/// The pair's number. Nobody else is on the link.
pub const ROUTER: u8 = 1;
/// Round-robin priority of the daemon's process: a busy node must not fall silent.
pub const REALTIME: u8 = 50;

/// The file's text.
pub fn file(host: &HostName, pair: &PairPlan) -> String {
    let mut out = format!(
        "{}; changes are reported as drift.\n\
         global_defs {{\n\
         \x20   router_id {host}\n\
         \x20   vrrp_version 3\n\
         \x20   # Nothing is ever started by the daemon.\n\
         \x20   enable_script_security\n\
         \x20   script_user nobody\n\
         \x20   # A device may come later than the daemon.\n\
         \x20   dynamic_interfaces\n\
         \x20   vrrp_rt_priority {REALTIME}\n\
         }}\n\
         # Health of this node: 0 or no file is good, {DRAINED} hands everything over.\n\
         track_file ravelin {{\n\
         \x20   file {HEALTH}\n\
         \x20   weight 1\n\
         }}\n\
         vrrp_instance ravelin {{\n\
         \x20   state BACKUP\n\
         \x20   interface {link}\n\
         \x20   virtual_router_id {ROUTER}\n\
         \x20   # The other node has the same: who is active stays so.\n\
         \x20   priority {PRIORITY}\n\
         \x20   advert_int {advertise}\n\
         \x20   unicast_src_ip {here}\n\
         \x20   unicast_peer {{\n\
         \x20       {there}\n\
         \x20   }}\n\
         \x20   # The link between the nodes says nothing of the zones: without it both are active, not none.\n\
         \x20   dont_track_primary\n",
        bundle::file::MARK,
        link = pair.link,
        advertise = seconds(ADVERTISE_MS),
        here = pair.here,
        there = pair.there,
    );
    if !pair.watched.is_empty() {
        out += "    track_interface {\n";
        for device in &pair.watched {
            let _ = writeln!(out, "        {device} weight {LINK_WEIGHT}");
        }
        out += "    }\n";
    }
    out += "    track_file {\n        ravelin\n    }\n";
    let advertised = pair.advertised();
    let block = |out: &mut String, name: &str, some: &mut dyn Iterator<Item = &plan::Address>| {
        let _ = writeln!(out, "    {name} {{");
        for a in some {
            let origins: Vec<String> = a.origins.iter().map(ToString::to_string).collect();
            let _ = writeln!(out, "        # {}", crate::accounts::one_line(&format!("{} ({})", a.why, origins.join(", "))));
            // Deprecated from the start: the machine's own connections begin at another of its addresses (RFC 6724).
            let aside = if a.address.addr().is_ipv6() { if a.source { " preferred_lft forever" } else { " preferred_lft 0" } } else { "" };
            // Links are watched above, with weights: without this word a link lost on both would leave no node active.
            let _ = writeln!(out, "        {} dev {} no_track{aside}", a.address, a.device);
        }
        out.push_str("    }\n");
    };
    block(&mut out, "virtual_ipaddress", &mut advertised.into_iter());
    if pair.addresses.len() > 1 {
        block(&mut out, "virtual_ipaddress_excluded", &mut pair.addresses.iter().filter(|a| Some(*a) != advertised));
    }
    out += "}\n";
    out
}

/// Milliseconds in keepalived's seconds.
fn seconds(ms: u32) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000).trim_end_matches('0').to_owned()
}
