//! A node of a pair: its daemons' files, and addresses that belong to an election and not to the bundle. On real devices in namespaces;
//! systemd does not run there, so that nothing is started.

mod common;
#[path = "common/node.rs"]
mod node;

use bundle::pair::Daemon;
use common::*;
use node::*;
use std::fs;

#[test]
fn an_election_gets_the_addresses_where_they_are() {
    if !inside("an_election_gets_the_addresses_where_they_are") {
        return;
    }
    let mut node = Node::new();
    node.apply(vec![], &[GATEWAY, PUBLISHED, "192.0.2.8/32"], false);
    node.apply(files(ELECTION), &[GATEWAY, PUBLISHED], true);
    // What is elected stays on its device, what nobody wants any more goes, and files lie where the daemons look.
    assert_eq!(addresses_on(LAN), [OWN, GATEWAY, PUBLISHED]);
    assert_eq!(fs::read_to_string(Daemon::Keepalived.path()).expect("there"), ELECTION);
    assert!(fs::metadata("/etc/systemd/system/keepalived.service.d/10-ravelin.conf").is_ok());
    // The election takes it off: no drift, and nothing puts it back.
    run("ip", &["address", "del", GATEWAY, "dev", LAN]);
    assert_eq!(node.drift(), [""; 0]);
    applied(&node.state(), &["addresses"]);
    let again = node.dir.path().join("bundle").display().to_string();
    applied(&node.state(), &["apply", &again, "--auto-confirm"]);
    assert_eq!(addresses_on(LAN), [OWN, PUBLISHED]);
    // A changed file is drift.
    fs::write(Daemon::Keepalived.path(), ELECTION.replace("priority 250", "priority 240")).expect("writes");
    assert!(node.drift().iter().any(|d| d.starts_with("/etc/keepalived/ravelin.conf differs")), "{:?}", node.drift());
    // Without a pair the files go, and what the election had is not ours to take.
    node.apply(vec![], &["192.0.2.7/32"], false);
    assert!(fs::metadata(Daemon::Keepalived.path()).is_err() && fs::metadata(Daemon::Conntrackd.path()).is_err());
    assert!(fs::metadata("/etc/systemd/system/keepalived.service.d").is_err(), "an empty directory is left");
    assert_eq!(addresses_on(LAN), [OWN, "192.0.2.7/32", PUBLISHED]);
}

#[test]
fn a_pair_that_is_taken_back_gives_the_addresses_back() {
    if !inside("a_pair_that_is_taken_back_gives_the_addresses_back") {
        return;
    }
    let mut node = Node::new();
    node.apply(vec![], &[GATEWAY, PUBLISHED], false);
    for step in ["addresses", "files", "activate", "read-back", "persist"] {
        let path = node.bundle(files(ELECTION), &[GATEWAY, PUBLISHED], true);
        let out = applier(&node.state(), &["apply", &path, "--auto-confirm", "--inject", &format!("{step}=error")]);
        assert!(!out.status.success(), "{step}");
        assert!(fs::metadata(Daemon::Keepalived.path()).is_err(), "{step}: its file is left");
        assert_eq!((addresses_on(LAN), node.drift()), (vec![OWN.into(), GATEWAY.into(), PUBLISHED.into()], vec![]), "{step}");
    }
    // They are ours again: nobody wants them, they go.
    node.apply(vec![], &[], false);
    assert_eq!(addresses_on(LAN), [OWN]);
}

#[test]
fn what_keepalived_would_refuse_is_told_before_anything_changes() {
    if !inside("what_keepalived_would_refuse_is_told_before_anything_changes") {
        return;
    }
    let mut node = Node::new();
    node.apply(vec![], &[GATEWAY], false);
    // Each line is of the forms a bundle may have; that an instance over IPv4 needs an address of IPv4 is told by keepalived alone.
    let wrong = ELECTION.replacen("10.20.20.1/32 dev chain no_track", "2001:db8:20:20::9/128 dev chain no_track preferred_lft 0", 1);
    assert_ne!(wrong, ELECTION);
    let path = node.bundle(files(&wrong), &[GATEWAY], true);
    let out = applier(&node.state(), &["apply", &path, "--auto-confirm"]);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(!out.status.success() && said.contains("step check") && said.contains("keepalived"), "{said}");
    assert!(said.contains("nothing had been changed yet"), "{said}");
    assert!(fs::metadata(Daemon::Keepalived.path()).is_err());
    assert_eq!(addresses_on(LAN), [OWN, GATEWAY]);
}
