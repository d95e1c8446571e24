//! One service's domain. In come its instances on a machine, out comes what the domain may do. Never: opens anything that no
//! catalogue entry and no line of the site file asks for.

use super::{
    file::{self, Shared, catalog_origin},
    port::Want,
    types::{DomainPlan, FileLabel, NeedUse, Use, Why},
};
use crate::system::{Ours, sandbox::Wants};
use catalog::{Need, When};
use site::model::{Flow, FlowKind, Host, Instance, Model, Party};
use std::collections::BTreeSet;
use words::{Origin, Proto};

/// A domain while ports have no types yet.
pub(crate) struct Draft {
    pub plan: DomainPlan,
    pub binds: Vec<Want>,
    pub connects: Vec<Want>,
}

/// The domain of these instances of one service.
pub(crate) fn draft(
    model: &Model,
    host: &Host,
    flows: &[&Flow],
    ours: &[&Ours<'_>],
    crowded: &BTreeSet<String>,
    shared: &mut Shared,
) -> Option<Draft> {
    let service = &ours.first()?.instance.service;
    let mut plan = DomainPlan {
        stem: service.name.as_str().replace(['-', '.'], "_"),
        service: service.name.clone(),
        title: service.title.clone(),
        instances: ours.iter().map(|o| o.instance.name.clone()).collect(),
        units: ours.iter().map(|o| o.name.clone()).collect(),
        programs: Vec::new(),
        files: Vec::new(),
        binds: Vec::new(),
        connects: Vec::new(),
        dials_any: None,
        uses: Vec::new(),
        needs: Vec::new(),
        origins: ours.iter().map(|o| o.instance.origin.clone()).collect(),
    };
    let (mut binds, mut connects) = (Vec::new(), Vec::new());
    for o in ours {
        let program = o.unit.exec.split_whitespace().next().unwrap_or_default().to_owned();
        let wants = Wants::new(o.instance, &o.places, program, BTreeSet::new(), false);
        needs(o, &wants, &mut plan.needs);
        let exec: Vec<String> = wants.paths(Need::Exec).map(str::to_owned).collect();
        let files = file::of(o, wants.has(Need::Gpu), &exec, crowded, shared);
        merge_labels(&mut plan.programs, files.programs);
        merge_labels(&mut plan.files, files.files);
        merge_uses(&mut plan.uses, files.uses);
        binds.extend(listens(o));
        connects.extend(peers(host, flows, o.instance));
        outside(model, host, o, &mut connects, &mut plan.dials_any);
    }
    plan.files.sort_by(|a, b| a.path.cmp(&b.path));
    plan.uses.sort();
    plan.needs.sort_by_key(|n| n.need);
    Some(Draft { plan, binds, connects })
}

fn needs(o: &Ours<'_>, wants: &Wants<'_>, out: &mut Vec<NeedUse>) {
    for need in wants.all() {
        let (why, source) = wants.reason(need);
        let paths: Vec<String> = wants.paths(need).map(str::to_owned).collect();
        let origin = catalog_origin(o, &format!("need {need}"), &source);
        match out.iter_mut().find(|n| n.need == need) {
            Some(n) => n.paths.extend(paths.into_iter().filter(|p| !n.paths.contains(p)).collect::<Vec<_>>()),
            None => out.push(NeedUse { need, paths, why, origins: vec![origin] }),
        }
    }
}

fn merge_labels(into: &mut Vec<FileLabel>, from: Vec<FileLabel>) {
    for f in from {
        match into.iter_mut().find(|g| g.path == f.path) {
            Some(g) => g.write |= f.write,
            None => into.push(f),
        }
    }
}

fn merge_uses(into: &mut Vec<Use>, from: Vec<Use>) {
    for u in from {
        match into.iter_mut().find(|v| v.name == u.name) {
            Some(v) => v.write |= u.write,
            None => into.push(u),
        }
    }
}

/// What it binds.
fn listens(o: &Ours<'_>) -> Vec<Want> {
    let mut out = Vec::new();
    for l in &o.instance.listens {
        let source = o.instance.service.endpoint(l.endpoint.as_str()).map(|e| e.source.clone()).unwrap_or_default();
        for (proto, range) in l.proto.iter().flat_map(|p| l.ports.ranges().iter().map(move |r| (*p, *r))).filter(|(p, _)| p.has_ports()) {
            out.push(Want {
                proto,
                range,
                label: format!("{}.{}", o.instance.service.name, l.endpoint),
                why: format!("listens: {}", l.endpoint),
                origins: vec![o.instance.origin.clone(), catalog_origin(o, &format!("endpoint {}", l.endpoint), &source)],
            });
        }
    }
    out
}

/// Its declared peers: over the network as the flows have them, on its own machine as the catalogue names them.
fn peers(host: &Host, flows: &[&Flow], instance: &Instance) -> Vec<Want> {
    let own = Party::Host(host.name.clone());
    let mine = |o: &Origin| matches!(o, Origin::Catalog { service, entry, .. } if *service == instance.service.name.as_str() && entry.starts_with("peer "));
    let mut out = Vec::new();
    for f in flows.iter().filter(|f| f.from == own && f.kind == FlowKind::Derived && f.origins.iter().any(mine)) {
        let Some((service, endpoint, _)) = &f.service else { continue };
        out.extend(f.target.ports.ranges().iter().map(|r| Want {
            proto: f.target.proto,
            range: *r,
            label: format!("{service}.{endpoint}"),
            why: f.why.clone(),
            origins: f.origins.iter().filter(|o| mine(o) || matches!(o, Origin::Site { .. })).cloned().collect(),
        }));
    }
    for peer in &instance.service.peers {
        // One of several services that could play the part.
        let bound = peer.service.iter().find_map(|s| instance.uses.get(s)).map(|(h, i)| (h, i));
        let plays = |i: &&Instance| peer.service.contains(&i.service.name) && i.name != instance.name;
        for other in host.instances.iter().filter(plays) {
            let bound_elsewhere = bound.is_some_and(|(h, i)| (h, i) != (&host.name, &other.name));
            if bound_elsewhere {
                continue;
            }
            for l in other.listens.iter().filter(|l| l.endpoint == peer.endpoint) {
                out.extend(l.proto.iter().flat_map(|p| l.ports.ranges().iter().map(move |r| (*p, *r))).map(|(proto, range)| Want {
                    proto,
                    range,
                    label: format!("{}.{}", other.service.name, l.endpoint),
                    why: peer.why.clone(),
                    origins: vec![
                        instance.origin.clone(),
                        other.origin.clone(),
                        Origin::Catalog {
                            service: instance.service.name.to_string(),
                            entry: format!("peer {}.{}", other.service.name, peer.endpoint),
                            source: peer.source.clone(),
                        },
                    ],
                }));
            }
        }
    }
    // A UDP socket has no connection the policy could refuse.
    out.retain(|w| w.proto == Proto::Tcp);
    out
}

/// What it reaches outside the site.
fn outside(model: &Model, host: &Host, o: &Ours<'_>, out: &mut Vec<Want>, any: &mut Option<Why>) {
    let configured = |to: &words::ProtoPorts| {
        model
            .externals
            .values()
            .any(|x| x.users.contains(&host.name) && x.target.iter().any(|t| t.proto == to.proto && t.ports.intersects(&to.ports)))
    };
    for e in &o.instance.service.egress {
        for to in e.to.iter().filter(|t| t.proto == Proto::Tcp).filter(|t| e.when != When::Configured || configured(t)) {
            let what = if e.any { "any public address".to_owned() } else { e.names.join(", ") };
            let origins = vec![o.instance.origin.clone(), catalog_origin(o, &format!("egress {what}"), &e.source)];
            if to.ports.is_all() {
                any.get_or_insert(Why { why: e.why.clone(), origins });
                continue;
            }
            out.extend(to.ports.ranges().iter().map(|r| Want {
                proto: to.proto,
                range: *r,
                label: "out".to_owned(),
                why: e.why.clone(),
                origins: origins.clone(),
            }));
        }
    }
}
