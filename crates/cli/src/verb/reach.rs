//! `ravelin reach A B [PORT]`: can A reach B? Yes with a packet that gets through and the rule at each hop, no with the layer that stops it,
//! or unproven with what could not be read. Over all packets, on the rulesets of the plan.

use crate::{
    args::Global,
    exit::Exit,
    face::{Face, remark, show},
    input::{self, SiteOption},
    paint::{BAD, DIM, GOOD, HEAD, WARN, paint},
    planning, progress, proof,
    trouble::Trouble,
};
use clap::{Args, ValueEnum};
use plan::Plan;
use reach::{
    Answer, Journey, Network, Prover, Question, Sender,
    network::{Hop, Stop},
};
use serde::Serialize;
use site::model::{Mode, Model};
use std::collections::BTreeMap;
use words::{Family, Origin, ProtoPorts};

/// Arguments of `reach`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Who sends: a host, a zone, or `internet`
    #[arg(value_name = "A")]
    from: String,
    /// Who is meant: a host
    #[arg(value_name = "B")]
    to: String,
    /// On which port, e.g. 1234/tcp [default: any]
    #[arg(value_name = "PORT")]
    target: Option<ProtoPorts>,
    /// Only this address family
    #[arg(long, value_enum)]
    family: Option<FamilyArgument>,
    /// Suppose A is taken over: any source address, no filter of its own
    #[arg(long)]
    taken_over: bool,
    /// As the rules are once the network layer is in force, where it only observes now
    #[arg(long)]
    enforced: bool,
    #[command(flatten)]
    site: SiteOption,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum FamilyArgument {
    V4,
    V6,
}

#[derive(Serialize)]
struct Reached {
    question: Question,
    answer: Answer,
    /// What the ids on the way stand for.
    rules: BTreeMap<String, Why>,
}

#[derive(Serialize)]
struct Why {
    what: String,
    origins: Vec<Origin>,
}

impl Face for Reached {
    fn text(&self) -> String {
        let q = &self.question;
        let target = q.target.as_ref().map(|t| format!(" on {t}")).unwrap_or_default();
        let asked = format!("{} -> {}{target}", sender(&q.from), q.to);
        match &self.answer {
            Answer::Yes { journey, within_limits } => {
                // What is assumed is told below, line by line.
                let limits = if *within_limits && journey.assumed.is_empty() { " (while limits are not reached)" } else { "" };
                format!("{} {asked}{limits}\n{}", paint(WARN, "yes:"), self.journey(journey))
            }
            Answer::No { stop, journey } => {
                let way = journey.as_ref().map(|j| self.journey(j)).unwrap_or_default();
                format!("{} {asked}\n  stopped: {}\n{way}", paint(GOOD, "no:"), self.stop(stop))
            }
            Answer::Unproven { why, journey } => {
                let way = journey.as_ref().map(|j| self.journey(j)).unwrap_or_default();
                let why: String = why.iter().map(|w| format!("  {w}\n")).collect();
                format!("{} {asked}\n{why}{way}", paint(BAD, "unproven:"))
            }
        }
    }
}

fn sender(s: &Sender) -> String {
    match s {
        Sender::Host(h) => h.to_string(),
        Sender::TakenOver(h) => format!("{h}, taken over,"),
        Sender::Zone(z) => format!("zone {z}"),
    }
}

impl Reached {
    fn journey(&self, j: &Journey) -> String {
        let mut out = format!("  packet: {}\n", j.sent);
        for hop in &j.hops {
            out += &self.hop(hop);
        }
        match (&j.received, &j.stop) {
            // Told before, as the answer.
            (_, Some(_)) => {}
            (Some(host), None) => out += &format!("  arrives at {}\n", paint(HEAD, host)),
            (None, None) => out += "  leaves the site\n",
        }
        out + &j.assumed.iter().map(|a| format!("  assumed: {a}\n")).collect::<String>()
    }

    fn hop(&self, hop: &Hop) -> String {
        let mut out = String::new();
        for id in hop.trace.steps.iter().filter_map(|s| s.id.as_deref()) {
            out += &format!("  {:<12} {:<11} {}\n", hop.host, hop.hook, self.rule(id));
        }
        out
    }

    fn rule(&self, id: &str) -> String {
        match self.rules.get(id) {
            Some(why) => {
                let origin = why.origins.first().map(|o| paint(DIM, format!("  ({o})"))).unwrap_or_default();
                format!("{id}: {}{origin}", why.what)
            }
            None => id.to_owned(),
        }
    }

    fn stop(&self, stop: &Stop) -> String {
        match stop {
            Stop::Rule { host, hook, step } => {
                let rule = step.as_ref().and_then(|s| s.id.as_deref()).map_or("policy drop".to_owned(), |id| self.rule(id));
                format!("at {host}, {hook}: {rule}")
            }
            Stop::NoHolder => "nobody of the site has the address".to_owned(),
            Stop::NoRoute(host) => format!("{host} has no route there"),
            Stop::NoFamily => "the two have no address family in common".to_owned(),
            Stop::NoListener => "nothing listens there, or on loopback only".to_owned(),
        }
    }
}

/// Asks and answers.
pub fn run(arguments: &Arguments, global: &Global) -> Result<Exit, Trouble> {
    let (model, _) = input::model(&arguments.site.site, global)?;
    let question = question(arguments, &model)?;
    let model = if arguments.enforced { proof::enforced(&model) } else { model };
    if model.layers.network == Mode::Observe {
        remark("The network layer observes and drops nothing: --enforced asks what it would do in force.");
    }
    let plan = planning::plan(&model);
    let rulesets = proof::rulesets(&plan);
    let answer = progress::during("proving", || {
        let mut prover = Prover::new();
        Network::new(&mut prover, &model, &rulesets, &BTreeMap::new()).reach(&question)
    });
    let exit = match &answer {
        Answer::Yes { .. } => Exit::Ok,
        Answer::No { .. } => Exit::Found,
        Answer::Unproven { .. } => Exit::Unproven,
    };
    let rules = rules(&plan, &answer);
    show(global, &Reached { question, answer, rules })?;
    Ok(exit)
}

fn question(arguments: &Arguments, model: &Model) -> Result<Question, Trouble> {
    let host = |name: &str| model.hosts.keys().find(|h| h.as_str() == name).cloned();
    let zone = model.zones.keys().find(|z| z.as_str() == arguments.from).cloned();
    let names = || {
        let zones = model.zones.keys().map(ToString::to_string);
        zones.chain(model.hosts.keys().map(ToString::to_string)).collect::<Vec<_>>().join(", ")
    };
    let from = match (host(&arguments.from), zone) {
        (Some(h), _) if arguments.taken_over => Sender::TakenOver(h),
        (Some(h), _) => Sender::Host(h),
        (None, Some(z)) => Sender::Zone(z),
        (None, None) => {
            return Err(Trouble::usage(format!("the site has no host or zone `{}`", arguments.from), format!("it has {}", names())));
        }
    };
    let to = host(&arguments.to).ok_or_else(|| {
        Trouble::usage(format!("the site has no host `{}`", arguments.to), format!("B is a host; the site has {}", names()))
    })?;
    if matches!(&from, Sender::Host(h) | Sender::TakenOver(h) if *h == to) {
        return Err(Trouble::usage(
            format!("`{to}` is both ends"),
            "what a machine says to itself stays on loopback, which is not filtered",
        ));
    }
    let family = arguments.family.map(|f| match f {
        FamilyArgument::V4 => Family::V4,
        FamilyArgument::V6 => Family::V6,
    });
    Ok(Question { from, to, target: arguments.target.clone(), family })
}

/// The reasons of every id that turns up in an answer.
fn rules(plan: &Plan, answer: &Answer) -> BTreeMap<String, Why> {
    let (journey, stop) = match answer {
        Answer::Yes { journey, .. } => (Some(journey), None),
        Answer::No { journey, stop } => (journey.as_ref(), Some(stop)),
        Answer::Unproven { journey, .. } => (journey.as_ref(), None),
    };
    let stopped = |s: &Stop| match s {
        Stop::Rule { step, .. } => step.as_ref().and_then(|s| s.id.clone()),
        _ => None,
    };
    let ids = journey.into_iter().flat_map(|j| j.ids().into_iter().map(str::to_owned).chain(j.stop.as_ref().and_then(stopped)));
    let info = |id: &String| plan.machines.values().find_map(|m| m.rules.get(id));
    ids.chain(stop.and_then(stopped))
        .filter_map(|id| info(&id).map(|i| (id.clone(), Why { what: i.what.clone(), origins: i.origins.clone() })))
        .collect()
}
