//! Generated sites: in come a number of hosts and a seed, out comes the text of a valid site file with exactly so many
//! hosts. The same numbers give the same bytes. For measuring and for trying things out; never a template for real use.
//!
//! From [`TWO_SITES`] hosts on there are two locations behind one edge pair: zones and hosts carry the location's letter.
//! A location is made of cells: a chain node, a miner with its workers, a market, a store.

use std::fmt::Write as _;

/// Hosts from which a generated site has two locations: below, one has barely room for a cell.
pub const TWO_SITES: usize = 40;
/// Fewest hosts: the pair, and one of everything.
pub const MIN_HOSTS: usize = 10;
/// Most hosts: what the address plan (a /24 per cell and zone) has room for.
pub const MAX_HOSTS: usize = 8_000;
/// Workers of a cell: what one miner usually drives.
const WORKERS: std::ops::RangeInclusive<usize> = 12..=20;
/// Most workers a cell takes when hosts are left over.
const MOST_WORKERS: usize = 60;
/// Lowest public port; each cell takes two.
const FIRST_PORT: usize = 20_000;
const ZONES: [&str; 5] = ["dmz", "chain", "sealing", "data", "ops"];

/// SplitMix64 by Sebastiano Vigna: enough to vary sizes, and the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n.max(1) as u64) as usize
    }
}

/// A location: its letter (empty where there is one), its number, the workers of each cell.
struct Place {
    prefix: String,
    n: usize,
    databases: usize,
    bastion: bool,
    cells: Vec<usize>,
}

/// The text of a site file with this many hosts, held between [`MIN_HOSTS`] and [`MAX_HOSTS`].
pub fn generate(hosts: usize, seed: u64) -> String {
    let hosts = hosts.clamp(MIN_HOSTS, MAX_HOSTS);
    let mut random = Random(seed);
    let count = if hosts >= TWO_SITES { 2 } else { 1 };
    let mut places = Vec::new();
    for n in 0..count {
        let share = (hosts - 2) / count + usize::from(n < (hosts - 2) % count);
        places.push(place(&mut random, n, count, share));
    }
    let mut out = String::new();
    head(&mut out, hosts, seed, &places);
    let mut port = FIRST_PORT;
    for p in &places {
        location(&mut out, p, &mut port);
    }
    out
}

fn place(random: &mut Random, n: usize, count: usize, share: usize) -> Place {
    let prefix = if count == 1 { String::new() } else { format!("{}-", if n == 0 { 'a' } else { 'b' }) };
    let databases = if share >= 24 { 3 } else { 1 };
    let bastion = share >= 12;
    // Monitoring and names are one host each; a cell is four and its workers.
    let mut left = share - databases - 2 - usize::from(bastion);
    let mut cells: Vec<usize> = Vec::new();
    while left >= 5 {
        let wanted = WORKERS.start() + random.below(WORKERS.end() - WORKERS.start() + 1);
        let workers = wanted.min(left - 4);
        cells.push(workers);
        left -= 4 + workers;
    }
    let many = cells.len().max(1);
    for i in 0..left {
        if let Some(c) = cells.get_mut(i % many).filter(|c| **c < MOST_WORKERS) {
            *c += 1;
        }
    }
    Place { prefix, n, databases, bastion, cells }
}

impl Place {
    fn v4(&self, zone: usize, third: usize, fourth: &str) -> String {
        format!("10.{}.{third}.{fourth}", 16 * (self.n + 1) + zone)
    }
    fn v6(&self, zone: usize, cell: usize, last: &str) -> String {
        format!("2001:db8:{}{zone}::{cell}:{last}", self.n + 1)
    }
    fn both(&self, zone: usize, third: usize, last: &str) -> String {
        format!("[\"{}\", \"{}\"]", self.v4(zone, third, last), self.v6(zone, third, last))
    }
}

fn head(out: &mut String, hosts: usize, seed: u64, places: &[Place]) {
    let p = |zone: &str| places.iter().map(|p| format!("\"{}{zone}\"", p.prefix)).collect::<Vec<_>>().join(", ");
    let _ = write!(
        out,
        "# {hosts} hosts, seed {seed}. Written by a generator; edit the numbers, not the text.\n\n\
         [site]\nname       = \"large-{hosts}\"\nminers     = [\"f01000\"]\nuplink     = \"100Gbit\"\n\
         management = {{ from = [{}, \"198.51.100.7/32\"], by = \"ssh\" }}\ndns        = [{}]\nntp        = [{}]\n\n\
         [layers]\nnetwork = \"enforce\"\n\n[zones]\n",
        p("ops"),
        p("ns"),
        p("ns")
    );
    for place in places {
        for (i, zone) in ZONES.iter().enumerate() {
            let (v4, v6) = (place.v4(i, 0, "0/16"), format!("2001:db8:{}{i}::/64", place.n + 1));
            let _ = writeln!(out, "{}{zone} = {{ vlan = {}, subnets = [\"{v4}\", \"{v6}\"] }}", place.prefix, 100 * (place.n + 1) + 10 * i);
        }
    }
    out.push_str("\n[edge]\nkind   = \"ravelin\"\nnodes  = [\"fw-a\", \"fw-b\"]\npublic = [\"203.0.113.0/24\", \"2001:db8::/32\"]\nsync   = { subnet = \"10.255.0.0/30\" }\nvip    = { internet = [\"203.0.113.1\", \"2001:db8:ffff::1\"] }\n");
    for (node, last) in [("fw-a", "2"), ("fw-b", "3")] {
        let mut zones = vec![format!("internet = [\"203.0.113.{last}\", \"2001:db8:ffff::{last}\"]")];
        for place in places {
            zones.extend(ZONES.iter().enumerate().map(|(i, z)| format!("{}{z} = {}", place.prefix, place.both(i, 0, last))));
        }
        let _ = write!(out, "\n[hosts.{node}]\naddress = {{ {} }}\n", zones.join(", "));
    }
}

fn location(out: &mut String, p: &Place, port: &mut usize) {
    let x = &p.prefix;
    let _ = write!(
        out,
        "\n[groups.{x}dbs]\nhosts   = \"{x}db[1-{}]\"\naddress = {}\nruns    = [\"yugabyte\"]\n",
        p.databases,
        p.both(3, 0, &format!("[11-{}]", 10 + p.databases))
    );
    let _ = write!(out, "\n[hosts.{x}mon]\naddress = {}\nruns    = [\"prometheus\"]\n", p.both(4, 0, "21"));
    let _ = write!(
        out,
        "\n[hosts.{x}ns]\naddress = {}\nruns    = [\"dns\", \"ntp\", \"package-mirror\", \"node-exporter\"]\n",
        p.both(4, 0, "53")
    );
    if p.bastion {
        let _ = write!(out, "\n[hosts.{x}bastion]\naddress = {}\nruns    = [\"node-exporter\"]\n", p.both(4, 0, "10"));
    }
    for (i, workers) in p.cells.iter().enumerate() {
        let c = i + 1;
        let (lotus, miner, market, nas) = (format!("{x}lotus{c}"), format!("{x}miner{c}"), format!("{x}market{c}"), format!("{x}nas{c}"));
        let _ = write!(out, "\n[hosts.{lotus}]\naddress = {}\nruns    = [\"lotus\", \"node-exporter\"]\n", p.both(1, c, "11"));
        let _ = write!(
            out,
            "\n[hosts.{miner}]\naddress = {}\nruns    = [\"lotus-miner\", \"node-exporter\"]\nuses    = {{ lotus = \"{lotus}\" }}\n",
            p.both(2, c, "11")
        );
        let _ = write!(
            out,
            "\n[hosts.{market}]\naddress = {}\nruns    = [\"boostd\", \"boostd-data\", \"booster-http\", \"node-exporter\"]\nuses    = {{ lotus = \"{lotus}\", lotus-miner = \"{miner}\", boostd-data = \"{market}\", yugabyte = \"{x}dbs\" }}\n",
            p.both(0, c, "11")
        );
        let _ = write!(out, "\n[hosts.{nas}]\naddress = {}\nruns    = [\"nfs4\", \"node-exporter\"]\n", p.both(2, c, "31"));
        let _ = write!(
            out,
            "\n[groups.{x}workers{c}]\nhosts   = \"{x}w{c}-[1-{workers}]\"\naddress = {}\nruns    = [\"lotus-worker\", \"node-exporter\"]\nuses    = {{ lotus-miner = \"{miner}\" }}\n",
            p.both(2, c, &format!("[41-{}]", 40 + workers))
        );
        let _ = write!(
            out,
            "\n[[storage]]\nkind  = \"nfs4\"\nhost  = \"{nas}\"\nmount = \"/mnt/sealed\"\nusers = [\"{x}workers{c}\", \"{miner}\"]\nholds = \"sectors\"\n"
        );
        let _ = write!(out, "\n[[publish]]\nservice = \"lotus.libp2p\"\non      = \"{lotus}\"\nport    = {port}\n");
        let _ = write!(out, "\n[[publish]]\nservice = \"boostd.libp2p\"\non      = \"{market}\"\nport    = {}\n", *port + 1);
        *port += 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use words::SourceFile;

    #[test]
    fn a_generated_site_is_valid_and_as_large_as_asked() {
        for hosts in [10, 11, 23, 39, 40, 100, 257] {
            let source = SourceFile::new("site.toml", generate(hosts, 7));
            let out = crate::read(&source, "2026-11-22");
            assert!(out.is_good(), "{hosts}: {}", out.render(&source));
            assert_eq!(out.model.expect("model").hosts.len(), hosts);
        }
    }

    #[test]
    fn the_same_numbers_give_the_same_bytes() {
        assert_eq!(generate(100, 3), generate(100, 3));
        assert_ne!(generate(100, 3), generate(100, 4));
    }
}
