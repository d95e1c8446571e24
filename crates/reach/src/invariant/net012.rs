//! NET012: everything on the way can be read. What cannot turns every "cannot reach" that depends on it into "unproven",
//! so it is named once for each machine.

use super::{Cx, Violation};

pub(super) fn check(cx: &mut Cx<'_, '_>) {
    let mut found = Vec::new();
    for (h, m) in cx.net.machines().iter().filter(|(h, _)| cx.concerns(h)) {
        for what in m.rules().iter().flat_map(|r| &r.unread) {
            found.push((h.clone(), what.clone()));
        }
    }
    for (h, what) in found {
        let message = format!("{h} has something that may filter or translate and cannot be read: {what}");
        let mut v = Violation::new(
            cx.code,
            &h,
            message,
            "move these rules to nftables or iptables-nft, or take them out; until then proofs over this machine do not hold",
        );
        v.certain = false;
        v.blame(cx.net.model);
        cx.out.push(v);
    }
}
