//! Whose an address is: what an operator put on stays whatever a bundle says, what we put on goes when nobody wants it any more. On real
//! devices in namespaces.

mod common;

use bundle::{Artefact, Bundle, OwnAddress};
use common::*;
use std::path::{Path, PathBuf};
use words::Digest;

const WAN: &str = "wan";

/// A machine under generations that differ in their addresses alone.
struct Line {
    dir: tempfile::TempDir,
    generation: u64,
    parent: Option<Digest>,
}

impl Line {
    fn new(operators: &[&str]) -> Self {
        run("nft", &["flush", "ruleset"]);
        device_of_its_own(WAN, operators);
        Self { dir: tempfile::tempdir().expect("directory"), generation: 0, parent: None }
    }
    fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }
    fn bundle(&mut self, addresses: &[&str]) -> String {
        self.generation += 1;
        let bundle = sealed_on(&ruleset("22"), self.generation, self.parent, vec![], WAN, addresses);
        self.written(&bundle)
    }
    fn written(&self, bundle: &Bundle) -> String {
        written(self.dir.path(), "bundle", bundle)
    }
    fn apply(&mut self, addresses: &[&str]) {
        let path = self.bundle(addresses);
        applied(&self.state(), &["apply", &path, "--auto-confirm"]);
        self.parent = status(&self.state())["confirmed"]["digest"].as_str().map(|d| d.parse().expect("digest"));
    }
}

fn status(state: &Path) -> serde_json::Value {
    serde_json::from_str(&applied(state, &["status", "--json"])).expect("JSON")
}

fn drift(state: &Path) -> Vec<String> {
    serde_json::from_value(status(state)["drift"].clone()).expect("lines")
}

#[test]
fn ours_go_when_nobody_wants_them_and_an_operators_never() {
    if !inside("ours_go_when_nobody_wants_them_and_an_operators_never") {
        return;
    }
    let mut line = Line::new(&["192.0.2.2/24", "192.0.2.5/32"]);
    line.apply(&["192.0.2.5/32", "192.0.2.6/32"]);
    assert_eq!(addresses_on(WAN), ["192.0.2.2/24", "192.0.2.5/32", "192.0.2.6/32"]);
    // Neither is wanted any more: one of them is not ours to take.
    line.apply(&["192.0.2.7/32"]);
    assert_eq!(addresses_on(WAN), ["192.0.2.2/24", "192.0.2.5/32", "192.0.2.7/32"]);
    // An operator takes ours off: drift, and the same bundle puts it right.
    run("ip", &["address", "del", "192.0.2.7/32", "dev", WAN]);
    assert_eq!(drift(&line.state()), ["address 192.0.2.7 is not on wan"]);
    let again = line.dir.path().join("bundle").display().to_string();
    applied(&line.state(), &["apply", &again, "--auto-confirm"]);
    assert_eq!((drift(&line.state()), addresses_on(WAN).len()), (vec![], 3));
    // The layer is switched off: nothing is wanted.
    line.generation += 1;
    let mut off = draft(&ruleset("22"), line.generation, line.parent);
    (off.artefacts, off.expected) = (vec![], bundle::Expected::default());
    let path = line.written(&Bundle::seal(off).expect("seals"));
    applied(&line.state(), &["apply", &path, "--auto-confirm"]);
    assert_eq!(addresses_on(WAN), ["192.0.2.2/24", "192.0.2.5/32"]);
}

#[test]
fn while_observing_ours_stay_and_none_comes() {
    if !inside("while_observing_ours_stay_and_none_comes") {
        return;
    }
    let mut line = Line::new(&["192.0.2.2/24"]);
    line.apply(&["192.0.2.6/32", "192.0.2.7/32"]);
    // The site goes back to observing, and is asked for one address less and one more.
    line.generation += 1;
    let mut with = draft(&ruleset("22"), line.generation, line.parent);
    let one = |a: &str| OwnAddress { device: WAN.into(), address: a.parse().expect("address"), source: false };
    with.artefacts.push(Artefact::Addresses { addresses: ["192.0.2.6/32", "192.0.2.8/32"].map(one).to_vec(), leave: true, elected: false });
    let path = line.written(&Bundle::seal(with).expect("seals"));
    applied(&line.state(), &["apply", &path, "--auto-confirm"]);
    assert_eq!((addresses_on(WAN), drift(&line.state())), (vec!["192.0.2.2/24".into(), "192.0.2.6/32".into()], vec![]));
    // After a boot what was ours is back, and nothing else.
    device_of_its_own(WAN, &["192.0.2.2/24"]);
    let file = line.state().join("addresses.json");
    let text = std::fs::read_to_string(&file).expect("record");
    std::fs::write(&file, text.replace(&apply::timer::boot_id(), "another")).expect("writes");
    applied(&line.state(), &["addresses"]);
    assert_eq!(addresses_on(WAN), ["192.0.2.2/24", "192.0.2.6/32"]);
}

#[test]
fn a_record_of_another_kernel_says_nothing() {
    if !inside("a_record_of_another_kernel_says_nothing") {
        return;
    }
    let mut line = Line::new(&[]);
    line.apply(&["192.0.2.6/32", "192.0.2.7/32"]);
    // After a boot the operator's own configuration has what ours had.
    let file = line.state().join("addresses.json");
    let text = std::fs::read_to_string(&file).expect("record");
    let boot = apply::timer::boot_id();
    assert!(text.contains(&boot), "{text}");
    std::fs::write(&file, text.replace(&boot, "another")).expect("writes");
    applied(&line.state(), &["addresses"]);
    line.apply(&[]);
    assert_eq!(addresses_on(WAN), ["192.0.2.6/32", "192.0.2.7/32"]);
}

#[test]
fn a_device_that_is_not_there_is_told_before_anything_changes() {
    if !inside("a_device_that_is_not_there_is_told_before_anything_changes") {
        return;
    }
    let mut line = Line::new(&[]);
    line.apply(&["192.0.2.6/32"]);
    let before = live();
    line.generation += 1;
    let bundle = sealed_on(&ruleset("22, 80"), line.generation, line.parent, vec![], "nowhere", &["192.0.2.7/32"]);
    let out = applier(&line.state(), &["apply", &line.written(&bundle), "--auto-confirm"]);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(!out.status.success() && said.contains("step check: there is no device nowhere to put 192.0.2.7 on"), "{said}");
    assert!(said.contains("nothing had been changed yet") && said.contains("devices = {"), "{said}");
    assert_eq!((live(), addresses_on(WAN)), (before, vec!["192.0.2.6/32".to_owned()]));
    // At boot the unit tries until it is there.
    run("ip", &["link", "del", WAN]);
    assert!(!applier(&line.state(), &["addresses"]).status.success());
    device_of_its_own(WAN, &[]);
    applied(&line.state(), &["addresses"]);
    assert_eq!(addresses_on(WAN), ["192.0.2.6/32"]);
}

#[test]
fn a_gateways_prefix_changes_and_goes_without_taking_others_along() {
    if !inside("a_gateways_prefix_changes_and_goes_without_taking_others_along") {
        return;
    }
    std::fs::write("/proc/sys/net/ipv4/conf/all/promote_secondaries", "0").expect("writes");
    let mut line = Line::new(&[]);
    std::fs::write("/proc/sys/net/ipv4/conf/wan/promote_secondaries", "0").expect("writes");
    line.apply(&["10.0.0.1/24"]);
    // An operator gives the node an address of its own, which the kernel hangs below ours.
    run("ip", &["address", "add", "10.0.0.2/24", "dev", WAN]);
    assert!(run("ip", &["address", "show", "dev", WAN]).contains("10.0.0.2/24 scope global secondary wan"));
    line.apply(&["10.0.0.1/32"]);
    assert_eq!(addresses_on(WAN), ["10.0.0.1/32", "10.0.0.2/24"]);
    let set = std::fs::read_to_string("/proc/sys/net/ipv4/conf/wan/promote_secondaries").expect("reads");
    assert_eq!(set.trim(), "0", "as it was before");
    // That the kernel would have taken it along is no tale.
    run("ip", &["address", "flush", "dev", WAN]);
    run("ip", &["address", "add", "10.0.0.1/24", "dev", WAN]);
    run("ip", &["address", "add", "10.0.0.2/24", "dev", WAN]);
    run("ip", &["address", "del", "10.0.0.1/24", "dev", WAN]);
    assert_eq!(addresses_on(WAN), [""; 0]);
}

#[test]
fn connections_of_the_machines_own_do_not_begin_at_a_virtual_address() {
    if !inside("connections_of_the_machines_own_do_not_begin_at_a_virtual_address") {
        return;
    }
    let line = Line::new(&["2001:db8::2/64"]);
    let begins_at = |source| {
        let mut with = draft(&ruleset("22"), if source { 1 } else { 2 }, None);
        let one = OwnAddress { device: WAN.into(), address: "2001:db8::f000/128".parse().expect("address"), source };
        with.artefacts.push(Artefact::Addresses { addresses: vec![one], leave: false, elected: false });
        let state = line.dir.path().join(format!("state-{source}"));
        device_of_its_own(WAN, &["2001:db8::2/64"]);
        run("ip", &["link", "set", "wan-peer", "up"]);
        applied(&state, &["apply", &line.written(&Bundle::seal(with).expect("seals")), "--auto-confirm"]);
        // While duplicates are looked for no address is used.
        for _ in 0..50 {
            if !run("ip", &["address", "show", "dev", WAN]).contains("tentative") {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        run("ip", &["-o", "route", "get", "2001:db8::f00f"])
    };
    // The longest common prefix would choose it (RFC 6724 rule 8).
    assert!(begins_at(true).contains("src 2001:db8::f000"));
    assert!(begins_at(false).contains("src 2001:db8::2 "));
}

#[test]
fn an_address_that_another_machine_of_the_link_has_is_told() {
    if !inside("an_address_that_another_machine_of_the_link_has_is_told") {
        return;
    }
    let mut line = Line::new(&[]);
    run("ip", &["link", "set", "wan-peer", "up"]);
    run("ip", &["address", "add", "2001:db8::12/64", "dev", "wan-peer", "nodad"]);
    line.apply(&["2001:db8::12/128", "2001:db8::13/128"]);
    let begun = std::time::Instant::now();
    while drift(&line.state()).is_empty() {
        let seen = run("ip", &["address", "show", "dev", WAN]);
        assert!(begun.elapsed() < std::time::Duration::from_secs(20), "{seen}");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert_eq!(drift(&line.state()), ["address 2001:db8::12 on wan is of no use: another machine of the link has it"]);
}
