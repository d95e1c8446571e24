//! Addresses an edge node must hold, for its bundle and as lines of `ip -batch`. In come the plan's addresses, out come the same in
//! another form. Never: an address without its reason.

use bundle::OwnAddress;
use plan::Address;
use std::fmt::Write as _;

/// What the bundle puts on the machine.
pub fn own(addresses: &[Address]) -> Vec<OwnAddress> {
    let one = |a: &Address| OwnAddress { device: a.device.clone(), address: a.address, source: a.source };
    let mut all: Vec<OwnAddress> = addresses.iter().map(one).collect();
    all.sort();
    all
}

/// The file's text, for `ip -batch`.
pub fn file(addresses: &[Address]) -> String {
    let mut out = String::from("# Written by ravelin, for `ip -batch FILE` once the devices are there. None of it outlives a boot.\n");
    for a in addresses {
        let origins: Vec<String> = a.origins.iter().map(ToString::to_string).collect();
        // Deprecated from the start: the machine's own connections begin at another of its addresses (RFC 6724).
        let aside = if a.address.addr().is_ipv6() && !a.source { " preferred_lft 0" } else { "" };
        let _ = writeln!(out, "# {} ({})\naddress replace {} dev {}{aside}", a.why, origins.join(", "), a.address, a.device);
    }
    out
}
