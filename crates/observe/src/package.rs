//! Packages by the files of dpkg and apt: which security updates wait, how old the lists are, where packages come from. In comes a
//! root, out come facts. Never: asks an archive, starts a program, takes a lock.

mod archive;
mod version;

pub use archive::{deb822, one_line};
pub use version::older;

use crate::{Error, Root};
use facts::{Failure, Packages, Source, Unread, Update};
use std::{collections::BTreeMap, fs, time::UNIX_EPOCH};

/// What dpkg knows of.
const STATUS: &str = "/var/lib/dpkg/status";
/// What apt fetched.
const LISTS: &str = "/var/lib/apt/lists";
/// Packages ask for a restart here.
const REBOOT: [&str; 2] = ["/run/reboot-required", "/var/run/reboot-required"];

/// What the package manager's files say. Another manager than dpkg is not understood, and that is said.
pub fn look(root: &Root, failed: &mut Vec<Failure>, unread: &mut Vec<Unread>) -> Result<Packages, Error> {
    let status = match root.text(STATUS) {
        Ok(text) => text,
        Err(Error::File { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::Partly("no package manager that is understood (dpkg is)".into()));
        }
        Err(e) => return Err(e),
    };
    let installed = stanzas(&status).filter(|s| s.installed).filter_map(|s| Some((s.package?, s.version?))).collect::<BTreeMap<_, _>>();
    let (pending, lists_from) = lists(root, &installed, failed);
    Ok(Packages {
        manager: Some("dpkg".into()),
        installed: u32::try_from(installed.len()).unwrap_or(u32::MAX),
        pending,
        lists_from,
        reboot: REBOOT.iter().any(|p| root.followed(p).exists()),
        repositories: archive::all(root, unread),
    })
}

/// Updates that the lists of security archives offer, and when lists were fetched last.
fn lists(root: &Root, installed: &BTreeMap<&str, &str>, failed: &mut Vec<Failure>) -> (Option<Vec<Update>>, Option<u64>) {
    let mut offered: BTreeMap<String, String> = BTreeMap::new();
    let (mut seen, mut fetched) = (false, None);
    for (name, path) in root.entries(LISTS) {
        let name = name.to_string_lossy().into_owned();
        if name.ends_with("Release") {
            let modified = fs::metadata(root.followed(&path)).and_then(|m| m.modified()).ok();
            fetched = fetched.max(modified.and_then(|t| t.duration_since(UNIX_EPOCH).ok()).map(|d| d.as_secs()));
        }
        if !name.contains("-security_") {
            continue;
        }
        if name.ends_with("_Packages.lz4") {
            failed.push(Failure { source: Source::Packages, reason: format!("{}: compressed lists are not read", path.display()) });
        } else if name.ends_with("_Packages") {
            let Ok(text) = root.text(&path.display().to_string()) else { continue };
            seen = true;
            for s in stanzas(&text) {
                let (Some(package), Some(version)) = (s.package, s.version) else { continue };
                // Of two versions of one package the newer is the one that waits.
                if installed.contains_key(package) && offered.get(package).is_none_or(|v| older(v, version)) {
                    offered.insert(package.to_owned(), version.to_owned());
                }
            }
        }
    }
    let waits = offered.into_iter().filter_map(|(package, wants)| {
        let have = *installed.get(package.as_str())?;
        older(have, &wants).then(|| Update { have: have.to_owned(), package, wants })
    });
    (seen.then(|| waits.collect()), fetched)
}

/// What is wanted of a stanza of dpkg's and apt's files.
#[derive(Debug, Default)]
struct Stanza<'a> {
    package: Option<&'a str>,
    version: Option<&'a str>,
    installed: bool,
}

/// The stanzas of a file. What does not read is left out: a package without a name or version says nothing.
fn stanzas(text: &str) -> impl Iterator<Item = Stanza<'_>> {
    text.split("\n\n").map(|block| {
        let mut out = Stanza::default();
        for line in block.lines() {
            if let Some(v) = line.strip_prefix("Package: ") {
                out.package = Some(v.trim());
            } else if let Some(v) = line.strip_prefix("Version: ") {
                out.version = Some(v.trim());
            } else if let Some(v) = line.strip_prefix("Status: ") {
                out.installed = v.trim_end().ends_with(" installed");
            }
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn updates_that_wait_are_found() {
        let dir = std::env::temp_dir().join(format!("ravelin-packages-{}", std::process::id()));
        let put = |path: &str, text: &str| {
            let path = dir.join(path);
            fs::create_dir_all(path.parent().expect("parent")).expect("makes");
            fs::write(path, text).expect("writes");
        };
        let package = |name: &str, version: &str, status: &str| format!("Package: {name}\n{status}Version: {version}\n\n");
        let here = "Status: install ok installed\n";
        let gone = "Status: deinstall ok config-files\n";
        put(
            "var/lib/dpkg/status",
            &[package("openssl", "3.0.9-1", here), package("curl", "7.88.1-10+deb12u5", here), package("old", "1", gone), "odd\n\n".into()]
                .concat(),
        );
        put(
            "var/lib/apt/lists/security.debian.org_debian-security_dists_bookworm-security_main_binary-amd64_Packages",
            &[
                package("openssl", "3.0.11-1~deb12u2", ""),
                package("curl", "7.88.1-10+deb12u5", ""),
                package("old", "2", ""),
                package("other", "2", ""),
            ]
            .concat(),
        );
        put("var/lib/apt/lists/security.debian.org_debian-security_dists_bookworm-security_InRelease", "");
        put("run/reboot-required", "");
        let mut failed = Vec::new();
        let found = look(&Root::tree(&dir), &mut failed, &mut Vec::new()).expect("reads");
        fs::remove_dir_all(&dir).expect("removes");
        let waits = [Update { package: "openssl".into(), have: "3.0.9-1".into(), wants: "3.0.11-1~deb12u2".into() }];
        assert_eq!(found.pending.as_deref(), Some(&waits[..]));
        assert!(found.reboot && found.installed == 2 && found.lists_from.is_some() && failed.is_empty());
    }
}
