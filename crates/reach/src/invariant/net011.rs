//! NET011: no filter lets through what no flow allows. Proved over anything that may have happened before.

use super::{Cx, Violation};
use crate::conform::Side;

const HELP: &str = "apply the plan again; what other software lets in must be adopted by name or closed";

pub(super) fn check(cx: &mut Cx<'_, '_>) {
    for d in cx.deviations.iter().filter(|d| d.side == Side::Wider) {
        let mut v = Violation::new(cx.code, &d.host, format!("{} ({}) lets through what no flow allows", d.host, d.place), HELP);
        v.deviates(d);
        v.blame(cx.net.model);
        cx.out.push(v);
    }
}
