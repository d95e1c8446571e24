//! Random small sites, as site file text: seeded, so that a failure can be had again.
//!
//! In comes a number; out comes TOML with one to three zones, both families, translation, overlapping outside prefixes,
//! published services, storage, declared exceptions. Never: depends on anything but the number.

use std::fmt::Write;

/// SplitMix64: small, well mixed, the same everywhere.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }
    /// The next 64 bits.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    /// A number below `n`; 0 for 0.
    pub fn below(&mut self, n: usize) -> usize {
        let n = u64::try_from(n).unwrap_or(1).max(1);
        usize::try_from(self.roll() % n).unwrap_or(0)
    }
    /// True in `of` cases out of a hundred.
    pub fn chance(&mut self, of: usize) -> bool {
        self.below(100) < of
    }
    /// One of these.
    pub fn pick<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        all.get(self.below(all.len()))
    }
}

/// What a random host may run, apart from the daemon others bind to.
const SERVICES: [&[&str]; 6] = [&["lotus-miner"], &["dns"], &["prometheus"], &["node-exporter"], &["yugabyte"], &["ntp", "node-exporter"]];
const ZONES: [&str; 3] = ["dmz", "chain", "ops"];

/// A random site file.
pub fn site(seed: u64) -> String {
    let mut dice = Dice::new(seed);
    let zones = 2 + dice.below(2);
    let edge = if dice.chance(80) { "ravelin" } else { "none" };
    let v6 = dice.chance(70);
    let mut text = format!("[site]\nname = \"random-{seed}\"\nminers = [\"f0{}\"]\n", 1000 + seed % 9000);
    let _ = writeln!(text, "management = {{ from = [\"{}\", \"52.77.0.{}/32\"], by = \"ssh\" }}", ZONES[zones - 1], 1 + dice.below(200));
    text.push_str("\n[layers]\nnetwork = \"enforce\"\n\n[zones]\n");
    for (i, zone) in ZONES.iter().enumerate().take(zones) {
        let six = if v6 { format!(", \"2001:db8:{seed:x}:{i}::/64\"", seed = seed % 0xffff) } else { String::new() };
        let _ = writeln!(text, "{zone} = {{ vlan = {}, subnets = [\"10.{}.{i}.0/24\"{six}] }}", 10 + i, seed % 200);
    }
    if edge == "ravelin" {
        edge_text(&mut text, seed, zones, v6, dice.chance(25));
    } else {
        text.push_str("\n[edge]\nkind = \"none\"\n");
    }
    hosts_text(&mut text, &mut dice, seed, zones, edge == "ravelin", v6);
    text
}

fn edge_text(text: &mut String, seed: u64, zones: usize, v6: bool, pair: bool) {
    let six = |z: usize, n: usize| if v6 { format!(", \"2001:db8:{:x}:{z}::{n}\"", seed % 0xffff) } else { String::new() };
    let four = |z: usize, n: usize| format!("\"10.{}.{z}.{n}\"", seed % 200);
    let nodes: &[&str] = if pair { &["fw-a", "fw-b"] } else { &["fw-a"] };
    let quoted: Vec<String> = nodes.iter().map(|n| format!("\"{n}\"")).collect();
    let _ = writeln!(text, "\n[edge]\nkind = \"ravelin\"\nnodes = [{}]", quoted.join(", "));
    let outer = if v6 { ", \"2001:db8:ff::/48\"" } else { "" };
    let _ = writeln!(text, "public = [\"203.0.113.0/28\"{outer}]");
    if pair {
        text.push_str("sync = { subnet = \"10.255.0.0/30\" }\n");
    }
    let outer = if v6 { ", \"2001:db8:ff::1\"" } else { "" };
    let _ = write!(text, "vip = {{ internet = [\"203.0.113.1\"{outer}]");
    for (z, zone) in ZONES.iter().enumerate().take(zones) {
        let _ = write!(text, ", {zone} = [{}{}]", four(z, 1), six(z, 1));
    }
    text.push_str(" }\n\n[hosts]\n");
    for (n, node) in nodes.iter().enumerate() {
        let outer = if v6 { format!(", \"2001:db8:ff::{}\"", n + 2) } else { String::new() };
        let _ = write!(text, "{node} = {{ address = {{ internet = [\"203.0.113.{}\"{outer}]", n + 2);
        for (z, zone) in ZONES.iter().enumerate().take(zones) {
            let _ = write!(text, ", {zone} = [{}{}]", four(z, n + 2), six(z, n + 2));
        }
        text.push_str(" } }\n");
    }
}

fn hosts_text(text: &mut String, dice: &mut Dice, seed: u64, zones: usize, edge: bool, v6: bool) {
    if !edge {
        text.push_str("\n[hosts]\n");
    }
    let hosts = 2 + dice.below(3);
    for n in 0..hosts {
        let zone = dice.below(zones);
        let six = if v6 && dice.chance(80) { format!(", \"2001:db8:{:x}:{zone}::{}\"", seed % 0xffff, n + 10) } else { String::new() };
        let runs = if n == 0 { &["lotus"][..] } else { dice.pick(&SERVICES).copied().unwrap_or(&[]) };
        let quoted: Vec<String> = runs.iter().map(|r| format!("\"{r}\"")).collect();
        let managed = if n > 1 && dice.chance(20) { ", managed = false" } else { "" };
        let (a, zone_name) = (seed % 200, ZONES[zone]);
        let _ = writeln!(
            text,
            "h{n} = {{ zone = \"{zone_name}\", address = [\"10.{a}.{zone}.{}\"{six}], runs = [{}]{managed} }}",
            n + 10,
            quoted.join(", ")
        );
    }
    if edge && dice.chance(60) {
        let _ = writeln!(
            text,
            "\n[[publish]]\nservice = \"lotus.libp2p\"\non = \"h0\"\nat = \"203.0.113.{}\"\nport = {}",
            4 + dice.below(8),
            20_000 + dice.below(9_000)
        );
    }
    if dice.chance(70) {
        exceptions(text, dice, hosts, zones);
    }
}

/// Outside places with overlapping prefixes, and exceptions that use them.
fn exceptions(text: &mut String, dice: &mut Dice, hosts: usize, zones: usize) {
    let wide = 8 + dice.below(8);
    let narrow = 24 + dice.below(8);
    let third = dice.below(250);
    for (name, length) in [("wide", wide), ("narrow", narrow)] {
        let base = if length < 16 { format!("52.0.0.0/{length}") } else { format!("52.0.{third}.0/{length}") };
        let user = dice.below(hosts);
        let port = ["443/tcp", "8000-9000/tcp", "123/udp"][dice.below(3)];
        let _ = writeln!(text, "\n[external.{name}]\naddresses = [\"{base}\"]\nport = \"{port}\"\nusers = [\"h{user}\"]");
    }
    let _ = writeln!(
        text,
        "\n[[allow]]\nfrom = \"{}\"\nto = [\"h{}\"]\nservice = \"ssh\"\nwhy = \"a random exception\"\nuntil = \"2099-12-31\"",
        ZONES[dice.below(zones)],
        // The first two are always managed: `ssh` is there without being named.
        dice.below(hosts.min(2))
    );
}
