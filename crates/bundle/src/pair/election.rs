//! The form of keepalived's file: one instance, one link, one file that says how the node is. In comes a text, out comes the first line that
//! does not belong. Never: a word that is not in the table below.

use super::HEALTH;
use super::form::{Need, Refusal, Step, walk};
use super::value::{are_ends, canonical, is_device, is_host, number, unicast};
use crate::address::{self, OwnAddress};
use ipnet::IpNet;

/// What a line is not.
const WHY: &str = "not the next line of Ravelin's election";

/// Values before the two ends of the link.
const ENDS: usize = 8;

/// The file, line by line.
const FORM: [Step; 33] = [
    Step::Line("global_defs {"),
    Step::Value("    router_id ", is_host),
    Step::Line("    vrrp_version 3"),
    Step::Line("    enable_script_security"),
    Step::Line("    script_user nobody"),
    Step::Line("    dynamic_interfaces"),
    Step::Value("    vrrp_rt_priority ", |n| number(n, 1..=99)),
    // Microseconds; less than a second and the kernel kills what it should keep running.
    Step::Value("    vrrp_rlimit_rttime ", |n| number(n, 1_000_000..=60_000_000)),
    Step::Line("}"),
    Step::Line("track_file ravelin {"),
    Step::Value("    file ", |path| path == HEALTH),
    Step::Line("    weight 1"),
    Step::Line("}"),
    Step::Line("vrrp_instance ravelin {"),
    Step::Line("    state BACKUP"),
    Step::Value("    interface ", is_device),
    Step::Value("    virtual_router_id ", |n| number(n, 1..=255)),
    // 255 is the owner's, who never gives up.
    Step::Value("    priority ", |n| number(n, 1..=254)),
    Step::Value("    advert_int ", is_interval),
    Step::Value("    unicast_src_ip ", |a| unicast(a).is_some()),
    Step::Line("    unicast_peer {"),
    Step::Value("        ", |a| unicast(a).is_some()),
    Step::Line("    }"),
    Step::Line("    dont_track_primary"),
    Step::Rows("    track_interface {", is_watched, Need::Filled),
    Step::Line("    track_file {"),
    Step::Line("        ravelin"),
    Step::Line("    }"),
    Step::Line("    virtual_ipaddress {"),
    Step::Value("        ", is_address),
    Step::Line("    }"),
    Step::Rows("    virtual_ipaddress_excluded {", is_address, Need::Filled),
    Step::Line("}"),
];

/// Holds a text against the form, and its addresses against what a bundle may put on a device.
pub(super) fn check(text: &str) -> Result<(), Refusal> {
    let values = walk(text, &FORM, WHY)?;
    let addresses: Vec<&str> = values.iter().flatten().copied().filter(|v| v.contains(" dev ")).collect();
    let ends: Vec<&str> = values.iter().skip(ENDS).take(2).flatten().copied().collect();
    if !matches!(ends[..], [here, there] if are_ends(here, there)) {
        return Err(("not the two ends of a link", ends.join(" and ")));
    }
    let own: Vec<OwnAddress> = addresses.iter().filter_map(|row| own(row)).collect();
    let refused = |_| ("not addresses that a bundle puts on a device", addresses.join(", "));
    for (one, row) in own.iter().zip(&addresses) {
        address::check([one]).map_err(|_| ("not an address that a bundle puts on a device", (*row).to_owned()))?;
    }
    address::check(&own).map_err(refused)
}

/// `0.06`: seconds, with thousandths where there are any. RFC 9568 5.2.7: at most 40.95; at least what keepalived can time.
fn is_interval(text: &str) -> bool {
    let Some((whole, part)) = text.split_once('.') else { return false };
    let fine = (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit()) && !part.ends_with('0');
    number(whole, 0..=40) && fine
}

/// `DEVICE weight -N`.
fn is_watched(row: &str) -> bool {
    row.split_once(" weight -").is_some_and(|(device, n)| is_device(device) && number(n, 1..=253))
}

/// An address with its device.
fn is_address(row: &str) -> bool {
    own(row).is_some()
}

/// `NET dev DEVICE no_track`, in IPv6 with how long it is preferred.
fn own(row: &str) -> Option<OwnAddress> {
    let words: Vec<&str> = row.split(' ').collect();
    let [net, "dev", device, "no_track", rest @ ..] = words.as_slice() else { return None };
    let address = canonical::<IpNet>(net).filter(|_| is_device(device))?;
    let source = match (address, rest) {
        (IpNet::V4(_), []) | (IpNet::V6(_), ["preferred_lft", "forever"]) => true,
        (IpNet::V6(_), ["preferred_lft", "0"]) => false,
        _ => return None,
    };
    Some(OwnAddress { device: (*device).to_owned(), address, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file as it is written for a small node.
    const GOOD: &str = "\
# Written by ravelin; changes are reported as drift.
global_defs {
    router_id fw-a
    vrrp_version 3
    enable_script_security
    script_user nobody
    dynamic_interfaces
    vrrp_rt_priority 50
    vrrp_rlimit_rttime 1000000
}
track_file ravelin {
    file /etc/keepalived/ravelin.health
    weight 1
}
vrrp_instance ravelin {
    state BACKUP
    interface sync
    virtual_router_id 1
    priority 250
    advert_int 0.06
    unicast_src_ip 10.255.0.1
    unicast_peer {
        10.255.0.2
    }
    dont_track_primary
    track_interface {
        wan0.10 weight -5
    }
    track_file {
        ravelin
    }
    virtual_ipaddress {
        # said with a reason
        203.0.113.1/32 dev wan0.10 no_track
    }
    virtual_ipaddress_excluded {
        2001:db8::1/64 dev wan0.10 no_track preferred_lft 0
    }
}
";

    #[test]
    fn what_is_written_is_admitted() {
        assert_eq!(check(GOOD), Ok(()));
        let short = GOOD.replace("    track_interface {\n        wan0.10 weight -5\n    }\n", "");
        assert_eq!(check(&short), Ok(()), "a node with no zone");
        assert_eq!(check(&GOOD.replace("10.255.0.", "fd00::")), Ok(()), "a link in IPv6");
    }

    /// Whatever this line is, it stands nowhere.
    #[test]
    fn nothing_that_starts_a_program_stands_anywhere_in_an_election() {
        let long = format!("#{}notify /tmp/evil.sh", "a".repeat(1022));
        for bad in [
            &long[..],
            "include /etc/keepalived/evil.conf",
            "includer /x",
            "include weight -5",
            "notify weight -5",
            "notify_fifo weight -5",
            "net_namespace weight -5",
            "use_vmac weight -5",
            "nftables weight -5",
            "notify /bin/sh",
            "notify_master /bin/sh",
            "notify_fifo /run/x",
            "vrrp_script x {",
            "script \"/bin/sh -c x\"",
            "startup_script /bin/sh",
            "script_user root",
            "smtp_server 10.0.0.1",
            "net_namespace x",
            "$X=notify /bin/sh",
            "${X}",
            "@host notify /bin/sh",
            "@fw-a notify /bin/sh",
            "~SEQ(x, 1, 2) y",
            "# \\",
            "# \"",
            "! notify",
            "virtual_server 10.0.0.1 80 {",
            "virtual_routes {",
            "authentication {",
            "nopreempt",
            "127.0.0.53",
            "8.8.8.8",
            "0.0.0.0",
            "ff02::1",
            "127.0.0.1/8 dev lan no_track",
            "203.0.113.1/32 dev wan0.10 no_track",
            "} notify /bin/sh",
            "}",
            "global_defs {",
        ] {
            let places = GOOD.lines().count();
            for place in 1..=places {
                for indent in ["", "    ", "        "] {
                    let mut lines: Vec<String> = GOOD.lines().map(str::to_owned).collect();
                    lines.insert(place, format!("{indent}{bad}"));
                    assert!(check(&(lines.join("\n") + "\n")).is_err(), "{bad} as line {place}");
                }
            }
        }
    }

    #[test]
    fn values_have_one_spelling_and_bounds() {
        for (good, bad) in [
            ("router_id fw-a", "router_id $(x)"),
            ("router_id fw-a", "router_id a b"),
            ("script_user nobody", "script_user nobody root"),
            ("interface sync", "interface lo"),
            ("interface sync", "interface a;b"),
            ("priority 250", "priority 00"),
            ("priority 250", "priority 0"),
            ("priority 250", "priority 255"),
            ("priority 250", "priority 0250"),
            ("rttime 1000000", "rttime 10000"),
            ("advert_int 0.06", "advert_int 0.0"),
            ("advert_int 0.06", "advert_int 0.060"),
            ("advert_int 0.06", "advert_int 0"),
            ("file /etc/keepalived/ravelin.health", "file /etc/shadow"),
            ("state BACKUP", "state MASTER"),
            ("weight -5", "weight 5"),
            ("weight -5", "weight -0"),
            ("weight -5", "weight -05"),
            ("        wan0.10 weight -5", "        include weight -5"),
            ("        10.255.0.2\n", "        127.0.0.53\n"),
            ("        10.255.0.2\n", "        10.255.0.1\n"),
            ("        10.255.0.2\n", "        fd00::2\n"),
            ("203.0.113.1/32 dev wan0.10 no_track", "203.0.113.1/32 dev wan0.10"),
            ("203.0.113.1/32 dev wan0.10 no_track", "203.0.113.1/32 dev wan0.10 no_track label x"),
            ("203.0.113.1/32 dev wan0.10 no_track", "127.0.0.1/8 dev wan0.10 no_track"),
            ("203.0.113.1/32 dev wan0.10 no_track", "8.8.8.8"),
            ("2001:db8::1/64", "2001:db8:0::1/64"),
            ("2001:db8::1/64", "ff02::1/64"),
            ("preferred_lft 0", "preferred_lft 5"),
            (" preferred_lft 0", ""),
            ("    }\n}\n", "    }\n\u{a0}}\n"),
            ("    }\n}\n", "    }\n"),
        ] {
            let text = GOOD.replacen(good, bad, 1);
            assert_ne!(text, GOOD, "{good}");
            assert!(check(&text).is_err(), "{bad}");
        }
    }
}
