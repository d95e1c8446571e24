//! keepalived's configuration for one node of a pair. In comes the plan's pair, out comes a text that `keepalived -t` takes. Never: a
//! script, an include, a notification.
//!
//! One instance moves every address, in both families, over the link between the nodes: zones hear no advertisement, so nobody in
//! them can forge one. Both nodes have the same priority and lose some with each link: a node that comes back takes nothing over, and
//! the same link lost on both moves nothing. Where both are active at once, the higher address on the link stays (RFC 9568 6.4.3): a node
//! with it that was stopped for a second takes everything back.

use plan::election::PairPlan;
use std::fmt::Write as _;
use words::HostName;

use bundle::pair::DRAINED;
use bundle::pair::HEALTH;

/// Both nodes': below the owner's 255, which never gives up, with room below for every loss to count.
pub const PRIORITY: u8 = 250;
/// What a lost link costs where there are few.
const LINK_COST: i16 = 5;
/// What all links may cost together: less than a drain.
const LINKS_COST: i16 = 199;
/// Between two advertisements, in milliseconds. Three of them missed and a skew of 56/256 make 193 ms before the other node takes over:
/// what is left of 300 ms is for addresses and their announcement.
pub const ADVERTISE_MS: u32 = 60;
/// The pair's number. Nobody else is on the link.
pub const ROUTER: u8 = 1;
/// Round-robin priority of the daemon's process: a busy node must not fall silent.
pub const REALTIME: u8 = 50;
/// How long it may compute without a pause before the kernel kills it, in microseconds. By itself it asks for some milliseconds: what it has
/// to do after a stall, or with two thousand addresses, takes longer, and whoever is killed leaves its addresses where they are.
pub const REALTIME_LIMIT_US: u32 = 1_000_000;
/// Longest comment, in bytes: the daemon reads no more than 1023 of a line, and takes what is left for another one.
const LONGEST_COMMENT: usize = 150;

/// What a lost link counts, of so many: all of them together less than a drain.
pub fn link_weight(links: usize) -> i16 {
    let each = LINKS_COST / i16::try_from(links).unwrap_or(i16::MAX).max(1);
    -each.clamp(1, LINK_COST)
}

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
         \x20   vrrp_rlimit_rttime {REALTIME_LIMIT_US}\n\
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
         \x20   # The other node has the same: one that comes back takes nothing over.\n\
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
        let weight = link_weight(pair.watched.len());
        for device in &pair.watched {
            let _ = writeln!(out, "        {device} weight {weight}");
        }
        out += "    }\n";
    }
    out += "    track_file {\n        ravelin\n    }\n";
    let advertised = pair.advertised();
    let block = |out: &mut String, name: &str, some: &mut dyn Iterator<Item = &plan::Address>| {
        let _ = writeln!(out, "    {name} {{");
        for a in some {
            let _ = writeln!(out, "        # {}", comment(&a.why, &a.origins.iter().map(ToString::to_string).collect::<Vec<_>>()));
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

/// Why, and as many origins as a comment holds, of characters that mean nothing to the daemon.
fn comment(why: &str, origins: &[String]) -> String {
    let shown = |some: &[String]| {
        let more = origins.len() - some.len();
        let rest = if more == 0 { String::new() } else { format!(", and {more} more") };
        format!("{why} ({}{rest})", some.join(", "))
    };
    let fits = |n: &usize| shown(&origins[..*n]).len() <= LONGEST_COMMENT;
    let most = (1..=origins.len()).rev().find(fits).unwrap_or(origins.len().min(1));
    let plain = |c: char| if bundle::pair::is_comment(&format!("#{c}")) { c } else { '?' };
    crate::accounts::one_line(&shown(&origins[..most])).chars().map(plain).take(LONGEST_COMMENT).collect()
}

/// Milliseconds in keepalived's seconds.
fn seconds(ms: u32) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000).trim_end_matches('0').to_owned()
}
