//! Backups as they were declared, and the restore tests that were recorded. In come the site file and arguments, out come
//! declarations and facts about them. Tests are kept in Ravelin's state directory, without names of keys.

use crate::{save, trouble::Trouble};
use clap::Args;
use facts::{Asset, Backup, Facts, RestoreTest};
use observe::{Root, backup::Declared};
use site::Model;
use std::{
    fs,
    path::{Path, PathBuf},
};
use words::HostName;

/// Tests that are kept: a year of daily ones of one backup.
const MOST_TESTS: usize = 400;

/// Taken by every verb that speaks of backups.
#[derive(Debug, Args)]
pub struct Given {
    /// A backup of this machine, as KIND=PATH: keystore, metadata, database or firewall; a star in the last part is any text
    #[arg(long = "backup", value_name = "KIND=PATH", value_parser = declared)]
    pub backups: Vec<Declared>,
    /// Where restore tests are recorded
    #[arg(long, value_name = "DIR", default_value = "/var/lib/ravelin")]
    pub state: PathBuf,
}

fn declared(text: &str) -> Result<Declared, String> {
    let (kind, path) = text.split_once('=').ok_or("KIND=PATH, for instance keystore=/srv/backup/keys-*.age")?;
    let of = Asset::ALL.into_iter().find(|a| a.word() == kind);
    let of = of.ok_or_else(|| format!("`{kind}` is no kind: keystore, metadata, database or firewall"))?;
    if !path.starts_with('/') {
        return Err("the path is absolute".into());
    }
    Ok(Declared { of, path: path.to_owned(), max_age: site::BACKUP_HOURS, copy: None })
}

/// All declarations for a machine: the site file's, then the arguments'.
pub fn all(given: &Given, place: Option<(&Model, &HostName)>) -> Vec<Declared> {
    let of_site = place.into_iter().flat_map(|(m, host)| m.backups.iter().filter(move |b| b.host == *host));
    let of_site = of_site.map(|b| Declared { of: b.of, path: b.path.clone(), max_age: b.max_age, copy: b.copy.clone() });
    of_site.chain(given.backups.iter().cloned()).collect()
}

/// Declared backups with what lies there.
pub fn look(root: &Root, declared: &[Declared], facts: &Facts, given: &Given) -> Vec<Backup> {
    observe::backup::look(root, declared, &facts.mounts, &recorded(&given.state))
}

fn file(state: &Path) -> PathBuf {
    state.join("restore-tests.json")
}

/// Recorded tests; none where there is no record or it does not read.
fn recorded(state: &Path) -> Vec<RestoreTest> {
    fs::read(file(state)).ok().and_then(|b| serde_json::from_slice(&b).ok()).unwrap_or_default()
}

/// Adds tests to the record.
pub fn record(state: &Path, made: Vec<RestoreTest>) -> Result<(), Trouble> {
    if made.is_empty() {
        return Ok(());
    }
    let mut all = recorded(state);
    all.extend(made);
    let over = all.len().saturating_sub(MOST_TESTS);
    all.drain(..over);
    fs::create_dir_all(state).map_err(|e| Trouble::io(state, e))?;
    let bytes = serde_json::to_vec_pretty(&all).map_err(|e| Trouble::bug(format!("the record does not serialise: {e}")))?;
    save::private(&file(state), &bytes)
}
