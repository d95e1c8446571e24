//! Chain nodes, asked for proving deadlines. In comes a model, out comes what its nodes say now, or a wait until an interruption fits.
//! What is believed and done about it is decided in `deadline`, asking and waiting is `lotus`.

use crate::{face::remark, trouble::Trouble};
use deadline::{Look, Policy, Wait, outlook::NodeSaid};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::{Timestamp, tz::TimeZone};
use lotus::{Depth, JobKind, Node, Passed};
use serde::Serialize;
use site::{
    asked,
    model::{Asked, Model},
};
use std::time::Duration;
use words::HostName;

/// Who is asked, from this machine, and what the site file says about the answers.
pub struct Asker {
    /// Who, and about what.
    pub who: lotus::Asker,
    /// When nobody answers, and how long is waited.
    pub policy: Policy,
}

/// Whether an interruption fits now, for a verb that shows what it would do.
#[derive(Serialize)]
pub struct Brief {
    /// Seconds the service may be away.
    seconds: u64,
    look: Look,
}

impl Brief {
    /// One line.
    pub fn text(&self) -> String {
        let (seconds, free) = (span(self.seconds), self.look.free());
        match self.look.open.filter(|_| free >= self.seconds) {
            Some(w) => format!("away for up to {seconds}, which fits now: no proof is due until {}", at(w.ends)),
            None => format!("away for up to {seconds}, which does not fit now: {}; --yes waits for a window", why(&self.look)),
        }
    }
}

/// Why it does not fit now, in a line.
pub fn why(look: &Look) -> String {
    let all: Vec<String> = look.waits.iter().map(Wait::to_string).collect();
    if all.is_empty() { format!("only {} are free", span(look.free())) } else { all.join("; ") }
}

/// Why a node counts for nothing.
pub fn complaint(said: &NodeSaid) -> Option<String> {
    match said {
        NodeSaid::Believed { .. } => None,
        NodeSaid::Disbelieved { why } => Some(format!("not believed: {why}")),
        NodeSaid::Faulty { fault } => Some(fault.why.clone()),
    }
}

impl Asker {
    /// Where the site file names nodes.
    pub fn new(model: &Model, here: Option<&HostName>) -> Option<Self> {
        let site = model.deadlines.clone()?;
        let node = |a: &Asked| Node { name: asked::name(a), urls: asked::urls(model, a, here), token: a.token.as_ref().map(Into::into) };
        let kind = |a: &Asked| if asked::is_cluster(model, a) { JobKind::Curio } else { JobKind::Miner };
        let who = lotus::Asker {
            nodes: site.nodes.iter().map(node).collect(),
            jobs: site.jobs.iter().map(|a| (node(a), kind(a))).collect(),
            miners: site.miners,
            settings: site.settings,
            timeout: Duration::from_secs(site.timeout),
        };
        Some(Self { who, policy: site.policy })
    }

    /// Whether an interruption of so many seconds fits now.
    pub fn brief(&self, seconds: u64) -> Brief {
        Brief { seconds, look: crate::progress::during("asking chain nodes", || self.who.look(Depth::Next)) }
    }

    /// Waits until it fits, at most as long as the policy says; tells on standard error what is waited for.
    pub fn wait(&self, seconds: u64, policy: Policy) -> Passed {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}, waited {elapsed}") {
            bar.set_style(style);
        }
        let mut told = String::new();
        self.who.wait(seconds, policy, &mut |look| {
            let reason = why(look);
            if reason != told {
                bar.suspend(|| remark(&format!("waiting for {} without a proof due: {reason}", span(seconds))));
                told.clone_from(&reason);
            }
            bar.set_message(reason);
            bar.enable_steady_tick(Duration::from_millis(200));
        })
    }

    /// Before a service is interrupted for so many seconds: waits, and gives what is recorded; `force` is how to do without.
    pub fn gate(&self, seconds: u64, force: &str) -> Result<String, Trouble> {
        match self.wait(seconds, self.policy) {
            Passed::Fits(look, ends) => {
                let by: Vec<&str> = look.miners.iter().flat_map(|m| &m.seen_by).map(String::as_str).collect();
                let mut by: Vec<&str> = if by.is_empty() { vec!["the schedule"] } else { by };
                by.sort_unstable();
                by.dedup();
                remark(&format!("no proof is due until {}: beginning", at(ends)));
                Ok(format!("free from {} until {}, by {}", at(look.now), at(ends), by.join(", ")))
            }
            Passed::Blind(_, why) => {
                remark(&format!("{why}: beginning without knowing"));
                Ok(why)
            }
            Passed::Refused(look, why) => {
                let said = look.nodes.iter().filter_map(|n| complaint(&n.said).map(|c| format!("{}: {c}", n.node)));
                said.for_each(|line| remark(&line));
                Err(Trouble::usage(
                    format!("{why}; nothing was changed"),
                    format!("`ravelin deadlines` shows who said what; {force} forces it (recorded)"),
                ))
            }
        }
    }
}

/// Unix seconds.
fn now() -> u64 {
    u64::try_from(Timestamp::now().as_second()).unwrap_or(0)
}

/// A time of day, with the date where that is another one.
pub fn at(seconds: u64) -> String {
    let stamp = |s: u64| Timestamp::from_second(i64::try_from(s).unwrap_or(0)).unwrap_or_default().to_zoned(TimeZone::UTC);
    let (then, today) = (stamp(seconds), stamp(now()));
    let form = if then.date() == today.date() { "%H:%M:%S UTC" } else { "%Y-%m-%d %H:%M:%S UTC" };
    then.strftime(form).to_string()
}

/// A length of time.
pub fn span(seconds: u64) -> String {
    match (seconds / 3_600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, 0) => format!("{m} min"),
        (0, m, s) => format!("{m} min {s} s"),
        (h, m, _) => format!("{h} h {m} min"),
    }
}

#[cfg(test)]
#[path = "../../lotus/tests/common/mod.rs"]
mod node;

#[cfg(test)]
mod tests {
    use super::{
        node::{Chain, serve},
        *,
    };

    fn asker(at: &str, more: &str) -> Asker {
        let text = format!(
            "[site]\nminers = [\"f01\"]\n[hosts.sp1]\nruns = [\"lotus\"]\n[deadlines]\nnodes = [\"http://{at}\"]\ntimeout = 5\n{more}\n"
        );
        let model = site::read(&words::SourceFile::new("site.toml", text), "2026-11-27").model.expect("a model");
        Asker::new(&model, None).expect("nodes")
    }

    #[test]
    fn what_passes_the_gate_is_recorded_and_what_does_not_says_how_to_force_it() {
        let free = serve(|m, p, _| Chain::new(10, true).say(m, p)).to_string();
        let recorded = asker(&free, "").gate(390, "--force WHY").expect("it fits");
        assert!(recorded.starts_with("free from ") && recorded.ends_with(&format!("by {free}")), "{recorded}");
        let brief = asker(&free, "").brief(390);
        assert!(brief.text().starts_with("away for up to 6 min 30 s, which fits now"), "{}", brief.text());

        let not_yet = serve(|m, p, _| Chain::new(10, false).say(m, p)).to_string();
        assert!(asker(&not_yet, "").brief(390).text().contains("does not fit now: the proof of deadline 20 of f01 has not landed"));
        let refused = |asker: Asker| match asker.gate(390, "--force WHY") {
            Err(Trouble::Usage { what, help }) => format!("{what}\n{help}"),
            other => panic!("{:?}", other.map_err(|e| e.to_string())),
        };
        let mut impatient = asker(&not_yet, "");
        impatient.policy.max_wait = 0;
        let said = refused(impatient);
        assert!(said.contains("has not landed; nothing was changed") && said.contains("--force WHY forces it (recorded)"), "{said}");

        // Nobody listens on the discard port here.
        assert!(refused(asker("127.0.0.1:9", "")).contains("no chain node answers"));
        let blind = asker("127.0.0.1:9", "unreachable = \"proceed\"").gate(390, "--force WHY").expect("the site's policy");
        assert!(blind.contains("`proceed`"));
    }

    #[test]
    fn lengths_and_times_read_well() {
        assert_eq!([45, 60, 390, 7_260].map(span), ["45 s", "1 min", "6 min 30 s", "2 h 1 min"]);
        assert_eq!(at(1_598_306_400), "2020-08-24 22:00:00 UTC");
    }
}
