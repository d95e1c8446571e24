//! What each rule and set element has counted: the proof of a negative.
//!
//! In comes `nft -j list ruleset` of a node; out come readings by id. Differences of two readings say which rules a volley
//! met. Never: infers a verdict from silence.

use crate::{build::Lab, error::LabError};
use ruleset::form::{Chain, Ruleset, Statement, Value, Verdict};
use serde::Serialize;
use std::collections::BTreeMap;

/// Where a counter stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Place {
    /// Node.
    pub node: String,
    /// Table.
    pub table: String,
    /// Chain or set.
    pub holder: String,
    /// Position in the chain, or the element's key in the set.
    pub at: String,
}

/// What a counter says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reading {
    /// Id of the rule or element, where it has one.
    pub id: Option<String>,
    /// Packets.
    pub packets: u64,
    /// The rule ends the packet's life.
    pub drops: bool,
}

/// The id under which packets count that met a machine which does not forward: a kernel setting decided, no rule.
pub const NO_FORWARDING: &str = "kernel/no-forwarding";

/// Every counter of some nodes.
pub type Readings = BTreeMap<Place, Reading>;

/// Reads one node's ruleset.
pub fn ruleset_of(lab: &Lab, node: &str) -> Result<Ruleset, LabError> {
    let output = lab.space(node)?.program("nft", &["-j", "list", "ruleset"], None)?;
    parse(node, &output.stdout)
}

fn parse(node: &str, json: &[u8]) -> Result<Ruleset, LabError> {
    ruleset::nft::read(&String::from_utf8_lossy(json)).map_err(|e| LabError::Ruleset { node: node.to_owned(), why: e.to_string() })
}

/// Reads the counters of these nodes.
pub fn read<'a>(lab: &Lab, nodes: impl IntoIterator<Item = &'a str>) -> Result<Readings, LabError> {
    let mut all = Readings::new();
    for node in nodes {
        readings(node, &ruleset_of(lab, node)?, &mut all);
    }
    Ok(all)
}

/// Reads the counters of these nodes' rules only, not of elements: all that drops is a rule, and an edge node's thousands of
/// elements take most of the time.
pub fn read_rules<'a>(lab: &Lab, nodes: impl IntoIterator<Item = &'a str>) -> Result<Readings, LabError> {
    let mut all = Readings::new();
    for node in nodes {
        let output = lab.space(node)?.program("nft", &["-j", "-t", "list", "ruleset"], None)?;
        readings(node, &parse(node, &output.stdout)?, &mut all);
        not_forwarded(lab, node, &mut all)?;
    }
    Ok(all)
}

/// What the kernel counts when a packet for somebody else meets a machine that does not forward: it is gone before any hook
/// sees it, so no rule counts it (`ip_error` and `ip6_forward` in net/ipv4/route.c and net/ipv6/ip6_output.c).
fn not_forwarded(lab: &Lab, node: &str, into: &mut Readings) -> Result<(), LabError> {
    for (file, column) in [("/proc/net/snmp", "InAddrErrors"), ("/proc/net/snmp6", "Ip6InAddrErrors")] {
        let output = lab.space(node)?.program("cat", &[file], None)?;
        let Some(packets) = statistic(&String::from_utf8_lossy(&output.stdout), column) else { continue };
        let place = Place { node: node.to_owned(), table: "kernel".to_owned(), holder: "no forwarding".to_owned(), at: column.to_owned() };
        into.insert(place, Reading { id: Some(NO_FORWARDING.to_owned()), packets, drops: true });
    }
    Ok(())
}

/// A number from the kernel's protocol statistics: `/proc/net/snmp` has a line of names before each line of numbers,
/// `/proc/net/snmp6` a name and a number on each line.
fn statistic(text: &str, column: &str) -> Option<u64> {
    let lines: Vec<Vec<&str>> = text.lines().map(|l| l.split_whitespace().collect()).collect();
    let single = lines.iter().find(|l| l.len() == 2 && l[0] == column).map(|l| l[1]);
    let paired = || {
        let pair = lines.windows(2).find(|w| w[0].first() == Some(&"Ip:") && w[0].contains(&column))?;
        let at = pair[0].iter().position(|c| *c == column)?;
        pair[1].get(at).copied()
    };
    single.or_else(paired)?.parse().ok()
}

/// The counters in a ruleset.
pub fn readings(node: &str, ruleset: &Ruleset, into: &mut Readings) {
    for table in &ruleset.tables {
        let place = |holder: &str, at: String| Place { node: node.into(), table: table.name.clone(), holder: holder.into(), at };
        for chain in &table.chains {
            for (index, rule) in chain.rules.iter().enumerate() {
                if let Some(counted) = rule.counted {
                    let reading = Reading { id: rule.id.clone(), packets: counted.packets, drops: ends(chain, index) };
                    into.insert(place(&chain.name, index.to_string()), reading);
                }
            }
        }
        for (name, set) in &table.sets {
            for element in &set.elements {
                if let Some(counted) = element.counted {
                    into.insert(
                        place(name, key_text(&element.key)),
                        Reading { id: element.id.clone(), packets: counted.packets, drops: false },
                    );
                }
            }
        }
    }
}

fn key_text(key: &[Value]) -> String {
    let one = |v: &Value| match v {
        Value::Range(a, b) if a == b => format!("{a:x}"),
        Value::Range(a, b) => format!("{a:x}-{b:x}"),
        Value::Name(n) => n.clone(),
        Value::NamePrefix(n) => format!("{n}*"),
    };
    key.iter().map(one).collect::<Vec<_>>().join(" . ")
}

/// Whether a rule drops or rejects, always when its counter counts: verdict after counter, nothing conditional between.
fn ends(chain: &Chain, index: usize) -> bool {
    let Some(rule) = chain.rules.get(index) else { return false };
    let after = rule.statements.iter().skip_while(|s| !matches!(s, Statement::Counter)).skip(1);
    for s in after {
        match s {
            Statement::Verdict(Verdict::Drop | Verdict::Reject(_)) => return true,
            Statement::Log { .. } | Statement::Counter => {}
            _ => return false,
        }
    }
    false
}

/// What was counted between two readings; places that vanished or began anew count from zero.
pub fn difference(before: &Readings, after: &Readings) -> Readings {
    let grown = |(place, now): (&Place, &Reading)| {
        let old = before.get(place).filter(|old| old.id == now.id).map_or(0, |r| r.packets);
        let packets = now.packets.checked_sub(old).unwrap_or(now.packets);
        (packets > 0).then(|| (place.clone(), Reading { packets, ..now.clone() }))
    };
    after.iter().filter_map(grown).collect()
}

/// How many packets met a rule that drops.
pub fn dropped(readings: &Readings) -> u64 {
    readings.values().filter(|r| r.drops).map(|r| r.packets).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_are_found_in_both_forms() {
        let v4 = "Ip: Forwarding InHdrErrors InAddrErrors\nIp: 2 0 7\nIcmp: InMsgs InAddrErrors\nIcmp: 1 9\n";
        assert_eq!(statistic(v4, "InAddrErrors"), Some(7));
        assert_eq!(statistic("Ip6InReceives \t 4\nIp6InAddrErrors \t 3\n", "Ip6InAddrErrors"), Some(3));
        assert_eq!(statistic("Ip: A\n", "InAddrErrors"), None);
    }
}
