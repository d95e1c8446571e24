//! Writing: in comes an inventory, out comes the text of a site file, with comments where a person must decide.

use super::inventory::{Host, Inventory};
use catalog::Service;
use ipnet::IpNet;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    net::IpAddr,
};
use words::{HostName, SourceFile};

/// Prefix lengths a machine's neighbours are guessed from: what most sites give a VLAN.
const V4_LENGTH: u8 = 24;
const V6_LENGTH: u8 = 64;

/// The proposed site file.
pub fn propose(inventory: &Inventory) -> String {
    let mut out = String::from(
        "# Proposed from an Ansible inventory. Zones are guessed from addresses: rename them, add the missing subnets (IPv6).\n\n[site]\n# management = { from = [\"ops\"], by = \"ssh\" }\n",
    );
    let nets: BTreeSet<IpNet> = inventory.hosts.values().filter_map(|h| h.address).filter_map(subnet).collect();
    let zones: BTreeMap<IpNet, String> = nets.into_iter().map(|n| (n, zone_name(&n))).collect();
    if !zones.is_empty() {
        out.push_str("\n[zones]\n");
        for (net, zone) in &zones {
            let _ = writeln!(out, "{zone} = {{ subnets = [\"{net}\"] }}");
        }
    }
    let mut taken: BTreeMap<String, usize> = BTreeMap::new();
    for (spelled, host) in &inventory.hosts {
        let name = host_name(spelled, &mut taken);
        let _ = write!(out, "\n[hosts.{}]\n", key(&name));
        if name != *spelled {
            let _ = writeln!(out, "# {} in the inventory", spelled.replace(char::is_control, " "));
        }
        match host.address {
            Some(a) => drop(writeln!(out, "address = \"{a}\"")),
            None => out.push_str("# address = \"\"\n"),
        }
        runs(&mut out, host);
    }
    match crate::format(&SourceFile::new("proposal", out.clone())) {
        Ok(text) => text,
        // What was written here is TOML; should it not be, the text still helps a person.
        Err(_) => out,
    }
}

fn runs(out: &mut String, host: &Host) {
    let found: BTreeSet<&str> = host.groups.iter().filter_map(|g| service(g)).map(|s| s.name.as_str()).collect();
    let quoted: Vec<String> = found.iter().map(|s| format!("\"{s}\"")).collect();
    let groups: Vec<String> = host.groups.iter().map(|g| g.replace(char::is_control, " ")).collect();
    if quoted.is_empty() {
        let _ = writeln!(out, "# runs = []  # groups: {}", groups.join(", "));
    } else {
        let _ = writeln!(out, "runs = [{}]", quoted.join(", "));
    }
}

/// The service a group's name says: `lotus_miner`, `fil_boostd`, `yugabyte-nodes`.
fn service(group: &str) -> Option<&'static Service> {
    let plain = group.to_lowercase().replace('_', "-");
    let stem = plain.strip_prefix("fil-").unwrap_or(&plain);
    let ends = ["", "s", "-nodes", "-node", "-hosts", "-servers", "-server"];
    let name = ends.iter().filter_map(|e| stem.strip_suffix(e)).find(|n| catalog::builtin().contains_key(*n))?;
    // `host` is no service a person would name a group after.
    catalog::builtin().get(name).map(|s| s.as_ref()).filter(|s| s.name.as_str() != "host")
}

fn subnet(a: IpAddr) -> Option<IpNet> {
    IpNet::new(a, if a.is_ipv4() { V4_LENGTH } else { V6_LENGTH }).ok().map(|n| n.trunc())
}

fn zone_name(net: &IpNet) -> String {
    let text: String = net.addr().to_string().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    format!("z-{}", text.trim_matches('-'))
}

/// A valid, free name near the spelled one: the first label of a domain name, lower case.
///
/// `taken` holds for each name the next number to try behind it: a range of thousands may come down to one label.
fn host_name(spelled: &str, taken: &mut BTreeMap<String, usize>) -> String {
    let label = if spelled.parse::<IpAddr>().is_ok() { spelled } else { spelled.split('.').next().unwrap_or(spelled) };
    let cleaned: String =
        label.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' }).take(50).collect();
    let base = Some(cleaned.trim_matches('-').to_owned()).filter(|c| HostName::new(c).is_ok()).unwrap_or_else(|| "host".to_owned());
    let mut n = taken.get(&base).copied().unwrap_or(1);
    let name = loop {
        let name = if n == 1 { base.clone() } else { format!("{base}-{n}") };
        n += 1;
        if !taken.contains_key(&name) {
            break name;
        }
    };
    taken.insert(name.clone(), 2);
    taken.insert(base, n);
    name
}

fn key(name: &str) -> String {
    if name.contains('.') { format!("\"{name}\"") } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use crate::ansible::import;
    use words::SourceFile;

    const INVENTORY: &str = "[lotus]\nd1.sp.example ansible_host=10.0.2.11\n[fil_lotus_miner]\nM1 ansible_host=10.0.3.11\n[lotus_workers]\nw[1:2].sp.example\n[odd]\n10.0.4.7\n";

    #[test]
    fn the_proposal_says_what_the_inventory_says() {
        let text = import(INVENTORY).expect("inventory");
        assert!(text.contains("[hosts.d1]\n# d1.sp.example in the inventory\naddress = \"10.0.2.11\"\nruns    = [\"lotus\"]"), "{text}");
        assert!(text.contains("runs    = [\"lotus-miner\"]") && text.contains("[hosts.m1]"), "{text}");
        assert!(text.contains("z-10-0-3-0 = { subnets = [\"10.0.3.0/24\"] }"), "{text}");
        assert!(text.contains("# runs = []  # groups: odd"), "{text}");
    }

    /// Found by the fuzz target: with each name tried from 2 on again, this took minutes.
    #[test]
    fn thousands_that_come_down_to_one_label_are_numbered() {
        let begin = std::time::Instant::now();
        let text = import("[x]\nmi.[1:19999]\nmi-7\n").expect("inventory");
        assert!(begin.elapsed() < std::time::Duration::from_secs(30), "{:?}", begin.elapsed());
        for name in ["mi", "mi-2", "mi-6", "mi-7", "mi-8", "mi-20000"] {
            assert_eq!(text.lines().filter(|l| *l == format!("[hosts.{name}]")).count(), 1, "{name}");
        }
    }

    #[test]
    fn the_proposal_is_a_site_once_the_gaps_are_filled() {
        let text = import(&INVENTORY.replace("w[1:2].sp.example", "w1 ansible_host=10.0.3.21")).expect("inventory");
        let source = SourceFile::new("site.toml", text);
        let out = crate::read(&source, "2026-11-22");
        assert!(out.is_good(), "{}\n{}", source.text(), out.render(&source));
    }
}
