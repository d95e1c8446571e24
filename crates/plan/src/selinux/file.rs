//! Labels of one service's files. In come an instance and its places, out come paths with their kinds and the shared types it
//! uses. Never: a label outside what the catalogue and the site file name.

use super::{
    base,
    types::{FileKind, FileLabel, Shape, SharedKind, SharedPlan, Use},
};
use crate::system::{Ours, gpu, unit};
use catalog::{Access, PathEntry, PathKind};
use std::collections::{BTreeMap, BTreeSet};
use words::Origin;

/// The type of the proof parameters.
const CACHE: &str = "ravelin_cache_t";
/// The type of the directory of GPU locks.
const LOCKS: &str = "ravelin_gpu_lock_t";
/// The type of what CUDA compiled.
const CUDA: &str = "ravelin_gpu_cache_t";
/// The type of directories in which several services keep logs.
const LOG_DIRECTORY: &str = "ravelin_log_dir_t";
/// The variable that names a log file.
const LOG_VARIABLE: &str = "GOLOG_FILE";
/// Directories whose programs belong to the distribution or the administrator: what lies there is labelled one by one.
const PROGRAM_DIRECTORIES: [&str; 6] = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin", "/bin", "/sbin"];

/// What a service's files come to.
pub(crate) struct Files {
    pub programs: Vec<FileLabel>,
    pub files: Vec<FileLabel>,
    pub uses: Vec<Use>,
}

/// Shared types while they are collected.
pub(crate) type Shared = BTreeMap<String, SharedPlan>;

/// Labels of one instance. `crowded` are log directories that several services use.
pub(crate) fn of(o: &Ours<'_>, gpu: bool, exec: &[String], crowded: &BTreeSet<String>, shared: &mut Shared) -> Files {
    let mut out = Files { programs: programs(o, exec), files: Vec::new(), uses: Vec::new() };
    for p in &o.instance.service.paths {
        entry(o, p, crowded, &mut out, shared);
    }
    let origin = || o.instance.origin.clone();
    if let Some(path) = unit_log(o) {
        let origins = vec![origin(), catalog_origin(o, "unit", &o.unit.source)];
        log(&path, origins, crowded, &mut out, shared);
    }
    // Also where the catalogue knows of none: the site file says that it writes there.
    for store in &o.places.stores {
        let why = "sectors and pieces it stores there".to_owned();
        share(shared, &mut out, &store_type(store), SharedKind::Store, store, true, why, vec![origin()]);
    }
    if gpu {
        let why = "lock files that all GPU processes of the machine share".to_owned();
        let source = Origin::Builtin { code: "gpu-locks".to_owned(), why: gpu::SOURCE.to_owned() };
        share(shared, &mut out, LOCKS, SharedKind::Locks, gpu::LOCKS, true, why, vec![source.clone()]);
        let why = "what CUDA compiled: services of one account share it".to_owned();
        share(shared, &mut out, CUDA, SharedKind::Cache, &gpu::cuda_cache(&o.places.home), true, why, vec![source]);
    }
    let own = format!("{}/{}.env", unit::ENVIRONMENT, o.instance.name);
    for path in o.unit.environment_files.iter().cloned().chain((o.unit.environment_files.is_empty()).then_some(own)) {
        out.files.retain(|f| f.path != path);
        out.files.push(label(&path, FileKind::Environment, Shape::File, false, vec![origin()]));
    }
    out.files.sort_by(|a, b| a.path.cmp(&b.path));
    out.files.dedup_by(|a, b| a.path == b.path);
    nest(&mut out.files);
    out
}

/// A program lies at its path; one in a directory of its own brings that directory along.
fn programs(o: &Ours<'_>, exec: &[String]) -> Vec<FileLabel> {
    let service = &o.instance.service;
    let first = o.unit.exec.split_whitespace().next().unwrap_or_default().to_owned();
    let named = service.paths.iter().filter(|p| p.kind == PathKind::Executable).filter_map(|p| o.places.entry(p));
    let mut out: BTreeMap<String, Shape> = named.chain([first]).map(|p| (p, Shape::File)).collect();
    for path in exec.iter().filter(|p| own_program(p)) {
        out.retain(|p, _| !p.starts_with(&format!("{path}/")));
        out.insert(path.clone(), Shape::Tree);
    }
    let origin = catalog_origin(o, "unit", &o.unit.source);
    out.into_iter().map(|(path, shape)| label(&path, FileKind::Exec, shape, false, vec![origin.clone()])).collect()
}

/// Whether a program a need names is the service's own, and not one of the distribution.
pub(crate) fn own_program(path: &str) -> bool {
    !PROGRAM_DIRECTORIES.iter().any(|d| path.starts_with(&format!("{d}/")))
}

fn entry(o: &Ours<'_>, p: &PathEntry, crowded: &BTreeSet<String>, out: &mut Files, shared: &mut Shared) {
    let Some(path) = o.places.entry(p) else { return };
    let path = path.trim_end_matches('/').to_owned();
    let write = p.access == Access::Write;
    let origins = vec![o.instance.origin.clone(), catalog_origin(o, &format!("path {}", p.path), &p.source)];
    let tree = |kind| label(&path, kind, Shape::Tree, write, origins.clone());
    let in_repo = o.places.repo.as_deref().is_some_and(|r| path.starts_with(&format!("{r}/")));
    match p.kind {
        PathKind::Repo => out.files.push(tree(FileKind::Data)),
        PathKind::Keystore => {
            let shape = if is_directory(o, p) { Shape::Tree } else { Shape::File };
            out.files.push(label(&path, FileKind::Keystore, shape, write, origins));
        }
        PathKind::Token => out.files.push(label(&path, FileKind::Token, Shape::File, write, origins)),
        PathKind::Config if !write => out.files.push(label(&path, FileKind::Config, Shape::File, false, origins)),
        PathKind::Config | PathKind::State if in_repo => {}
        PathKind::State if path.starts_with("/run/") => out.files.push(tree(FileKind::Runtime)),
        PathKind::Config | PathKind::State => out.files.push(tree(FileKind::Data)),
        PathKind::Store => {
            let why = p.note.clone().unwrap_or_else(|| "its store".to_owned());
            share(shared, out, &store_type(&path), SharedKind::Store, &path, write, why, origins);
        }
        PathKind::Cache => share(shared, out, CACHE, SharedKind::Cache, &path, write, "proof parameters".to_owned(), origins),
        PathKind::Log if in_repo => out.files.push(label(&path, FileKind::Log, Shape::Rotated, write, origins)),
        PathKind::Log => log(&path, origins, crowded, out, shared),
        // Lock files lie in the shared directory of GPU services; programs are labelled apart.
        PathKind::Lock | PathKind::Executable => {}
    }
}

/// A log outside the repository: its directory where it has that alone, else its file.
fn log(path: &str, origins: Vec<Origin>, crowded: &BTreeSet<String>, out: &mut Files, shared: &mut Shared) {
    let dir = log_directory(path);
    if crowded.contains(&dir) {
        let why = "its log lies beside others'".to_owned();
        share(shared, out, LOG_DIRECTORY, SharedKind::LogDirectory, &dir, true, why, origins.clone());
        out.files.push(label(path, FileKind::Log, Shape::Rotated, true, origins));
    } else {
        out.files.push(label(&dir, FileKind::Log, Shape::Tree, true, origins));
    }
}

/// A log the unit names and the catalogue's paths do not.
fn unit_log(o: &Ours<'_>) -> Option<String> {
    let path = o.unit.environment.get(LOG_VARIABLE)?;
    let named = o.instance.service.paths.iter().filter(|p| p.kind == PathKind::Log).filter_map(|p| o.places.entry(p));
    (!named.into_iter().any(|p| log_directory(&p) == log_directory(path))).then(|| path.clone())
}

/// The directories in which more than one of these services keeps logs.
pub(crate) fn crowded(ours: &[Ours<'_>]) -> BTreeSet<String> {
    let mut by: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for o in ours {
        for p in o.instance.service.paths.iter().filter(|p| p.kind == PathKind::Log) {
            if let Some(path) = o.places.entry(p) {
                by.entry(log_directory(&path)).or_default().insert(o.instance.service.name.as_str());
            }
        }
        if let Some(path) = unit_log(o) {
            by.entry(log_directory(&path)).or_default().insert(o.instance.service.name.as_str());
        }
    }
    by.into_iter().filter(|(_, services)| services.len() > 1).map(|(dir, _)| dir).collect()
}

/// The directory of a log: the path itself, or what holds it where it names a file.
fn log_directory(path: &str) -> String {
    match path.rsplit_once('/') {
        Some((dir, leaf)) if leaf.contains('.') && !dir.is_empty() => dir.to_owned(),
        _ => path.to_owned(),
    }
}

/// Whether a keystore is a directory: secrets lie in it, or its mode lets somebody search it.
fn is_directory(o: &Ours<'_>, p: &PathEntry) -> bool {
    let inside = format!("{}/", p.path);
    o.instance.service.secrets.iter().any(|s| s.path.starts_with(&inside))
        || [&p.mode, &p.tightest].into_iter().flatten().any(|m| m.trim_start_matches('0').starts_with('7'))
}

/// The type of a store: its path, since services that share it share the type.
fn store_type(path: &str) -> String {
    format!("ravelin_store{}_t", word(path))
}

/// A path as a part of a type's name.
fn word(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect()
}

#[expect(clippy::too_many_arguments, reason = "one row of a table")]
fn share(shared: &mut Shared, out: &mut Files, name: &str, kind: SharedKind, path: &str, write: bool, why: String, origins: Vec<Origin>) {
    let entry = shared.entry(name.to_owned()).or_insert_with(|| SharedPlan {
        name: name.to_owned(),
        kind,
        paths: BTreeSet::new(),
        origins: Vec::new(),
    });
    entry.paths.insert(base::canonical(path));
    entry.origins.extend(origins.iter().filter(|o| !entry.origins.contains(o)).cloned().collect::<Vec<_>>());
    match out.uses.iter_mut().find(|u| u.name == name) {
        Some(u) => u.write |= write,
        None => out.uses.push(Use { name: name.to_owned(), kind, write, why, origins }),
    }
}

fn label(path: &str, kind: FileKind, shape: Shape, write: bool, origins: Vec<Origin>) -> FileLabel {
    FileLabel { path: base::canonical(path), kind, shape, write, made_in: None, origins }
}

/// Files the service makes inside a directory of another kind get their own type as they are made. Files it only reads do not:
/// made on the first run they are state, and read-only once they are labelled.
fn nest(files: &mut [FileLabel]) {
    let trees: Vec<(String, FileKind)> = files.iter().filter(|f| f.shape == Shape::Tree).map(|f| (f.path.clone(), f.kind)).collect();
    for f in files.iter_mut().filter(|f| f.write) {
        let Some((dir, leaf)) = f.path.rsplit_once('/') else { continue };
        let around = trees.iter().filter(|(p, _)| dir == p || dir.starts_with(&format!("{p}/")));
        f.made_in = around.max_by_key(|(p, _)| p.len()).filter(|(_, k)| *k != f.kind).map(|(_, k)| (*k, leaf.to_owned()));
    }
}

/// Where the catalogue has it from.
pub(crate) fn catalog_origin(o: &Ours<'_>, entry: &str, source: &str) -> Origin {
    let service = &o.instance.service;
    let full =
        if source.contains(['@', ' ']) || service.source.is_empty() { source.to_owned() } else { format!("{}:{source}", service.source) };
    Origin::Catalog { service: service.name.to_string(), entry: entry.to_owned(), source: full }
}
