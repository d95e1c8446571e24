//! logrotate: its configuration, the programs of its scripts, and log directories of others it works in as root. In come texts,
//! out come triggers. Where a block says `su`, it works as that account.

use super::{Trigger, program};
use crate::{
    graph::{Evidence, Node},
    machine::{Machine, lines},
    technique::Technique,
};

pub(super) fn triggers(m: &Machine, out: &mut Vec<Trigger>) {
    for place in ["/etc/logrotate.conf", "/etc/logrotate.d"] {
        if m.paths.end(place).is_some() {
            out.push(Trigger::new(
                place,
                Node::Root,
                Technique::Logrotate,
                Evidence::new("logrotate takes its rules from it").at(place, 0),
            ));
        }
    }
    for file in m.texts("/etc/logrotate.conf").into_iter().chain(m.texts("/etc/logrotate.d/")) {
        out.push(rules(&file.path));
        blocks(file, out);
    }
}

/// logrotate refuses rules that are not root's or that others may write.
fn rules(path: &str) -> Trigger {
    let evidence = Evidence::new("rules of logrotate, if root's and nobody else may write them").at(path, 0);
    Trigger { certain: false, ..Trigger::new(path, Node::Root, Technique::Logrotate, evidence) }
}

fn blocks(file: &facts::File, out: &mut Vec<Trigger>) {
    let mut logs: Vec<(u32, String)> = Vec::new();
    let mut pending: Vec<(u32, String)> = Vec::new();
    let (mut su, mut script) = (false, false);
    let mut inside = false;
    for (number, line) in lines(file) {
        let word = line.split_whitespace().next().unwrap_or_default();
        if script {
            if word == "endscript" {
                script = false;
                continue;
            }
            for path in program::started(line) {
                let evidence = Evidence::new(format!("a script of logrotate: {line}")).at(&file.path, number);
                out.push(Trigger::new(path, Node::Root, Technique::Logrotate, evidence));
            }
            continue;
        }
        if !inside {
            let names = line.split('{').next().unwrap_or_default().split_whitespace();
            pending.extend(names.map(|w| w.trim_matches('"')).filter(|w| w.starts_with('/')).map(|w| (number, w.to_owned())));
            if line.contains('{') {
                (inside, su, logs) = (true, false, std::mem::take(&mut pending));
            }
            continue;
        }
        match word {
            "su" => su = true,
            "}" => {
                inside = false;
                if !su {
                    for (number, log) in logs.drain(..) {
                        let directory = directory(&log);
                        if directory.is_empty() {
                            continue;
                        }
                        let evidence = Evidence::new(format!("logrotate renames and makes {log} as root, without `su`: a race decides"))
                            .at(&file.path, number);
                        out.push(Trigger { certain: false, ..Trigger::new(directory, Node::Root, Technique::Logrotate, evidence) });
                    }
                }
            }
            "postrotate" | "prerotate" | "firstaction" | "lastaction" | "preremove" => script = true,
            _ => {}
        }
    }
}

/// The directory that decides which logs a name means: the last one before a wildcard.
pub(crate) fn directory(log: &str) -> &str {
    let plain = log.find(['*', '?', '[']).map_or(log, |at| &log[..at]);
    plain.rsplit_once('/').map_or("", |(d, _)| d)
}
