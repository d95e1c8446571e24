//! All sources together. In come files of interest, out come facts. What fails is named in them.

use crate::{Error, Interest, account, container, file, filter, link, process, socket, sudo, system, track, ufw, unit};
use facts::{Facts, SCHEMA, Source};
use std::time::{SystemTime, UNIX_EPOCH};

/// Everything this machine can report. `interests` are files to look at besides the usual ones.
pub fn machine(interests: &[Interest]) -> Facts {
    let mut facts = network();
    let failed = &mut facts.failures;
    facts.processes = take(failed, Source::Processes, process::list());
    let accounts = account::accounts(failed);
    facts.accounts = take(failed, Source::Accounts, accounts);
    let groups = account::groups(failed);
    facts.groups = take(failed, Source::Groups, groups);
    facts.sudoers = sudo::lines(&facts.host, &mut |source, why| failed.push(facts::Failure { source, reason: why }));
    for p in &mut facts.processes {
        p.user = facts.accounts.iter().find(|a| a.uid == p.uid).map(|a| a.name.clone());
    }
    facts.units = take(failed, Source::Units, unit::list());
    for u in &mut facts.units {
        u.active = facts.processes.iter().any(|p| p.unit.as_ref() == Some(&u.name));
    }
    facts.containers = take(failed, Source::Containers, container::list());
    facts.sysctls = take(failed, Source::Sysctls, system::settings());
    facts.clock = system::clock(&facts.processes);
    let all: Vec<Interest> = file::usual().into_iter().chain(interests.iter().cloned()).collect();
    facts.files = file::list(&all, &facts);
    facts
}

/// What `learn` needs again and again: sockets with their processes, tracked connections, rulesets, interfaces.
pub fn network() -> Facts {
    let mut facts =
        Facts { schema: SCHEMA, taken_at: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs()), ..Facts::default() };
    let failed = &mut facts.failures;
    facts.host = take(failed, Source::System, system::host_name());
    facts.system = take(failed, Source::System, system::system());
    facts.interfaces = take(failed, Source::Interfaces, link::interfaces());
    facts.routes = take(failed, Source::Routes, link::routes());
    facts.sockets = take(failed, Source::Sockets, socket::list());
    match socket::owners() {
        Ok((held, closed)) => {
            for s in &mut facts.sockets {
                s.pids = held.get(&s.inode).cloned().unwrap_or_default();
            }
            if closed > 0 {
                note(failed, Source::SocketOwners, &Error::Partly(format!("{closed} processes of others: run as root to see theirs")));
            }
        }
        Err(e) => note(failed, Source::SocketOwners, &e),
    }
    facts.connections = take(failed, Source::Connections, track::list());
    let (rulesets, troubles) = filter::rulesets();
    facts.rulesets = rulesets;
    troubles.iter().for_each(|(source, e)| note(failed, *source, e));
    let (ufw, troubles) = ufw::look(&facts.rulesets);
    facts.ufw = ufw;
    troubles.iter().for_each(|e| note(failed, Source::Ufw, e));
    facts
}

fn take<T: Default>(failed: &mut Vec<facts::Failure>, source: Source, result: Result<T, Error>) -> T {
    result.unwrap_or_else(|e| {
        note(failed, source, &e);
        T::default()
    })
}

fn note(failed: &mut Vec<facts::Failure>, source: Source, error: &Error) {
    let mut reason = error.to_string();
    if let Some(cause) = std::error::Error::source(error) {
        reason = format!("{reason}: {cause}");
    }
    failed.push(facts::Failure { source, reason });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_reports_and_reads_back() {
        let facts = machine(&[]);
        assert!(!facts.host.is_empty() && !facts.system.kernel.is_empty());
        let own = facts.process(std::process::id()).expect("this process");
        assert!(own.exe.contains("observe") && own.uid == facts.account(own.uid).map_or(own.uid, |a| a.uid));
        assert!(facts.accounts.iter().any(|a| a.uid == 0 && a.name == "root"));
        assert!(facts.interfaces.iter().any(|i| i.name == "lo") || !facts.saw(Source::Interfaces));
        assert!(facts.sysctls.contains_key("net.ipv4.ip_forward"));
        let text = serde_json::to_string(&facts).expect("writes");
        assert_eq!(serde_json::from_str::<Facts>(&text).expect("reads"), facts);
    }
}
