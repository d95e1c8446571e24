//! One act carried out. In comes an act, out comes what was before, or that it is done. Programs are asked by name and arguments, never
//! through a shell. Never: records (that is [`crate::run`]), decides.

use crate::{Error, Record, label::ALONE};
use observe::run::{output, with_input};
use plan::selinux::{
    act::{Act, Before},
    login::{self, Mappings},
    way::PACKAGES,
};
use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// Largest file whose text is kept for undo.
const MOST: u64 = 1 << 20;
/// The kernel's own word on whether it refuses.
const ENFORCE: &str = "/sys/fs/selinux/enforce";

/// Type of files that `semodule` may map where the system enforces: below /var/lib its domain, semanage_t, reads and does not map
/// (refpolicy 2.20221101; `sesearch -A -s semanage_t -c file -p map`).
const READABLE_BY_SEMODULE: &str = "semanage_tmp_t";

/// What maps accounts; it comes with one of the packages.
const SEMANAGE: &str = "/usr/sbin/semanage";

/// What is done to the machine; tests put another one in its place.
pub trait Machine {
    /// What this act would change.
    fn before(&self, act: &Act) -> Result<Before, Error>;
    /// Does it.
    fn perform(&mut self, act: &Act) -> Result<(), Error>;
    /// SELinux runs in this kernel.
    fn runs(&self) -> bool;
}

/// This machine. Files lie below a root, `/` but in tests.
#[derive(Debug, Clone)]
pub struct Host {
    /// Where the files lie.
    pub root: PathBuf,
    /// Where modules lie.
    pub record: Record,
}

impl Host {
    fn at(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }
}

impl Machine for Host {
    fn before(&self, act: &Act) -> Result<Before, Error> {
        Ok(match act {
            Act::Packages(wanted) => Before::Packages(wanted - &installed()?),
            Act::Directory(path) if !self.at(path).exists() => Before::NoDirectory(path.clone()),
            Act::Directory(_) | Act::NoDirectory(_) | Act::Label(_) | Act::Unload(_) => Before::Nothing,
            Act::File { path, mode, .. } => {
                let (text, mode) = file(&self.at(path))?.map_or((None, *mode), |(text, mode)| (Some(text), mode));
                Before::File { path: path.clone(), text, mode }
            }
            Act::Menu => Before::Menu,
            Act::Load(wanted) => Before::Unloaded(wanted - &modules()?),
            Act::Logins(wanted) => {
                let (_, local) = logins()?;
                Before::Logins(wanted.keys().map(|login| (login.clone(), local.get(login).cloned())).collect())
            }
            Act::Enforce(_) => Before::Enforce(fs::read_to_string(ENFORCE).is_ok_and(|t| t.trim() == "1")),
        })
    }

    fn perform(&mut self, act: &Act) -> Result<(), Error> {
        match act {
            Act::Packages(wanted) => {
                let mut words = vec!["DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "--no-install-recommends"];
                words.extend(wanted.iter().map(String::as_str));
                output("env", &words)?;
            }
            Act::Directory(path) => {
                let path = self.at(path);
                fs::create_dir_all(&path).map_err(|e| Error::file(&path, e))?;
            }
            // Somebody else's files keep it.
            Act::NoDirectory(path) => drop(fs::remove_dir(self.at(path))),
            Act::File { path, text: Some(text), mode } => sys::file::replace_as(&self.at(path), text.as_bytes(), *mode)?,
            Act::File { path, text: None, .. } => sys::file::remove(&self.at(path))?,
            // Programs are run without the caller's language; the menu is written in it.
            Act::Menu => {
                let language = std::env::var("LANG").map(|l| format!("LANG={l}"));
                let words: Vec<&str> = language.iter().map(String::as_str).chain(["update-grub"]).collect();
                drop(output("env", &words)?);
            }
            Act::Load(names) => {
                let paths: Vec<String> = names.iter().map(|n| self.record.staged(n).display().to_string()).collect();
                let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
                if self.runs() {
                    output("chcon", &[&["-t", READABLE_BY_SEMODULE], &paths[..]].concat())?;
                }
                output("semodule", &[&["-i"], &paths[..]].concat())?;
                for name in names {
                    self.record.loaded(name)?;
                }
            }
            Act::Unload(names) => {
                let loaded = modules()?;
                let there: Vec<&str> = names.iter().filter(|n| loaded.contains(*n)).map(String::as_str).collect();
                if !there.is_empty() {
                    let words: Vec<&str> = ["-r"].into_iter().chain(there).collect();
                    output("semodule", &words)?;
                }
            }
            Act::Label(place) => {
                let alone = place.strip_suffix(ALONE).map(|p| if p.is_empty() { "/" } else { p });
                // Stores that are not mounted, places a service has not made yet: labelled when they are made.
                if Path::new(alone.unwrap_or(place)).symlink_metadata().is_ok() {
                    let words = alone.map_or_else(|| vec!["-F", "-R", "-T", "0", place], |directory| vec!["-F", directory]);
                    output("restorecon", &words)?;
                }
            }
            Act::Logins(changes) => {
                let (there, local) = logins()?;
                let lines = login::commands(changes, &there, &local);
                if !lines.is_empty() {
                    with_input("semanage", &["import"], &lines)?;
                }
            }
            Act::Enforce(on) if self.runs() => drop(output("setenforce", &[if *on { "1" } else { "0" }])?),
            Act::Enforce(_) => {}
        }
        Ok(())
    }

    fn runs(&self) -> bool {
        Path::new(ENFORCE).exists()
    }
}

/// Removes packages that the way brought, those that are still there.
pub fn remove_packages(packages: &BTreeSet<String>) -> Result<(), Error> {
    let there: BTreeSet<String> = &installed()? & packages;
    if there.is_empty() {
        return Ok(());
    }
    let mut words = vec!["DEBIAN_FRONTEND=noninteractive", "apt-get", "remove", "-y"];
    words.extend(there.iter().map(String::as_str));
    Ok(output("env", &words).map(drop)?)
}

/// Of the packages the way needs, those installed.
pub fn installed() -> Result<BTreeSet<String>, Error> {
    let text = output("dpkg-query", &["-W", "-f", "${Package} ${db:Status-Status}\\n"])?;
    let names = text.lines().filter_map(|l| l.strip_suffix(" installed"));
    Ok(names.filter(|n| PACKAGES.contains(n)).map(str::to_owned).collect())
}

/// Modules of Ravelin's in the policy's store; none where there is no store.
pub fn modules() -> Result<BTreeSet<String>, Error> {
    if !Path::new("/etc/selinux/config").exists() {
        return Ok(BTreeSet::new());
    }
    let text = output("semodule", &["-l"])?;
    Ok(text.lines().filter_map(|l| l.split_whitespace().next()).filter(|n| n.starts_with("ravelin")).map(str::to_owned).collect())
}

/// Mappings of accounts to SELinux users: all, and of these the machine's own. None where the policy's tools are not there.
pub fn logins() -> Result<(Mappings, Mappings), Error> {
    if !Path::new(SEMANAGE).exists() {
        return Ok(Default::default());
    }
    let asked = |words: &[&str]| output("semanage", words).map(|t| login::listed(&t));
    Ok((asked(&["login", "-l", "-n"])?, asked(&["login", "-l", "-n", "-C"])?))
}

/// A file's text and mode; `None` where there is none.
fn file(path: &Path) -> Result<Option<(String, u32)>, Error> {
    let meta = match fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::file(path, e)),
    };
    let bytes = sys::file::regular(path, MOST, false).map_err(|e| Error::file(path, e))?;
    let text = String::from_utf8(bytes).map_err(|e| Error::file(path, e))?;
    Ok(Some((text, meta.permissions().mode() & 0o7777)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_directories_come_and_go() {
        let dir = tempfile::tempdir().expect("directory");
        let mut host = Host { root: dir.path().to_owned(), record: Record::look(dir.path()) };
        fs::create_dir_all(dir.path().join("etc")).expect("makes");
        fs::write(dir.path().join("etc/c"), "found").expect("writes");
        fs::set_permissions(dir.path().join("etc/c"), fs::Permissions::from_mode(0o640)).expect("modes");
        let write = |path: &str| Act::File { path: path.into(), text: Some("ours".into()), mode: 0o644 };
        let make = Act::Directory("/etc/d".into());
        let found = Before::File { path: "/etc/c".into(), text: Some("found".into()), mode: 0o640 };
        assert_eq!(host.before(&write("/etc/c")).expect("looks"), found);
        assert_eq!(host.before(&make).expect("looks"), Before::NoDirectory("/etc/d".into()));
        let all = [write("/etc/c"), make, write("/etc/d/x")];
        let before: Vec<Before> = all
            .iter()
            .map(|act| {
                let before = host.before(act).expect("looks");
                host.perform(act).expect("does");
                before
            })
            .collect();
        assert_eq!(fs::read_to_string(dir.path().join("etc/d/x")).expect("reads"), "ours");
        for act in plan::selinux::act::back(&before).now {
            host.perform(&act).expect("takes back");
            host.perform(&act).expect("twice is once");
        }
        assert_eq!(fs::read_to_string(dir.path().join("etc/c")).expect("reads"), "found");
        assert_eq!(fs::metadata(dir.path().join("etc/c")).expect("there").permissions().mode() & 0o777, 0o640);
        assert!(!dir.path().join("etc/d").exists());
        // A link in the file's place is not followed.
        std::os::unix::fs::symlink("c", dir.path().join("etc/l")).expect("links");
        assert!(host.before(&write("/etc/l")).is_err());
    }
}
