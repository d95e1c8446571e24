//! The report: one struct, two faces. In come model and observations, out come the flows that would be cut.

use crate::{
    judge::{self, Stop, Verdict},
    lines, rate,
    seen::{self, Key, Observation, Tally, Who},
    window::Sample,
};
use ruleset::Ruleset;
use serde::Serialize;
use site::model::Model;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::IpAddr,
};
use words::Proto;

/// What would be cut, and what was looked at.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// First observation, seconds since 1970-01-01 UTC.
    pub from: u64,
    /// Last one.
    pub to: u64,
    /// Machines that reported.
    pub machines: Vec<String>,
    /// Flows seen that the model allows.
    pub allowed: usize,
    /// Flows between machines that no filter of ours stands between.
    pub not_ours: usize,
    /// Loopback, link-local, multicast, ICMP.
    pub built_in: usize,
    /// Attempts that were never answered and that nobody allows: scans, or something that does not work today either.
    pub unanswered: usize,
    /// Flows that would be cut, the most used first.
    pub cut: Vec<Cut>,
    /// Packets that rules of an observing ruleset would have dropped, by machine and rule.
    pub would_drop: BTreeMap<String, u64>,
    /// What one source used of each published endpoint, at most.
    pub published: Vec<rate::Seen>,
    /// What could not be read, by machine: there may be more flows.
    pub blind: Vec<String>,
}

/// A flow that would be cut.
#[derive(Debug, Clone, Serialize)]
pub struct Cut {
    /// The flow.
    pub flow: Key,
    /// The opener's name in the site file, else its address.
    pub from: String,
    /// The listener's.
    pub to: String,
    /// Connections seen.
    pub connections: usize,
    /// First seen.
    pub first: u64,
    /// Last seen.
    pub last: u64,
    /// What would cut it.
    pub stops: Vec<Stop>,
    /// Processes at either end.
    pub who: Vec<Who>,
    /// The lines that would allow it.
    pub lines: String,
}

/// Who opened to whom, after translation.
type Ends = (Proto, IpAddr, (IpAddr, u16));

/// What would be cut of what these machines reported.
pub fn report(model: &Model, observations: &[Observation]) -> Report {
    let times = || observations.iter().map(|o| o.facts.taken_at);
    let machines: BTreeSet<String> = observations.iter().map(|o| o.machine.to_string()).collect();
    let head = Report {
        from: times().min().unwrap_or(0),
        to: times().max().unwrap_or(0),
        machines: machines.into_iter().collect(),
        would_drop: would_drop(observations),
        blind: blind(observations),
        ..Report::default()
    };
    judged(model, seen::flows(observations), head)
}

/// Judges flows; what else was seen stands in `report` already.
pub(crate) fn judged(model: &Model, flows: BTreeMap<Key, Tally>, mut report: Report) -> Report {
    // The same flow from several points of view (opener, edge, listener) is one: who it is for, and who answered.
    let mut cuts: BTreeMap<Ends, (Key, Tally, Vec<Stop>)> = BTreeMap::new();
    for (key, tally) in flows {
        match judge::judge(model, &key) {
            Verdict::Allowed(_) => report.allowed += 1,
            Verdict::NotOurs => report.not_ours += 1,
            Verdict::BuiltIn => report.built_in += 1,
            // A syslog sender gets no answer and is meant all the same: only TCP without an answer is nothing.
            Verdict::Cut(_) if !tally.answered && key.proto == Proto::Tcp => report.unanswered += 1,
            Verdict::Cut(stops) => {
                let known = cuts.entry((key.proto, key.from, key.listener())).or_insert_with(|| (key, tally.clone(), stops));
                known.1.connections.extend(&tally.connections);
                known.1.who.extend(tally.who);
                known.1.first = known.1.first.min(tally.first);
                known.1.last = known.1.last.max(tally.last);
            }
        }
    }
    report.cut = cuts.into_values().map(|(key, tally, stops)| cut(model, key, tally, stops)).collect();
    report.cut.sort_by(|a, b| (b.connections, &a.flow).cmp(&(a.connections, &b.flow)));
    report
}

fn cut(model: &Model, flow: Key, tally: Tally, stops: Vec<Stop>) -> Cut {
    let (from, to) = (judge::end(model, flow.from), judge::end(model, flow.listener().0));
    let name = |e: &judge::End<'_>| e.host.map_or_else(|| e.address.to_string(), |h| h.name.to_string());
    Cut {
        from: name(&from),
        to: name(&to),
        connections: tally.connections.len(),
        first: tally.first,
        last: tally.last,
        stops,
        lines: lines::allow(&from, &to, &flow, &lines::names(&tally.who)),
        who: tally.who.into_iter().collect(),
        flow,
    }
}

/// What an observing ruleset counts: rules whose log line says that the packet would have been dropped.
fn would_drop(observations: &[Observation]) -> BTreeMap<String, u64> {
    let mut out: BTreeMap<String, u64> = BTreeMap::new();
    for o in observations {
        let live: Option<Ruleset> = o.facts.rulesets.nft_json.as_deref().and_then(|j| ruleset::nft::read(j).ok());
        let tables = live.into_iter().flat_map(|r| r.tables).filter(|t| t.name == "ravelin");
        let rules: Vec<ruleset::Rule> = tables.flat_map(|t| t.chains).flat_map(|c| c.rules).collect();
        // The log line is limited and stands in a rule of its own; the rule beside it with the same id counts every packet.
        let logs = |r: &ruleset::Rule| {
            r.statements.iter().any(|s| matches!(s, ruleset::Statement::Log { prefix: Some(p), .. } if p.contains(WOULD_DROP)))
        };
        let observing: BTreeSet<&String> = rules.iter().filter(|r| logs(r)).filter_map(|r| r.id.as_ref()).collect();
        let counting = rules.iter().filter_map(|r| Some((r.id.as_ref()?, r.counted?.packets)));
        for (id, packets) in counting.filter(|(id, packets)| observing.contains(id) && *packets > 0) {
            let seen = out.entry(format!("{} {id}", o.machine)).or_default();
            *seen = (*seen).max(packets);
        }
    }
    out
}

/// Word in the log prefix of rules that would drop.
const WOULD_DROP: &str = "would-drop";

fn blind(observations: &[Observation]) -> Vec<String> {
    use facts::Source::{Connections, SocketOwners, Sockets};
    let all = observations.iter().flat_map(|o| {
        let missing = o.facts.failures.iter().filter(|f| [Connections, SocketOwners, Sockets].contains(&f.source));
        missing.map(|f| format!("{}: {:?}: {}", o.machine, f.source, f.reason))
    });
    all.collect::<BTreeSet<_>>().into_iter().collect()
}

impl Report {
    /// A flow's name in samples.
    pub(crate) fn name_of(flow: &Key) -> String {
        let (at, port) = flow.listener();
        format!("{} {} -> {at} {port}", flow.proto, flow.from)
    }
    /// What this report contributes to the decision about the window.
    pub fn sample(&self) -> Sample {
        Sample {
            at: self.to,
            cuts: self.cut.iter().map(|c| Self::name_of(&c.flow)).collect(),
            would_drop: self.would_drop.clone(),
            blind: !self.blind.is_empty() || self.machines.is_empty(),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} machines reported; {} flows are allowed, {} would be cut", self.machines.len(), self.allowed, self.cut.len())?;
        for (what, n) in [
            ("go between machines that no filter of ours stands between", self.not_ours),
            ("are loopback, link-local, multicast or ICMP", self.built_in),
            ("attempts were never answered", self.unanswered),
        ] {
            if n > 0 {
                writeln!(f, "  {n} {what}")?;
            }
        }
        for c in &self.cut {
            let (_, port) = c.flow.listener();
            writeln!(f, "\n{} -> {} {port}/{}, {} connections", c.from, c.to, c.flow.proto, c.connections)?;
            for s in &c.stops {
                match s {
                    Stop::Output(h) => writeln!(f, "  cut by the filter of {h}, on the way out")?,
                    Stop::Edge(a, b) => writeln!(f, "  cut by the edge, from {a} to {b}")?,
                    Stop::Input(h) => writeln!(f, "  cut by the filter of {h}, on the way in")?,
                }
            }
            for w in &c.who {
                let end = if w.opener { "opened by" } else { "answered by" };
                let unit = w.unit.as_deref().map(|u| format!(", {u}")).unwrap_or_default();
                let container = w.container.as_deref().map(|c| format!(", container {c}")).unwrap_or_default();
                writeln!(f, "  {end} {} as {} on {}{unit}{container}", w.process, w.account.as_deref().unwrap_or("?"), w.machine)?;
            }
            c.lines.lines().try_for_each(|l| writeln!(f, "    {l}"))?;
        }
        for (rule, packets) in &self.would_drop {
            writeln!(f, "would have been dropped: {packets} packets by {rule}")?;
        }
        for p in &self.published {
            write!(f, "\n{}: one source opened at most {} connections a second and held {}", p.endpoint, p.peak.new, p.peak.held)?;
            match p.limit {
                None => writeln!(f, "; a limit with room above, for its [[publish]]:\n    {}", p.line())?,
                Some(l) if p.is_exceeded() => {
                    writeln!(f, "; its limit of {} and {} would have refused that. With room above:\n    {}", l.new, l.held, p.line())?;
                }
                Some(l) => writeln!(f, ", within its limit of {} and {}", l.new, l.held)?,
            }
        }
        self.blind.iter().try_for_each(|b| writeln!(f, "not seen in full: {b}"))
    }
}
