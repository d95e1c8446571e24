//! Probes: each is walked through the rules of both plans again and is open or closed as it says; bounded, the operators' way first,
//! spread over receivers and families, the same every time.

mod common;

use bundle::trial::{Expect, Trial};
use common::{Planned, host, mini};
use reach::{
    Network, Packet, Prover, State,
    eval::Past,
    field::Field,
    network::Devices,
    probes::{Kind, MOST, Probes, Untried, probes},
};
use std::collections::{BTreeMap, BTreeSet};
use words::{Family, HostName, Proto};

fn between(old: &Planned, new: &Planned) -> BTreeMap<HostName, Probes> {
    let devices = Devices::new();
    let old = State { model: &old.model, rulesets: &old.rulesets, devices: &devices };
    probes(old, State { model: &new.model, rulesets: &new.rulesets, devices: &devices })
}

fn is_open(net: &Network<'_>, from: &HostName, t: &Trial, to: &HostName) -> bool {
    let own = net.machine(from).expect("sender").host.addresses();
    let src = t.from.or_else(|| own.into_iter().find(|a| Family::of(a) == Family::of(&t.to))).expect("source");
    let p = Packet::opening(Family::of(&t.to)).from(src).to(t.to).with(Field::Dport, t.port.into());
    let j = net.send(from, p, Past::Quiet, true);
    j.arrived() && j.received.as_ref() == Some(to)
}

/// Every probe is what it says under both plans. Gives how many there are of each kind.
#[track_caller]
fn hold(old: &Planned, new: &Planned) -> BTreeMap<Kind, usize> {
    let found = between(old, new);
    assert_eq!(found, between(old, new), "the same every time");
    let (mut one, mut other) = (Prover::once(), Prover::once());
    let (before, after) = (old.network(&mut one), new.network(&mut other));
    let mut kinds = BTreeMap::new();
    for (from, probes) in &found {
        assert!(probes.trials.len() <= MOST, "{from}: {}", probes.trials.len());
        let mut ended = false;
        for p in &probes.trials {
            assert_eq!(p.trial.proto, Proto::Tcp);
            assert_eq!(is_open(&after, from, &p.trial, &p.to), p.trial.expect == Expect::Open, "{from}: {p:?} afterwards");
            let then = p.before();
            assert_eq!(is_open(&before, from, &then, &p.to), then.expect == Expect::Open, "{from}: {p:?} before");
            assert!(!(ended && p.management) || probes.trials.len() > 12, "{from}: the operators' way comes first");
            ended |= !p.management;
            *kinds.entry(p.kind).or_default() += 1;
        }
    }
    kinds
}

fn with_a_line() -> Planned {
    let text = format!("{}\n[[allow]]\nfrom = \"h3\"\nto = \"h2\"\nport = \"7001/tcp\"\nwhy = \"a probe\"\n", mini::site(false));
    Planned::read("site.toml", &text)
}

#[test]
fn what_a_line_opens_is_tried_and_what_it_closes() {
    let (less, more) = (Planned::read("site.toml", &mini::site(false)), with_a_line());
    assert!(hold(&less, &more)[&Kind::New] > 0 && hold(&more, &less)[&Kind::Gone] > 0);
    for (old, new, kind, expect, before) in
        [(&less, &more, Kind::New, Expect::Open, Expect::Closed), (&more, &less, Kind::Gone, Expect::Closed, Expect::Open)]
    {
        let found = between(old, new);
        let of_h3 = &found[&host("h3")].trials;
        let p = of_h3.iter().find(|p| p.trial.port == 7001).expect("the line's port is tried");
        assert_eq!((p.kind, p.trial.expect, p.before().expect, &p.to), (kind, expect, before, &host("h2")));
        assert!(of_h3.first().is_some_and(|p| p.management), "{of_h3:?}");
        assert!(found.iter().all(|(h, f)| *h == host("h3") || f.trials.iter().all(|p| p.kind == Kind::Kept)), "{found:?}");
    }
}

#[test]
fn examples_hold() {
    let small = Planned::example("small");
    let kinds = hold(&small, &small);
    assert!(kinds[&Kind::Kept] > 20 && kinds.len() == 1, "{kinds:?}");
    let found = between(&small, &small);
    let untried: BTreeSet<Untried> = found.values().flat_map(|f| f.untried.values().copied()).collect();
    assert!(untried.contains(&Untried::Silent) && untried.contains(&Untried::Outside), "{untried:?}");
}

/// Hosts of the generated site: more than one machine tries.
const HOSTS: usize = 120;
/// What each machine tries of the operators' way at least.
const SHARE: usize = 12;

#[test]
fn together_they_meet_every_managed_machine_in_both_families() {
    let site = Planned::read("site.toml", &site::generate(HOSTS, 1));
    hold(&site, &site);
    let found = between(&site, &site);
    let tried = found.values().flat_map(|f| &f.trials);
    let met: BTreeSet<_> = tried.filter(|p| p.management).map(|p| (&p.to, Family::of(&p.trial.to))).collect();
    let wanted: BTreeSet<_> = site.model.hosts.values().flat_map(|h| h.addresses().map(move |a| (&h.name, Family::of(&a)))).collect();
    let zones = &site.model.management.zones;
    let operators = site.model.hosts.values().filter(|h| !h.edge && zones.iter().any(|z| h.interface(z).is_some())).count();
    assert!(operators > 2 && met.len() >= operators * SHARE, "{operators} machines try {} ends alone: each the same ones", met.len());
    let any: BTreeSet<_> = found.values().flat_map(|f| &f.trials).map(|p| (&p.to, Family::of(&p.trial.to))).collect();
    let never: Vec<_> = wanted.difference(&any).collect();
    assert!(never.len() * 10 < wanted.len(), "{never:?}");
}
