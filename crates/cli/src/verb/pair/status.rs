//! How the pair stands, as this node sees it, and whether both nodes hold the same policy. In come the site file, this machine, and the other
//! node's ruleset where its file is given; out come this node's part, what is heard, and every difference by name. Never: changes
//! anything, or calls the other node equal that it was not shown.

use crate::{
    args::Global,
    exit::Exit,
    face::{Face, show},
    input::{self, SiteArgument},
    machine,
    paint::{BAD, GOOD, WARN, paint},
    planning,
    trouble::Trouble,
};
use clap::Args;
use plan::standing::{LOOK, Part, Standing};
use ruleset::compare::{Difference, compare};
use serde::Serialize;
use std::{collections::BTreeSet, path::PathBuf};
use words::HostName;

/// Arguments of `pair status`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    site: SiteArgument,
    /// Which machine of the site this is [default: by its host name, else by its addresses]
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// The other node's `nft -j list ruleset`, so that its policy is compared as well
    #[arg(long, value_name = "FILE")]
    other: Option<PathBuf>,
}

#[derive(Serialize)]
struct Status {
    host: HostName,
    peer: HostName,
    #[serde(flatten)]
    standing: Standing,
    /// Addresses of the pair that are here, and how many there are.
    held: (usize, usize),
    drained: bool,
    troubles: Vec<String>,
    /// This node against the plan.
    differences: BTreeSet<Difference>,
    /// The other node against the plan; `None` where its ruleset was not given.
    of_the_other: Option<BTreeSet<Difference>>,
}

impl Status {
    fn is_good(&self) -> bool {
        self.troubles.is_empty() && self.differences.is_empty() && self.of_the_other.as_ref().is_none_or(BTreeSet::is_empty)
    }
}

impl Face for Status {
    fn text(&self) -> String {
        let part = match self.standing.part {
            Part::Active => "active",
            Part::Standby => "standby",
            Part::Both => "active, and so is the other node",
            Part::Silent => "silent",
        };
        let heard = |b: bool| if b { paint(GOOD, "yes") } else { paint(BAD, "no") };
        let mut out = format!("{}: {part}, with {} of the pair's {} addresses", self.host, self.held.0, self.held.1);
        out += if self.drained { ", drained\n" } else { "\n" };
        out += &format!(
            "states of connections: told to {} {}, heard from it {}\n",
            self.peer,
            heard(self.standing.tells_states),
            heard(self.standing.hears_states)
        );
        for t in &self.troubles {
            out += &format!("{} {t}\n", paint(BAD, "wrong:"));
        }
        let policies = [(&self.host, Some(&self.differences)), (&self.peer, self.of_the_other.as_ref())];
        for (node, differences) in policies {
            out += &match differences {
                None => format!(
                    "{node}: {}; --other FILE with its `nft -j list ruleset` compares it\n",
                    paint(WARN, "its policy was not shown")
                ),
                Some(d) if d.is_empty() => format!("{node}: {}\n", paint(GOOD, "holds the policy of the site file")),
                Some(d) => d.iter().map(|x| format!("{node}: {}\n", paint(BAD, x))).collect(),
            };
        }
        out
    }
}

/// Reads twice and compares.
pub fn run(arguments: &Arguments, global: &Global) -> Result<Exit, Trouble> {
    let (model, _) = input::model(&arguments.site.site, global)?;
    let facts = machine::network();
    let planning::Here { host, plan, .. } = planning::here(&model, arguments.host.as_deref(), &facts)?;
    let none = || {
        Trouble::usage(
            format!("{host} is no node of a pair"),
            "[edge] nodes = [\"A\", \"B\"] makes one, with `network` observed or enforced",
        )
    };
    let machine = plan.machines.get(&host).ok_or_else(none)?;
    let pair = machine.pair.as_ref().ok_or_else(none)?;
    let first = machine::rulesets(&facts)?;
    std::thread::sleep(LOOK);
    let facts = machine::network();
    let live = machine::rulesets(&facts)?;
    let standing = Standing::between(&first, &live);
    let there: BTreeSet<_> = facts.addresses().collect();
    let held = (pair.addresses.iter().filter(|a| there.contains(&a.address.addr())).count(), pair.addresses.len());
    let mut troubles: Vec<String> = standing.troubles().into_iter().map(str::to_owned).collect();
    let meant = match standing.part {
        Part::Active | Part::Both => held.0 == held.1,
        Part::Standby | Part::Silent => held.0 == 0,
    };
    if !meant {
        let (some, all) = held;
        troubles.push(format!(
            "{some} of {all} addresses are here, which is not what its part says: `systemctl restart keepalived` sorts it out"
        ));
    }
    let of_the_other = match (&arguments.other, plan.machines.get(&pair.peer)) {
        (Some(path), Some(other)) => {
            let wrong =
                |why: String| Trouble::usage(format!("{}: {why}", path.display()), "write it on the other node: nft -j list ruleset >FILE");
            let text = std::fs::read_to_string(path).map_err(|e| wrong(e.to_string()))?;
            let live = ruleset::nft::read(&text).map_err(|e| wrong(e.to_string()))?;
            Some(compare(&planning::own_table(other), &live).into_iter().collect())
        }
        _ => None,
    };
    let drained = std::fs::read_to_string(bundle::pair::HEALTH).is_ok_and(|t| t.trim().starts_with('-'));
    let differences = compare(&planning::own_table(machine), &live).into_iter().collect();
    let status = Status { host: host.clone(), peer: pair.peer.clone(), standing, held, drained, troubles, differences, of_the_other };
    show(global, &status)?;
    Ok(Exit::found(!status.is_good()))
}
