//! A first site file from what runs: in come the facts of one or several machines, out comes TOML that an operator reads
//! and completes. What is sure stands as a line, what has to be decided as a comment with the lines ready.
//!
//! Never: allows more than the catalogue derives and what is already public today; claims what was not seen.

mod elsewhere;
mod place;
mod runs;

use catalog::{Class, Intended, Role};
use elsewhere::Elsewhere;
use facts::{Facts, Source};
use place::{Places, host_name};
use runs::{Found, Stranger};
use std::{collections::BTreeSet, fmt::Write as _, net::IpAddr};

/// One machine, understood.
pub(crate) struct Machine<'a> {
    pub facts: &'a Facts,
    pub name: String,
    pub found: Vec<Found<'a>>,
    pub strangers: Vec<Stranger<'a>>,
}

/// The proposed site file.
pub fn propose(machines: &[Facts]) -> String {
    let mut names = BTreeSet::new();
    let machines: Vec<Machine<'_>> = machines
        .iter()
        .map(|facts| {
            let (found, strangers) = runs::look(facts);
            Machine { facts, name: host_name(&facts.host, &mut names), found, strangers }
        })
        .collect();
    let mut places = Places::of(&machines);
    let elsewhere = elsewhere::look(&machines, &mut places, &mut names);
    let mut out = String::new();
    head(&mut out, &machines);
    site(&mut out, &machines, &places);
    zones(&mut out, &places);
    hosts(&mut out, &machines, &places, &elsewhere);
    publishes(&mut out, &machines);
    deadlines(&mut out, &machines);
    questions(&mut out, &machines, &elsewhere);
    out
}

fn head(out: &mut String, machines: &[Machine<'_>]) {
    out.push_str("# First proposal from what runs. Read it, complete it, then `ravelin check`.\n");
    for m in machines {
        for f in &m.facts.failures {
            let (name, source, why) = (&m.name, source_word(f.source), plain(&f.reason));
            let _ = writeln!(out, "# {name}: not seen: {source}: {why}");
        }
    }
    out.push('\n');
}

fn source_word(source: Source) -> String {
    format!("{source:?}").to_lowercase()
}

fn site(out: &mut String, machines: &[Machine<'_>], places: &Places) {
    let name = machines.first().map_or("site", |m| m.name.as_str());
    let _ = writeln!(out, "[site]\nname = \"{}\"", if machines.len() == 1 { name } else { "site" });
    out.push_str("# miners = [\"f01234\"]\n# uplink = \"1Gbit\"\n");
    let from = places.operators(machines);
    if from.is_empty() {
        out.push_str("# Nobody is logged in by ssh: name the addresses or the zone operators come from. This path is never cut.\n");
        out.push_str("# management = { from = [\"198.51.100.7/32\"], by = \"ssh\" }\n");
    } else {
        out.push_str("# Where ssh sessions come from now. This path is never cut: make it right before anything else.\n");
        let _ = writeln!(out, "management = {{ from = [{}], by = \"ssh\" }}", quoted(&from));
    }
    out.push_str("\n[layers]                      # look before you leap: `enforce` after a clean window of `ravelin learn`\nnetwork = \"observe\"\n\n");
}

fn zones(out: &mut String, places: &Places) {
    if places.zones.is_empty() {
        return;
    }
    out.push_str("[zones]                       # named after their networks: rename them to what they are for\n");
    for z in &places.zones {
        let vlan = z.vlan.map_or(String::new(), |v| format!("vlan = {v}, "));
        let subnets: Vec<String> = z.subnets.iter().map(ToString::to_string).collect();
        let _ = writeln!(out, "{} = {{ {vlan}subnets = [{}] }}", z.name, quoted(&subnets));
    }
    out.push_str("\n[edge]\nkind = \"none\"                 # or \"external\": a firewall of your own stands in front\n\n");
}

fn hosts(out: &mut String, machines: &[Machine<'_>], places: &Places, elsewhere: &Elsewhere) {
    for m in machines {
        let _ = writeln!(out, "[hosts.{}]", m.name);
        match places.addresses(m) {
            a if a.is_empty() => out.push_str("# no address was seen\n"),
            a => {
                let tables: Vec<String> = a.iter().map(|(zone, list)| format!("{zone} = [{}]", quoted(list))).collect();
                let _ = writeln!(out, "address = {{ {} }}", tables.join(", "));
            }
        }
        let runs: Vec<String> = m.found.iter().map(Found::item).collect();
        let _ = writeln!(out, "runs = [{}]", if runs.is_empty() { String::new() } else { format!("\n    {},\n", runs.join(",\n    ")) });
        let coexist = runs::coexist(m.facts);
        if !coexist.is_empty() {
            let _ = writeln!(out, "coexist = [{}]", quoted(&coexist));
        }
        let uses = elsewhere.uses(&m.name);
        if !uses.is_empty() {
            let _ = writeln!(out, "uses = {{ {} }}", uses.iter().map(|(s, h)| format!("{s} = \"{h}\"")).collect::<Vec<_>>().join(", "));
        }
        out.push('\n');
    }
    for h in &elsewhere.hosts {
        out.push_str("# Seen from here only; `managed = false` until Ravelin runs there too.\n");
        let _ = writeln!(out, "[hosts.{}]\naddress = \"{}\"\nruns = [{}]\nmanaged = false\n", h.name, h.address, quoted(&h.runs));
    }
}

fn publishes(out: &mut String, machines: &[Machine<'_>]) {
    for m in machines {
        let public = m.facts.interfaces.iter().flat_map(|i| &i.addresses).any(|a| crate::special::is_public(&a.addr()));
        for f in &m.found {
            for l in f.listens.iter().filter(|l| l.endpoint.intended == Intended::Public && !l.loopback) {
                let lead = if public && !l.random { "" } else { "# " };
                if l.random {
                    let _ = writeln!(
                        out,
                        "# The port below is a new one each start; pin it (the catalogue proposes it) and take the marks away."
                    );
                } else if !public {
                    let _ =
                        writeln!(out, "# Meant for the Internet, and this machine has no public address: name the one it is reached by.");
                }
                let _ = writeln!(
                    out,
                    "{lead}[[publish]]\n{lead}service = \"{}.{}\"\n{lead}on = \"{}\"\n{lead}port = {}",
                    f.instance, l.endpoint.name, m.name, l.port
                );
                if !public {
                    let _ = writeln!(out, "# at = \"203.0.113.5\"");
                }
                out.push('\n');
            }
        }
    }
}

/// Who could be asked for proving deadlines. A comment: the miners' ids are in no process and no socket.
fn deadlines(out: &mut String, machines: &[Machine<'_>]) {
    let with = |roles: &[Role]| -> Vec<&str> {
        let runs = |m: &&Machine<'_>| m.found.iter().any(|f| roles.contains(&f.service.role));
        machines.iter().filter(runs).map(|m| m.name.as_str()).collect()
    };
    let (nodes, proving) = (with(&[Role::ChainNode]), with(&[Role::Miner, Role::ClusterNode]));
    if !nodes.is_empty() && !proving.is_empty() {
        out.push_str("# What interrupts a service would wait for the proof and end before the next deadline; needs `miners` above.\n");
        let _ = writeln!(out, "# [deadlines]\n# nodes = [{}]\n", quoted(&nodes));
    }
}

fn questions(out: &mut String, machines: &[Machine<'_>], elsewhere: &Elsewhere) {
    for (machine, missing) in &elsewhere.missing {
        let _ = writeln!(out, "# {machine}: {missing}");
    }
    for m in machines {
        for f in m.found.iter().filter(|f| f.root) {
            let _ = writeln!(out, "# {}: {} runs as root today; see `ravelin audit`, AUD001.", m.name, f.service.name);
        }
        for f in &m.found {
            for l in f
                .listens
                .iter()
                .filter(|l| !l.loopback && matches!(l.endpoint.class, Class::Admin) && l.endpoint.intended == Intended::Operator)
            {
                let _ = writeln!(
                    out,
                    "# {}: {}.{} is open beyond this machine; operators will reach it only if you allow it:",
                    m.name, f.service.name, l.endpoint.name
                );
                let _ = writeln!(
                    out,
                    "# [[allow]]\n# from = \"ops\"\n# to = \"{}\"\n# service = \"{}.{}\"\n# why = \"\"",
                    m.name, f.service.name, l.endpoint.name
                );
            }
        }
        for s in &m.strangers {
            let ports: Vec<String> = s.ports.iter().map(|(p, proto)| format!("{p}/{proto}")).collect();
            let who = plain(s.program);
            let _ = writeln!(
                out,
                "# {}: {who} listens on {}, which the catalogue does not know. If it has to be reached:",
                m.name,
                ports.join(", ")
            );
            let _ = writeln!(
                out,
                "# [[allow]]\n# from = \"ops\"\n# to = \"{}\"\n# port = \"{}\"\n# why = \"\"",
                m.name,
                ports.first().map_or("", String::as_str)
            );
        }
    }
}

/// Text from a machine, safe in a comment of one line.
fn plain(text: &str) -> String {
    /// Longest text from a machine in a comment: enough for a path.
    const LONGEST: usize = 120;
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST).collect()
}

fn quoted<T: AsRef<str>>(items: &[T]) -> String {
    items.iter().map(|i| format!("\"{}\"", i.as_ref())).collect::<Vec<_>>().join(", ")
}

/// An address without the scope a link-local one needs.
pub(crate) fn usable(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(a) => !(a.is_loopback() || a.is_link_local() || a.is_unspecified() || a.is_multicast()),
        IpAddr::V6(a) => !(a.is_loopback() || a.is_unspecified() || a.is_multicast() || a.segments()[0] & 0xffc0 == 0xfe80),
    }
}
