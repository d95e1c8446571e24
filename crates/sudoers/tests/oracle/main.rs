//! Generated policies, asked of this crate and of sudo itself: in a mount namespace, in a root directory of our own, so that
//! accounts, groups and policy are ours and nothing of this machine is touched. sudo must never allow what was called
//! impossible. `RAVELIN_SUDOERS_FILES=20000` makes it longer, `RAVELIN_SUDOERS_SEED` another one.

#![allow(clippy::print_stdout, reason = "the counts of a run are its result")]

mod generate;
mod jail;

use facts::{SudoersLine, sudo};
use generate::{Case, Dice};
use jail::Jail;
use std::{collections::BTreeMap, process::Command};
use sudoers::{Answer, Machine, Policy, Who, command::Asked};

const INSIDE: &str = "RAVELIN_SUDOERS_INSIDE";
/// Files of an ordinary run: the least that was asked for, some half a minute.
const FILES: u64 = 2000;

/// Lines of a case as the observer would report them.
fn lines(case: &Case, path: &str, depth: u32, out: &mut Vec<SudoersLine>) {
    let Some(text) = case.files.get(path) else { return };
    for (line, text) in sudo::lines(text) {
        match sudo::include(&text) {
            Some(found) if depth > 0 => {
                let target = sudo::resolve(&found.path, path, jail::HOST);
                if found.directory {
                    let begin = format!("{target}/");
                    let inside = case.files.keys().filter(|p| p.strip_prefix(&begin).is_some_and(sudo::counts));
                    for p in inside {
                        lines(case, p, depth - 1, out);
                    }
                } else {
                    lines(case, &target, depth - 1, out);
                }
            }
            _ => out.push(SudoersLine { file: path.to_owned(), line, text }),
        }
    }
}

fn who(name: &str) -> Who {
    let (uid, gid) = generate::ACCOUNTS.iter().find(|a| a.0 == name).map(|a| (a.1, a.2)).expect("account");
    let groups = generate::GROUPS.iter().filter(|g| g.1 == gid || g.2.contains(&name));
    Who { name: name.into(), uid, groups: groups.map(|g| (g.0.to_owned(), g.1)).collect() }
}

#[derive(Debug, Default)]
struct Count {
    files: u64,
    probes: u64,
    allowed: u64,
    yes: u64,
    no: u64,
    unknown: u64,
    command_unknown: u64,
    refused_by_both: u64,
    refused_by_us_alone: u64,
    refused_by_sudo_alone: u64,
    /// Whether sudo asked for a password, and what was said about it.
    password: BTreeMap<(bool, Answer), u64>,
}

#[test]
fn sudo_allows_nothing_that_was_called_impossible() {
    if std::env::var_os(INSIDE).is_none() {
        let me = std::env::current_exe().expect("own path");
        let root = is_root();
        let mut unshare = Command::new("unshare");
        unshare.args(if root {
            ["--mount", "--net", "--uts"].as_slice()
        } else {
            ["--user", "--map-root-user", "--mount", "--net", "--uts"].as_slice()
        });
        unshare
            .arg(me)
            .args(["--exact", "sudo_allows_nothing_that_was_called_impossible", "--nocapture"])
            .env(INSIDE, if root { "root" } else { "mapped" });
        assert!(unshare.status().expect("unshare runs").success(), "inside its namespaces");
        return;
    }
    let number = |name: &str, usual: u64| std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(usual);
    let (files, seed) = (number("RAVELIN_SUDOERS_FILES", FILES), number("RAVELIN_SUDOERS_SEED", 1));
    let jail = Jail::build(std::env::var_os(INSIDE).is_some_and(|v| v == "root"));
    let machine = Machine { host: jail::HOST.into(), addresses: Vec::new() };
    let mut count = Count::default();
    let mut wrong: Vec<String> = Vec::new();
    for n in 0..files {
        let mut dice = Dice::new(seed.wrapping_mul(1_000_003).wrapping_add(n));
        let case = generate::case(&mut dice, jail.themselves());
        jail.write(&case);
        let mut all = Vec::new();
        lines(&case, "/etc/sudoers", 8, &mut all);
        let policy = Policy::read(&all);
        count.files += 1;
        match (policy.unread.is_empty(), jail.reads()) {
            (true, true) => {}
            (false, false) => count.refused_by_both += 1,
            (false, true) => count.refused_by_us_alone += 1,
            (true, false) => {
                count.refused_by_sudo_alone += 1;
                wrong.push(format!("sudo refuses a line that was read: {case:?}"));
            }
        }
        let user = dice.one(&["lotus", "ops", "bob"]);
        // In a user namespace of one id sudo can take no other one.
        let target = if jail.themselves() { dice.one(&["root", "root", "root", "ops", "curio"]) } else { "root" };
        let (me, them) = (who(user), who(target));
        let ruling = policy.may(&me, &them, &machine);
        match ruling.answer {
            Answer::Yes => count.yes += 1,
            Answer::No => count.no += 1,
            Answer::Unknown => count.unknown += 1,
        }
        for (path, arguments) in generate::probes(&mut dice) {
            let allowed = jail.allows(user, target, path, arguments);
            let asked = Asked { path: path.into(), arguments: arguments.into() };
            let said = policy.may_run(&me, &them, &machine, &asked);
            count.probes += 1;
            count.allowed += u64::from(allowed);
            count.command_unknown += u64::from(said == Answer::Unknown);
            let about = || format!("{user} as {target}: {path} {arguments}\n{case:?}");
            if allowed && ruling.answer == Answer::No {
                wrong.push(format!("false cannot: {}", about()));
            }
            match (said, allowed) {
                (Answer::No, true) => wrong.push(format!("false cannot for one command: {}", about())),
                (Answer::Yes, false) => wrong.push(format!("false can for one command: {}", about())),
                _ => {}
            }
            if allowed && jail.themselves() {
                let said = policy.asks_password(&me, &them, &machine, &asked);
                let asks = jail.asks_password(user, target, path, arguments);
                *count.password.entry((asks, said)).or_default() += 1;
                if (said == Answer::Yes && !asks) || (said == Answer::No && asks) {
                    wrong.push(format!("password asked: {asks}, said {said:?}: {}", about()));
                }
            }
        }
        // What is called certain must show in sudo's own list.
        let listed = jail.lists(user);
        if ruling.answer == Answer::Yes && listed.is_none() {
            wrong.push(format!("false can: {user} as {target}\n{case:?}"));
        }
    }
    println!("asked {}: {count:?}", if jail.themselves() { "by each account itself" } else { "by root for each account" });
    assert!(wrong.is_empty(), "{} wrong, the first: {}", wrong.len(), wrong.iter().take(40).cloned().collect::<Vec<_>>().join("\n\n"));
    assert!(count.allowed > files / 10 && count.no > files / 10, "the generator asks nothing worth asking: {count:?}");
}

fn is_root() -> bool {
    let out = Command::new("id").arg("-u").output().expect("id runs");
    out.stdout.starts_with(b"0\n")
}
