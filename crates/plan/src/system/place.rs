//! Where a service's files are on this machine. In come an instance and its account's home, out come absolute paths for the
//! catalogue's entries. Never: looks at a disk.

use catalog::{PathEntry, PathKind, Service};
use site::model::{Host, Instance, Model};
use std::collections::BTreeSet;

/// Directories of people; a repository in one of them must be let through.
const HOMES: [&str; 3] = ["/home", "/root", "/run/user"];

/// An instance's places.
pub(crate) struct Places<'a> {
    service: &'a Service,
    pub home: String,
    /// Its repository, where it has one.
    pub repo: Option<String>,
    repo_variable: Option<&'a str>,
    /// Directories outside the repository that the site file or a store gives it.
    pub stores: BTreeSet<String>,
}

impl<'a> Places<'a> {
    pub fn of(model: &Model, host: &Host, instance: &'a Instance, home: String) -> Self {
        let service = &*instance.service;
        let entry = service.paths.iter().find(|p| p.kind == PathKind::Repo);
        let repo_variable = entry.and_then(|p| p.path.strip_prefix('$')).filter(|v| !v.contains('/'));
        // Where Ravelin's own unit puts it, else where upstream does.
        let ours = repo_variable.and_then(|v| service.unit.as_ref()?.environment.get(v)).cloned();
        let usual = ours.or_else(|| entry.map(|p| p.default.clone().unwrap_or_else(|| p.path.clone()))).map(|p| tilde(&p, &home));
        let repo = entry.and(instance.repo.clone().or(usual));
        let mut stores: BTreeSet<String> = instance.stores.iter().cloned().collect();
        if takes_stores(service) {
            stores.extend(model.storages.iter().filter(|s| s.users.contains(&host.name)).filter_map(|s| s.mount.clone()));
        }
        Self { service, home, repo, repo_variable, stores }
    }

    /// The variable that names the repository, with its value.
    pub fn repo_setting(&self) -> Option<(&'a str, &str)> {
        Some((self.repo_variable?, self.repo.as_deref()?))
    }

    /// Absolute path of a catalogue path; `None` for stores, databases and variables without a default.
    pub fn absolute(&self, path: &str, default: Option<&str>) -> Option<String> {
        if let Some(rest) = path.strip_prefix('$') {
            let (variable, rest) = rest.split_once('/').map_or((rest, None), |(v, r)| (v, Some(r)));
            let join = |base: &str| rest.map_or_else(|| base.to_owned(), |r| format!("{base}/{r}"));
            if Some(variable) == self.repo_variable {
                return self.repo.as_deref().map(join);
            }
            if let Some(value) = self.service.unit.as_ref().and_then(|u| u.environment.get(variable)) {
                return Some(join(value));
            }
            return default.map(|d| tilde(d, &self.home));
        }
        if path.starts_with('~') {
            // The repository may be moved by the site file, and what lies in it moves along.
            let usual = self.service.paths.iter().find(|p| p.kind == PathKind::Repo).map(|p| p.path.as_str());
            if let (Some(rest), Some(repo)) = (usual.and_then(|u| path.strip_prefix(u)), &self.repo) {
                return Some(format!("{repo}{rest}"));
            }
            return Some(tilde(path, &self.home));
        }
        path.starts_with('/').then(|| path.to_owned())
    }

    /// The same for a path entry.
    pub fn entry(&self, p: &PathEntry) -> Option<String> {
        self.absolute(&p.path, p.default.as_deref())
    }

    /// Directories it writes outside its repository: stores, caches, logs, state. Lock files are left out: they are shared.
    pub fn writes(&self) -> BTreeSet<String> {
        let mut out = self.stores.clone();
        for p in self.service.paths.iter().filter(|p| p.access == catalog::Access::Write && p.kind != PathKind::Lock) {
            let Some(path) = self.entry(p) else { continue };
            out.insert(if p.kind == PathKind::Log { directory(&path).to_owned() } else { path });
        }
        let inside = |a: &str, b: &str| a != b && a.starts_with(&format!("{}/", b.trim_end_matches('/')));
        let all = out.clone();
        out.retain(|p| !self.repo.as_deref().is_some_and(|r| p == r || inside(p, r)) && !all.iter().any(|o| inside(p, o)));
        out
    }
}

/// Whether a service writes stores that the catalogue cannot name.
pub(crate) fn takes_stores(service: &Service) -> bool {
    service.paths.iter().any(|p| p.kind == PathKind::Store && p.path.starts_with('<'))
}

/// Whether a path lies in somebody's home.
pub(crate) fn in_a_home(path: &str) -> bool {
    HOMES.iter().any(|h| path == *h || path.starts_with(&format!("{h}/")))
}

/// The directory of a log: the path itself, or what holds it where it names a file.
fn directory(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some((dir, leaf)) if leaf.contains('.') && !dir.is_empty() => dir,
        _ => path,
    }
}

fn tilde(path: &str, home: &str) -> String {
    path.strip_prefix('~').map_or_else(|| path.to_owned(), |rest| format!("{home}{rest}"))
}
