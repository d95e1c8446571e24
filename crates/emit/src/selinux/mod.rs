//! SELinux modules in CIL. In comes a machine's plan, out come module texts by name: the common module, one per service, one for
//! what services share, and, while the layer observes, one that makes a domain permissive. Never: a rule the plan has no
//! reason for.
//!
//! | module | what it writes |
//! |---|---|
//! | `ravelin.cil` | attributes, common rules, needs, assertions: the same on every site |
//! | [`service`] | one service |
//! | [`shared`] | stores, caches, locks, port types |
//! | `cil` | comments, contexts, patterns |

mod cil;
pub mod service;
pub mod shared;

use plan::selinux::SelinuxPlan;
use site::model::Mode;
use std::collections::BTreeMap;

/// The common module.
pub const COMMON: &str = include_str!("ravelin.cil");
/// What RHEL's targeted policy names otherwise; untested.
pub const RHEL: &str = include_str!("ravelin-rhel.cil");

/// Every module of a machine, by its name without `.cil`, those that make a domain permissive included, whatever the layer says: on the way
/// there each domain comes permissive and is enforced later.
pub fn on_the_way(plan: &SelinuxPlan) -> BTreeMap<String, String> {
    modules(&SelinuxPlan { mode: if plan.mode == Mode::Off { Mode::Off } else { Mode::Observe }, ..plan.clone() })
}

/// Every module of a machine, by its name without `.cil`.
pub fn modules(plan: &SelinuxPlan) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    if plan.mode == Mode::Off || plan.domains.is_empty() {
        return out;
    }
    out.insert("ravelin".to_owned(), COMMON.to_owned());
    out.insert("ravelin_shared".to_owned(), shared::text(plan));
    for d in &plan.domains {
        out.insert(format!("ravelin_{}", d.stem), service::text(d));
        if plan.mode == Mode::Observe {
            out.insert(format!("ravelin_{}_observe", d.stem), service::permissive(d));
        }
    }
    out
}
