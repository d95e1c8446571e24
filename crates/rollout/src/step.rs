//! The steps of a rollout. The crash tests take their list from here: a step that is added is tested.

use serde::{Deserialize, Serialize};

/// One step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Every machine says what it holds.
    Reach,
    /// Bundles are sealed, and every mixture of old and new is proved.
    Prove,
    /// The ledger says what is about to be done, flushed.
    Open,
    /// What gets through before anything is changed: what does not proves nothing afterwards.
    Before,
    /// A node of a pair hands over before it is changed.
    Drain,
    /// The machines of a wave hold their bundles and wait; each has a revert timer of its own.
    Stage,
    /// What must get through does, seen from the machines of the wave.
    Probe,
    /// The same from everywhere, the operators' way among it, what is new and what is gone.
    Last,
    /// Every machine that waits says so, over a connection that is new: what is kept can be reached.
    Look,
    /// The ledger says that it is kept, flushed. Before this everything goes back, from here on everything goes forward.
    Decide,
    /// Every machine is told so, at once, each over a connection of its own that is new.
    Confirm,
    /// Every machine that was told anything is put back, at once.
    Revert,
    /// Every machine says what it holds now; what is not where it belongs is told again.
    Settle,
    /// A node that handed over may be active again.
    Return,
    /// The ledger says what became of it.
    Close,
}

impl Step {
    /// All, in the order in which a rollout meets them; [`Step::Revert`] stands where [`Step::Last`] to [`Step::Confirm`] would.
    pub const ALL: [Step; 15] = [
        Step::Reach,
        Step::Prove,
        Step::Open,
        Step::Before,
        Step::Drain,
        Step::Stage,
        Step::Probe,
        Step::Last,
        Step::Look,
        Step::Decide,
        Step::Confirm,
        Step::Revert,
        Step::Settle,
        Step::Return,
        Step::Close,
    ];

    /// The word used in reports and on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Step::Reach => "reach",
            Step::Prove => "prove",
            Step::Open => "open",
            Step::Before => "before",
            Step::Drain => "drain",
            Step::Stage => "stage",
            Step::Probe => "probe",
            Step::Last => "last",
            Step::Look => "look",
            Step::Decide => "decide",
            Step::Confirm => "confirm",
            Step::Revert => "revert",
            Step::Settle => "settle",
            Step::Return => "return",
            Step::Close => "close",
        }
    }
}

words::by_word!(Step, "step of a rollout");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_whole_and_in_order() {
        assert!(Step::ALL.windows(2).all(|w| w[0] < w[1]));
        assert_eq!(Step::Close as usize + 1, Step::ALL.len());
        assert!(Step::ALL.iter().all(|s| s.word().parse() == Ok(*s)));
    }
}
