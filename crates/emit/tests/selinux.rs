//! SELinux modules, held three ways: against golden text, against Debian 12's own policy (secilc links both and checks every
//! assertion), and by planting what must never be allowed. `UPDATE_EXPECT=1 cargo test -p emit --test selinux` writes the
//! golden modules anew; read the difference.

#[path = "selinux/base.rs"]
mod base;
#[path = "selinux/cases.rs"]
mod cases;
mod common;
#[path = "selinux/mutants.rs"]
mod mutants;
#[path = "selinux/reach.rs"]
mod reach;

use base::Base;
use cases::{cases, directory};
use common::hold;
use std::{collections::BTreeSet, fs};

#[test]
fn the_modules_are_the_golden_ones() {
    for case in cases() {
        let dir = directory().join(&case.name).join(&case.host);
        let update = std::env::var_os("UPDATE_EXPECT").is_some();
        if update {
            let _ = fs::remove_dir_all(&dir);
            fs::create_dir_all(&dir).expect("made");
        }
        for (file, text) in case.files() {
            let path = dir.join(&file);
            hold(&path, &text);
        }
        let there: BTreeSet<String> =
            fs::read_dir(&dir).expect("expected").map(|e| e.expect("entry").file_name().to_string_lossy().into_owned()).collect();
        assert_eq!(there, case.files().into_keys().collect(), "{}", dir.display());
    }
}

#[test]
fn every_service_with_a_unit_has_a_domain_or_one_of_the_base_policy() {
    let there: BTreeSet<String> = cases().iter().flat_map(|c| c.plan.domains.iter().map(|d| d.service.to_string())).collect();
    let all: BTreeSet<String> = catalog::builtin().values().filter(|s| s.unit.is_some()).map(|s| s.name.to_string()).collect();
    let left: BTreeSet<String> = all.difference(&there).cloned().collect();
    assert_eq!(left, BTreeSet::from(["postgres".to_owned()]));
    assert!(there.len() >= 14, "{there:?}");
}

#[test]
fn debian_12_links_every_machine_and_every_assertion_holds() {
    let base = Base::get();
    let mut cases = cases();
    // A link takes seconds: machines whose services all stand on a machine that was linked before are left out.
    cases.sort_by_key(|c| std::cmp::Reverse(c.plan.domains.len()));
    let mut seen = BTreeSet::new();
    cases.retain(|c| c.plan.domains.iter().filter(|d| seen.insert(d.service.clone())).count() > 0);
    for case in cases {
        let linked = base.link(&case.modules(), &[]);
        assert!(linked.good, "{} {}: {}", case.name, case.host, linked.said);
        let policy = linked.dir.path().join("policy");
        if case.name == "shared-account" {
            let domains: Vec<String> = case.plan.domains.iter().flat_map(|d| [Some(d.domain()), d.tool()]).flatten().collect();
            hold(&directory().join(&case.name).join("reach.txt"), &reach::table(&policy, &domains));
            // Who the base policy trusts with every file, by its attribute and by name; and the service itself.
            let readers = reach::readers(&policy, "ravelin_lotus_keystore_t");
            let trusted = ["aide_t", "amanda_t", "backup_t", "bacula_t", "files_unconfined_type", "quota_t", "samhain_t", "samhaind_t"];
            let trusted: BTreeSet<String> =
                trusted.iter().chain(&["siggen_t", "tripwire_t", "ravelin_lotus_t"]).map(|t| (*t).to_owned()).collect();
            assert_eq!(readers, trusted);
        }
    }
}

#[test]
fn the_port_table_is_the_one_of_the_package() {
    let linked = Base::get().link(&Default::default(), &[]);
    assert!(linked.good, "{}", linked.said);
    let out = std::process::Command::new("seinfo").arg(linked.dir.path().join("policy")).arg("--portcon").output().expect("seinfo runs");
    let mut rows: Vec<String> = String::from_utf8_lossy(&out.stdout).lines().filter_map(port_row).collect();
    rows.sort();
    let mut ours: Vec<String> = plan::selinux::base::DEBIAN_12_PORTS.lines().map(str::to_owned).collect();
    ours.sort();
    assert!(ours.len() > 400);
    assert_eq!(rows, ours);
}

/// `portcon tcp 80 system_u:object_r:http_port_t:s0` as a line of the table.
fn port_row(line: &str) -> Option<String> {
    let mut words = line.trim().strip_prefix("portcon ")?.split_whitespace();
    let proto = words.next().filter(|p| *p != "sctp")?;
    let ports = words.next()?;
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let name = words.next()?.split(':').nth(2)?;
    Some(format!("{proto}\t{first}\t{last}\t{name}"))
}

#[test]
fn no_path_and_no_port_has_two_types() {
    for case in cases() {
        let mut seen = std::collections::BTreeMap::new();
        for line in case.modules().values().flat_map(|t| t.lines().map(str::to_owned).collect::<Vec<_>>()) {
            let Some((what, context)) = line.split_once(" (system_u object_r ") else { continue };
            let old = seen.insert(what.to_owned(), context.to_owned());
            assert!(old.is_none() || old.as_deref() == Some(context), "{} {}: {what} is {old:?} and {context}", case.name, case.host);
        }
        assert!(seen.len() > 2, "{} {}", case.name, case.host);
    }
}

#[test]
fn what_must_never_be_allowed_fails_the_build_with_its_name() {
    let case = cases().into_iter().find(|c| c.name == "shared-account").expect("the case with four services");
    let base = Base::get();
    let mut tried = 0;
    for round in mutants::rounds() {
        let planted: String = round.iter().map(|(_, rule)| format!("{rule}\n")).collect();
        let linked = base.link(&case.modules(), &[&planted]);
        assert!(!linked.good, "nothing was refused");
        for (number, (assertion, rule)) in round.iter().enumerate() {
            let found = linked.broken.get(&(number + 1)).cloned().unwrap_or_default();
            assert!(found.contains(*assertion), "`{rule}` should break `{assertion}`, but broke {found:?}\n{}", linked.said);
            tried += 1;
        }
    }
    assert_eq!(tried, mutants::MUTANTS.len());
}

#[test]
fn a_planted_rule_alone_decides() {
    let case = cases().into_iter().find(|c| c.name == "shared-account").expect("the case with four services");
    let fine = Base::get().link(&case.modules(), &["(allow ravelin_lotus_t ravelin_lotus_keystore_t (file (read)))"]);
    assert!(fine.good, "{}", fine.said);
    let bad = Base::get().link(&case.modules(), &["(allow ravelin_lotus_worker_t ravelin_lotus_keystore_t (file (read)))"]);
    assert!(!bad.good, "the worker may read the daemon's keys");
    assert_eq!(bad.broken.get(&1), Some(&BTreeSet::from(["private-lotus".to_owned()])), "{}", bad.said);
}
