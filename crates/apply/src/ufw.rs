//! Ravelin's rules among UFW's. In comes what the bundle says of UFW's files, out come the files with Ravelin's entries replaced and
//! the kernel's chains filled from them, each family in one transaction of `iptables-restore`, as UFW loads them itself: there is
//! no moment without rules, which `ufw reload` would be. What was there is kept as text and put back.
//!
//! Never: touches another file below `/etc/ufw` than the two of people's rules and Ravelin's own profiles, changes an entry of
//! somebody else's, or loads UFW where it is not loaded.

use crate::Error;
use bundle::{PROFILE, UfwFile, UfwFiles};
use observe::{run, ufw::DIRECTORY};
use ruleset::{Ruleset, ufw as rules};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};
use words::Family;

/// UFW's own modes of its rule files and of profiles.
const RULES_MODE: u32 = 0o640;
const PROFILE_MODE: u32 = 0o644;
/// Seconds another holder of iptables' lock is waited for.
const PATIENCE: &str = "5";

/// What was there before a change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Files by path; `None` where there was none.
    files: BTreeMap<PathBuf, Option<String>>,
    /// What fills the kernel's chains again, by family.
    chains: Vec<(Family, String)>,
}

fn program(family: Family, what: &str) -> String {
    format!("{}{what}", if family == Family::V4 { "iptables" } else { "ip6tables" })
}

fn failed(what: impl std::fmt::Display) -> Error {
    Error::Ufw(what.to_string())
}

fn read(path: &Path) -> Result<Option<String>, Error> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Read { path: path.to_owned(), source }),
    }
}

fn rule_file(family: Family) -> PathBuf {
    Path::new(DIRECTORY).join(bundle::ufw_file(family))
}

fn profile_file(name: &str) -> PathBuf {
    Path::new(DIRECTORY).join("applications.d").join(name)
}

/// Profiles of Ravelin's that lie there.
fn profiles_there() -> BTreeSet<String> {
    let entries = fs::read_dir(Path::new(DIRECTORY).join("applications.d")).into_iter().flatten().flatten();
    entries.filter_map(|e| e.file_name().into_string().ok()).filter(|n| n.starts_with(PROFILE)).collect()
}

/// The kernel's filter table of a family as text.
fn save(family: Family) -> Result<String, Error> {
    run::output(&program(family, "-save"), &["-t", "filter"]).map_err(failed)
}

/// Fills chains, all of a family's at once. `--noflush`: chains that are not named stay.
fn restore(family: Family, text: &str, more: &[&str]) -> Result<(), Error> {
    let arguments = [&["--noflush", "-w", PATIENCE], more].concat();
    run::with_input(&program(family, "-restore"), &arguments, text).map(drop).map_err(failed)
}

/// The file as it must be.
fn merged(family: Family, file: &UfwFile) -> Result<String, Error> {
    let path = rule_file(family);
    let there = read(&path)?.ok_or_else(|| failed(format!("{} is not there", path.display())))?;
    rules::merge(&there, &file.block).ok_or_else(|| failed(format!("{} is no rule file of UFW's", path.display())))
}

/// Before anything is changed: nobody changed UFW's files since they were planned with, and iptables takes the new ones.
pub fn check(ufw: &UfwFiles) -> Result<(), Error> {
    for (family, file) in ufw.files() {
        let path = rule_file(family);
        if read(&path)?.map(|t| bundle::others(&t)) != Some(file.others) {
            return Err(failed(format!("{} was changed since the plan was made", path.display())));
        }
        let text = merged(family, file)?;
        if ufw.active {
            restore(family, &text, &["--test"])?;
        }
    }
    Ok(())
}

/// What is there: the files this may change, and the chains of people's rules.
pub fn keep(ufw: &UfwFiles) -> Result<Kept, Error> {
    let mut kept = Kept::default();
    for (family, _) in ufw.files() {
        kept.files.insert(rule_file(family), read(&rule_file(family))?);
        if ufw.active {
            kept.chains.push((family, chains(family, &save(family)?)));
        }
    }
    for name in profiles_there().iter().chain(ufw.profiles.keys()) {
        kept.files.insert(profile_file(name), read(&profile_file(name))?);
    }
    Ok(kept)
}

/// The part of a dump that fills the chains of people's rules.
fn chains(family: Family, dump: &str) -> String {
    let wanted = |chain: &str| chain.starts_with(&format!("{}-user-", rules::prefix(family)));
    let of = |line: &&str| match line.split_once(' ') {
        Some(("-A", rest)) => rest.split(' ').next().is_some_and(wanted),
        Some((head, _)) => head.strip_prefix(':').is_some_and(wanted),
        None => false,
    };
    let lines: Vec<&str> = dump.lines().filter(of).collect();
    format!("*filter\n{}\nCOMMIT\n", lines.join("\n"))
}

/// Puts what was there back. Out come files that would not.
pub fn put_back(kept: &Kept) -> Result<Vec<String>, Error> {
    for (family, text) in &kept.chains {
        restore(*family, text, &[])?;
    }
    let mut notes = Vec::new();
    for (path, text) in &kept.files {
        let done = match text {
            Some(text) if read(path).ok().flatten().as_ref() == Some(text) => Ok(()),
            Some(text) => write(path, text),
            None => sys::file::remove(path).map_err(Error::from),
        };
        notes.extend(done.err().map(|e| format!("{}: {}", path.display(), e.chain())));
    }
    if notes.is_empty() { Ok(notes) } else { Err(failed(notes.join("; "))) }
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    let mode = if path.parent().is_some_and(|p| p.ends_with("applications.d")) { PROFILE_MODE } else { RULES_MODE };
    Ok(sys::file::replace_as(path, text.as_bytes(), mode)?)
}

/// Puts Ravelin's rules in force: the kernel first, which either takes all of a family or nothing, then the files.
pub fn load(ufw: &UfwFiles) -> Result<(), Error> {
    let mut texts = Vec::new();
    for (family, file) in ufw.files() {
        let text = merged(family, file)?;
        if ufw.active {
            restore(family, &text, &[])?;
        }
        texts.push((rule_file(family), text));
    }
    let stale = profiles_there().into_iter().filter(|n| !ufw.profiles.contains_key(n));
    for name in stale {
        sys::file::remove(&profile_file(&name))?;
    }
    texts.extend(ufw.profiles.iter().map(|(n, t)| (profile_file(n), t.clone())));
    for (path, text) in texts {
        if read(&path)?.as_ref() != Some(&text) {
            write(&path, &text)?;
        }
    }
    Ok(())
}

/// Where files and kernel differ from what the bundle says. The operator's own rules are no difference.
pub fn differences(ufw: &UfwFiles) -> Result<Vec<String>, Error> {
    let mut out = Vec::new();
    for (family, file) in ufw.files() {
        let name = bundle::ufw_file(family);
        let Some(text) = read(&rule_file(family))? else {
            out.push(format!("{name} is not there"));
            continue;
        };
        let (there, wanted) = (rules::entries(&rules::owned(&text)), rules::entries(&file.block));
        let tuples = |all: &[rules::Entry]| all.iter().map(|e| (e.tuple.clone(), e.comment.clone(), e.rules.clone())).collect::<Vec<_>>();
        if tuples(&there) != tuples(&wanted) {
            let word = |e: &rules::Entry| e.owned().unwrap_or_default().to_owned();
            let missing: Vec<String> = wanted.iter().filter(|w| !there.iter().any(|t| t.tuple == w.tuple)).map(word).collect();
            out.push(format!("{name}: Ravelin's rules are not as they were written (missing: {})", missing.join(", ")));
        }
        if ufw.active {
            out.extend(in_kernel(family, name, &text)?);
        }
    }
    for (name, text) in &ufw.profiles {
        if read(&profile_file(name))?.as_ref() != Some(text) {
            out.push(format!("profile {name} is not as it was written"));
        }
    }
    Ok(out)
}

/// File and kernel must say the same, everybody's rules included: otherwise one of them was changed past UFW.
fn in_kernel(family: Family, name: &str, text: &str) -> Result<Vec<String>, Error> {
    let unread = |e: ruleset::ReadError| failed(format!("{name}: {e}"));
    let want = rules::people(&rules::read(text, family, name).map_err(unread)?, family);
    let have = rules::people(&ruleset::iptables::read(&save(family)?, family).map_err(unread)?, family);
    let of = |tables| Ruleset { tables, unread: Vec::new() };
    Ok(ruleset::compare(&of(want), &of(have)).iter().map(|d| format!("UFW, {name}: {d}")).collect())
}
