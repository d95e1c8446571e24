//! NET009: every flow of the model passes every filter on its way, and so do the answers.

use super::{Cx, Violation, flow};
use crate::conform::Side;

const HELP: &str = "apply the plan again; a rule of other software that refuses first must give way or be adopted";

pub(super) fn check(cx: &mut Cx<'_, '_>) {
    for d in cx.deviations.iter().filter(|d| d.side == Side::Narrower) {
        let mut v = Violation::new(cx.code, &d.host, format!("{} ({}) drops what a flow of the site needs", d.host, d.place), HELP);
        v.deviates(d);
        let model = cx.net.model;
        if let Some(f) = model.flows.iter().find(|f| covers(f, &d.witness)) {
            v.notes.push(format!("the flow is {}: {} to {} on {}", f.id, f.from, f.to, f.target));
            if let Some(f) = flow(model, &f.id.0) {
                v.blame_origins(&f.origins);
            }
        }
        v.blame(model);
        cx.out.push(v);
    }
}

/// Whether a packet opens a connection of this flow, or answers one.
fn covers(f: &site::model::Flow, p: &crate::Packet) -> bool {
    let port = |n| !f.target.proto.has_ports() || f.target.ports.contains(n);
    f.target.proto == p.proto()
        && f.legs.iter().any(|l| {
            let there = |nets: &[ipnet::IpNet], a| nets.iter().any(|n| n.contains(&a));
            there(&l.src, p.src()) && there(&l.dst, p.dst()) && port(p.dport())
                || there(&l.dst, p.src()) && there(&l.src, p.dst()) && port(p.sport())
        })
}
