//! `ravelin deadlines`: asks the site's chain nodes, and shows per miner which deadline is open, whether its proof has landed, when an
//! interruption may begin and how long it may last, who said so and who is not believed. `--wait` ends when it may begin.

use crate::{
    args::Global,
    deadlines::{Asker, at, complaint, span},
    exit::Exit,
    face::{Face, remark, show},
    input::{self, SiteArgument},
    machine,
    paint::{BAD, DIM, GOOD, HEAD, WARN, paint},
    planning, progress,
    trouble::Trouble,
};
use clap::Args;
use deadline::{Landed, Look, Need, Policy, Standing, Wait, outlook::NodeSaid, split};
use lotus::{Depth, Passed};
use serde::Serialize;
use std::ops::Range;

/// Arguments of `deadlines`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    site: SiteArgument,
    /// Which machine of the site asks [default: by its host name, else by its addresses]
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// How long the interruption may last, e.g. 5m; several are the pieces of a long work, told by window
    #[arg(long = "for", value_name = "TIME")]
    pieces: Vec<jiff::SignedDuration>,
    /// End when an interruption of the first --for may begin
    #[arg(long)]
    wait: bool,
    /// Longest wait, e.g. 2h [default: the site file's]
    #[arg(long, value_name = "TIME", requires = "wait")]
    max_wait: Option<jiff::SignedDuration>,
    /// Only this miner; several times for several
    #[arg(long, value_name = "ID")]
    miner: Vec<String>,
}

#[derive(Serialize)]
struct Shown {
    /// Seconds of each piece.
    pieces: Vec<u64>,
    /// The first piece fits now.
    fits: bool,
    /// Which pieces each window takes, at best; absent where one fits into none.
    rounds: Option<Vec<Range<usize>>>,
    /// Why a piece fits into no window, or why it was not waited for any longer.
    refused: Option<String>,
    #[serde(flatten)]
    look: Look,
}

impl Face for Shown {
    fn text(&self) -> String {
        let mut out: String = self.look.miners.iter().map(|m| self.miner(m)).collect();
        out += &match self.look.open.filter(|_| self.look.waits.is_empty()) {
            Some(w) => format!("{} until {}: {}\n", paint(GOOD, "free"), at(w.ends), span(self.look.free())),
            None => {
                let waits = self.look.waits.iter().map(|w| format!("{}: {w}{}\n", paint(WARN, "not now"), until(w)));
                let hoped = self.look.hoped.map(|w| format!("  if the proof lands at once: until {}\n", at(w.ends)));
                let certain = self.look.certain.map(|w| format!("  whatever lands when: {} to {}\n", at(w.begins), at(w.ends)));
                waits.chain(hoped).chain(certain).collect()
            }
        };
        if let Some(longest) = self.look.longest {
            let how = if Look::is_endless(longest) {
                "no deadline within two days wants a proof".to_owned()
            } else {
                format!("at best {} at a time{}", span(longest), if self.look.whole { "" } else { ", as far as was seen" })
            };
            out += &format!("{}\n", paint(DIM, how));
        }
        out += &self.work();
        for n in &self.look.nodes {
            out += &match (&n.said, complaint(&n.said)) {
                (NodeSaid::Believed { height, age, lacks }, _) => {
                    let lacks = if lacks.is_empty() { String::new() } else { format!(", does not have {}", lacks.join(", ")) };
                    format!("{}: block {height}, {age} s old{lacks}\n", paint(HEAD, &n.node))
                }
                (_, said) => format!("{}: {}\n", paint(HEAD, &n.node), paint(BAD, said.unwrap_or_default())),
            };
        }
        self.look.jobs.iter().for_each(|j| out += &format!("{}: {}\n", paint(HEAD, j.source()), j.text()));
        if self.look.jobs.is_empty() {
            out += &format!("{}\n", paint(DIM, "sealing under way was not asked for: `jobs` in [deadlines]"));
        }
        out
    }
}

impl Shown {
    fn miner(&self, m: &Standing) -> String {
        let Some(clock) = self.look.clock else { return String::new() };
        let landed = match (m.landed, m.need(0)) {
            (_, Need::No) => paint(GOOD, "wants no proof"),
            (Landed::Yes, _) => paint(GOOD, "its proof has landed"),
            (Landed::No, _) if m.seen_by.is_empty() => paint(WARN, "its proof has not landed"),
            (Landed::No, _) => paint(WARN, format!("its proof has landed by {}, not by {}", m.seen_by.join(", "), m.denied_by.join(", "))),
            (Landed::Unseen, _) => paint(WARN, "nobody can see whether its proof has landed"),
        };
        let mut out = format!(
            "{}: deadline {} is open from {} to {}, {landed}\n",
            paint(HEAD, &m.miner),
            m.deadline,
            at(clock.begins(m.open)),
            at(clock.begins(m.close))
        );
        let by = [(&m.seen_by, "says so"), (&m.denied_by, "says not yet"), (&m.blind, "cannot see it")];
        let by: Vec<String> = by.iter().filter(|(n, _)| !n.is_empty()).map(|(n, what)| format!("{} {what}", n.join(", "))).collect();
        if !by.is_empty() {
            out += &format!("  {}\n", by.join("; "));
        }
        if let Some(ahead) = m.next() {
            let (index, open) = ((m.deadline + ahead) % deadline::chain::DEADLINES, m.opening(ahead));
            let drawn = clock.begins(open - deadline::chain::LOOKBACK_EPOCHS);
            let unsure = if m.need(ahead) == Need::Unseen { ", perhaps without sectors" } else { "" };
            out += &format!("  deadline {index} opens {}{unsure}; its challenge is drawn {}\n", at(clock.begins(open)), at(drawn));
        }
        out
    }

    fn work(&self) -> String {
        let mut out = String::new();
        if let (Some(first), None) = (self.pieces.first(), &self.refused) {
            let fits = if self.fits { paint(GOOD, "fits now") } else { paint(WARN, "does not fit now") };
            out += &format!("{} {fits}\n", span(*first));
        }
        if let Some(rounds) = self.rounds.as_ref().filter(|_| self.pieces.len() > 1) {
            let said: Vec<String> = rounds.iter().map(|r| r.len().to_string()).collect();
            out += &format!("{} pieces in {} windows: {}\n", self.pieces.len(), rounds.len(), said.join(" + "));
        }
        if let Some(why) = &self.refused {
            out += &format!("{}\n", paint(BAD, why));
        }
        out
    }
}

fn until(wait: &Wait) -> String {
    match wait {
        Wait::Proof { closes, .. } | Wait::Unseen { closes, .. } => format!(" (it closes {})", at(*closes)),
        Wait::Challenge { opens, .. } => format!(" (it opens {})", at(*opens)),
        _ => String::new(),
    }
}

/// Asks, shows, waits.
pub fn run(arguments: &Arguments, global: &Global) -> Result<Exit, Trouble> {
    let (model, _) = input::model(&arguments.site.site, global)?;
    let found = planning::this_machine(&model, arguments.host.as_deref(), &machine::network());
    // Who asks from outside of the site goes by the hosts' addresses.
    let here = match (found, &arguments.host) {
        (Err(e), Some(_)) => return Err(e),
        (found, _) => found.ok(),
    };
    let mut asker = Asker::new(&model, here.as_ref()).ok_or_else(|| {
        Trouble::usage(
            "the site file names nobody to ask for deadlines",
            "add [deadlines] with nodes = [\"HOST\"]: a host that runs a chain node",
        )
    })?;
    if let Some(other) = arguments.miner.iter().find(|m| !asker.who.miners.contains(m)) {
        return Err(Trouble::usage(format!("the site has no miner `{other}`"), format!("it has {}", asker.who.miners.join(", "))));
    }
    if !arguments.miner.is_empty() {
        asker.who.miners.retain(|m| arguments.miner.contains(m));
    }
    let pieces: Vec<u64> = arguments.pieces.iter().map(|t| seconds(*t)).collect::<Result<_, _>>()?;
    let first = pieces.first().copied().unwrap_or(0);
    let (look, mut refused, blind) = if arguments.wait {
        if pieces.is_empty() {
            return Err(Trouble::usage("a wait is for a window of some length", "say how long: --wait --for 5m"));
        }
        let max_wait = arguments.max_wait.map(seconds).transpose()?.unwrap_or(asker.policy.max_wait);
        match asker.wait(first, Policy { max_wait, ..asker.policy }) {
            Passed::Fits(look, _) => (look, None, false),
            Passed::Blind(look, why) => {
                remark(&why);
                (look, None, true)
            }
            Passed::Refused(look, why) => (look, Some(why), false),
        }
    } else {
        (Box::new(progress::during("asking chain nodes", || asker.who.look(Depth::All))), None, false)
    };
    let rounds = look.longest.map(|longest| split::rounds(&pieces, look.free(), longest));
    if let Some(Err(e)) = &rounds {
        refused.get_or_insert_with(|| e.to_string());
    }
    let fits = look.free() >= first.max(1);
    let shown = Shown { pieces, fits, rounds: rounds.and_then(Result::ok), refused, look: *look };
    show(global, &shown)?;
    Ok(if fits || blind { Exit::Ok } else { exit(&shown.look) })
}

/// Not now: because it is known, or because nobody knows.
fn exit(look: &Look) -> Exit {
    let unknown = |w: &Wait| matches!(w, Wait::Silence | Wait::NoneBelieved | Wait::Disagreement(_) | Wait::Unseen { .. });
    if look.waits.iter().any(unknown) { Exit::Unproven } else { Exit::Found }
}

fn seconds(time: jiff::SignedDuration) -> Result<u64, Trouble> {
    u64::try_from(time.as_secs()).ok().filter(|s| *s > 0).ok_or_else(|| Trouble::usage("a window has a length", "e.g. --for 5m"))
}
