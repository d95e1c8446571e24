//! The system layer: in comes the model, out comes what each machine must hold besides its network: accounts, directories with
//! their modes, units with a sandbox and the services' own settings. Services run by a container engine are left to that
//! engine's form. Never: touches a service that no catalogue entry describes, or the distribution's own units.
//!
//! | module | idea |
//! |---|---|
//! | [`types`] | what it is made of |
//! | [`fit`] | whether a machine's unit may get its drop-in now
//! | [`moving`](mod@moving) | what moving a running service to its account takes, and what stands against it
//! | `place` | where a service's files are |
//! | `setting` | bind and announce addresses, pinned ports |
//! | `sandbox` | everything closed, opened by needs |
//! | `gpu` | what GPU services of a machine share |
//! | `hugepages` | huge pages as files |
//! | `unit` | drop-in and whole unit |

pub mod fit;
pub(crate) mod gpu;
mod hugepages;
pub mod moving;
pub(crate) mod place;
mod repository;
pub(crate) mod sandbox;
mod setting;
pub mod types;
pub(crate) mod unit;

pub use fit::{Fit, Judged, fits};
pub use moving::{Move, find, moving};
pub(crate) use setting::reach;
pub use types::{AccountPlan, ByHand, DataPlan, FileAct, FilePlan, HealthPlan, Line, Section, SystemPlan, UnitPlan};

use catalog::{Access, Need, PathKind};
use place::Places;
use sandbox::Wants;
use site::model::{Flow, Host, Instance, Mode, Model};
use std::collections::{BTreeMap, BTreeSet};
use words::{AccountName, Origin};

/// Where a path of the catalogue is for an instance.
pub(crate) fn place_of(model: &Model, host: &Host, instance: &Instance, path: &str) -> Option<String> {
    let home = home(instance, instance.account.as_ref()?);
    let default = instance.service.paths.iter().find(|p| p.path == path).and_then(|p| p.default.as_deref());
    Places::of(model, host, instance, home).absolute(path, default)
}

/// The instance's unit.
pub(crate) fn unit_name_of(host: &Host, instance: &Instance) -> Option<String> {
    unit::name(host, instance)
}

/// The instance's environment file.
pub(crate) fn environment_file_of(instance: &Instance) -> String {
    unit::environment_file(instance)
}

/// The catalogue's home belongs to the catalogue's account; another one has its own.
fn home(instance: &Instance, account: &AccountName) -> String {
    match instance.service.account.as_ref().filter(|a| a.name == *account) {
        Some(a) => a.home.clone(),
        None => format!("/var/lib/{account}"),
    }
}

/// Mode of a directory nobody but its account looks into.
const PRIVATE: u32 = 0o700;
/// Group of caches that several accounts of a machine use.
const CACHE_GROUP: &str = "filecoin-cache";

/// What a machine must hold. `flows` are those the machine has a part in.
pub(crate) fn plan(model: &Model, host: &Host, flows: &[&Flow]) -> SystemPlan {
    let mut out = SystemPlan {
        mode: model.layers.system,
        groups: BTreeMap::new(),
        accounts: BTreeMap::new(),
        files: Vec::new(),
        units: Vec::new(),
        by_hand: Vec::new(),
    };
    if out.mode == Mode::Off {
        return out;
    }
    let ours: Vec<Ours<'_>> = host.instances.iter().filter_map(|i| Ours::of(model, host, i)).collect();
    let mut caches: BTreeMap<String, BTreeSet<&AccountName>> = BTreeMap::new();
    for o in &ours {
        account(o, &mut out);
        files(o, &mut out.files);
        let hidden = hidden(o, &ours);
        let shared =
            model.storages.iter().any(|s| s.users.contains(&host.name) && s.mount.as_ref().is_some_and(|m| o.places.stores.contains(m)));
        let program = o.unit.exec.split_whitespace().next().unwrap_or_default().to_owned();
        let wants = Wants::new(o.instance, &o.places, program, hidden, shared);
        for path in o.places.writes().into_iter().filter(|p| sandbox::temporary(p)) {
            caches.entry(path).or_default().insert(o.account);
        }
        let whole = unit::is_whole(o.instance, o.unit, &o.name);
        let settings = setting::settings(model, host, o.instance, flows, &o.name, whole);
        let mut groups = Vec::new();
        if wants.has(Need::Gpu) {
            groups = o.instance.service.account.iter().flat_map(|a| &a.groups).map(|g| word(g).to_owned()).collect();
            groups.push(gpu::GROUP.to_owned());
        }
        out.units.push(unit::plan(&unit::Parts {
            instance: o.instance,
            unit: o.unit,
            name: o.name.clone(),
            account: o.account,
            groups,
            places: &o.places,
            settings: &settings,
            wants: &wants,
        }));
        out.by_hand.extend(settings.by_hand);
    }
    // What several accounts share belongs to none of them.
    let shared: Vec<&String> = caches.iter().filter(|(_, users)| users.len() > 1).map(|(path, _)| path).collect();
    for u in &mut out.units {
        u.data.writes.retain(|w| !shared.contains(&w));
    }
    share(&mut out, caches);
    hugepages::share(&mut out);
    out.units.sort_by(|a, b| a.name.cmp(&b.name));
    out.files.sort();
    out.files.dedup_by(|a, b| a.path == b.path && a.act == b.act);
    out.by_hand.sort();
    out
}

/// An instance that gets a unit.
pub(crate) struct Ours<'a> {
    pub instance: &'a Instance,
    pub unit: &'a catalog::Unit,
    pub account: &'a AccountName,
    pub name: String,
    pub places: Places<'a>,
}

impl<'a> Ours<'a> {
    pub fn of(model: &Model, host: &Host, instance: &'a Instance) -> Option<Self> {
        let unit = instance.service.unit.as_ref().filter(|_| instance.container.is_none())?;
        let account = instance.account.as_ref().filter(|a| a.as_str() != "root")?;
        let name = unit::name(host, instance)?;
        let home = home(instance, account);
        Some(Self { instance, unit, account, name, places: Places::of(model, host, instance, home) })
    }
}

fn word(group: &str) -> &str {
    group.split(':').next().unwrap_or(group).trim()
}

fn account(o: &Ours<'_>, out: &mut SystemPlan) {
    let origin = Origin::Catalog {
        service: o.instance.service.name.to_string(),
        entry: "account".to_owned(),
        source: o.instance.service.source.clone(),
    };
    let plan = out.accounts.entry(o.account.clone()).or_insert_with(|| AccountPlan {
        home: o.places.home.clone(),
        what: "Filecoin services".to_owned(),
        origins: Vec::new(),
    });
    for origin in [o.instance.origin.clone(), origin] {
        if !plan.origins.contains(&origin) {
            plan.origins.push(origin);
        }
    }
}

/// Directories it needs, and modes of what is secret.
fn files(o: &Ours<'_>, out: &mut Vec<FilePlan>) {
    let service = &o.instance.service;
    let own = o.account.to_string();
    let mut push = |path: String, act: FileAct, mode: u32, why: String| {
        out.push(FilePlan { path, act, mode, owner: own.clone(), group: own.clone(), why });
    };
    push(o.places.home.clone(), FileAct::Make, PRIVATE, "home of the account".to_owned());
    for p in &service.paths {
        let (Some(path), true) = (o.places.entry(p), p.access == Access::Write) else { continue };
        let tight = mode(p.tightest.as_deref().or(p.mode.as_deref()));
        match p.kind {
            PathKind::Repo => {
                // Directories on the way would otherwise be root's, and systemd-tmpfiles refuses to go through those.
                let inside = path.strip_prefix(&format!("{}/", o.places.home)).unwrap_or_default();
                for (n, _) in inside.match_indices('/') {
                    push(format!("{}/{}", o.places.home, &inside[..n]), FileAct::Make, PRIVATE, "on the way to the repository".to_owned());
                }
                push(path.clone(), FileAct::Make, PRIVATE, format!("repository of {}", o.instance.name));
                push(
                    path,
                    FileAct::Tighten,
                    tight.unwrap_or(PRIVATE),
                    format!("repository of {}: nobody else looks into it", o.instance.name),
                );
            }
            PathKind::Keystore => push(path, FileAct::Tighten, tight.unwrap_or(PRIVATE), "keys".to_owned()),
            PathKind::Log if !path.starts_with(&o.places.home) => {
                let dir = if path.rsplit('/').next().is_some_and(|l| l.contains('.')) { parent(&path) } else { path.clone() };
                push(dir, FileAct::Make, 0o750, format!("logs of {}", o.instance.name));
            }
            _ => {}
        }
    }
    for s in &service.secrets {
        let Some(tight) = mode(s.tightest.as_deref().or(s.mode.as_deref())) else { continue };
        let Some(path) = secret_path(o, &s.path) else { continue };
        let why = format!("{}: {}", s.holds, s.worth);
        if s.path.starts_with("/etc/") {
            // systemd reads it as root before the service starts: the account itself needs no access.
            out.push(FilePlan { path, act: FileAct::Tighten, mode: tight, owner: "root".to_owned(), group: "root".to_owned(), why });
        } else {
            out.push(FilePlan { path, act: FileAct::Tighten, mode: tight, owner: own.clone(), group: own.clone(), why });
        }
    }
    {
        let root = |path: String, act, mode, why: &str| FilePlan {
            path,
            act,
            mode,
            owner: "root".to_owned(),
            group: "root".to_owned(),
            why: why.to_owned(),
        };
        out.push(root(unit::ENVIRONMENT.to_owned(), FileAct::Make, PRIVATE, "environment files with tokens"));
        out.push(root(format!("{}/*.env", unit::ENVIRONMENT), FileAct::Tighten, 0o600, "tokens"));
    }
}

/// Where a secret lies; a directory of secrets means its files.
fn secret_path(o: &Ours<'_>, path: &str) -> Option<String> {
    if path.starts_with("db:") || path.starts_with('<') {
        return None;
    }
    let default = o.instance.service.paths.iter().find(|p| p.path == path).and_then(|p| p.default.as_deref());
    let plain = o.places.absolute(path.trim_end_matches('/'), default)?;
    if sandbox::temporary(&plain) || plain.starts_with("$") {
        return None;
    }
    let keys = o
        .instance
        .service
        .paths
        .iter()
        .any(|p| p.kind == PathKind::Keystore && p.path == path.trim_end_matches('/') && !path.contains("keypair"));
    Some(if path.ends_with('/') || keys { format!("{plain}/*") } else { plain })
}

fn parent(path: &str) -> String {
    path.rsplit_once('/').map_or_else(|| "/".to_owned(), |(dir, _)| dir.to_owned())
}

fn mode(text: Option<&str>) -> Option<u32> {
    u32::from_str_radix(text?, 8).ok()
}

/// What an instance must not see of the others on its machine: their keys, and their whole repository unless it is their
/// client, which may read address and token there.
fn hidden(o: &Ours<'_>, all: &[Ours<'_>]) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    for other in all.iter().filter(|x| x.instance.name != o.instance.name) {
        let Some(repo) = other.places.repo.clone() else { continue };
        let mine = |p: &str| o.places.repo.as_deref().is_some_and(|r| r == p || r.starts_with(&format!("{p}/")));
        if mine(&repo) {
            continue;
        }
        let client = o.instance.service.peers.iter().any(|p| p.service.contains(&other.instance.service.name));
        if client {
            let keys = other.instance.service.paths.iter().filter(|p| p.kind == PathKind::Keystore);
            out.extend(keys.filter_map(|p| other.places.entry(p)));
        } else {
            out.insert(repo);
        }
    }
    out
}

/// Caches, GPU locks and the groups they need.
fn share(out: &mut SystemPlan, caches: BTreeMap<String, BTreeSet<&AccountName>>) {
    for (path, users) in caches {
        let why = "proof parameters: made here so that a private temporary directory does not hide them".to_owned();
        let several = users.len() > 1;
        let owner = users.first().map(|a| a.to_string()).filter(|_| !several).unwrap_or_else(|| "root".to_owned());
        let group = if several { CACHE_GROUP.to_owned() } else { owner.clone() };
        let mode = if several { 0o2775 } else { 0o755 };
        out.files.push(FilePlan {
            path: path.clone(),
            act: FileAct::Make,
            mode,
            owner: owner.clone(),
            group: group.clone(),
            why: why.clone(),
        });
        if several {
            out.groups.insert(CACHE_GROUP.to_owned(), "proof parameters that several accounts use".to_owned());
            out.files.push(FilePlan { path, act: FileAct::ShareWithGroup, mode, owner, group, why });
            for u in &mut out.units {
                if u.account.as_ref().is_some_and(|a| users.contains(a)) && u.opened.contains(&Need::SharedTmp) {
                    add_group(u, CACHE_GROUP, "proof parameters that several accounts use");
                }
            }
        }
    }
    let gpu: Vec<&UnitPlan> = out.units.iter().filter(|u| u.opened.contains(&Need::Gpu)).collect();
    if gpu.is_empty() {
        return;
    }
    let homes: BTreeSet<(String, String)> = gpu
        .iter()
        .filter_map(|u| out.accounts.get_key_value(u.account.as_ref()?))
        .map(|(name, a)| (gpu::cuda_cache(&a.home), name.to_string()))
        .collect();
    for (path, owner) in homes {
        let why = "what CUDA compiled for this GPU".to_owned();
        out.files.push(FilePlan { path, act: FileAct::Make, mode: PRIVATE, group: owner.clone(), owner, why });
    }
    out.files.extend(gpu::files());
    out.groups.insert(gpu::GROUP.to_owned(), "lock files that GPU services share".to_owned());
    for group in ["render", "video"] {
        out.groups.insert(group.to_owned(), "GPU device nodes".to_owned());
    }
    out.units.push(gpu::unit());
}

fn add_group(unit: &mut UnitPlan, group: &str, why: &str) {
    match unit.drop_in.iter_mut().find(|l| l.key == "SupplementaryGroups") {
        Some(line) => line.value = format!("{} {group}", line.value),
        None => {
            let at = unit.drop_in.iter().position(|l| l.key == "Group").map_or(0, |n| n + 1);
            unit.drop_in.insert(at, Line::new("SupplementaryGroups", group).why(why, ""));
        }
    }
}
