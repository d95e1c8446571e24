//! This machine's facts. In comes nothing, out come facts and the rulesets in the one form. What could not be read is said.

use crate::{progress, sweep, trouble::Trouble};
use facts::Facts;
use observe::Root;
use ruleset::Ruleset;
use std::{
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

/// Everything this machine reports.
pub fn facts() -> Facts {
    progress::during("looking at this machine", || observe::machine(&interests()))
}

/// The same with the paths whose writers matter for the ways up, after a walk over the file systems where that is wanted.
pub fn with_paths(walk: bool) -> Facts {
    let mut facts = facts();
    facts.sweep = if walk { Some(progress::during("walking over the file systems", || sweep::made(&facts))) } else { sweep::kept() };
    if facts.sweep.as_ref().is_some_and(|s| !s.complete) {
        let reason = "the sweep is not complete: run it again, it goes on where it stopped".to_owned();
        facts.failures.push(facts::Failure { source: facts::Source::Sweep, reason });
    }
    progress::during("looking at paths", || look(&Root::machine(), &mut facts));
    facts
}

/// What a tree of files reports of the machine it stands for.
pub fn tree(directory: &Path) -> Result<Facts, Trouble> {
    if !directory.is_dir() {
        return Err(Trouble::usage(
            format!("{} is no directory", directory.display()),
            "name the top of the tree: the directory with etc and usr in it",
        ));
    }
    let root = Root::tree(directory);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let mut facts = progress::during("looking at the tree", || observe::from_tree(&root, &interests(), now));
    progress::during("looking at paths", || look(&root, &mut facts));
    Ok(facts)
}

fn look(root: &Root, facts: &mut Facts) {
    let mut failed = Vec::new();
    facts.paths = observe::path::look_in(root, &breach::wanted_paths(facts), &mut failed);
    facts.failures.extend(failed);
}

/// Files the audit's rules ask about, besides the observer's usual ones.
fn interests() -> Vec<observe::Interest> {
    audit::wanted()
        .into_iter()
        .map(|w| observe::Interest { path: w.path, holds: w.holds, keep: observe::file::Keep::configuration(w.text) })
        .collect()
}

/// What its network reports; quicker.
pub fn network() -> Facts {
    progress::during("looking at this machine", observe::network)
}

/// What its network reports, and its processes: enough to know the way in of whoever asks, also behind sudo.
pub fn connections() -> Facts {
    let mut facts = network();
    facts.processes = observe::process::list(&observe::Root::machine()).unwrap_or_default();
    facts
}

/// What its network reports, and who holds its sockets: processes, accounts, containers.
pub fn listeners() -> Facts {
    let mut facts = network();
    progress::during("looking at processes", || observe::holders(&mut facts));
    facts
}

/// Every packet filter of the machine in the one form.
pub fn rulesets(facts: &Facts) -> Result<Ruleset, Trouble> {
    reach::exposure::rulesets(facts).map_err(|why| {
        Trouble::usage(
            format!("the rulesets of this machine cannot be read: {why}"),
            "run it as root: sudo ravelin ...; where that does not help, please report it with `nft -j list ruleset`",
        )
    })
}
