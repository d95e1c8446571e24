//! Set-id programs and programs with capabilities. In comes the sweep, out come edges: certain for interpreters and the like,
//! none for what distributions ship as set-id, uncertain for the rest. `nvidia-modprobe` is among the shipped ones.

use super::{edge, group, program};
use crate::{
    graph::{Edge, Evidence, Node},
    machine::Machine,
    technique::Technique,
};
use facts::{Account, FileKind, path::CAPABILITIES};

/// Capabilities that are uid 0 by another name where the program does what its caller wants.
const ROOT_LIKE: [&str; 11] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_SETUID",
    "CAP_SETGID",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_PTRACE",
    "CAP_SYS_ADMIN",
    "CAP_SETFCAP",
];

/// Names of capabilities in a set that lead to uid 0.
pub(super) fn root_like(set: u64) -> Vec<&'static str> {
    CAPABILITIES.iter().filter(|(n, bit)| ROOT_LIKE.contains(n) && set & (1 << bit) != 0).map(|(n, _)| *n).collect()
}

pub(super) fn edges(m: &Machine, account: &Account, out: &mut Vec<Edge>) {
    let Some(sweep) = &m.facts.sweep else { return };
    let me = m.identity(account);
    for f in sweep.found.iter().filter(|f| f.kind == FileKind::File && f.mode & 0o111 != 0) {
        // The sweep looked at the file; the directories above it are asked where they were looked at.
        let runs = m.paths.may(&me, &f.path, 1).unwrap_or(crate::access::bits(f, &me) & 1 != 0);
        if !runs {
            continue;
        }
        let seen = |what: &str| vec![Evidence::new(format!("{what} ({})", m.described(f))).at(&f.path, 0)];
        let known = program::escapes(&f.path);
        if f.mode & 0o4000 != 0 && f.uid != account.uid && !(program::usual_set_id(&f.path) && f.uid == 0) {
            let what = if known {
                "set-uid program that runs what its caller wants"
            } else {
                "set-uid program of nobody's distribution: what it does is not known"
            };
            out.push(edge(account, m.runner(f.uid), Technique::SetId, known, seen(what)));
        }
        let group_name = m.facts.groups.iter().find(|g| g.gid == f.gid).map_or("", |g| g.name.as_str());
        if f.mode & 0o2000 != 0 && !me.gids.contains(&f.gid) && !program::usual_set_id(&f.path) && group::how(group_name).is_some() {
            out.push(edge(account, Node::Group(group_name.to_owned()), Technique::SetId, known, seen("set-gid program")));
        }
        let capabilities = root_like(f.capabilities);
        if !capabilities.is_empty() && !program::usual_set_id(&f.path) {
            out.push(edge(account, Node::Root, Technique::FileCapability, known, seen(&format!("gains {}", capabilities.join(", ")))));
        }
    }
}
