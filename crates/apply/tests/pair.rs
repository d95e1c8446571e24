//! A node of a pair: its daemons' files, and addresses that belong to an election and not to the bundle. On real devices in namespaces;
//! systemd does not run there, so that nothing is started.

mod common;

use bundle::{Artefact, Bundle, OwnAddress, OwnFile, pair::Daemon};
use common::*;
use std::{fs, path::PathBuf};
use words::Digest;

const LAN: &str = "lan";
const GATEWAY: &str = "192.0.2.1/32";
const PUBLISHED: &str = "192.0.2.9/32";

/// An election as the bundle's grammar admits it.
const ELECTION: &str = "# Written by ravelin.
global_defs {
    router_id here
    vrrp_version 3
    enable_script_security
    script_user nobody
    dynamic_interfaces
}
vrrp_instance ravelin {
    state BACKUP
    interface lan
    virtual_router_id 1
    priority 200
    advert_int 0.06
    unicast_src_ip 192.0.2.2
    unicast_peer {
        192.0.2.3
    }
    virtual_ipaddress {
        192.0.2.1/32 dev lan no_track
    }
}
";

fn file(path: &str, content: &str) -> OwnFile {
    OwnFile { path: path.into(), mode: 0o644, content: content.into() }
}

fn files(election: &str) -> Vec<OwnFile> {
    let drop_in = |d: Daemon| file(&format!("/etc/systemd/system/{}.d/10-ravelin.conf", d.unit()), &bundle::pair::drop_in(d));
    let sync = "# Written by ravelin.\nSync {\n    Mode FTFW {\n    }\n}\n";
    vec![
        file(Daemon::Keepalived.path(), election),
        file(Daemon::Conntrackd.path(), sync),
        drop_in(Daemon::Conntrackd),
        drop_in(Daemon::Keepalived),
    ]
}

struct Node {
    dir: tempfile::TempDir,
    generation: u64,
}

impl Node {
    fn new() -> Self {
        run("nft", &["flush", "ruleset"]);
        etc_of_its_own();
        fs::write("/etc/passwd", "root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/usr/sbin/nologin\n").expect("writes");
        device_of_its_own(LAN, &["192.0.2.2/24"]);
        Self { dir: tempfile::tempdir().expect("directory"), generation: 0 }
    }
    fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }
    fn status(&self) -> serde_json::Value {
        serde_json::from_str(&applied(&self.state(), &["status", "--json"])).expect("JSON")
    }
    fn parent(&self) -> Option<Digest> {
        self.status()["confirmed"]["digest"].as_str().map(|d| d.parse().expect("digest"))
    }
    fn drift(&self) -> Vec<String> {
        serde_json::from_value(self.status()["drift"].clone()).expect("lines")
    }
    /// The next bundle with these files and addresses.
    fn bundle(&mut self, files: Vec<OwnFile>, all: &[&str], elected: bool) -> String {
        self.generation += 1;
        let parent = if self.generation == 1 { None } else { self.parent() };
        let mut with = draft(&ruleset("22"), self.generation, parent);
        with.artefacts.extend(files.into_iter().map(Artefact::File));
        let one = |a: &&str| OwnAddress { device: LAN.into(), address: a.parse().expect("address"), source: false };
        with.artefacts.push(Artefact::Addresses { addresses: all.iter().map(one).collect(), leave: false, elected });
        written(self.dir.path(), "bundle", &Bundle::seal(with).expect("seals"))
    }
    fn apply(&mut self, files: Vec<OwnFile>, all: &[&str], elected: bool) {
        let path = self.bundle(files, all, elected);
        applied(&self.state(), &["apply", &path, "--auto-confirm"]);
    }
}

#[test]
fn an_election_gets_the_addresses_where_they_are() {
    if !inside("an_election_gets_the_addresses_where_they_are") {
        return;
    }
    let mut node = Node::new();
    node.apply(vec![], &[GATEWAY, PUBLISHED, "192.0.2.8/32"], false);
    node.apply(files(ELECTION), &[GATEWAY, PUBLISHED], true);
    // What is elected stays on its device, what nobody wants any more goes, and files lie where the daemons look.
    assert_eq!(addresses_on(LAN), [GATEWAY, "192.0.2.2/24", PUBLISHED]);
    assert_eq!(fs::read_to_string(Daemon::Keepalived.path()).expect("there"), ELECTION);
    assert!(fs::metadata("/etc/systemd/system/keepalived.service.d/10-ravelin.conf").is_ok());
    // The election takes it off: no drift, and nothing puts it back.
    run("ip", &["address", "del", GATEWAY, "dev", LAN]);
    assert_eq!(node.drift(), [""; 0]);
    applied(&node.state(), &["addresses"]);
    let again = node.dir.path().join("bundle").display().to_string();
    applied(&node.state(), &["apply", &again, "--auto-confirm"]);
    assert_eq!(addresses_on(LAN), ["192.0.2.2/24", PUBLISHED]);
    // A changed file is drift.
    fs::write(Daemon::Keepalived.path(), ELECTION.replace("200", "250")).expect("writes");
    assert!(node.drift().iter().any(|d| d.starts_with("/etc/keepalived/ravelin.conf differs")), "{:?}", node.drift());
    // Without a pair the files go, and what the election had is not ours to take.
    node.apply(vec![], &["192.0.2.7/32"], false);
    assert!(fs::metadata(Daemon::Keepalived.path()).is_err() && fs::metadata(Daemon::Conntrackd.path()).is_err());
    assert!(fs::metadata("/etc/systemd/system/keepalived.service.d").is_err(), "an empty directory is left");
    assert_eq!(addresses_on(LAN), ["192.0.2.2/24", "192.0.2.7/32", PUBLISHED]);
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
        assert_eq!((addresses_on(LAN), node.drift()), (vec![GATEWAY.into(), "192.0.2.2/24".into(), PUBLISHED.into()], vec![]), "{step}");
    }
    // They are ours again: nobody wants them, they go.
    node.apply(vec![], &[], false);
    assert_eq!(addresses_on(LAN), ["192.0.2.2/24"]);
}

#[test]
fn what_keepalived_would_refuse_is_told_before_anything_changes() {
    if !inside("what_keepalived_would_refuse_is_told_before_anything_changes") {
        return;
    }
    let mut node = Node::new();
    node.apply(vec![], &[GATEWAY], false);
    // Each line is of the forms a bundle may have; that the instance says of no address it is told of keepalived alone.
    let wrong = ELECTION.replace("    unicast_src_ip 192.0.2.2\n", "    unicast_src_ip 2001:db8::2\n");
    let path = node.bundle(files(&wrong), &[GATEWAY], true);
    let out = applier(&node.state(), &["apply", &path, "--auto-confirm"]);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(!out.status.success() && said.contains("step check") && said.contains("keepalived"), "{said}");
    assert!(said.contains("nothing had been changed yet"), "{said}");
    assert!(fs::metadata(Daemon::Keepalived.path()).is_err());
    assert_eq!(addresses_on(LAN), [GATEWAY, "192.0.2.2/24"]);
}

#[test]
fn states_are_told_by_the_active_node_alone() {
    if !inside("states_are_told_by_the_active_node_alone") {
        return;
    }
    let mut node = Node::new();
    assert!(applied(&node.state(), &["states", "--json"]).contains("no-pair"), "nothing is confirmed");
    node.apply(files(ELECTION), &[GATEWAY], true);
    // No daemon listens here: both ask for it, each in its own words.
    for active in [false, true] {
        if active {
            run("ip", &["address", "add", GATEWAY, "dev", LAN]);
        }
        let out = applier(&node.state(), &["states"]);
        assert!(!out.status.success(), "it said so although nobody listened");
    }
}
