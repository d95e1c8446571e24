//! Moving sectors between stores, by executing `env mv -t` as Lotus and Curio do. In comes a profile, out come lines.

use super::{absolute, temporary};
use crate::act::{other, program, tell};
use std::{fs, io, path::Path};
use stub::Profile;

const GROUP: &str = "sectors";
/// What executes the move.
const ENV: &str = "/usr/bin/env";

pub fn all(profile: &Profile) {
    if !profile.need("exec").is_some_and(|n| n.paths.iter().any(|p| p.ends_with("/mv"))) {
        return;
    }
    // Every store to every other one; with one store, within it.
    for from in &profile.stores {
        for to in profile.stores.iter().filter(|to| *to != from || profile.stores.len() == 1) {
            tell(GROUP, format!("move a sector from {from} to {to}"), sector(profile, from, to));
        }
    }
    if profile.stores.is_empty() {
        let repo = profile.places.iter().find(|p| p.kind == "repo").map(|p| absolute(&p.path, p.default.as_deref()));
        let repo = repo.unwrap_or_else(|| Ok(temporary()));
        tell(GROUP, "move a sector within the repository", repo.and_then(|repo| sector(profile, &repo, &repo)));
    }
}

fn sector(profile: &Profile, from: &str, to: &str) -> io::Result<()> {
    let name = format!("s-t01000-{}-{}", profile.service, profile.instance);
    let made = Path::new(from).join("draft").join(&name);
    fs::create_dir_all(&made)?;
    fs::write(made.join("sealed"), vec![7; 1 << 16])?;
    let target = Path::new(to).join("sealed");
    fs::create_dir_all(&target)?;
    program(ENV, &["mv", "-t", &target.to_string_lossy(), &made.to_string_lossy()])?;
    let arrived = target.join(&name);
    let length = fs::metadata(arrived.join("sealed"))?.len();
    fs::remove_dir_all(&arrived)?;
    if length == 1 << 16 && !made.exists() { Ok(()) } else { Err(other("the sector did not arrive whole")) }
}
