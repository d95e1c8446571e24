//! A machine's system layer as files of its bundle. In come the plan and the units whose drop-ins have to wait, out come files with
//! their modes. Never: a file while the layer only observes, or a place the applier would refuse.

use crate::{accounts, systemd};
use bundle::{OwnFile, file};
use plan::system::{Judged, SystemPlan};
use site::model::Mode;

/// Mode of our files: they hold no secret, and systemd's tools of every account read them.
const READABLE: u32 = 0o644;

/// The files of a machine. A unit that does not fit what runs there is left out; one that an administrator wrote is kept and gets its
/// drop-in alone.
pub fn files(system: &SystemPlan, judged: &[Judged]) -> Vec<OwnFile> {
    if system.mode != Mode::Enforce || (system.units.is_empty() && system.accounts.is_empty()) {
        return Vec::new();
    }
    let one = |path: String, content: String| OwnFile { path, mode: READABLE, content };
    let mut out =
        vec![one(file::ACCOUNTS.to_owned(), accounts::sysusers(system)), one(file::DIRECTORIES.to_owned(), accounts::tmpfiles(system))];
    for unit in &system.units {
        let fit = judged.iter().find(|j| j.unit == unit.name);
        if fit.is_none_or(Judged::may_have_drop_in) {
            out.extend(of_unit(unit, fit));
        }
    }
    out
}

/// The files of one unit: what a move to its account puts in place.
pub fn of_unit(unit: &plan::system::UnitPlan, fit: Option<&Judged>) -> Vec<OwnFile> {
    let mut out = Vec::new();
    let mut push = |name: String, content| out.push(OwnFile { path: format!("{}{name}", file::UNITS), mode: READABLE, content });
    let foreign = fit.is_some_and(|f| matches!(f.fit, plan::system::Fit::Foreign { .. }));
    if !unit.whole.is_empty() && !foreign {
        push(unit.name.clone(), systemd::whole(unit));
    }
    if !unit.drop_in.is_empty() {
        push(format!("{}.d/{}", unit.name, file::DROP_IN), systemd::drop_in(unit));
    }
    out
}
