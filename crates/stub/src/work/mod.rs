//! What the daemon does. In comes a profile, out come lines: each group of actions is a file. Never: an action that no entry of
//! the catalogue stands behind, except what every program does at its start.

mod files;
mod machine;
mod memory;
mod runtime;
mod sectors;
mod sockets;

use crate::act::{Stage, other, tell};
use std::{env, fs::File, io, os::unix::fs::OpenOptionsExt as _, path::Path};
use stub::Profile;
use stub::profile::Place;

/// Needs that an action of some group stands for. `home` is the way to the repository, `chown` is part of moving sectors.
const COVERED: [&str; 16] = [
    "jit",
    "gpu",
    "shared-tmp",
    "meminfo",
    "netlink",
    "core-pinning",
    "hugepages",
    "memlock",
    "vfio",
    "exec",
    "shell",
    "low-port",
    "raw-socket",
    "home",
    "shared-ipc",
    "chown",
];

/// Everything, in the order of a start: ports before peers, so that two that wait for each other both come up.
pub fn all(profile: &Profile, stage: &mut Stage) {
    runtime::all(profile);
    files::all(profile, stage);
    machine::all(profile, stage);
    memory::all(profile, stage);
    sectors::all(profile);
    sockets::listen(profile, stage);
    sockets::dial(profile, stage);
    for need in profile.needs.iter().filter(|n| !COVERED.contains(&n.what.as_str())) {
        tell::<()>("needs", &need.what, Err(other("nothing is done for this need")));
    }
}

/// A place's path here, as the daemon finds it: by its variable, else by default below its home.
fn resolve(place: &Place) -> io::Result<String> {
    absolute(&place.path, place.default.as_deref())
}

fn absolute(path: &str, default: Option<&str>) -> io::Result<String> {
    let home = || env::var("HOME").map_err(|_| other("HOME is not set"));
    if let Some(rest) = path.strip_prefix('$') {
        let (variable, rest) = rest.split_once('/').map_or((rest, String::new()), |(v, r)| (v, format!("/{r}")));
        if let Ok(value) = env::var(variable) {
            return Ok(format!("{value}{rest}"));
        }
        return absolute(default.ok_or_else(|| other(format!("{variable} is not set")))?, None);
    }
    match path.strip_prefix('~') {
        Some(rest) => Ok(format!("{}{rest}", home()?)),
        None => Ok(path.to_owned()),
    }
}

/// Directory of temporary files, as programs find it.
fn temporary() -> String {
    env::var("TMPDIR").unwrap_or_else(|_| "/tmp".to_owned())
}

/// A file for writing, made with this mode if it is not there.
fn open(path: &Path, mode: u32) -> io::Result<File> {
    File::options().read(true).write(true).create(true).truncate(false).mode(mode).open(path)
}

#[cfg(all(test, feature = "derive"))]
mod tests {
    use super::*;

    #[test]
    fn something_is_done_for_every_need_of_the_catalogue() {
        let words: Vec<&str> = catalog::Need::ALL.iter().map(|n| n.word()).collect();
        assert!(words.iter().all(|w| COVERED.contains(w)) && words.len() == COVERED.len());
    }

    #[test]
    fn paths_follow_the_environment_as_the_daemons_do() {
        let home = env::var("HOME").expect("a home");
        let found = |path: &str, default: Option<&str>| absolute(path, default).expect("a path");
        assert_eq!(found("$NOT_SET_HERE/token", Some("~/.x/token")), format!("{home}/.x/token"));
        assert_eq!(found("$HOME/token", Some("/elsewhere/token")), format!("{home}/token"));
        assert_eq!(found("/var/log/x", None), "/var/log/x");
        assert!(absolute("$NOT_SET_HERE", None).is_err());
    }
}
