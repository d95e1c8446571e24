//! Whether a service's unit may get its drop-in now: in come the machine's plan and what the machine reports, out comes a word for each
//! unit. A drop-in counts from the next start, so it must find account and repository it already has; everything else is a move, and a
//! move is `ravelin adopt`. Never: takes unknown for the same.

use super::{
    repository::repository,
    types::{SystemPlan, UnitPlan},
};
use facts::{Facts, Source, Unit};
use serde::Serialize;

/// Account of what names none.
pub(crate) const ROOT: &str = "root";

/// One unit, and whether its drop-in fits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Judged {
    /// The unit.
    pub unit: String,
    /// The instance it runs, as `ravelin adopt` takes it.
    pub instance: String,
    /// Whether it fits.
    pub fit: Fit,
}

/// Whether a drop-in fits what is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "fit")]
#[must_use]
pub enum Fit {
    /// The same account and repository, or no such unit yet.
    Ready,
    /// It runs as another account: its files are that one's.
    Account {
        /// Which.
        is: String,
        /// Which it should be.
        wanted: String,
    },
    /// Its repository lies elsewhere.
    Repository {
        /// Where.
        is: String,
        /// Where the plan has it.
        wanted: String,
    },
    /// Somebody else's unit stands where a whole one would be written.
    Foreign {
        /// Its file.
        file: String,
    },
    /// The machine could not be asked.
    Unknown {
        /// Why.
        why: String,
    },
}

impl Judged {
    /// What stands against it, and what to do; `None` where nothing does.
    pub fn withheld(&self) -> Option<String> {
        let Self { unit, instance, fit } = self;
        Some(match fit {
            Fit::Ready => return None,
            Fit::Account { is, wanted } => {
                format!("{unit} runs as {is}, the site has {wanted}: its drop-in waits. Needs `ravelin adopt {instance}`")
            }
            Fit::Repository { is, wanted } => format!(
                "{unit} has its repository at {is}, the site has {wanted}: its drop-in waits. Write `repo = \"{is}\"`, or `ravelin adopt {instance}`"
            ),
            Fit::Foreign { file } => format!("{unit} has a unit of its own at {file}: it is kept, and gets the drop-in alone"),
            Fit::Unknown { why } => format!("{unit}: its drop-in waits, since {why}"),
        })
    }
    /// Whether the drop-in may be put in place.
    pub fn may_have_drop_in(&self) -> bool {
        matches!(self.fit, Fit::Ready | Fit::Foreign { .. })
    }
}

/// Every unit of the plan against the machine.
pub fn fits(system: &SystemPlan, facts: &Facts) -> Vec<Judged> {
    let one = |u: &UnitPlan| {
        let (_, instance) = u.instance.as_ref()?;
        Some(Judged { unit: u.name.clone(), instance: instance.to_string(), fit: fit(u, facts) })
    };
    system.units.iter().filter_map(one).collect()
}

fn fit(plan: &UnitPlan, facts: &Facts) -> Fit {
    for source in [Source::Units, Source::Accounts, Source::Processes] {
        if let Some(f) = facts.failures.iter().find(|f| f.source == source) {
            return Fit::Unknown { why: format!("this machine was not read in full ({})", f.reason) };
        }
    }
    let Some(unit) = facts.unit(&plan.name) else { return Fit::Ready };
    let Some(wanted) = plan.account.as_ref().map(ToString::to_string) else { return Fit::Ready };
    if let Some(is) = accounts(unit, facts).into_iter().find(|a| *a != wanted) {
        return Fit::Account { is, wanted };
    }
    if let (Some(is), Some(wanted)) = (repository(&plan.data, unit, facts).path(), &plan.data.repo)
        && is != *wanted
    {
        return Fit::Repository { is, wanted: wanted.clone() };
    }
    match unit.files.first() {
        Some(file) if !plan.whole.is_empty() && !written_by_us(unit) => Fit::Foreign { file: file.clone() },
        _ => Fit::Ready,
    }
}

/// Whether the unit's own file is the one we would write.
fn written_by_us(unit: &Unit) -> bool {
    // Facts hold no comments, so the mark is not seen: the applier looks for it before it writes.
    unit.files.first().is_some_and(|f| f.starts_with("/etc/systemd/system/"))
}

/// Accounts a unit has: the one it would start as, and those its processes run as now.
pub(crate) fn accounts(unit: &Unit, facts: &Facts) -> Vec<String> {
    let by_number = |uid: u32| facts.account(uid).map_or_else(|| uid.to_string(), |a| a.name.clone());
    let named = match unit.user() {
        None => ROOT.to_owned(),
        Some(user) => user.parse().map_or_else(|_| user.to_owned(), by_number),
    };
    let mut out =
        vec![if unit.get("Service", "DynamicUser").is_some_and(yes) { "an account of systemd's own making".to_owned() } else { named }];
    // The first process of a unit is its own; programs it starts may be others' by their set-id bits.
    let ours = facts.processes.iter().filter(|p| p.unit.as_deref() == Some(unit.name.as_str()));
    if let Some(first) = ours.min_by_key(|p| (facts.process(p.parent).is_some_and(|q| q.unit == p.unit), p.pid)) {
        out.push(by_number(first.uid));
    }
    out
}

fn yes(value: &str) -> bool {
    matches!(value, "yes" | "true" | "on" | "1")
}

#[cfg(test)]
mod tests {
    use super::*;
    use facts::{Account, Directive, Process};

    fn facts(lines: &[(&str, &str)], runs_as: Option<u32>) -> Facts {
        let directives = lines
            .iter()
            .map(|(k, v)| Directive { section: "Service".into(), key: (*k).into(), value: (*v).into(), ..Directive::default() })
            .collect();
        let account = |name: &str, uid, home: &str| Account { name: name.into(), uid, home: home.into(), ..Account::default() };
        Facts {
            units: vec![Unit { name: "lotus-daemon.service".into(), files: vec!["/lib/x".into()], directives, ..Unit::default() }],
            accounts: vec![account("root", 0, "/root"), account("lotus", 990, "/var/lib/lotus")],
            processes: runs_as
                .map(|uid| Process { pid: 10, uid, unit: Some("lotus-daemon.service".into()), ..Process::default() })
                .into_iter()
                .collect(),
            ..Facts::default()
        }
    }

    fn judged(lines: &[(&str, &str)], runs_as: Option<u32>) -> Fit {
        let text = "[site]\nname = \"x\"\nminers = [\"f01\"]\nmanagement = { from = [\"198.51.100.7/32\"] }\n[layers]\nsystem = \
                    \"enforce\"\n[zones]\nlan = { subnets = [\"10.0.9.0/24\"] }\n[edge]\nkind = \
                    \"external\"\n[hosts.node1]\naddress = \"10.0.9.10\"\nruns = [\"lotus\"]\n";
        let source = words::SourceFile::new("site.toml", text.to_owned());
        let outcome = site::read(&source, "2026-11-22");
        let told = outcome.render(&source);
        let model = outcome.model.unwrap_or_else(|| panic!("{told}"));
        let plan = crate::plan(&model, &crate::Devices::default(), crate::Options::default());
        let system = plan.machines.values().next().and_then(|m| m.system.clone()).expect("a plan");
        fits(&system, &facts(lines, runs_as)).remove(0).fit
    }

    #[test]
    fn only_what_runs_as_planned_where_planned_is_ready() {
        let repo = "LOTUS_PATH=/var/lib/lotus/.lotus";
        assert_eq!(judged(&[("User", "lotus")], None), Fit::Ready, "the account's home is where the plan has it");
        assert_eq!(judged(&[("User", "990"), ("Environment", repo)], Some(990)), Fit::Ready, "by number");
        assert!(matches!(judged(&[], None), Fit::Account { is, .. } if is == "root"), "no User= is root");
        assert!(matches!(judged(&[("User", "lotus"), ("User", "")], None), Fit::Account { .. }), "reset");
        assert!(matches!(judged(&[("User", "lotus")], Some(0)), Fit::Account { is, .. } if is == "root"), "not restarted yet");
        assert!(matches!(judged(&[("User", "lotus"), ("DynamicUser", "yes")], None), Fit::Account { .. }));
        let moved = judged(&[("User", "lotus"), ("Environment", "A=1 \"LOTUS_PATH=/data/lotus\"")], Some(990));
        assert!(matches!(moved, Fit::Repository { is, .. } if is == "/data/lotus"));
        let home = judged(&[("User", "lotus"), ("Environment", "HOME=/home/x")], Some(990));
        assert!(matches!(home, Fit::Repository { is, .. } if is == "/home/x/.lotus"));
    }

    #[test]
    fn what_was_not_read_is_not_the_same() {
        let plan = UnitPlan::for_tests("lotus-daemon.service", "lotus");
        let mut unread = facts(&[("User", "lotus")], None);
        unread.failures.push(facts::Failure { source: Source::Accounts, reason: "x".into() });
        assert!(matches!(fit(&plan, &unread), Fit::Unknown { .. }));
        assert_eq!(fit(&UnitPlan::for_tests("absent.service", "lotus"), &facts(&[], None)), Fit::Ready, "no such unit yet");
    }
}
