//! All sources together. In come files of interest, out come facts. What fails is named in them.

use crate::{
    Error, Interest, Root, account, boot, container, file, filter, link, mount, package, process, socket, sudo, system, track, ufw, unit,
};
use facts::{Facts, SCHEMA, Source};
use std::time::{SystemTime, UNIX_EPOCH};

/// Everything this machine can report. `interests` are files to look at besides the usual ones.
pub fn machine(interests: &[Interest]) -> Facts {
    let mut facts = network();
    let root = Root::machine();
    local(&root, interests, &mut facts);
    facts.containers = take(&mut facts.failures, Source::Containers, container::list());
    facts.engines = take(&mut facts.failures, Source::Containers, container::engines());
    facts
}

/// What a tree of files can report of the machine it stands for. What only a kernel or a program knows is named as not read.
pub fn from_tree(root: &Root, interests: &[Interest], now: u64) -> Facts {
    let mut facts = Facts { schema: SCHEMA, taken_at: now, ..Facts::default() };
    let reason = "a tree of files does not tell".to_owned();
    let silent = [
        Source::Interfaces,
        Source::Routes,
        Source::Sockets,
        Source::SocketOwners,
        Source::Connections,
        Source::Nft,
        Source::Iptables,
        Source::Containers,
        Source::Clock,
        Source::Sweep,
    ];
    facts.failures.extend(silent.map(|source| facts::Failure { source, reason: reason.clone() }));
    let failed = &mut facts.failures;
    facts.host = take(failed, Source::System, system::host_name(root));
    facts.system = take(failed, Source::System, system::system(root));
    let (ufw, troubles) = ufw::look(root, &facts.rulesets);
    facts.ufw = ufw;
    troubles.iter().for_each(|e| note(failed, Source::Ufw, e));
    local(root, interests, &mut facts);
    facts
}

/// What files tell, those under `/proc` and `/sys` among them.
fn local(root: &Root, interests: &[Interest], facts: &mut Facts) {
    let (failed, unread) = (&mut facts.failures, &mut facts.unread);
    facts.processes = take(failed, Source::Processes, process::list(root));
    let accounts = account::accounts(root, failed, unread);
    facts.accounts = take(failed, Source::Accounts, accounts);
    let groups = account::groups(root, failed);
    facts.groups = take(failed, Source::Groups, groups);
    facts.sudoers = sudo::lines(root, &facts.host, &mut |source, why| failed.push(facts::Failure { source, reason: why }));
    for p in &mut facts.processes {
        p.user = facts.accounts.iter().find(|a| a.uid == p.uid).map(|a| a.name.clone());
    }
    let units = unit::list(root, unread);
    facts.units = take(failed, Source::Units, units);
    for u in &mut facts.units {
        u.active = facts.processes.iter().any(|p| p.unit.as_ref() == Some(&u.name));
    }
    facts.sysctls = take(failed, Source::Sysctls, system::settings(root));
    facts.clock = system::clock(root, &facts.processes);
    facts.boot = take(failed, Source::Boot, boot::read(root));
    let mounts = mount::mounts(root, unread);
    facts.mounts = take(failed, Source::Mounts, mounts);
    facts.swaps = take(failed, Source::Mounts, mount::swaps(root));
    let packages = package::look(root, failed, unread);
    facts.packages = take(failed, Source::Packages, packages);
    let all: Vec<Interest> = file::usual().into_iter().chain(interests.iter().cloned()).collect();
    facts.files = file::list(root, &all, facts);
}

/// What `learn` needs again and again: sockets with their processes, tracked connections, rulesets, interfaces.
pub fn network() -> Facts {
    let mut facts =
        Facts { schema: SCHEMA, taken_at: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs()), ..Facts::default() };
    let root = Root::machine();
    let failed = &mut facts.failures;
    facts.host = take(failed, Source::System, system::host_name(&root));
    facts.system = take(failed, Source::System, system::system(&root));
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
    let (ufw, troubles) = ufw::look(&root, &facts.rulesets);
    facts.ufw = ufw;
    troubles.iter().for_each(|e| note(failed, Source::Ufw, e));
    facts
}

/// Who holds sockets, besides what [`network`] reports: processes with their accounts, containers, settings of forwarding.
pub fn holders(facts: &mut Facts) {
    let root = Root::machine();
    let (failed, unread) = (&mut facts.failures, &mut facts.unread);
    facts.processes = take(failed, Source::Processes, process::list(&root));
    let accounts = account::accounts(&root, failed, unread);
    facts.accounts = take(failed, Source::Accounts, accounts);
    facts.containers = take(failed, Source::Containers, container::list());
    facts.sysctls = take(failed, Source::Sysctls, system::settings(&root));
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
