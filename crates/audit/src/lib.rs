//! What is wrong on this machine, no site file needed.
//!
//! In come the facts of a machine, and the site model where there is one; out comes a [`Report`] of findings with
//! evidence, what it means and what to do. Rules stand in [`rules`] by topic; each has one page in `docs/audit/`, and one pair
//! of cases in `cases/`. Where a source of facts could not be read, the rule that needs it is *unknown*, never passed.
//!
//! | module | what it is |
//! |---|---|
//! | [`finding`] | risk, finding, report |
//! | [`view`] | the facts as rules see them: which services run, where they listen, what their units and files say |
//! | [`sshd`] | sshd's configuration as sshd reads it |
//! | [`exposure`] | who reaches a socket through the machine's own filter |
//! | [`rules`] | the rules |
//! | [`wanted`](mod@wanted) | which files they want to see |
//! | [`stores`](mod@stores) | where the services' stores lie, by their own files |
//! | [`text`], [`sarif`], [`html`] | faces of the report, besides its JSON |
//!
//! Pure: no clock, network, file system or process.

pub mod exposure;
pub mod finding;
pub mod html;
pub mod rules;
pub mod sarif;
pub mod sshd;
pub mod stores;
pub mod text;
pub mod view;
pub mod wanted;

pub use finding::{Finding, Report, Risk, Unknown};
pub use rules::{RULES, Rule};
pub use stores::stores;
pub use wanted::{Wanted, wanted};

use facts::{Facts, Source};
use site::Model;
use view::View;
use words::HostName;

/// Runs every rule. `place` is the machine's place in the site, where there is a site file.
pub fn run(facts: &Facts, place: Option<(&Model, &HostName)>) -> Report {
    let view = View::new(facts, place);
    let mut report = Report { host: facts.host.clone(), taken_at: facts.taken_at, ..Report::default() };
    for rule in RULES {
        let found: Vec<Finding> = (rule.check)(&view).into_iter().map(|e| Finding::of(rule, e)).collect();
        let unread = facts.failures.iter().find(|f| rule.needs.contains(&f.source)).map(|f| f.reason.clone());
        let no_nft = || {
            let why = match (&facts.rulesets.nft_json, facts.rulesets.unread.first()) {
                _ if !rule.needs.contains(&Source::Nft) => return None,
                (None, _) => "the nftables ruleset was not read".to_owned(),
                (_, Some(other)) => format!("a filter that no tool shows: {other}"),
                // A rule that reads the ruleset itself judges what it understands of it.
                _ if view.filter_known() || !rule.needs.contains(&Source::Sockets) => return None,
                _ => "the ruleset is not understood in full".to_owned(),
            };
            Some(why)
        };
        if let Some(why) = unread.or_else(no_nft) {
            report.unknown.push(Unknown { code: rule.code, title: rule.title.to_owned(), why });
        } else if found.is_empty() {
            report.passed.push(rule.code);
        }
        report.findings.extend(found);
    }
    report.findings.sort_by(|a, b| b.risk.cmp(&a.risk).then_with(|| (a.code, &a.subject).cmp(&(b.code, &b.subject))));
    report
}
