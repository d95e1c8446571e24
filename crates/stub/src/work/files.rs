//! Its files: repository, keystore, tokens, state, caches, logs, locks, with the names and modes the daemon gives them. In comes a
//! profile, out come lines. A mode that comes out wider than the daemon's own is an error.

use super::{open, resolve};
use crate::{
    act::{Stage, other, tell},
    kernel,
};
use std::{
    fs,
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};
use stub::{Profile, profile::Place};

const GROUP: &str = "files";
/// Mode of a key below a keystore.
const KEY: u32 = 0o600;
/// The lock files of GPU work, in the temporary directory that all GPU processes share.
const SECOND_GPU_LOCK: &str = "bellman.priority.lock";
/// What it writes; what is read back must be it.
const CONTENT: &[u8] = b"written by the stand-in\n";

pub fn all(profile: &Profile, stage: &mut Stage) {
    // What holds the others comes first.
    let order = |p: &&Place| (p.kind != "repo", p.path.clone());
    let mut places: Vec<&Place> = profile.places.iter().collect();
    places.sort_by_key(order);
    for place in places {
        let path = match resolve(place) {
            Ok(path) => path,
            Err(e) => {
                tell::<()>(GROUP, format!("find {}", place.path), Err(e));
                continue;
            }
        };
        let path = Path::new(&path);
        match place.kind.as_str() {
            _ if !place.write => drop(tell(GROUP, format!("read {}", path.display()), read(path, place))),
            "repo" | "store" | "cache" if place.directory => directory(path, place, profile, stage),
            "keystore" if place.directory => {
                tell(GROUP, format!("make {}", path.display()), make(path, place.mode));
                let key = path.join("MF2XI2BNNJ3XILLQOJUXMYLUMU");
                tell(GROUP, format!("write {}", key.display()), file(&key, KEY));
            }
            "log" => {
                let path = if place.directory && path.extension().is_none() { path.join("stub.log") } else { path.to_owned() };
                let append = |p: &Path| {
                    up(p)?;
                    fs::File::options().append(true).create(true).mode(0o644).open(p)?.write_all(CONTENT)
                };
                tell(GROUP, format!("append to {}", path.display()), append(&path));
            }
            "lock" => {
                for path in [path.to_owned(), path.with_file_name(SECOND_GPU_LOCK)] {
                    // Held for a moment: another service of the machine takes its turn.
                    let turn = || {
                        let file = open(&path, 0o666)?;
                        for _ in 0..100 {
                            match kernel::lock(&file) {
                                Err(e) if e.kind() == io::ErrorKind::WouldBlock => std::thread::sleep(std::time::Duration::from_millis(50)),
                                other => return other,
                            }
                        }
                        Err(other("somebody else holds it"))
                    };
                    tell(GROUP, format!("lock {}", path.display()), turn());
                }
            }
            _ if place.directory => directory(path, place, profile, stage),
            _ => drop(tell(GROUP, format!("write {}", path.display()), file(path, place.mode))),
        }
    }
    for store in &profile.stores {
        let path = Path::new(store);
        tell(GROUP, format!("write below {store}"), file(&path.join(format!("{}-{}.piece", profile.service, profile.instance)), 0o644));
        tell(GROUP, format!("free space of {store}"), kernel::free_space(store));
    }
}

fn up(path: &Path) -> io::Result<()> {
    path.parent().filter(|p| !p.exists()).map_or(Ok(()), |p| fs::DirBuilder::new().recursive(true).mode(0o755).create(p))
}

fn make(path: &Path, mode: u32) -> io::Result<()> {
    if !path.is_dir() {
        fs::DirBuilder::new().recursive(true).mode(mode).create(path)?;
        narrow(path, mode)?;
    }
    fs::read_dir(path).map(drop)
}

fn narrow(path: &Path, mode: u32) -> io::Result<()> {
    let got = fs::metadata(path)?.permissions().mode() & 0o7777;
    // A directory that belongs to a group passes its bit on.
    if got & !mode & 0o777 == 0 { Ok(()) } else { Err(other(format!("{} has mode {got:o}, the daemon makes it {mode:o}", path.display()))) }
}

/// Writes a file as daemons do: under another name first, then moved in place.
fn file(path: &Path, mode: u32) -> io::Result<()> {
    up(path)?;
    let draft = path.with_extension("tmp");
    let there = path.exists();
    {
        let mut out = fs::File::options().write(true).create(true).truncate(true).mode(mode).open(&draft)?;
        out.write_all(CONTENT)?;
        out.sync_all()?;
    }
    fs::rename(&draft, path)?;
    let mut back = Vec::new();
    open(path, mode)?.read_to_end(&mut back)?;
    if back != CONTENT {
        return Err(other("what came back is not what was written"));
    }
    if there { Ok(()) } else { narrow(path, mode) }
}

fn read(path: &Path, place: &Place) -> io::Result<()> {
    if place.directory {
        return fs::read_dir(path).map(drop);
    }
    fs::File::open(path)?.read(&mut [0; 64]).map(drop)
}

/// A directory with a database in it: a lock for as long as it runs, files that are written, moved, mapped and removed.
fn directory(path: &Path, place: &Place, profile: &Profile, stage: &mut Stage) {
    let own = format!("stub-{}-{}", profile.service, profile.instance);
    let name = path.display();
    if tell(GROUP, format!("make {name}"), make(path, place.mode)).is_none() {
        return;
    }
    let cache = place.kind == "cache";
    if !cache {
        let lock = path.join("repo.lock");
        let held = open(&lock, 0o664).and_then(|f| kernel::lock(&f).map(|()| f));
        if let Some(held) = tell(GROUP, format!("lock {}", lock.display()), held) {
            stage.held.push(Box::new(held));
        }
    }
    let below = path.join(&own);
    let database = || {
        make(&below, 0o755)?;
        file(&below.join("CURRENT"), 0o644)?;
        kernel::map_file(&open(&below.join("MANIFEST"), 0o644)?)?;
        fs::rename(below.join("MANIFEST"), below.join("MANIFEST-1"))?;
        fs::hard_link(below.join("CURRENT"), below.join("CURRENT-1"))?;
        fs::set_permissions(below.join("CURRENT-1"), fs::Permissions::from_mode(0o600))?;
        for entry in fs::read_dir(&below)? {
            fs::remove_file(entry?.path())?;
        }
        fs::remove_dir(&below)
    };
    tell(GROUP, format!("a database below {name}"), database());
    tell(GROUP, format!("free space of {name}"), kernel::free_space(&path.to_string_lossy()));
    if cache {
        tell(GROUP, format!("keep a file in {name}"), file(&path.join(format!("{own}.params")), 0o644));
    }
}
