//! Connections that live through a change of a pair's nodes. In comes how this node stood at the last look and how it stands, out comes whether
//! nodes changed between, and then every TCP connection's
//! windows are checked forgivingly (`sys::track`). What a node last saw of a connection is held against
//! what comes, and the states nodes tell one another hold no windows: data that passed by the other node would make every later packet
//! invalid for good. Connections that never changed nodes stay under strict checks. Never: takes a change for none.

use crate::{Error, nft, state::State, timer};
use ruleset::Rule;
use serde::{Deserialize, Serialize};

/// Where the last look is kept, in the state directory.
const FILE: &str = "pair.json";
/// The rule that lets the other node's advertisements in.
const HEARD: &str = "vrrp/in";

/// How a node stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// The boot: a new one knows no connection.
    boot_id: String,
    /// It holds addresses of the pair.
    active: bool,
    /// Advertisements of the other node that its rules have counted.
    heard: u64,
}

impl Look {
    /// How this node stands now.
    pub fn now(active: bool) -> Result<Self, Error> {
        let heard = match nft::table_json_without_elements()? {
            Some(json) => counted(&ruleset::nft::read(&json).map_err(|e| Error::Nft(e.to_string()))?),
            None => 0,
        };
        Ok(Self { boot_id: timer::boot_id(), active, heard })
    }

    /// Whether it holds addresses of the pair.
    pub fn active(&self) -> bool {
        self.active
    }

    /// The last one; `None` where there is none of this boot, or it cannot be read.
    pub fn last(state: &State) -> Option<Self> {
        let text = std::fs::read(state.directory().join(FILE)).ok()?;
        serde_json::from_slice::<Self>(&text).ok().filter(|l| l.boot_id == timer::boot_id())
    }

    /// Keeps it for the next one.
    pub fn keep(&self, state: &State) -> Result<(), Error> {
        let path = state.directory().join(FILE);
        let text = serde_json::to_vec(self).map_err(|e| Error::Pair(e.to_string()))?;
        std::fs::write(&path, text).map_err(|e| Error::Pair(format!("{}: {e}", path.display())))
    }

    /// Whether nodes changed since. Who hears the other node while it is active was not alone: that one may have had connections for a while.
    /// Who knows nothing of before takes it for a change.
    pub fn changed(&self, last: Option<&Self>) -> bool {
        let Some(last) = last else { return true };
        // Rules that are new count from nothing.
        let heard = if self.heard < last.heard { self.heard } else { self.heard - last.heard };
        self.active != last.active || self.active && heard > 0
    }
}

/// Packets that the rule has counted.
fn counted(rules: &ruleset::Ruleset) -> u64 {
    let all = rules.tables.iter().flat_map(|t| &t.chains).flat_map(|c| &c.rules);
    let reading = |r: &Rule| r.id.as_deref().filter(|i| *i == HEARD).and(r.counted).map_or(0, |c| c.packets);
    all.map(reading).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_another_part_or_not_having_been_alone() {
        let look = |active, heard| Look { boot_id: "one".into(), active, heard };
        for (last, now, changed) in [
            (None, look(true, 0), true),
            (Some(look(true, 5)), look(true, 5), false),
            (Some(look(false, 5)), look(false, 90), false),
            (Some(look(false, 5)), look(true, 5), true),
            (Some(look(true, 5)), look(false, 9), true),
            // A stall: the other one took over, and gave up when this one woke.
            (Some(look(true, 5)), look(true, 6), true),
            // The rules were loaded anew.
            (Some(look(true, 5)), look(true, 0), false),
            (Some(look(true, 5)), look(true, 1), true),
        ] {
            assert_eq!(now.changed(last.as_ref()), changed, "{last:?} {now:?}");
        }
    }
}
