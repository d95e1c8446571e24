//! Processes from `/proc`. Arguments are redacted; of the environment only the names of secret variables and places of files are kept.

use crate::{Error, Root};
use facts::{Process, secret};
use std::{collections::BTreeMap, fs};

/// Most arguments kept of one process; some start with thousands.
const MOST_ARGUMENTS: usize = 200;

/// All processes, sorted by id. Those that end meanwhile are left out.
pub fn list(root: &Root) -> Result<Vec<Process>, Error> {
    let entries = fs::read_dir(root.at("/proc")).map_err(|source| Error::File { path: "/proc".into(), source })?;
    let mut pids: Vec<u32> = entries.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    Ok(pids.into_iter().filter_map(|pid| one(root, pid)).collect())
}

fn one(root: &Root, pid: u32) -> Option<Process> {
    let path = |name: &str| format!("/proc/{pid}/{name}");
    let text = |path: &str| root.text(path);
    let status = text(&path("status")).ok()?;
    let field = |key: &str| status.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix(':')).map(str::trim).unwrap_or_default();
    // Real, effective, saved, file system.
    let effective = |key: &str| field(key).split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(u32::MAX);
    let bits = |key: &str| u64::from_str_radix(field(key), 16).unwrap_or(0);
    let cgroup = text(&path("cgroup")).unwrap_or_default();
    let environment = text(&path("environ")).unwrap_or_default();
    let arguments = text(&path("cmdline")).unwrap_or_default();
    let arguments: Vec<&str> = arguments.split('\0').take(MOST_ARGUMENTS).filter(|a| !a.is_empty()).collect();
    let link = |name: &str| fs::read_link(root.at(path(name))).ok().map(|p| p.to_string_lossy().into_owned());
    let label = text(&path("attr/current")).unwrap_or_default().trim_matches(['\0', '\n', ' ']).to_owned();
    Some(Process {
        pid,
        parent: field("PPid").parse().unwrap_or(0),
        comm: text(&path("comm")).unwrap_or_default().trim().to_owned(),
        exe: link("exe").unwrap_or_default(),
        argv: secret::redact_argv(&arguments),
        secret_env: secret_variables(&environment),
        places: places(&environment),
        uid: effective("Uid"),
        gid: effective("Gid"),
        groups: field("Groups").split_whitespace().filter_map(|g| g.parse().ok()).collect(),
        user: None,
        unit: unit(&cgroup),
        container: container(&cgroup),
        capabilities: bits("CapEff"),
        bounding: bits("CapBnd"),
        no_new_privs: field("NoNewPrivs") == "1",
        seccomp: field("Seccomp").parse().unwrap_or(0),
        label: (!label.is_empty()).then_some(label),
        cwd: link("cwd"),
        core_limit: core_limit(&text(&path("limits")).unwrap_or_default()),
    })
}

/// The soft limit of core dumps in `/proc/PID/limits`.
fn core_limit(limits: &str) -> Option<u64> {
    let soft = limits.lines().find_map(|l| l.strip_prefix("Max core file size"))?.split_whitespace().next()?;
    if soft == "unlimited" { Some(u64::MAX) } else { soft.parse().ok() }
}

fn secret_variables(environment: &str) -> Vec<String> {
    let names = environment.split('\0').filter_map(|v| v.split_once('=')).filter(|(_, value)| !value.is_empty());
    let mut out: Vec<String> = names.map(|(n, _)| n).filter(|n| secret::kind_of_name(n).is_some()).map(str::to_owned).collect();
    out.sort();
    out.dedup();
    out
}

/// Variables that say where files are: their names end so, and a single path is all they hold.
fn places(environment: &str) -> BTreeMap<String, String> {
    let named = |n: &str| n == "HOME" || n != "PATH" && (n.ends_with("_PATH") || n.ends_with("_REPO")) && secret::kind_of_name(n).is_none();
    let plain = |v: &str| v.starts_with(['/', '~']) && !v.contains(':') && secret::redact(v).1.is_empty();
    let all = environment.split('\0').filter_map(|v| v.split_once('='));
    all.filter(|(n, v)| named(n) && plain(v)).map(|(n, v)| (n.to_owned(), v.to_owned())).collect()
}

/// The innermost unit of a control group path.
fn unit(cgroup: &str) -> Option<String> {
    let ends = [".service", ".scope", ".socket"];
    let mut parts = cgroup.lines().filter_map(|l| l.rsplit(':').next()).flat_map(|p| p.split('/'));
    parts.rfind(|p| ends.iter().any(|e| p.ends_with(e))).map(str::to_owned)
}

/// The id of a container: 64 hexadecimal digits in a control group path, whatever the engine writes around them.
fn container(cgroup: &str) -> Option<String> {
    let mut parts = cgroup.split(|c: char| !c.is_ascii_hexdigit());
    parts.rfind(|p| p.len() == 64).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_groups_tell_unit_and_container() {
        assert_eq!(unit("0::/system.slice/lotus-daemon.service\n").as_deref(), Some("lotus-daemon.service"));
        let id = "ab".repeat(32);
        let docker = format!("0::/system.slice/docker-{id}.scope\n");
        assert_eq!(container(&docker), Some(id));
        assert_eq!(container("0::/user.slice\n"), None);
        assert_eq!(unit("0::/init.scope/x"), Some("init.scope".into()));
    }

    #[test]
    fn of_the_environment_places_are_kept_by_value() {
        let seen =
            places("LOTUS_PATH=/data/lotus\0PATH=/bin:/usr/bin\0HOME=/root\0API_INFO=/x\0MANPATH=/a\0LD_LIBRARY_PATH=/a:/b\0SECRET_PATH=x");
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), [("HOME".into(), "/root".into()), ("LOTUS_PATH".into(), "/data/lotus".into())]);
    }

    #[test]
    fn of_the_environment_only_names_are_kept() {
        let names = secret_variables("HOME=/root\0FULLNODE_API_INFO=eyJx.y.z:/ip4\0EMPTY_TOKEN=\0");
        assert_eq!(names, ["FULLNODE_API_INFO"]);
    }
}
