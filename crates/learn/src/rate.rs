//! How fast sources open connections to what is published. In come looks at machines, one after the other, out come peaks
//! per source for each publication, and limits with room above them. Sampling misses what is shorter than the time between
//! two looks: a proposed limit is never below a floor.

use crate::seen::Observation;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use site::model::{Limit, Model, Publish};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};
use words::{Family, HostName, Proto};

/// What one source did at most.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peak {
    /// New connections in one second, averaged between two looks and rounded up.
    pub new: u64,
    /// Connections held at once.
    pub held: u64,
}

/// Room above the peak: a peer that restarts opens everything at once.
pub const HEADROOM: u64 = 4;
/// Least limit that is proposed, whatever was seen.
pub const FLOOR: Limit = Limit { new: 50, held: 200 };
/// Connections remembered from one look to the next, per machine: about 2 MB in the ledger. Beyond it openings are counted too
/// high, which only makes the proposed limit wider.
const MOST_REMEMBERED: usize = 50_000;

/// A published port of a machine: who listens, and where.
type Listener = (HostName, Proto, u16);
/// Connections by source: the opener's port.
type Held = BTreeMap<IpNet, BTreeSet<u16>>;
/// The same as pairs: JSON has no keys that are not text.
type Pairs = Vec<(IpNet, BTreeSet<u16>)>;
/// What was held at one look.
type Remembered = Vec<(Listener, Pairs)>;

/// Meters of all publications, kept from look to look.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meters {
    /// By publication.
    peaks: Vec<(Listener, Peak)>,
    /// The last look at each machine: when, and what was held.
    before: Vec<(HostName, u64, Remembered)>,
}

/// What a publication was seen to need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// `service.endpoint` on its host.
    pub endpoint: String,
    /// Where it is published: a line of the site file.
    pub origin: words::Origin,
    /// The busiest source.
    pub peak: Peak,
    /// What the site file gives one source.
    pub limit: Option<Limit>,
    /// What would leave room above the peak.
    pub proposed: Limit,
}

impl Seen {
    /// A source did more than the site file gives it.
    pub fn is_exceeded(&self) -> bool {
        self.limit.is_some_and(|l| self.peak.new > l.new.into() || self.peak.held > l.held.into())
    }
    /// The key of `[[publish]]`.
    pub fn line(&self) -> String {
        format!("limit = {{ new = {}, held = {} }}", self.proposed.new, self.proposed.held)
    }
}

impl Meters {
    /// Reads the meters once more.
    pub fn look(&mut self, model: &Model, look: &[Observation]) {
        let mut peaks: BTreeMap<Listener, Peak> = std::mem::take(&mut self.peaks).into_iter().collect();
        for o in look {
            let now = held(model, o);
            let before = self.before.iter().position(|b| b.0 == o.machine).map(|i| self.before.swap_remove(i));
            let old: BTreeMap<Listener, Held> =
                before.iter().flat_map(|b| b.2.iter().map(|(l, h)| (l.clone(), h.iter().cloned().collect()))).collect();
            for (listener, sources) in &now {
                let peak = peaks.entry(listener.clone()).or_default();
                for (source, ports) in sources {
                    peak.held = peak.held.max(ports.len() as u64);
                    let Some((_, then, _)) = &before else { continue };
                    let known = old.get(listener).and_then(|h| h.get(source));
                    let new = ports.iter().filter(|p| !known.is_some_and(|k| k.contains(p))).count() as u64;
                    let seconds = o.facts.taken_at.saturating_sub(*then).max(1);
                    peak.new = peak.new.max(new.div_ceil(seconds));
                }
            }
            self.before.push((o.machine.clone(), o.facts.taken_at, remembered(now)));
        }
        self.before.sort_by(|a, b| a.0.cmp(&b.0));
        self.peaks = peaks.into_iter().collect();
    }

    /// What each publication was seen to need; those nobody used are not here.
    pub fn seen(&self, model: &Model) -> Vec<Seen> {
        let peaks: BTreeMap<&Listener, Peak> = self.peaks.iter().map(|(l, p)| (l, *p)).collect();
        let one = |p: &Publish| {
            let all = p.proto.iter().filter_map(|proto| peaks.get(&(p.host.clone(), *proto, p.host_port)));
            let peak = all.copied().reduce(|a, b| Peak { new: a.new.max(b.new), held: a.held.max(b.held) })?;
            let endpoint = format!("{}.{} on {}", p.instance, p.endpoint, p.host);
            Some(Seen { endpoint, origin: p.origin.clone(), peak, limit: p.limit, proposed: proposed(peak) })
        };
        model.publishes.iter().filter_map(one).collect()
    }
}

/// A limit with room above a peak.
fn proposed(peak: Peak) -> Limit {
    let room = |seen: u64, floor: u32| u32::try_from(seen.saturating_mul(HEADROOM)).unwrap_or(u32::MAX).max(floor);
    Limit { new: room(peak.new, FLOOR.new), held: room(peak.held, FLOOR.held) }
}

/// Who holds what at published ports, as one machine sees it: the listener itself, or an edge node on the way.
fn held(model: &Model, o: &Observation) -> BTreeMap<Listener, Held> {
    let mut out: BTreeMap<Listener, Held> = BTreeMap::new();
    for c in &o.facts.connections {
        let (listens, port) = (c.reply.src, c.reply.sport);
        let of = |p: &&Publish| p.host_port == port && p.proto.contains(&c.proto) && is_at(model, p, listens, o);
        let Some(p) = model.publishes.iter().find(of) else { continue };
        // Who belongs to the site is no stranger and is never limited.
        if model.hosts.values().any(|h| h.addresses().any(|a| a == c.original.src)) {
            continue;
        }
        let listener = (p.host.clone(), c.proto, port);
        out.entry(listener).or_default().entry(source(c.original.src)).or_default().insert(c.original.sport);
    }
    out
}

/// A single host may leave its addresses out of the site file: then the port on that machine says it.
fn is_at(model: &Model, p: &Publish, address: IpAddr, o: &Observation) -> bool {
    let Some(host) = model.hosts.get(&p.host) else { return false };
    host.addresses().any(|a| a == address) || host.addresses().next().is_none() && o.machine == p.host
}

fn remembered(now: BTreeMap<Listener, Held>) -> Remembered {
    let mut room = MOST_REMEMBERED;
    let mut out = Vec::new();
    for (listener, sources) in now {
        let mut kept = Vec::new();
        for (source, ports) in sources {
            room = room.saturating_sub(ports.len());
            if room > 0 {
                kept.push((source, ports));
            }
        }
        out.push((listener, kept));
    }
    out
}

fn source(address: IpAddr) -> IpNet {
    let length = match Family::of(&address) {
        Family::V4 => 32,
        Family::V6 => 64,
    };
    IpNet::new(address, length).map_or(IpNet::from(address), |n| n.trunc())
}

#[cfg(test)]
mod tests {
    use super::*;
    use facts::{Connection, Facts, Tuple};
    use words::SourceFile;

    const SITE: &str = r#"
[site]
[hosts.node1]
address = ["203.0.113.10", "2001:db8::10"]
runs = ["lotus"]
[[publish]]
service = "lotus.libp2p"
on = "node1"
port = 24001
"#;

    fn model(limit: &str) -> Model {
        site::read(&SourceFile::new("site.toml", format!("{SITE}{limit}")), "2026-11-22").model.expect("valid")
    }

    fn look(at: u64, ports: std::ops::Range<u16>, dport: u16) -> Observation {
        let connection = |sport: u16| {
            let src = IpAddr::from([0x2600, 0xdb8, 0, 0, 0, 0, 0, sport]);
            let original = Tuple { src, dst: "2001:db8::10".parse().expect("address"), sport, dport };
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
        Observation { machine: HostName::new("node1").expect("name"), facts }
    }

    #[test]
    fn a_source_of_a_64_is_one_source() {
        let model = model("");
        let mut meters = Meters::default();
        for o in [look(100, 1..11, 24001), look(110, 1..111, 24001), look(120, 1..111, 24001)] {
            meters.look(&model, &[o]);
            let text = serde_json::to_string(&meters).expect("writes");
            assert_eq!(serde_json::from_str::<Meters>(&text).expect("reads"), meters);
        }
        let seen = meters.seen(&model);
        assert_eq!(seen[0].peak, Peak { new: 10, held: 110 });
        assert_eq!((seen[0].endpoint.as_str(), seen[0].line().as_str()), ("lotus.libp2p on node1", "limit = { new = 50, held = 440 }"));
        assert!(!seen[0].is_exceeded());
        let mut other = Meters::default();
        other.look(&model, &[look(100, 1..11, 1234)]);
        assert!(other.seen(&model).is_empty(), "what is not published has no meter");
    }

    #[test]
    fn the_proposed_line_is_taken_and_a_narrower_one_is_told() {
        let mut meters = Meters::default();
        let plain = model("");
        [look(100, 1..11, 24001), look(110, 1..111, 24001)].into_iter().for_each(|o| meters.look(&plain, &[o]));
        let line = meters.seen(&plain)[0].line();
        let seen = meters.seen(&model(&line));
        assert_eq!(seen[0].limit, Some(seen[0].proposed));
        assert!(!seen[0].is_exceeded());
        assert!(meters.seen(&model("limit = { new = 50, held = 100 }"))[0].is_exceeded());
    }
}
