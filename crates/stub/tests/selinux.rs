//! The modules under an enforcing kernel: every service that gets a domain, on one machine, as stand-ins. They work in full in
//! their units and domains, and nothing of it is refused, no system call either. Taken over there while SELinux only looks on, the
//! unit alone refuses what they try. Taken over as uid 0 without any sandbox, every action is refused by SELinux alone, and the
//! audit log names it; the same actions succeed in the same run where nothing confines them.

mod common;

use common::{
    Site, attack,
    lab::{self, Lab, failures, outcomes},
    trace,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};
use vm::Options;

const SITE: &str = include_str!("everything/site.toml");
/// The machine of the site.
const HOST: &str = "one";
/// What the list of a taken-over stand-in is called.
const ORDERS: &str = "takeover";
/// The same for one in its unit.
const UNIT_ORDERS: &str = "takeover-in-unit";
/// Services whose system calls the test of the units sees.
const TRACED_ELSEWHERE: [&str; 7] = ["boostd", "boostd-data", "booster-http", "lotus", "lotus-miner", "lotus-worker", "yugabyte"];
/// A machine without the hardware is asked for its driver, which the service may not load: it is loaded before, where there is any.
const EXPECTED: [&str; 1] = ["{ module_request }"];
/// Checks of the kernel that only uid 0 comes to, and that change nothing where they say no: bits of modes, looks past modes.
const ROOT_ONLY: [&str; 3] = ["{ fsetid }", "{ dac_read_search }", "{ dac_override }"];

#[test]
#[expect(clippy::print_stdout, reason = "how much was tried is part of what the test says")]
fn enforcing_stand_ins_work_and_what_taken_over_ones_try_is_denied_by_selinux_alone() {
    let site = Site::read(SITE);
    let mut lab = Lab::boot(&Options { kernel: "audit=1 audit_backlog_limit=8192".into(), ..Options::default() });
    set_up(&site, &mut lab);
    let mut log = String::new();
    let mut wrong = Vec::new();

    // As operators run them: own account, sandbox, domain.
    let units: Vec<String> = site.services.iter().map(|s| s.unit.clone()).collect();
    lab.start(&units, "work");
    let refused = lab.refused();
    wrong.extend(ours(&refused).filter(|l| !EXPECTED.iter().any(|e| l.contains(e))).map(|l| format!("sandboxed: {l}")));
    let _ = writeln!(log, "sandboxed\n{}", refused.join("\n"));
    // Once more, under strace: no filter refuses a call of theirs. And as on any machine that has run: a unit hides what is there
    // when it starts, and the first start made the keys.
    let traced: Vec<String> = site.services.iter().filter(|s| is_traced(s)).map(|s| s.unit.clone()).collect();
    lab.must(&format!("systemctl stop {}", units.join(" ")), lab::SETTING_UP);
    lab.unpack(&trace::drop_ins(&traced));
    lab.must(&trace::attach(&traced), lab::SETTING_UP);
    lab.start(&units, "work");
    lab.must(&trace::detach(&traced), lab::SETTING_UP);
    let calls = trace::read(&lab.must(&trace::lines(), lab::SETTING_UP));

    // Taken over while SELinux only looks on: the unit alone.
    let by_unit: BTreeMap<String, Vec<String>> = site.services.iter().map(|s| (s.name.clone(), attack::of_unit(s, &site))).collect();
    lab.must("setenforce 0", lab::SETTING_UP);
    lab.order(UNIT_ORDERS, &units, &by_unit);
    lab.must(&format!("systemctl stop {}; setenforce 1; rm {}/*.orders", units.join(" "), lab::HOME), lab::SETTING_UP);
    lab.refused();

    // As uid 0, without account and sandbox: the domain alone.
    let plain: Vec<String> = site.services.iter().map(common::Service::plain).collect();
    let owned = owned_by_root(&site);
    lab.must(&format!("# owned by root\nchown -R root:root {owned}; restorecon -RF {owned}"), lab::SETTING_UP);
    lab.start(&plain, "work");
    let refused = lab.refused();
    let known = |l: &&str| EXPECTED.iter().chain(&ROOT_ONLY).any(|e| l.contains(e));
    wrong.extend(ours(&refused).filter(|l| !known(l)).map(|l| format!("as uid 0: {l}")));
    let _ = writeln!(log, "as uid 0\n{}", refused.join("\n"));

    // Taken over.
    let tried: BTreeMap<String, Vec<(String, String)>> =
        site.services.iter().map(|s| (s.name.clone(), attack::of_domain(s, &site))).collect();
    let orders = tried.iter().map(|(who, list)| (who.clone(), list.iter().map(|(order, _)| order.clone()).collect())).collect();
    lab.order(ORDERS, &plain, &orders);
    let refused = lab.refused();
    let _ = writeln!(log, "taken over\n{}", refused.join("\n"));
    let heard = lab.heard();

    // The same where nothing confines it. A program that runs is not written, whoever asks: they are stopped first.
    lab.must(&format!("systemctl stop {}", plain.join(" ")), lab::SETTING_UP);
    let in_domains = tried.values().flatten().map(|(order, _)| order.clone());
    let all: BTreeSet<String> = in_domains.chain(by_unit.values().flatten().cloned()).collect();
    let free = lab.unhardened(&all.into_iter().collect::<Vec<_>>());
    let _ = writeln!(log, "heard\n{heard:#?}\nunhardened\n{free:#?}");
    lab::keep("stand-ins-selinux.log", &log);

    for s in &site.services {
        for unit in [&s.unit, &s.plain()] {
            let said = heard.get(unit).map(Vec::as_slice).unwrap_or_default();
            assert!(said.len() > attack::FEWEST_ACTIONS, "{unit} said {} things", said.len());
            wrong.extend(failures(said, "work").into_iter().map(|f| format!("{unit}: {f}")));
        }
        wrong.extend(lab::not_denied(&by_unit[&s.name], &outcomes(&heard[&s.unit]), &free).into_iter().map(|w| format!("{}: {w}", s.unit)));
        if is_traced(s) {
            let calls = calls.get(&s.unit).unwrap_or_else(|| panic!("nothing was traced of {}", s.unit));
            assert!(calls.at_work.len() > trace::FEWEST_CALLS, "{}: {} system calls", s.unit, calls.at_work.len());
            wrong.extend(calls.refused.iter().map(|c| format!("{}: {c}", s.unit)));
        }
        let outcome = outcomes(&heard[&s.plain()]);
        let domain = format!("system_r:ravelin_{}_", s.profile.service.replace('-', "_"));
        let own: Vec<&String> = refused.iter().filter(|l| l.contains(&domain)).collect();
        for (order, named) in &tried[&s.name] {
            if outcome.get(order) != Some(&false) {
                wrong.push(format!("{}: {order} is not denied: {:?}", s.name, outcome.get(order)));
            }
            if free.get(order) != Some(&true) {
                wrong.push(format!("{order} does not succeed unconfined either"));
            }
            if !own.iter().any(|l| l.contains(named)) {
                wrong.push(format!("{}: {order}: no line of the audit log has {named}", s.name));
            }
        }
    }
    let orders = |lists: Vec<usize>| format!("{} of {} stand-ins", lists.iter().sum::<usize>(), lists.len());
    println!("orders to domains: {}", orders(tried.values().map(Vec::len).collect()));
    println!("orders to units: {}", orders(by_unit.values().map(Vec::len).collect()));
    wrong.sort();
    wrong.dedup();
    assert!(wrong.is_empty(), "{} of it is wrong; target/tmp/stand-ins-selinux.log:\n{}", wrong.len(), wrong.join("\n"));
}

fn is_traced(service: &common::Service) -> bool {
    !TRACED_ELSEWHERE.contains(&service.profile.service.as_str())
}

fn ours(log: &[String]) -> impl Iterator<Item = &str> {
    log.iter().map(String::as_str).filter(|l| l.contains("scontext=system_u:system_r:ravelin_"))
}

/// Programs, units, accounts, directories, modules, labels.
fn set_up(site: &Site, lab: &mut Lab) {
    let mut files = site.system_files();
    files.extend(site.modules(HOST));
    site.services.iter().for_each(|s| files.extend(s.files()));
    lab.unpack(&files);
    lab.programs(&site.services);
    lab.must("semodule -i /root/modules/*.cil", lab::SETTING_UP);
    lab.must(&site.prepare(), lab::SETTING_UP);
    lab.must("restorecon -RF /usr/local /opt /var/lib /var/log /var/tmp /mnt /data /etc/filecoin", lab::SETTING_UP);
    lab.must(attack::PREPARE, lab::SETTING_UP);
    // One file of any length: what is read of it is told by its place there.
    let whole = "sed -i 's/^max_log_file_action.*/max_log_file_action = ignore/i' /etc/audit/auditd.conf && systemctl kill -s HUP auditd";
    lab.must(whole, lab::SETTING_UP);
    lab.refused();
}

/// Everything of the services' accounts.
fn owned_by_root(site: &Site) -> String {
    let homes = site.plan.machines.values().filter_map(|m| m.system.as_ref()).flat_map(|s| s.accounts.values()).map(|a| a.home.clone());
    let repositories = site.services.iter().filter_map(common::Service::repository);
    let more = ["/data", "/var/log/lotus", "/var/log/curio", "/var/tmp/filecoin-*", "/var/lib/filecoin-gpu"].map(str::to_owned);
    let all: BTreeSet<String> = homes.chain(site.stores()).chain(repositories).chain(more).collect();
    all.into_iter().collect::<Vec<_>>().join(" ")
}
