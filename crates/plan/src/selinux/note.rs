//! What SELinux cannot tell apart on a machine, and what is left to others. In come the drafts and the port types, out come
//! diagnostics. Never: silence about a shared type.

use super::{
    base,
    domain::Draft,
    port::Types,
    types::{FileLabel, Shape},
    wants,
};
use crate::system::place::in_a_home;
use site::model::Host;
use std::collections::{BTreeMap, BTreeSet};
use words::{Code, Diagnostic, PortRange, Proto};

/// Ports the kernel hands out by itself; it does not ask the policy before one of them is bound (`ip_local_port_range`).
const EPHEMERAL: (u16, u16) = (32_768, 60_999);

/// Everything there is to say.
pub(crate) fn of(host: &Host, drafts: &[Draft], types: &Types) -> Vec<Diagnostic> {
    let mut out = Vec::new();
    let name = &host.name;
    for (proto, range, base_type, labels) in types.shared().filter(|(.., labels)| labels.iter().any(|l| l != "out")) {
        let also = list(&base::ports_of(proto, base_type).into_iter().filter(|r| *r != range).collect::<Vec<_>>());
        let covers = if also.is_empty() { String::new() } else { format!(", which also covers {also}") };
        out.push(
            Diagnostic::note(
                Code("SEL001"),
                format!("{name}: {range}/{proto} ({}) has the base policy's type {base_type}{covers}", join(labels)),
            )
            .help("domains of the base policy that may use that type may use this port as well; a port above 1023 without a type of its own avoids it"),
        );
    }
    for (proto, range, labels) in types.crowded() {
        out.push(
            Diagnostic::note(
                Code("SEL002"),
                format!("{name}: {range}/{proto} stands for {} alike: its type cannot tell them apart", join(labels)),
            )
            .help("give one of them another port; until then the packet filter tells them apart by address"),
        );
    }
    let ours: BTreeSet<(Proto, PortRange)> = drafts.iter().flat_map(|d| d.binds.iter()).map(|w| (w.proto, w.range)).collect();
    for (proto, range) in ours.into_iter().filter(|(_, r)| r.first() >= EPHEMERAL.0 && r.last() <= EPHEMERAL.1) {
        out.push(
            Diagnostic::note(
                Code("SEL003"),
                format!("{name}: {range}/{proto} lies among the ports the kernel hands out: any process may bind it, whatever its domain"),
            )
            .help("pin a port below 32768, or take it out of net.ipv4.ip_local_port_range"),
        );
    }
    for p in types.own() {
        for (proto, range) in p.ports {
            if let Some(base_type) = base::narrowest(proto, range.first()).filter(|_| range.is_one()) {
                out.push(Diagnostic::note(
                    Code("SEL010"),
                    format!(
                        "{name}: {range}/{proto} leaves the base policy's type {base_type} for {}: its own users lose that port",
                        p.name
                    ),
                ));
            }
        }
    }
    for d in drafts {
        one(name.as_str(), d, &mut out);
    }
    if drafts.iter().any(|d| wants(d).any(|w| w.proto == Proto::Udp)) {
        out.push(Diagnostic::note(
            Code("SEL004"),
            format!("{name}: sending over UDP is not tied to port types; the packet filter holds it"),
        ));
    }
    out.extend(clash(name.as_str(), drafts));
    out.extend(left(host));
    out
}

fn one(host: &str, d: &Draft, out: &mut Vec<Diagnostic>) {
    let service = &d.plan.service;
    if let Some(any) = &d.plan.dials_any {
        out.push(
            Diagnostic::note(
                Code("SEL005"),
                format!("{host}: {service} may connect to every port type but those of other services: {}", any.why),
            )
            .help("the packet filter keeps it from private addresses"),
        );
    }
    if d.plan.instances.len() > 1 {
        let names: BTreeSet<String> = d.plan.instances.iter().map(ToString::to_string).collect();
        out.push(Diagnostic::note(Code("SEL006"), format!("{host}: {} share one domain: they run the same program", join(&names))));
    }
    let homes: Vec<_> = d.plan.files.iter().filter(|f| in_a_home(&f.path)).collect();
    if let Some(first) = homes.first() {
        let tail = |f: &FileLabel| if f.shape == Shape::Tree { "(/.*)?" } else { "" };
        let lines = homes.iter().map(|f| format!("semanage fcontext -a -t {} '{}{}'", d.plan.file(f.kind), f.path, tail(f)));
        out.push(
            Diagnostic::warning(
                Code("SEL007"),
                format!("{host}: {} of {service} lies in a home directory, whose labels the policy makes from templates", first.path),
            )
            .help(format!("move it below /var/lib, or write its labels down locally: {}", lines.collect::<Vec<_>>().join("; "))),
        );
    }
}

/// Two services whose types would have the same name, or that claim the same path.
fn clash(host: &str, drafts: &[Draft]) -> Vec<Diagnostic> {
    let mut seen = BTreeMap::new();
    let mut out = Vec::new();
    for d in drafts {
        let service = &d.plan.service;
        for name in d.plan.types() {
            if let Some(other) = seen.insert(name.clone(), service).filter(|s| *s != service) {
                let message = format!("{host}: {other} and {service} would both have a type {name}");
                out.push(Diagnostic::error(Code("SEL011"), message).help("give the service of your own another name"));
            }
        }
        for f in &d.plan.files {
            if let Some(other) = seen.insert(f.path.clone(), service).filter(|s| *s != service) {
                let message = format!("{host}: {other} and {service} both claim {}: only one of them could use it", f.path);
                out.push(Diagnostic::error(Code("SEL012"), message).help("give each a path of its own, e.g. `repo` of the instance"));
            }
        }
    }
    out
}

/// Services that have no domain of ours.
fn left(host: &Host) -> Vec<Diagnostic> {
    let mut out = Vec::new();
    for i in &host.instances {
        let service = i.service.name.as_str();
        if let Some(domain) = base::confined(service) {
            out.push(Diagnostic::note(Code("SEL008"), format!("{}: {service} is left to the base policy's domain {domain}", host.name)));
        } else if let (Some(engine), true) = (&i.container, i.service.unit.is_some()) {
            out.push(Diagnostic::note(Code("SEL009"), format!("{}: {service} runs in {engine}: its domain is the engine's", host.name)));
        }
    }
    out
}

fn join(labels: &BTreeSet<String>) -> String {
    labels.iter().filter(|l| *l != "out").cloned().collect::<Vec<_>>().join(", ")
}

fn list(ranges: &[PortRange]) -> String {
    ranges.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
