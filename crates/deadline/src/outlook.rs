//! May an interruption begin now? In come what nodes said and the time, out come the free time there is, what is waited for, and who is
//! believed. Everything is said in Unix seconds, so that whoever waits needs no epochs.

use crate::{
    Epoch,
    agree::{Believed, Disagreement, Landed, Need, Standing, agree},
    answer::{Fault, Reply},
    chain::{self, Clock, LOOKBACK_EPOCHS},
    jobs::Jobs,
    judge::{Disbelief, judge},
    span::{HORIZON_EPOCHS, Hope, Span, is_whole, schedule},
};
use serde::Serialize;

/// What the site file says about windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Settings {
    /// Seconds kept free before the next challenge is drawn.
    pub margin: u64,
    /// Sealing jobs are waited for, not only told.
    pub wait_for_sealing: bool,
}

/// Seconds kept free before a challenge unless the site file says otherwise: this machine's clock may differ by an epoch, and a service
/// that was stopped needs a moment until it hears of the chain again.
pub const MARGIN_SECONDS: u64 = 120;

/// What became of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub enum NodeSaid {
    /// It is believed.
    Believed {
        /// Height of its head.
        height: Epoch,
        /// Seconds its head is old.
        age: u64,
        /// Methods it does not have.
        lacks: Vec<String>,
    },
    /// It answered and is not believed.
    Disbelieved {
        /// Why.
        why: Disbelief,
    },
    /// It gave no answer.
    Faulty {
        /// Why.
        fault: Fault,
    },
}

/// A node and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Node {
    /// As the site file calls it.
    pub node: String,
    /// What became of it.
    #[serde(flatten)]
    pub said: NodeSaid,
}

/// Why it must not begin now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "kebab-case", tag = "for")]
pub enum Wait {
    /// No node gave an answer at all.
    #[error("no chain node answers")]
    Silence,
    /// Nodes answered, and none of them is believed.
    #[error("no chain node that answers can be believed")]
    NoneBelieved,
    /// Believed nodes speak of different things.
    #[error("{0}")]
    Disagreement(#[from] Disagreement),
    /// The open deadline's proof.
    #[error("the proof of deadline {deadline} of {miner} has not landed{}", if *.disputed { " by every node" } else { "" })]
    Proof {
        /// Miner.
        miner: String,
        /// Deadline.
        deadline: u64,
        /// Unix seconds at which it closes.
        closes: u64,
        /// Some nodes say that it has.
        disputed: bool,
    },
    /// The same, and no node can see whether it landed.
    #[error("whether the proof of deadline {deadline} of {miner} has landed no node here can see, so it is waited for until it closes")]
    Unseen {
        /// Miner.
        miner: String,
        /// Deadline.
        deadline: u64,
        /// Unix seconds at which it closes.
        closes: u64,
    },
    /// The next deadline's challenge is drawn soon, or was drawn.
    #[error("the challenge of deadline {deadline} of {miner} is drawn before anything can be back")]
    Challenge {
        /// Miner.
        miner: String,
        /// Deadline.
        deadline: u64,
        /// Unix seconds at which it opens.
        opens: u64,
    },
    /// A window proof is being made.
    #[error("{source_name} is making a window proof")]
    Proving {
        /// As the site file calls it.
        #[serde(rename = "source")]
        source_name: String,
    },
    /// Sealing, where the site file wants it waited for.
    #[error("{source_name}: {what}")]
    Sealing {
        /// As the site file calls it.
        #[serde(rename = "source")]
        source_name: String,
        /// What is under way.
        what: String,
    },
}

/// A stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Window {
    /// Unix seconds.
    pub begins: u64,
    /// Unix seconds.
    pub ends: u64,
}

impl Window {
    /// Seconds in it.
    pub fn seconds(self) -> u64 {
        self.ends.saturating_sub(self.begins)
    }
}

/// Everything that is known at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Look {
    /// Unix seconds.
    pub now: u64,
    /// The chain's clock, where a node is believed.
    pub clock: Option<Clock>,
    /// Every node that was asked.
    pub nodes: Vec<Node>,
    /// Where each miner stands.
    pub miners: Vec<Standing>,
    /// What is under way elsewhere.
    pub jobs: Vec<Jobs>,
    /// Why it must not begin now; empty where it may.
    pub waits: Vec<Wait>,
    /// Free time that has begun.
    pub open: Option<Window>,
    /// The next free time that depends on no proof.
    pub certain: Option<Window>,
    /// The next free time if the open deadline's proof lands at once and later ones as soon as they can.
    pub hoped: Option<Window>,
    /// Seconds of the longest free time that can come within two days; as much as was seen.
    pub longest: Option<u64>,
    /// Every deadline's partitions were seen, so that `longest` is exact.
    pub whole: bool,
}

/// Looks at what nodes said.
pub fn look(replies: &[Reply], jobs: &[Jobs], miners: &[String], now: u64, settings: Settings) -> Look {
    let mut believed = Vec::new();
    let mut nodes = Vec::new();
    for reply in replies {
        let said = match &reply.answer {
            Err(fault) => NodeSaid::Faulty { fault: fault.clone() },
            Ok(answer) => match judge(answer, now, miners) {
                Err(why) => NodeSaid::Disbelieved { why },
                Ok(clock) => {
                    believed.push(Believed { node: &reply.node, answer, clock });
                    let age = now.saturating_sub(answer.head.timestamp);
                    NodeSaid::Believed { height: answer.head.height, age, lacks: answer.lacks.clone() }
                }
            },
        };
        nodes.push(Node { node: reply.node.clone(), said });
    }
    let mut out = Look {
        now,
        clock: None,
        nodes,
        miners: Vec::new(),
        jobs: jobs.to_vec(),
        waits: working(jobs, settings),
        open: None,
        certain: None,
        hoped: None,
        longest: None,
        whole: false,
    };
    let Some(clock) = believed.first().map(|b| b.clock) else {
        let silence = replies.iter().all(|r| matches!(&r.answer, Err(f) if f.trouble.is_silence()));
        out.waits.insert(0, if silence { Wait::Silence } else { Wait::NoneBelieved });
        return out;
    };
    match agree(&believed, miners, now) {
        Err(disagreement) => out.waits.insert(0, disagreement.into()),
        Ok(standings) => out.schedule(standings, clock, settings),
    }
    out
}

fn working(jobs: &[Jobs], settings: Settings) -> Vec<Wait> {
    let proving = jobs.iter().filter(|j| j.proves()).map(|j| Wait::Proving { source_name: j.source().to_owned() });
    let sealing = jobs.iter().filter(|_| settings.wait_for_sealing).filter_map(|j| Some((j.source().to_owned(), j.seals()?)));
    proving.chain(sealing.map(|(source_name, what)| Wait::Sealing { source_name, what })).collect()
}

impl Look {
    fn schedule(&mut self, standings: Vec<Standing>, clock: Clock, settings: Settings) {
        let (now, margin) = (clock.epoch(self.now), chain::epochs(settings.margin));
        let at = |s: Span| Window { begins: clock.begins(s.from).max(self.now), ends: clock.begins(s.until) };
        let waits: Vec<Wait> = standings.iter().filter_map(|s| waits_for(s, now, margin, clock)).collect();
        let worst = schedule(&standings, now, margin, Hope::Worst);
        let best = schedule(&standings, now, margin, Hope::Best);
        self.open = worst.first().filter(|s| s.from == now).map(|s| at(*s)).filter(|w| w.seconds() > 0);
        self.certain = worst.iter().find(|s| s.from > now).map(|s| at(*s));
        self.hoped = best.first().map(|s| at(*s));
        self.longest = best.iter().map(|s| chain::seconds(s.length())).max();
        self.whole = is_whole(&standings);
        self.clock = Some(clock);
        self.miners = standings;
        self.waits.splice(0..0, waits);
    }

    /// Seconds that are free from now on; none while something is waited for.
    pub fn free(&self) -> u64 {
        if self.waits.is_empty() { self.open.map_or(0, Window::seconds) } else { 0 }
    }
    /// A free time of this length reaches the horizon: nothing within two days limits it.
    pub fn is_endless(seconds: u64) -> bool {
        seconds >= chain::seconds(HORIZON_EPOCHS)
    }
}

fn waits_for(s: &Standing, now: Epoch, margin: Epoch, clock: Clock) -> Option<Wait> {
    let (miner, deadline, closes) = (s.miner.clone(), s.deadline, clock.begins(s.close));
    let due = s.need(0) != Need::No;
    match s.landed {
        Landed::No if due => return Some(Wait::Proof { miner, deadline, closes, disputed: !s.seen_by.is_empty() }),
        Landed::Unseen if due => return Some(Wait::Unseen { miner, deadline, closes }),
        _ => {}
    }
    let ahead = s.next()?;
    let open = s.opening(ahead);
    let deadline = (s.deadline + ahead) % chain::DEADLINES;
    (now >= open - LOOKBACK_EPOCHS - margin).then(|| Wait::Challenge { miner, deadline, opens: clock.begins(open) })
}
