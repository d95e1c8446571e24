//! How a pair stands, as one of its nodes sees it. In come two readings of that node's own table, out comes its part and whether the
//! other node is heard. What tells is the counters of the rules that let the two speak: the active node advertises many times a second, the
//! standby hears it, and conntrackd says about once a second that it is there. Never: asks anybody.

use ruleset::{Rule, Ruleset};
use serde::Serialize;
use std::time::Duration;

/// Between two readings: five times what conntrackd leaves between two signs of life, so that two of them may be lost.
pub const LOOK: Duration = Duration::from_secs(5);

/// The rules that tell.
const IDS: [&str; 4] = ["vrrp/out", "vrrp/in", "sync/out", "sync/in"];

/// A node's part in the election.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// It advertises and hears nobody who does.
    Active,
    /// It hears the active node.
    Standby,
    /// It advertises, and so does the other one.
    Both,
    /// It neither advertises nor hears anybody: its election does not run.
    Silent,
}

/// How the pair stands, from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// This node's part.
    pub part: Part,
    /// The other node tells this one of connections.
    pub hears_states: bool,
    /// This node tells the other one.
    pub tells_states: bool,
    /// A counter fell: the rules were loaded anew between the readings, and what is said here is of the shorter time since.
    pub renewed: bool,
}

impl Standing {
    /// From two readings, [`LOOK`] apart.
    pub fn between(first: &Ruleset, second: &Ruleset) -> Self {
        let renewed = IDS.iter().any(|id| counted(second, id) < counted(first, id));
        // Rules that are new count from nothing.
        let moved = |id: &str| counted(second, id) > if renewed { 0 } else { counted(first, id) };
        let part = match (moved("vrrp/out"), moved("vrrp/in")) {
            (true, false) => Part::Active,
            (false, true) => Part::Standby,
            (true, true) => Part::Both,
            (false, false) => Part::Silent,
        };
        Self { part, hears_states: moved("sync/in"), tells_states: moved("sync/out"), renewed }
    }

    /// What is wrong and the way out, in words; nothing where all is well.
    pub fn troubles(&self) -> Vec<&'static str> {
        if self.renewed && (self.part == Part::Silent || !self.hears_states || !self.tells_states) {
            return vec!["the rules were loaded anew between two looks, so that too little was counted to tell: look again"];
        }
        let mut out = Vec::new();
        match self.part {
            Part::Active | Part::Standby => {}
            Part::Both => out.push(
                "both nodes are active: each advertises and hears the other. It ends by itself within a second; where it does not, \
                 `systemctl restart keepalived` on the node that is to give up",
            ),
            Part::Silent => out.push("keepalived neither advertises nor hears anybody: `systemctl status keepalived`"),
        }
        if !self.hears_states {
            out.push(match self.part {
                Part::Active => {
                    "nothing comes from the other node: it is down, its conntrackd is, or the link between the two carries nothing. In the last \
                     case both are active: mend the link, or stop keepalived on one of them"
                }
                _ => "the other node tells nothing of its connections: they would not outlive it. `systemctl status conntrackd` there",
            });
        }
        if !self.tells_states {
            out.push("this node tells nothing of its connections: `systemctl status conntrackd`");
        }
        out
    }
}

/// Packets that the rules of an id have counted.
fn counted(rules: &Ruleset, id: &str) -> u64 {
    let own = rules.tables.iter().filter(|t| t.name == crate::TABLE);
    let rules = own.flat_map(|t| &t.chains).flat_map(|c| &c.rules);
    let reading = |r: &Rule| r.id.as_deref().filter(|i| *i == id).and(r.counted).map_or(0, |c| c.packets);
    rules.map(reading).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ruleset::{Chain, Counted, Table, TableFamily, Writer};
    use std::collections::BTreeMap;

    fn reading(counts: [u64; 4]) -> Ruleset {
        let rule =
            |(id, packets): (&str, u64)| Rule { id: Some(id.into()), counted: Some(Counted { packets, bytes: 0 }), ..Rule::default() };
        let chain = Chain { name: "input".into(), base: None, rules: IDS.into_iter().zip(counts).map(rule).collect() };
        let (family, name, writer) = (TableFamily::Inet, crate::TABLE.to_owned(), Writer::Nft);
        Ruleset { tables: vec![Table { family, name, writer, chains: vec![chain], sets: BTreeMap::new() }], unread: vec![] }
    }

    #[test]
    fn the_part_is_what_moves() {
        let before = reading([7, 7, 7, 7]);
        for (after, part, troubles) in [
            ([8, 7, 8, 8], Part::Active, 0),
            ([7, 8, 8, 8], Part::Standby, 0),
            ([8, 8, 8, 8], Part::Both, 1),
            ([7, 7, 7, 7], Part::Silent, 3),
            ([8, 7, 8, 7], Part::Active, 1),
            ([7, 8, 7, 7], Part::Standby, 2),
        ] {
            let standing = Standing::between(&before, &reading(after));
            assert_eq!((standing.part, standing.troubles().len()), (part, troubles), "{after:?}");
        }
    }

    /// An apply between the readings: nobody fell silent for it.
    #[test]
    fn rules_loaded_anew_are_no_silence() {
        let before = reading([900, 7, 900, 900]);
        let long = Standing::between(&before, &reading([30, 0, 2, 1]));
        assert_eq!((long.part, long.renewed, long.troubles().len()), (Part::Active, true, 0));
        let short = Standing::between(&before, &reading([0, 0, 0, 0]));
        assert!(short.renewed && matches!(short.troubles()[..], [one] if one.contains("look again")), "{:?}", short.troubles());
        assert!(!Standing::between(&before, &before).renewed);
    }
}
