//! Go, wait, refuse. In come a look, how long the interruption lasts, how long was waited and the site's policy, out comes what to do next,
//! with its reason.

use crate::{
    chain::EPOCH_SECONDS,
    outlook::{Look, Wait},
};
use serde::{Deserialize, Serialize};

/// What is done when no chain node answers at all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unreachable {
    /// Asked again until the longest wait is over, then refused.
    Wait,
    /// Refused at once. The default: who cannot see the deadlines does not interrupt.
    #[default]
    Refuse,
    /// Done, and recorded.
    Proceed,
}

/// The site's policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Policy {
    /// When no chain node answers.
    pub unreachable: Unreachable,
    /// Longest wait in seconds.
    pub max_wait: u64,
}

/// Minutes that are waited at most unless the site file says otherwise: six hours hold twelve deadlines. Who has not found a window by
/// then has a trouble that more waiting does not mend.
pub const MAX_WAIT_MINUTES: u64 = 360;

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "do")]
#[must_use]
pub enum Act {
    /// Begin; it must be over by then.
    Go {
        /// Unix seconds.
        ends: u64,
    },
    /// Begin without knowing, by the site's policy.
    Proceed {
        /// Why.
        why: String,
    },
    /// Ask again.
    Wait {
        /// Seconds until then.
        again: u64,
    },
    /// Do not begin.
    Refuse {
        /// Why.
        why: String,
    },
}

/// What to do about an interruption of `need` seconds after `waited` seconds of waiting.
pub fn act(look: &Look, need: u64, waited: u64, policy: Policy) -> Act {
    if let (true, Some(open)) = (look.free() >= need.max(1), look.open) {
        return Act::Go { ends: open.ends };
    }
    if look.waits.contains(&Wait::Silence) {
        match policy.unreachable {
            Unreachable::Proceed => return Act::Proceed { why: "no chain node answers, and the site file says `proceed`".to_owned() },
            Unreachable::Refuse => return Act::Refuse { why: "no chain node answers, and the site file says `refuse`".to_owned() },
            Unreachable::Wait => {}
        }
    }
    if let Some(longest) = look.longest.filter(|l| look.whole && *l < need && !Look::is_endless(*l)) {
        return Act::Refuse { why: format!("it may take {need} s, and no free time of the next two days is longer than {longest} s") };
    }
    if waited >= policy.max_wait {
        let why: Vec<String> = look.waits.iter().map(Wait::to_string).collect();
        let why = if why.is_empty() { format!("what is free is shorter than the {need} s it may take") } else { why.join("; ") };
        return Act::Refuse { why: format!("{waited} s were waited, and {why}") };
    }
    // Nothing of the chain changes within an epoch.
    Act::Wait { again: EPOCH_SECONDS.min(policy.max_wait - waited) }
}
