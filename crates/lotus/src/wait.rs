//! Everybody who is asked, and waiting until an interruption fits. In come nodes, miners and how long it lasts, out comes a look at all
//! answers, or what the wait ended with. What is believed and what is done about it is decided in `deadline`; here are the clock and the pause.

use crate::{Depth, JobKind, Node, ask, jobs};
use deadline::{Act, Jobs, Look, Policy, Reply, Settings, gate::act};
use std::{
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Who is asked, and about what.
#[derive(Debug, Clone)]
pub struct Asker {
    /// Chain nodes.
    pub nodes: Vec<Node>,
    /// Miners and Curio nodes, about what is under way.
    pub jobs: Vec<(Node, JobKind)>,
    /// Miner ids.
    pub miners: Vec<String>,
    /// Margin, and whether sealing is waited for.
    pub settings: Settings,
    /// How long a node has for all its answers.
    pub timeout: Duration,
}

/// What a wait ended with.
#[derive(Debug)]
pub enum Passed {
    /// It fits, until then (Unix seconds).
    Fits(Box<Look>, u64),
    /// Nobody knows, and the policy says to go on.
    Blind(Box<Look>, String),
    /// Not within the longest wait, or not at all.
    Refused(Box<Look>, String),
}

impl Asker {
    /// Asks everybody at once.
    pub fn look(&self, depth: Depth) -> Look {
        let (replies, jobs): (Vec<Reply>, Vec<Jobs>) = thread::scope(|scope| {
            let nodes: Vec<_> = self.nodes.iter().map(|n| scope.spawn(move || ask(n, &self.miners, depth, self.timeout))).collect();
            let kinds: Vec<_> = self.jobs.iter().map(|(n, kind)| scope.spawn(move || jobs(n, *kind, self.timeout))).collect();
            (nodes.into_iter().filter_map(|t| t.join().ok()).collect(), kinds.into_iter().filter_map(|t| t.join().ok()).collect())
        });
        deadline::look(&replies, &jobs, &self.miners, now(), self.settings)
    }

    /// Waits until an interruption of so many seconds fits, at most as long as the policy says. `each` is shown every look that ends in
    /// more waiting.
    pub fn wait(&self, seconds: u64, policy: Policy, each: &mut dyn FnMut(&Look)) -> Passed {
        let begun = Instant::now();
        // Only a whole period tells whether what is longer than the usual window fits anywhere; once is enough.
        let mut depth = Depth::All;
        loop {
            let look = Box::new(self.look(depth));
            depth = Depth::Next;
            let again = match act(&look, seconds, begun.elapsed().as_secs(), policy) {
                Act::Go { ends } => return Passed::Fits(look, ends),
                Act::Proceed { why } => return Passed::Blind(look, why),
                Act::Refuse { why } => return Passed::Refused(look, why),
                Act::Wait { again } => again,
            };
            each(&look);
            thread::sleep(Duration::from_secs(again.max(1)));
        }
    }
}

/// Unix seconds.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}
