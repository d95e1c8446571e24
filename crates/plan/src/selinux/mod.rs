//! The SELinux layer: in comes the model, out comes what SELinux must hold on each machine: a domain per service, labels, port
//! types, mounts with a context, and the SELinux users of accounts. Services that the base policy confines by itself, and
//! those a container engine runs, are left to it and named. Never: a rule without a catalogue entry or a line of the site
//! file behind it.
//!
//! | module | idea |
//! |---|---|
//! | [`types`] | what it is made of |
//! | [`base`] | what the base policy already holds, as data |
//! | `domain` | one service's domain |
//! | `file` | labels of its files |
//! | `port` | port types |
//! | `store` | stores that one service moves files between |
//! | `note` | what types cannot tell apart |
//! | [`way`] | from a Debian without SELinux to an enforcing one |
//! | [`instead`] | what carries these requirements on a kernel without SELinux |
//! | [`login`] | accounts and the SELinux users they log in as |
//! | [`act`] | what is done on that way, and what takes it back |

pub mod act;
pub mod base;
mod domain;
mod file;
pub mod instead;
pub mod login;
mod note;
mod port;
mod store;
pub mod types;
pub mod way;

pub use types::{
    DomainPlan, FileKind, FileLabel, LoginPlan, MountPlan, NeedUse, PortPlan, PortUse, SelinuxPlan, Shape, SharedKind, SharedPlan, Use, Why,
};

use crate::system::Ours;
use port::{Types, Want};
use site::model::{Flow, Host, Mode, Model};
use std::collections::{BTreeMap, BTreeSet};
use words::ServiceName;

/// File systems that keep no labels of their own.
const UNLABELLED: [&str; 3] = ["nfs3", "nfs4", "ceph"];

/// What SELinux must hold on a machine. `flows` are those the machine has a part in.
pub fn plan(model: &Model, host: &Host, flows: &[&Flow]) -> SelinuxPlan {
    let mode = model.layers.selinux;
    let mut out = SelinuxPlan {
        mode,
        domains: Vec::new(),
        shared: Vec::new(),
        ports: Vec::new(),
        mounts: Vec::new(),
        logins: Vec::new(),
        notes: Vec::new(),
    };
    if mode == Mode::Off {
        return out;
    }
    let ours: Vec<Ours<'_>> = host.instances.iter().filter_map(|i| Ours::of(model, host, i)).collect();
    let ours: Vec<Ours<'_>> = ours.into_iter().filter(|o| base::confined(o.instance.service.name.as_str()).is_none()).collect();
    let crowded = file::crowded(&ours);
    let mut by_service: BTreeMap<&ServiceName, Vec<&Ours<'_>>> = BTreeMap::new();
    for o in &ours {
        by_service.entry(&o.instance.service.name).or_default().push(o);
    }
    let mut shared = file::Shared::new();
    let mut drafts: Vec<domain::Draft> =
        by_service.values().filter_map(|o| domain::draft(model, host, flows, o, &crowded, &mut shared)).collect();
    store::join(&mut drafts, &mut shared);
    let types = Types::of(drafts.iter().flat_map(|d| d.binds.iter().chain(&d.connects)));
    out.ports = types.own();
    out.notes = note::of(host, &drafts, &types);
    out.domains = drafts.into_iter().map(|d| finish(d, &types)).collect();
    out.mounts = mounts(model, host, &shared);
    out.shared = shared.into_values().collect();
    let accounts: BTreeSet<_> = ours.iter().map(|o| o.account).collect();
    out.logins = accounts.into_iter().map(LoginPlan::service).collect();
    if !out.domains.is_empty() {
        out.logins.push(LoginPlan {
            login: "__default__".to_owned(),
            user: "user_u",
            why: "whoever is not named logs in without a way to an administrative role; operators are named one by one as staff_u"
                .to_owned(),
        });
    }
    out
}

fn finish(d: domain::Draft, types: &Types) -> DomainPlan {
    let mut plan = d.plan;
    plan.binds = types.uses(&d.binds);
    plan.connects = types.uses(&d.connects);
    plan
}

/// Stores on file systems without labels are mounted with the store's type.
fn mounts(model: &Model, host: &Host, shared: &file::Shared) -> Vec<MountPlan> {
    let mut out = Vec::new();
    for s in model.storages.iter().filter(|s| s.users.contains(&host.name) && UNLABELLED.contains(&s.kind.as_str())) {
        let Some(path) = &s.mount else { continue };
        let Some(store) = shared.values().find(|t| t.kind == SharedKind::Store && t.paths.contains(path)) else { continue };
        out.push(MountPlan {
            kind: s.kind.clone(),
            path: path.clone(),
            name: store.name.clone(),
            option: format!("context=system_u:object_r:{}:s0", store.name),
            origins: vec![s.origin.clone()],
        });
    }
    out
}

/// The ports a draft wants, both ways.
fn wants(d: &domain::Draft) -> impl Iterator<Item = &Want> {
    d.binds.iter().chain(&d.connects)
}
