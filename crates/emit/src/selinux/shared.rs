//! The module of what services share on a machine: stores, the parameter cache, GPU locks, port types. In comes the plan, out
//! comes CIL. Never: who uses a type (that stands in the service's module).

use super::cil::{comment, context, filecon, reason};
use plan::selinux::{SelinuxPlan, Shape, SharedKind};
use std::{collections::BTreeSet, fmt::Write as _};

/// A type of the base policy that public peers use as well: services that dial anybody may still reach it.
const PUBLIC: [&str; 1] = ["http_port_t"];

/// The module's text.
pub fn text(plan: &SelinuxPlan) -> String {
    let mut out = String::from("; What services of this machine share, and the port types of the site. Written by ravelin.\n");
    for s in &plan.shared {
        let what = match s.kind {
            SharedKind::Store => "store",
            SharedKind::Cache => "cache",
            SharedKind::Locks => "locks",
            SharedKind::LogDirectory => "log directory",
        };
        out.push('\n');
        reason(&mut out, &format!("{what}: {}", s.paths.iter().cloned().collect::<Vec<_>>().join(", ")), &s.origins);
        let _ = writeln!(out, "(type {0})\n(typeattributeset ravelin_shared ({0}))", s.name);
        for path in &s.paths {
            if s.kind == SharedKind::LogDirectory {
                let _ = writeln!(out, "(filecon \"{path}\" dir {})", context(&s.name));
            } else {
                out.push_str(&filecon(path, Shape::Tree, &s.name));
            }
        }
    }
    for m in &plan.mounts {
        out.push('\n');
        reason(&mut out, &format!("{} keeps no labels: mount {} with -o {}", m.kind, m.path, m.option), &m.origins);
    }
    for p in &plan.ports {
        out.push('\n');
        comment(&mut out, &format!("port: {}", p.stands_for.iter().cloned().collect::<Vec<_>>().join(", ")));
        let _ = writeln!(out, "(type {0})\n(typeattributeset ravelin_own_port ({0}))", p.name);
        for (proto, range) in &p.ports {
            let ports = if range.is_one() { range.to_string() } else { format!("({} {})", range.first(), range.last()) };
            let _ = writeln!(out, "(portcon {proto} {ports} {})", context(&p.name));
        }
    }
    let theirs: BTreeSet<&str> = plan
        .domains
        .iter()
        .flat_map(|d| d.binds.iter().chain(d.connects.iter().filter(|u| u.origins.iter().any(is_peer))))
        .map(|u| u.name.as_str())
        .filter(|n| !n.starts_with("ravelin_") && !PUBLIC.contains(n))
        .collect();
    if !theirs.is_empty() {
        out.push('\n');
        comment(&mut out, "Types of the base policy that services of this site share: who dials any public peer does not reach them.");
        for name in theirs {
            let _ = writeln!(out, "(typeattributeset ravelin_port ({name}))");
        }
    }
    out
}

fn is_peer(o: &words::Origin) -> bool {
    matches!(o, words::Origin::Catalog { entry, .. } if entry.starts_with("peer "))
}
