//! Sealing and proving under way, where it could be asked: lotus-miner's `WorkerJobs` (which wants an admin token), Curio's `Info` (whether
//! a node is cordoned, no token). An interruption loses the running jobs' work, not power; a window proof that is being made is waited for.

use crate::answer::Fault;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One job of a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// lotus' word for it: `seal/v0/precommit/1`.
    pub task: String,
    /// It runs; else it waits for its turn or for its result to be fetched.
    pub running: bool,
}

/// lotus' word for the making of a window proof (lotus `storage/sealer/sealtasks/task.go`).
const WINDOW_PROOF: &str = "post/v0/windowproof";

/// What is under way somewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub enum Jobs {
    /// A miner's workers.
    Workers {
        /// The miner, as the site file calls it.
        source: String,
        /// Their jobs.
        jobs: Vec<Job>,
    },
    /// A node of a Curio cluster. Which of its tasks run, its API does not say.
    Cluster {
        /// The node, as the site file calls it.
        source: String,
        /// It takes no new work.
        cordoned: bool,
    },
    /// It could not be asked.
    Unknown {
        /// As the site file calls it.
        source: String,
        /// Why.
        fault: Fault,
    },
}

impl Jobs {
    /// As the site file calls it.
    pub fn source(&self) -> &str {
        match self {
            Self::Workers { source, .. } | Self::Cluster { source, .. } | Self::Unknown { source, .. } => source,
        }
    }
    /// A window proof is being made, or is next.
    pub fn proves(&self) -> bool {
        matches!(self, Self::Workers { jobs, .. } if jobs.iter().any(|j| j.task == WINDOW_PROOF && j.running))
    }
    /// Work that an interruption would lose may be under way; `None` where it is known that none is.
    pub fn seals(&self) -> Option<String> {
        match self {
            Self::Workers { jobs, .. } => {
                let mut by: BTreeMap<&str, usize> = BTreeMap::new();
                for job in jobs.iter().filter(|j| j.running && j.task != WINDOW_PROOF) {
                    *by.entry(&job.task).or_default() += 1;
                }
                let said: Vec<String> = by.iter().map(|(task, n)| format!("{n} {task}")).collect();
                (!said.is_empty()).then(|| format!("{} under way", said.join(", ")))
            }
            Self::Cluster { cordoned: true, .. } => None,
            Self::Cluster { .. } => Some("it takes new work: `curio cordon` there first, until its tasks have ended".to_owned()),
            Self::Unknown { fault, .. } => Some(format!("not known: {}", fault.why)),
        }
    }
    /// For people.
    pub fn text(&self) -> String {
        let quiet = match self {
            Self::Cluster { .. } => "cordoned: it takes no new work; whether its last tasks have ended it does not say",
            _ => "nothing under way",
        };
        self.seals().unwrap_or_else(|| quiet.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::Trouble;

    #[test]
    fn what_runs_is_counted_by_task_and_a_window_proof_told_apart() {
        let job = |task: &str, running| Job { task: task.into(), running };
        let all = vec![
            job("seal/v0/precommit/1", true),
            job("seal/v0/precommit/1", true),
            job("seal/v0/commit/2", false),
            job("post/v0/windowproof", false),
        ];
        let mut busy = Jobs::Workers { source: "miner1".into(), jobs: all };
        assert_eq!(busy.seals().as_deref(), Some("2 seal/v0/precommit/1 under way"));
        assert!(!busy.proves());
        if let Jobs::Workers { jobs, .. } = &mut busy {
            *jobs = vec![job("post/v0/windowproof", true)];
        }
        assert!(busy.proves() && busy.seals().is_none());
    }

    #[test]
    fn unknown_is_not_nothing() {
        let fault = Fault { trouble: Trouble::Refused, why: "it wants an admin token".into() };
        assert!(Jobs::Unknown { source: "m".into(), fault }.text().contains("admin token"));
        assert!(Jobs::Cluster { source: "c".into(), cordoned: false }.text().contains("curio cordon"));
        assert!(Jobs::Cluster { source: "c".into(), cordoned: true }.seals().is_none());
    }
}
