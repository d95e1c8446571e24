//! cron: tables, the programs they start, directories whose scripts run. In come texts, out come triggers.

use super::{Trigger, program};
use crate::{
    graph::{Evidence, Node},
    machine::{Machine, lines},
    technique::Technique,
};

/// Directories whose scripts run as root.
pub(crate) const SCRIPTS: [&str; 4] = ["/etc/cron.hourly", "/etc/cron.daily", "/etc/cron.weekly", "/etc/cron.monthly"];
/// Directories and files with tables.
pub(crate) const TABLES: [&str; 4] = ["/etc/crontab", "/etc/anacrontab", "/etc/cron.d", "/var/spool/cron/crontabs"];

pub(super) fn triggers(m: &Machine, out: &mut Vec<Trigger>) {
    for place in TABLES.into_iter().chain(SCRIPTS) {
        let Some(end) = m.paths.get(place).filter(|p| p.state == facts::PathState::Seen) else { continue };
        out.push(table_trigger(&end.path, Node::Root, SCRIPTS.contains(&place)));
    }
    for file in m.paths.entries("/etc/cron.d") {
        out.push(table_trigger(&file.path, Node::Root, false));
    }
    for directory in SCRIPTS {
        for script in m.paths.entries(directory) {
            let evidence = Evidence::new("cron runs it as root").at(&script.path, 0);
            out.push(Trigger::new(&script.path, Node::Root, Technique::Cron, evidence));
        }
    }
    for file in m.texts("/etc/crontab").into_iter().chain(m.texts("/etc/anacrontab")).chain(m.texts("/etc/cron.d/")) {
        table(m, file, true, out);
    }
    for file in m.texts("/var/spool/cron/") {
        let runner = m.user(file.path.rsplit('/').next());
        out.push(table_trigger(&file.path, runner, false));
        table(m, file, false, out);
    }
}

/// cron refuses tables that are not root's or that others may write; scripts of its directories it runs as they are.
fn table_trigger(path: &str, runner: Node, scripts: bool) -> Trigger {
    let what = if scripts { "cron runs what is in it" } else { "a table of cron, if it is root's and nobody else may write it" };
    Trigger { certain: scripts, ..Trigger::new(path, runner, Technique::Cron, Evidence::new(what).at(path, 0)) }
}

fn table(m: &Machine, file: &facts::File, with_user: bool, out: &mut Vec<Trigger>) {
    for (number, line) in lines(file) {
        let mut words = line.split_whitespace();
        let first = words.next().unwrap_or_default();
        if first.contains('=') || line.split_once('=').is_some_and(|(k, _)| k.trim().bytes().all(|b| b.is_ascii_uppercase() || b == b'_')) {
            continue;
        }
        let anacron = file.path.ends_with("anacrontab");
        let skip = match first {
            f if f.starts_with('@') => 0,
            _ if anacron => 2,
            _ => 4,
        };
        let mut rest = words.skip(skip);
        let user = if with_user && !anacron {
            rest.next()
        } else if anacron {
            None
        } else {
            file.path.rsplit('/').next()
        };
        let command = rest.collect::<Vec<_>>().join(" ");
        for path in program::started(&command) {
            let evidence = Evidence::new(format!("cron: {line}")).at(&file.path, number);
            out.push(Trigger::new(path, m.user(user), Technique::Cron, evidence));
        }
    }
}
