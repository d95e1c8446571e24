//! How fast sources open connections to what the public may use. In come observations over time, out come peaks per source
//! and thresholds with room above them. Sampling misses what is shorter than the time between two looks: the thresholds
//! are never below a floor.

use crate::seen::Observation;
use ipnet::IpNet;
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};
use words::{HostName, Proto};

/// What normal sources did at most.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Peak {
    /// New connections in one second, averaged between two looks and rounded up.
    pub new_per_second: u64,
    /// Connections held at once.
    pub held: u64,
}

/// Room above the peak: a peer that restarts opens everything at once.
pub const HEADROOM: u64 = 4;
/// Least thresholds, whatever was seen: new connections per second, and held at once.
pub const FLOOR: Peak = Peak { new_per_second: 50, held: 200 };

/// Connections by source: the opener's port and the listener's.
type Held = BTreeMap<IpNet, BTreeSet<(u16, u16)>>;

/// The peak of any one source per machine, sources keyed by v4 address and v6 /64, for destinations in `published`.
pub fn peaks(observations: &[Observation], published: &BTreeSet<(Proto, u16)>) -> BTreeMap<HostName, Peak> {
    let mut out: BTreeMap<HostName, Peak> = BTreeMap::new();
    let mut before: BTreeMap<&HostName, (u64, Held)> = BTreeMap::new();
    let mut sorted: Vec<&Observation> = observations.iter().collect();
    sorted.sort_by_key(|o| (&o.machine, o.facts.taken_at));
    for o in sorted {
        let mut now = Held::new();
        for c in o.facts.connections.iter().filter(|c| published.contains(&(c.proto, c.original.dport))) {
            now.entry(source(c.original.src)).or_default().insert((c.original.sport, c.original.dport));
        }
        let peak = out.entry(o.machine.clone()).or_default();
        for (source, held) in &now {
            peak.held = peak.held.max(held.len() as u64);
            let Some((then, old)) = before.get(&o.machine) else { continue };
            let new = held.iter().filter(|c| !old.get(source).is_some_and(|o| o.contains(c))).count() as u64;
            let seconds = o.facts.taken_at.saturating_sub(*then).max(1);
            peak.new_per_second = peak.new_per_second.max(new.div_ceil(seconds));
        }
        before.insert(&o.machine, (o.facts.taken_at, now));
    }
    out
}

/// Thresholds with room above a peak.
pub fn threshold(peak: Peak) -> Peak {
    Peak { new_per_second: (peak.new_per_second * HEADROOM).max(FLOOR.new_per_second), held: (peak.held * HEADROOM).max(FLOOR.held) }
}

fn source(address: IpAddr) -> IpNet {
    let length = if address.is_ipv4() { 32 } else { 64 };
    IpNet::new(address, length).map_or(IpNet::from(address), |n| n.trunc())
}

#[cfg(test)]
mod tests {
    use super::*;
    use facts::{Connection, Facts, Tuple};

    #[test]
    fn a_source_of_a_64_is_one_source() {
        let look = |at: u64, ports: std::ops::Range<u16>| {
            let connection = |sport: u16| {
                let src = IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, sport]);
                let original = Tuple { src, dst: "2001:db8:1::1".parse().expect("address"), sport, dport: 24001 };
                Connection {
                    proto: Proto::Tcp,
                    original,
                    reply: original.reversed(),
                    state: None,
                    status: 14,
                    mark: 0,
                    zone: 0,
                    timeout: 1,
                    sent: None,
                    received: None,
                }
            };
            let facts = Facts { taken_at: at, connections: ports.map(connection).collect(), ..Facts::default() };
            Observation { machine: HostName::new("fw-a").expect("name"), facts }
        };
        let seen = [look(100, 1..11), look(110, 1..111), look(120, 1..111)];
        let published = BTreeSet::from([(Proto::Tcp, 24001)]);
        let peak = peaks(&seen, &published).into_values().next().expect("one machine");
        assert_eq!(peak, Peak { new_per_second: 10, held: 110 });
        assert_eq!(threshold(peak), Peak { new_per_second: 50, held: 440 });
        assert_eq!(peaks(&seen, &BTreeSet::new()).into_values().next(), Some(Peak::default()));
    }
}
