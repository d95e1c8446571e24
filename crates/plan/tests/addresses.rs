//! Addresses an edge node must hold: from the examples' site files, and from changes of them.

mod common;

use common::example;
use plan::{Address, Devices, Options, Plan};
use site::model::{Mode, Model};
use words::{Origin, ZoneName};

fn plan(model: &Model) -> Plan {
    plan::plan(model, &Devices::default(), Options::default())
}

fn of<'a>(plan: &'a Plan, host: &str) -> &'a [Address] {
    let machine = plan.machines.iter().find(|(h, _)| h.as_str() == host).expect("planned").1;
    if machine.elected_addresses().is_empty() { &machine.addresses } else { machine.elected_addresses() }
}

fn said(plan: &Plan, host: &str) -> Vec<String> {
    of(plan, host).iter().map(|a| format!("{} {} {}", a.device, a.address, a.source)).collect()
}

#[test]
fn a_single_node_holds_what_is_published_at_the_edge() {
    let plan = plan(&example("curio-cluster"));
    assert_eq!(said(&plan, "fw1"), ["internet 203.0.113.70/32 false", "internet 203.0.113.71/32 false"]);
    for a in of(&plan, "fw1") {
        let line = |o: &Origin| matches!(o, Origin::Site { path, .. } if path.starts_with("publish"));
        assert!(!a.origins.is_empty() && a.origins.iter().all(line), "{:?}", a.origins);
    }
}

#[test]
fn of_a_pair_the_active_node_holds_virtual_and_translated_ones() {
    let plan = plan(&example("small"));
    let all = said(&plan, "fw-a");
    assert!(all.contains(&"internet 203.0.113.1/32 false".to_owned()) && all.contains(&"chain 10.20.20.1/32 false".to_owned()), "{all:?}");
    assert!(all.contains(&"chain 2001:db8:20:20::1/128 false".to_owned()), "{all:?}");
    let published: Vec<_> = of(&plan, "fw-a").iter().filter(|a| a.why.contains("published")).map(|a| a.address.to_string()).collect();
    assert_eq!(published, ["203.0.113.5/32", "203.0.113.6/32"]);
    // Either may be: nobody but the election puts them on.
    assert_eq!(said(&plan, "fw-b"), all);
    assert!(["fw-a", "fw-b"].iter().all(|n| plan.machines[*n].addresses.is_empty()));
    let hosts = plan.machines.values().filter(|m| !m.host.as_str().starts_with("fw-"));
    assert!(hosts.into_iter().all(|m| m.addresses.is_empty()));
}

#[test]
fn without_an_address_of_its_own_the_zone_says_what_is_on_the_link() {
    let mut model = example("small");
    let chain = ZoneName::new("chain").expect("name");
    model.hosts.get_mut("fw-a").expect("edge").interfaces.iter_mut().filter(|i| i.zone == chain).for_each(|i| i.addresses.clear());
    let all = said(&plan(&model), "fw-a");
    assert!(all.contains(&"chain 10.20.20.1/24 true".to_owned()) && all.contains(&"chain 2001:db8:20:20::1/64 true".to_owned()), "{all:?}");
}

#[test]
fn an_address_somebody_has_is_not_taken_and_observing_takes_none() {
    let mut model = example("small");
    let at = |model: &Model| model.flows.iter().flat_map(|f| &f.publish).find(|d| d.at != d.to).expect("published").at;
    let published = at(&model);
    let holds = |model: &Model| of(&plan(model), "fw-a").iter().any(|a| a.address.addr() == published);
    assert!(holds(&model));
    model.layers.network = Mode::Observe;
    let observing = plan(&model);
    assert!(observing.machines["fw-a"].wanted_addresses().is_empty() && !of(&observing, "fw-a").is_empty(), "left as they are");
    let options = Options { translate_while_observing: true };
    assert!(!plan::plan(&model, &Devices::default(), options).machines["fw-a"].wanted_addresses().is_empty());
    model.layers.network = Mode::Enforce;
    // The standby's own, then a host's.
    let internet = ZoneName::internet();
    let interface = |model: &mut Model, host: &str, zone: &ZoneName| {
        let of_zone = |i: &&mut site::model::Interface| i.zone == *zone;
        let i = model.hosts.get_mut(host).expect("host").interfaces.iter_mut().find(of_zone).expect("interface");
        i.addresses.push(published.into());
    };
    let mut standby = model.clone();
    interface(&mut standby, "fw-b", &internet);
    assert!(!holds(&standby));
    let zone = model.hosts["daemon1"].default_zone.clone();
    interface(&mut model, "daemon1", &zone);
    assert!(!holds(&model));
}

#[test]
fn a_change_of_them_is_told() {
    let old = example("small");
    let mut new = old.clone();
    let gone = new.flows.iter().flat_map(|f| &f.publish).find(|d| d.at != d.to).expect("published").at;
    new.flows.change(|flows| flows.iter_mut().for_each(|f| f.publish.retain(|d| d.at != gone)));
    let lines = plan::difference(&plan(&old), &plan(&new)).remove("fw-a").expect("differs").lines;
    let line = format!("- address {gone}/32 on internet while active: services are published at it");
    assert!(lines.contains(&line), "{lines:?}");
    // Back to observing takes none away, and coming from there puts them on.
    let mut watched = old.clone();
    watched.layers.network = Mode::Observe;
    let told = |a: &Model, b: &Model| plan::difference(&plan(a), &plan(b)).remove("fw-a").expect("differs").lines;
    assert!(!told(&old, &watched).iter().any(|l| l.contains("address 203")));
    assert!(told(&watched, &old).iter().any(|l| l.starts_with("+ address 203")));
}
