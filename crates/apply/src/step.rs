//! The steps of a transaction, in order. The failure tests take their list from here: a step that is added is tested.

use serde::{Deserialize, Serialize};

/// One step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Nobody else changes this machine now.
    Lock,
    /// The bundle is whole, for this machine, and follows the confirmed one.
    Verify,
    /// What is there is kept as text, and known to load again.
    Snapshot,
    /// Bundle and snapshot lie on disk.
    Stage,
    /// nft takes the script, without loading it.
    Check,
    /// The revert timer runs, outside this process.
    ArmRevert,
    /// A machine that tracked nothing begins to track, and drops nothing yet.
    Track,
    /// Connections under way are in the tracking table.
    SeedFlows,
    /// The new ruleset is in force, all of it at once.
    Commit,
    /// Kernel settings are written: after the ruleset, so that nothing is forwarded before it is filtered.
    Settings,
    /// Addresses of ours are on their devices, those nobody wants any more are off: after the ruleset, so that nothing comes in by
    /// them before it is filtered.
    Addresses,
    /// Files of our own lie under `/etc`, those of the generation before that are no longer meant are gone.
    Files,
    /// systemd's tools know of them: accounts, directories and modes, units. Nothing is restarted.
    Activate,
    /// The kernel and the disk hold what was meant.
    ReadBack,
    /// What must work works.
    Probe,
    /// The bundle lies beside the confirmed one, flushed.
    Persist,
    /// It is the confirmed one. From here on the new state is the last known good.
    Confirm,
    /// The revert timer has nothing to do any more.
    Disarm,
}

impl Step {
    /// All, in order.
    pub const ALL: [Step; 18] = [
        Step::Lock,
        Step::Verify,
        Step::Snapshot,
        Step::Stage,
        Step::Check,
        Step::ArmRevert,
        Step::Track,
        Step::SeedFlows,
        Step::Commit,
        Step::Settings,
        Step::Addresses,
        Step::Files,
        Step::Activate,
        Step::ReadBack,
        Step::Probe,
        Step::Persist,
        Step::Confirm,
        Step::Disarm,
    ];
    /// The word used in the journal and on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Step::Lock => "lock",
            Step::Verify => "verify",
            Step::Snapshot => "snapshot",
            Step::Stage => "stage",
            Step::Check => "check",
            Step::ArmRevert => "arm-revert",
            Step::Track => "track",
            Step::SeedFlows => "seed-flows",
            Step::Settings => "settings",
            Step::Commit => "commit",
            Step::Addresses => "addresses",
            Step::Files => "files",
            Step::Activate => "activate",
            Step::ReadBack => "read-back",
            Step::Probe => "probe",
            Step::Persist => "persist",
            Step::Confirm => "confirm",
            Step::Disarm => "disarm",
        }
    }
}

words::by_word!(Step, "step");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_whole_and_in_order() {
        assert!(Step::ALL.windows(2).all(|w| w[0] < w[1]));
        assert_eq!(Step::Disarm as usize + 1, Step::ALL.len());
        assert!(Step::ALL.iter().all(|s| s.word().parse() == Ok(*s)));
    }
}
