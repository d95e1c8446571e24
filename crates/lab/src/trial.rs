//! Carries out attempts and says, with the counters as witnesses, what decided each.
//!
//! In come attempts and what every rule id means; out comes one row each: expected, seen, which rule on which machine,
//! which line of the site file. A taken-over machine loses its own table for as long as its attempts last and gets the
//! same text back. Never: calls an attempt stopped when no rule counted it.

use crate::{
    attempt::{Attempt, Deed, Expected, Group},
    build::Lab,
    connect::{self, Answer},
    count::{self, Readings},
    error::LabError,
    expect,
    topology::Role,
    volley::{Outcome, Range, Report, Sent, Shot},
};
use plan::{Plan, TABLE};
use serde::Serialize;
use site::model::Model;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};
use words::Origin;

/// A rule or element that decided an attempt.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Decision {
    /// On which machine.
    pub node: String,
    /// Id of the rule or flow.
    pub id: String,
    /// What the rule does.
    pub what: String,
    /// Line of the site file, or the catalogue entry or built-in rule where no line is behind it.
    pub line: String,
}

/// What attempts fired together share: the fallen machine, the sender, the group, the target's segment; a number of its own
/// for what must be tried alone.
type Kin<'k> = (Option<&'k str>, &'k str, Group, &'k str, usize);

/// What became of an attempt.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// What was tried.
    #[serde(flatten)]
    pub attempt: Attempt,
    /// What was seen.
    pub seen: String,
    /// As expected, with proof.
    pub right: bool,
    /// What decided it.
    pub decided: Vec<Decision>,
}

/// Carries out attempts on a lab.
pub struct Trial<'a> {
    lab: &'a Lab,
    model: &'a Model,
    plan: &'a Plan,
    range: Range<'a>,
    fallen: BTreeMap<String, String>,
}

impl<'a> Trial<'a> {
    /// Makes ready.
    pub fn new(lab: &'a Lab, model: &'a Model, plan: &'a Plan) -> Result<Self, LabError> {
        Ok(Self { lab, model, plan, range: Range::open(lab, Vec::new())?, fallen: BTreeMap::new() })
    }

    /// Carries out everything; `each` hears of every row. Packets that probably meet one rule are fired together and taken
    /// apart again where they do not. Machines that were taken over are given back at the end.
    pub fn run(&mut self, attempts: &[Attempt], mut each: impl FnMut(&Row)) -> Result<Vec<Row>, LabError> {
        let mut groups: BTreeMap<Kin<'_>, Vec<usize>> = BTreeMap::new();
        for (n, attempt) in attempts.iter().enumerate() {
            groups.entry(self.kin(n, attempt)).or_default().push(n);
        }
        let mut rows: BTreeMap<usize, Row> = BTreeMap::new();
        let outcome = groups.values().try_for_each(|members| {
            let some: Vec<&Attempt> = members.iter().filter_map(|n| attempts.get(*n)).collect();
            for (n, row) in members.iter().zip(self.several(&some)?) {
                each(&row);
                rows.insert(*n, row);
            }
            Ok(())
        });
        self.give_back()?;
        outcome.map(|()| rows.into_values().collect())
    }

    /// What attempts must share to be fired together; whatever is not a single packet to be stopped stays alone.
    fn kin<'k>(&self, n: usize, a: &'k Attempt) -> Kin<'k>
    where
        'a: 'k,
    {
        let segment =
            self.lab.topology.holder(a.dst(), None).and_then(|h| h.ports.iter().find(|p| p.addresses.iter().any(|x| x.addr() == a.dst())));
        let segment = segment.map_or("", |p| p.segment.as_str());
        let alone = a.via.is_some() || a.expected != Expected::Stopped || !matches!(a.deed, Deed::Send(_));
        (a.taken_over.then_some(a.node.as_str()), a.node.as_str(), a.group, segment, if alone { n + 1 } else { 0 })
    }

    /// Fires together; where one rule counted every packet, it decided each. Otherwise by halves.
    fn several(&mut self, attempts: &[&Attempt]) -> Result<Vec<Row>, LabError> {
        let shot = |a: &&Attempt| match &a.deed {
            Deed::Send(packet) => Some(Shot { node: a.node.clone(), packet: *packet }),
            Deed::Connect { .. } => None,
        };
        let first = match attempts {
            [] => return Ok(Vec::new()),
            [one] => return Ok(vec![self.one(one)?]),
            [first, ..] => first,
        };
        self.take_over(if first.taken_over { Some(&first.node) } else { None })?;
        let shots: Vec<Shot> = attempts.iter().filter_map(shot).collect();
        let witnesses: BTreeSet<String> = attempts.iter().flat_map(|a| self.witnesses(a)).collect();
        let report = self.range.fire_past(&shots, witnesses.into_iter().collect())?;
        let drops: Vec<_> = report.counted.values().filter(|r| r.drops).collect();
        let all = usize::try_from(report.dropped).is_ok_and(|d| d == attempts.len());
        if drops.len() == 1 && all && report.outcomes.iter().all(|o| o.landed.is_empty()) {
            return Ok(attempts.iter().zip(&report.outcomes).map(|(a, o)| self.judge_packet(a, Some(o), &report)).collect());
        }
        let half = attempts.len() / 2;
        let (left, right) = attempts.split_at(half);
        let mut rows = self.several(left)?;
        rows.append(&mut self.several(right)?);
        Ok(rows)
    }

    /// Carries out honest attempts one after the other with one reading of all counters before and after: each must reach
    /// its end, and its flow must have been counted.
    pub fn together(&mut self, attempts: &[Attempt]) -> Result<Vec<Row>, LabError> {
        self.give_back()?;
        let machines: Vec<String> = self.plan.machines.keys().map(|h| h.as_str().to_owned()).collect();
        let before = count::read(self.lab, machines.iter().map(String::as_str))?;
        let mut seen = Vec::with_capacity(attempts.len());
        for attempt in attempts {
            seen.push(match &attempt.deed {
                Deed::Connect { src, dst, proto } => {
                    let answer = connect::ask(self.lab.space(&attempt.node)?, Some(*src), *dst, *proto)?;
                    (answer.node().map(str::to_owned), answer_words(&answer))
                }
                Deed::Send(packet) => {
                    let report = self.range.fire_past(&[Shot { node: attempt.node.clone(), packet: *packet }], Vec::new())?;
                    let landed = report.outcomes.first().and_then(|o| o.landed.keys().next().cloned());
                    (landed.clone(), landed.map_or("did not arrive".to_owned(), |n| format!("reached {n}")))
                }
            });
        }
        let counted = count::difference(&before, &count::read(self.lab, machines.iter().map(String::as_str))?);
        let judge = |(attempt, (node, words)): (&Attempt, (Option<String>, String))| {
            let decided = self.decisions(attempt, &counted, false);
            // Single packets are of protocols without ports, which built-in rules pass, not elements of a flow.
            let connection = matches!(attempt.deed, Deed::Connect { .. });
            let filtered = connection && self.witnesses(attempt).iter().any(|w| machines.contains(w));
            let right = attempt.expected == Expected::Reaches(node.unwrap_or_default()) && (!filtered || !decided.is_empty());
            Row { attempt: attempt.clone(), seen: words, right, decided }
        };
        Ok(attempts.iter().zip(seen).map(judge).collect())
    }

    fn one(&mut self, attempt: &Attempt) -> Result<Row, LabError> {
        self.take_over(if attempt.taken_over { Some(&attempt.node) } else { None })?;
        if let Some(via) = attempt.via {
            self.route("replace", attempt, via)?;
        }
        let row = match &attempt.deed {
            Deed::Connect { src, dst, proto } => {
                let nodes = self.witnesses(attempt);
                let before = count::read(self.lab, nodes.iter().map(String::as_str))?;
                let answer = connect::ask(self.lab.space(&attempt.node)?, Some(*src), *dst, *proto)?;
                let after = count::read(self.lab, nodes.iter().map(String::as_str))?;
                self.judge_connection(attempt, &answer, &count::difference(&before, &after))
            }
            Deed::Send(packet) => {
                let shot = Shot { node: attempt.node.clone(), packet: *packet };
                let report = self.range.fire_past(&[shot], self.witnesses(attempt))?;
                self.judge_packet(attempt, report.outcomes.first(), &report)
            }
        };
        if let Some(via) = attempt.via {
            self.route("del", attempt, via)?;
        }
        Ok(row)
    }

    /// The machines whose rules may decide an attempt: sender, edge nodes, receiver, next hop.
    fn witnesses(&self, attempt: &Attempt) -> Vec<String> {
        let active = self.lab.active.as_deref();
        let mut names: BTreeSet<String> = self.lab.topology.edges.iter().cloned().collect();
        names.insert(attempt.node.clone());
        let holder = |a: IpAddr| self.lab.topology.holder(a, active).map(|n| n.name.clone());
        names.extend(holder(attempt.dst()));
        names.extend(attempt.via.and_then(holder));
        if let Expected::Reaches(node) = &attempt.expected {
            names.insert(node.clone());
        }
        names
            .into_iter()
            .filter(|n| self.lab.topology.nodes.get(n).is_some_and(|n| n.role != Role::Outside && n.role != Role::Router))
            .collect()
    }

    fn judge_connection(&self, attempt: &Attempt, answer: &Answer, counted: &Readings) -> Row {
        let seen = answer_words(answer);
        let right = match &attempt.expected {
            Expected::Reaches(node) => answer.node() == Some(node),
            Expected::Stopped => answer.node().is_none() && count::dropped(counted) > 0,
        };
        Row { attempt: attempt.clone(), seen, right, decided: self.decisions(attempt, counted, !right) }
    }

    fn judge_packet(&self, attempt: &Attempt, outcome: Option<&Outcome>, report: &Report) -> Row {
        let landed: Vec<&String> = outcome.map(|o| o.landed.keys().collect()).unwrap_or_default();
        let sent = outcome.map_or(Sent::Unroutable, |o| o.sent);
        let drop = report.counted.iter().find(|(_, r)| r.drops).map(|(p, _)| p.node.clone());
        let seen = match (landed.first(), sent, drop) {
            (Some(node), _, _) => format!("reached {node}"),
            (None, Sent::Refused, Some(node)) => format!("refused on {node}"),
            (None, _, Some(node)) => format!("dropped on {node}"),
            (None, Sent::Unroutable, None) => "no route".to_owned(),
            (None, _, None) => "lost without a counter".to_owned(),
        };
        let right = match &attempt.expected {
            Expected::Reaches(node) => landed == [node],
            Expected::Stopped => landed.is_empty() && report.dropped > 0,
        };
        Row {
            attempt: attempt.clone(),
            seen,
            right,
            decided: self.decisions(attempt, &report.counted, attempt.expected == Expected::Stopped),
        }
    }

    /// For what was stopped, the rules that dropped; for what passed, the elements of its flow, or, where only an edge node looked at it, the
    /// rule of the pair of zones.
    fn decisions(&self, attempt: &Attempt, counted: &Readings, drops: bool) -> Vec<Decision> {
        let mut flows: BTreeSet<&str> = attempt.flow.as_deref().into_iter().collect();
        if let Deed::Connect { src, dst, proto } = attempt.deed {
            flows.extend(expect::all_allowing(self.model, src, dst.ip(), proto, dst.port()).map(|f| f.id.0.as_str()));
        }
        let mut all = BTreeSet::new();
        for (place, reading) in counted {
            let Some(id) = &reading.id else { continue };
            if if drops { reading.drops } else { flows.iter().any(|f| id.starts_with(f)) } {
                all.insert(self.decision(&place.node, id));
            }
        }
        if all.is_empty() && !drops {
            let pairs = counted.iter().filter_map(|(place, r)| Some((place, r.id.as_deref()?))).filter(|(_, id)| id.starts_with("fwd/"));
            all.extend(pairs.map(|(place, id)| self.decision(&place.node, id)));
        }
        all.into_iter().collect()
    }

    fn decision(&self, node: &str, id: &str) -> Decision {
        if id == count::NO_FORWARDING {
            let what = "the machine forwards nothing, and the kernel counted the packet as misaddressed".to_owned();
            return Decision { node: node.to_owned(), id: id.to_owned(), what, line: "built in net.*.forwarding = 0".to_owned() };
        }
        let machine = self.plan.machines.iter().find(|(h, _)| h.as_str() == node).map(|(_, m)| m);
        let info = machine.and_then(|m| m.rules.get(id));
        let flow = self.model.flows.iter().find(|f| id.starts_with(f.id.0.as_str()));
        let origins = info.map(|i| i.origins.as_slice()).or(flow.map(|f| f.origins.as_slice())).unwrap_or_default();
        let site = origins.iter().find(|o| matches!(o, Origin::Site { .. })).or(origins.first());
        let what = info.map(|i| i.what.clone()).or(flow.map(|f| f.why.clone())).unwrap_or_default();
        Decision { node: node.to_owned(), id: id.to_owned(), what, line: site.map(line).unwrap_or_default() }
    }

    /// Removes the own table of one machine and gives every other fallen one its table back.
    fn take_over(&mut self, node: Option<&str>) -> Result<(), LabError> {
        if let Some(node) = node
            && self.fallen.contains_key(node)
        {
            return Ok(());
        }
        self.give_back()?;
        let Some(node) = node else { return Ok(()) };
        let space = self.lab.space(node)?;
        let listed = space.attempt("nft", &["-s", "list", "table", "inet", TABLE], None)?;
        if listed.status.success() {
            let text = String::from_utf8_lossy(&listed.stdout).into_owned();
            space.program("nft", &["delete", "table", "inet", TABLE], None)?;
            self.fallen.insert(node.to_owned(), text);
            self.range.rulesets_changed();
        }
        Ok(())
    }

    fn give_back(&mut self) -> Result<(), LabError> {
        for (node, text) in std::mem::take(&mut self.fallen) {
            self.lab.space(&node)?.program("nft", &["-f", "-"], Some(&text))?;
            self.range.rulesets_changed();
        }
        Ok(())
    }

    fn route(&self, verb: &str, attempt: &Attempt, via: IpAddr) -> Result<(), LabError> {
        let flag = if via.is_ipv4() { "-4" } else { "-6" };
        let (dst, via) = (attempt.dst().to_string(), via.to_string());
        self.lab.space(&attempt.node)?.program("ip", &[flag, "route", verb, &dst, "via", &via], None).map(drop)
    }
}

fn answer_words(answer: &Answer) -> String {
    match answer {
        Answer::From { node, .. } => format!("{node} answered"),
        Answer::Refused { why } => format!("refused at once: {why}"),
        Answer::Rejected { why } => format!("rejected: {why}"),
        Answer::Silence => "no answer".to_owned(),
    }
}

/// An origin as short as a table wants it.
fn line(origin: &Origin) -> String {
    match origin {
        Origin::Site { file, line, .. } => format!("{file}:{line}"),
        Origin::Catalog { service, entry, .. } => format!("catalogue {service}, {entry}"),
        Origin::Builtin { code, .. } => format!("built in {code}"),
    }
}
