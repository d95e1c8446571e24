//! su: `/etc/pam.d/su` may let members of a group, or everybody, become root without a password. In come the PAM lines, out come
//! edges. With a password asked for it is no way by itself.

use super::edge;
use crate::{
    graph::{Edge, Evidence, Node},
    machine::{Machine, lines},
    technique::Technique,
};
use facts::Account;

pub(super) fn edges(m: &Machine, account: &Account, out: &mut Vec<Edge>) {
    for path in ["/etc/pam.d/su", "/etc/pam.d/su-l", "/etc/pam.d/runuser"] {
        let Some(file) = m.text(path) else { continue };
        for (number, line) in lines(file).filter(|(_, l)| l.starts_with("auth")) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let has = |w: &str| words.iter().any(|x| x.contains(w));
            let lets = words.get(1).is_some_and(|c| *c == "sufficient" || c.contains("success=done") || c.contains("success=ok"));
            let evidence = || vec![Evidence::new(line).at(path, number)];
            if has("pam_wheel.so") && has("trust") {
                let group = words.iter().find_map(|w| w.strip_prefix("group=")).unwrap_or("wheel");
                let deny = has("deny");
                // Without a group `wheel` the module takes the group of id 0.
                let member = m.groups(account).iter().any(|(name, gid)| name == group || (group == "wheel" && *gid == 0));
                if member != deny {
                    out.push(edge(account, Node::Root, Technique::Su, lets, evidence()));
                }
            } else if has("pam_permit.so") && lets {
                out.push(edge(account, Node::Root, Technique::Su, true, evidence()));
            } else if lets && ["pam_exec.so", "pam_succeed_if.so", "pam_listfile.so", "pam_python"].iter().any(|w| has(w)) {
                out.push(edge(account, Node::Root, Technique::Su, false, evidence()));
            }
        }
    }
}
