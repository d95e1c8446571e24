//! A host's own table: input and output by address, whatever the cable is plugged into. In comes a host of the model, out
//! comes its table. Never: a rule that depends on a device's name, loopback and container bridges excepted.

use crate::build::{Build, addresses, digit, prefix_set};
use crate::grant::{Grant, admit};
use crate::{MachinePlan, Role, container, essential, limit, sysctl};
use ipnet::IpNet;
use ruleset::{ChainKind, Hook, Key, Policy, Rule, Statement};
use site::model::{FlowKind, Party};
use std::net::IpAddr;
use words::Family;

/// Direction of a grant as the host sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    In,
    Out,
}

/// Who may open to this machine, or whom it may open to; the machine's side narrowed to its own addresses.
pub(crate) fn grants<'a>(build: &Build<'a>, side: Side, management: bool) -> Vec<Grant<'a>> {
    let own: Vec<IpAddr> = build.host.addresses().collect();
    let mut out = Vec::new();
    let mine = Party::Host(build.host.name.clone());
    let flows = build.flows.iter().copied().filter(|f| (f.kind == FlowKind::Management) == management);
    // What the nodes of a pair say to one another is asked more than an address: it has rules of its own.
    for flow in flows.filter(|f| !build.model.edge.is_within_pair(f)) {
        let (me, other) = if side == Side::In { (&flow.to, &flow.from) } else { (&flow.from, &flow.to) };
        if *other == mine {
            continue;
        }
        let whole_zone = matches!(me, Party::Zone(_)) && !build.host.edge;
        if *me != mine && !whole_zone {
            continue;
        }
        for leg in &flow.legs {
            let mut g = Grant::new(flow, leg);
            if whole_zone {
                let field = if side == Side::In { &mut g.dst } else { &mut g.src };
                let here = own.iter().filter(|a| field.iter().any(|n| n.contains(*a)));
                *field = here.map(|a| IpNet::from(*a)).collect();
                if field.is_empty() {
                    continue;
                }
            }
            out.push(g);
        }
    }
    out
}

/// Whether the machine's addresses are not in the site file.
pub(crate) fn dynamic(build: &Build<'_>) -> bool {
    let host = build.host;
    let unknown = host.interfaces.iter().all(|i| i.addresses.iter().all(|a| a.prefix_len() == 0));
    unknown || (build.model.edge.wan_dynamic && host.interfaces.iter().any(|i| i.zone.is_internet()))
}

/// Whether the machine learns its IPv6 gateway from router advertisements: in one of its zones that is how it is done.
pub(crate) fn advertised(build: &Build<'_>) -> bool {
    if build.host.edge {
        return build.model.edge.wan_dynamic;
    }
    build.host.interfaces.iter().any(|i| build.model.zones.get(&i.zone).is_none_or(site::model::Zone::is_advertised))
}

/// The machine's own addresses, as sets; packets that claim to come from them did not.
pub(crate) fn own_sets(build: &mut Build<'_>) -> Vec<Family> {
    let own: Vec<IpNet> =
        build.host.interfaces.iter().flat_map(|i| &i.addresses).filter(|a| a.prefix_len() > 0).map(|a| IpNet::from(a.addr())).collect();
    let mut out = Vec::new();
    for family in Family::ALL {
        let set = prefix_set(family, &own);
        if !set.elements.is_empty() {
            build.set(&format!("own/{}", digit(family)), set);
            out.push(family);
        }
    }
    out
}

/// Packets from outside in the machine's own name: a zone's prefix contains the machine's own addresses.
fn spoofed(build: &mut Build<'_>) -> Vec<Rule> {
    let (what, why) = ("refuses packets from outside in the machine's own name", "nobody else has this address");
    let mut out = Vec::new();
    for family in own_sets(build) {
        let own = Statement::Lookup { keys: vec![addresses(family).0], set: format!("own/{}", digit(family)), negated: false };
        out.extend(build.refuse("spoof/own", what, why, vec![own]));
    }
    out
}

/// The whole plan of a host.
pub(crate) fn plan(mut build: Build<'_>) -> MachinePlan {
    let dynamic = dynamic(&build);
    let b = &mut build;
    let input = input(b, dynamic);
    b.base("input", ChainKind::Filter, Hook::Input, 0, Policy::Drop, input);
    let output = output(b, dynamic);
    b.base("output", ChainKind::Filter, Hook::Output, 0, Policy::Drop, output);
    if container::engine(b.host) {
        container::chains(b);
    } else {
        let rules = b.refuse("deny/forward", "refuses to forward", "this machine is no router", Vec::new());
        b.base("forward", ChainKind::Filter, Hook::Forward, 0, Policy::Drop, rules);
    }
    let sysctls = sysctl::host(&build);
    build.finish(Role::Host, sysctls)
}

fn input(b: &mut Build<'_>, dynamic: bool) -> Vec<Rule> {
    let mut rules = vec![essential::loopback(b, "input", Key::Iifname), essential::established(b, "input")];
    rules.extend(spoofed(b));
    let management = grants(b, Side::In, true);
    rules.extend(admit(b, "management/in", &management));
    rules.extend(essential::related(b, "input"));
    rules.extend(essential::invalid(b, "input"));
    rules.extend(essential::neighbour_in(b, advertised(b)));
    if dynamic {
        rules.extend(essential::dhcp(b, true));
    }
    rules.extend(essential::echo_in(b));
    let flows = grants(b, Side::In, false);
    rules.extend(limit::meters(b, "input", &flows));
    rules.extend(admit(b, "in", &flows));
    rules.extend(b.refuse("deny/input", "refuses what no flow allows in", "everything that is not derived is denied", Vec::new()));
    rules
}

fn output(b: &mut Build<'_>, dynamic: bool) -> Vec<Rule> {
    let mut rules = vec![essential::loopback(b, "output", Key::Oifname), essential::established(b, "output")];
    rules.extend(essential::errors_and_neighbour_out(b, advertised(b)));
    rules.extend(essential::invalid(b, "output"));
    let management = grants(b, Side::Out, true);
    rules.extend(admit(b, "management/out", &management));
    if dynamic {
        rules.extend(essential::dhcp(b, false));
    }
    let flows = grants(b, Side::Out, false);
    rules.extend(admit(b, "out", &flows));
    rules.extend(b.refuse("deny/output", "refuses what no flow allows out", "everything that is not derived is denied", Vec::new()));
    rules
}
