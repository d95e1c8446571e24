//! A host whose filter is UFW: Ravelin's rules among UFW's own, and what stands around them. In comes a host of the model, out
//! come rules as UFW knows them and the ruleset they make together with UFW's own chains.
//!
//! | module | idea |
//! |---|---|
//! | [`rule`] | one rule as UFW knows it, and the form it has in the kernel |
//! | [`grants`] | flows as such rules: what is exact, then the public without what is not public |
//! | [`frame`] | UFW's own chains around the rules of people |
//! | `limits` | what one source may use of what is published |
//! | `forward` | what UFW does not judge: forwarding, published ports of containers |
//!
//! UFW is the one master of what is let in and out: Ravelin's own table lets nothing in there. It has a chain at the forwarding hook, where
//! container engines go around UFW, and, where a publication has a limit, one before UFW that refuses what is over it and nothing else. While observing nothing of UFW is changed: the table that only counts is nftables' in
//! either case. Never: an edge node; a rule UFW could not have written itself.

mod forward;
pub mod frame;
pub mod grants;
mod limits;
pub mod rule;

pub use rule::{Direction, Profile, UfwPlan, UfwRule};

use crate::build::Build;
use crate::{MachinePlan, Role, sysctl};
use site::model::{Firewall, Host, Mode};
use std::collections::BTreeSet;
use words::{Code, Diagnostic, HostName};

/// Whether UFW filters this host in this mode. `active` are the machines that reported it so.
pub fn rules(host: &Host, mode: Mode, active: &BTreeSet<HostName>) -> bool {
    let chosen = match host.firewall {
        Firewall::Ufw => true,
        Firewall::Nftables => false,
        Firewall::Auto => active.contains(&host.name),
    };
    chosen && mode == Mode::Enforce && !host.edge
}

/// The whole plan of a host behind UFW.
pub(crate) fn plan(mut build: Build<'_>) -> MachinePlan {
    let ufw = grants::rules(&mut build);
    limits::chain(&mut build);
    forward::chains(&mut build);
    let sysctls = sysctl::host(&build);
    let mut plan = build.finish(Role::Host, sysctls);
    plan.ruleset.tables.extend(frame::tables(&ufw));
    plan.ufw = Some(ufw);
    plan
}

/// What UFW cannot say of a machine's flows.
pub(crate) fn notes(plan: &MachinePlan) -> Vec<Diagnostic> {
    let Some(ufw) = &plan.ufw else { return Vec::new() };
    let mut out: Vec<Diagnostic> = Vec::new();
    for (flow, proto) in &ufw.unsaid {
        let message = format!("{}: UFW has no word for protocol {proto} of flow {flow}", plan.host);
        out.push(Diagnostic::error(Code("PLAN004"), message).help("set `firewall = \"nftables\"` for this host and disable UFW there"));
    }
    out
}
