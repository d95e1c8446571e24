//! What must hold before `apply` touches anything: the operator's own way in stays open, and what has ended opens nothing more.
//! In come the site, the plan and the machine as it is, out comes nothing or what stands against it. Never: changes anything.

use crate::{
    face::remark,
    paint, progress,
    proof::Here,
    session::{self, Session},
    trouble::Trouble,
    window,
};
use facts::Facts;
use plan::Plan;
use reach::{Network, Prover};
use site::model::{Mode, Model};
use std::{collections::BTreeSet, path::Path};
use words::{Diagnostic, SourceFile};

/// Changes that are told where an ended weakening stands against them; `ravelin plan --against` tells all.
const TOLD: usize = 8;

/// Refuses a plan under which whoever started this could not come in again, unless a reason is given, which is recorded.
pub fn way_in(here: &Here<'_>, model: &Model, plan: &Plan, facts: &Facts, because: Option<&str>, record: &Path) -> Result<(), Trouble> {
    let rulesets = here.composed(plan);
    let shut: Vec<(Session, String)> = progress::during("looking for your own way in", || {
        let mut prover = Prover::new();
        let network = Network::new(&mut prover, model, &rulesets, &here.devices.reported);
        let Some(machine) = network.machine(here.host) else { return Vec::new() };
        let all = session::of_operator(facts).into_iter();
        all.filter_map(|s| session::stopped(&s, machine, facts).map(|why| (s, why))).collect()
    });
    let Some((session, why)) = shut.first() else { return Ok(()) };
    let (from, port) = (session.from, session.port);
    let what = format!("you came in from {from} to port {port}, and the next connection like it would be stopped ({why})");
    if let Some(because) = because {
        remark(&format!("In spite of this: {what}"));
        return window::record(record, model, because, what);
    }
    let m = &model.management;
    let sources = m.zones.iter().map(ToString::to_string).chain(m.nets.iter().map(ToString::to_string));
    let sources: Vec<String> = sources.chain([ipnet::IpNet::from(from).to_string()]).map(|s| format!("\"{s}\"")).collect();
    let line = format!("management = {{ from = [{}], by = \"{}\" }}", sources.join(", "), m.by);
    Err(Trouble::usage(
        format!("{what}; nothing was changed"),
        format!(
            "at {}: {line}, where `{}` listens on port {port}; or say why it may be lost: --without-way-in \"...\" (recorded)",
            m.origin, m.by
        ),
    ))
}

/// Refuses a plan that lets anything more through while a weakening has ended. What only narrows is never held up.
pub fn ended(here: &Here<'_>, model: &Model, plan: &Plan, told: &[Diagnostic], source: &SourceFile) -> Result<(), Trouble> {
    let ended: Vec<&Diagnostic> = told.iter().filter(|d| d.is_error() && d.code == site::code::WEAK003).collect();
    if ended.is_empty() || model.layers.network == Mode::Off {
        return Ok(());
    }
    let opened = here.opened(model, plan);
    if opened.is_empty() {
        remark("A weakening has ended; this change only narrows and goes on.");
        return Ok(());
    }
    let rows: BTreeSet<String> =
        opened.iter().flat_map(|c| c.rows.iter().map(move |r| format!("newly reachable ({} {}): {r}", c.host, c.place))).collect();
    ended.iter().for_each(|d| anstream::eprint!("{}", paint::diagnostic(d, source)));
    rows.iter().take(TOLD).for_each(|r| anstream::eprintln!("{r}"));
    Err(Trouble::usage(
        "a weakening of the site file has ended, and this change lets more through than is in force now; nothing was changed",
        "take the weakening out, or decide again and give it a new `until`; a change that only narrows is applied all the same",
    ))
}
