//! Declared backups: the newest file that matches each, and what its first bytes say it is. In come declarations, out come facts.
//! Never: reads further than the first bytes, keeps content.

use crate::Root;
use facts::{Asset, Backup, BackupFile, Mount, RestoreTest};
use std::{
    fs,
    io::Read,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};
use words::star;

/// First bytes that are read to know a form: a tar's mark stands at byte 257.
const HEAD: usize = 512;
/// Most files of one directory that are looked at.
const MOST_FILES: usize = 20_000;

/// A backup as somebody declared it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Declared {
    /// What it is of.
    pub of: Asset,
    /// Path; a star in its last part is any text.
    pub path: String,
    /// Oldest it may be, in hours.
    pub max_age: u32,
    /// Where the copy outside this machine is.
    pub copy: Option<String>,
}

/// Looks at declared backups; `tests` are the restore tests that were recorded.
pub fn look(root: &Root, declared: &[Declared], mounts: &[Mount], tests: &[RestoreTest]) -> Vec<Backup> {
    let one = |d: &Declared| {
        let newest = newest(root, &d.path).and_then(|path| file(root, &path, mounts));
        // A test of an earlier file of the same backup counts as a test of the backup.
        let of_this = |t: &&RestoreTest| matches(&d.path, &t.path);
        Backup {
            of: d.of,
            path: d.path.clone(),
            max_age: d.max_age,
            copy: d.copy.clone(),
            newest,
            tested: tests.iter().filter(of_this).max_by_key(|t| t.at).cloned(),
        }
    };
    declared.iter().map(one).collect()
}

/// The newest file that matches a path with a star in its last part.
pub fn newest(root: &Root, pattern: &str) -> Option<PathBuf> {
    let path = Path::new(pattern);
    let Some((directory, _)) = path.parent().zip(path.file_name()).filter(|_| pattern.contains('*')) else {
        return fs::symlink_metadata(root.at(path)).is_ok().then(|| path.to_owned());
    };
    let entries = root.entries(directory).into_iter().map(|(_, p)| p).take(MOST_FILES);
    let files = entries.filter(|p| p.to_str().is_some_and(|p| matches(pattern, p)));
    let dated = files.filter_map(|p| {
        let m = fs::symlink_metadata(root.at(&p)).ok().filter(fs::Metadata::is_file)?;
        Some(((m.mtime(), m.mtime_nsec()), p))
    });
    dated.max().map(|(_, p)| p)
}

/// Whether a path is one of a pattern: what stands between stars stands there in order, the last part's stars take no slash.
pub fn matches(pattern: &str, path: &str) -> bool {
    let ((dir, last), (its_dir, its_last)) = (cut(pattern), cut(path));
    dir == its_dir && star::fits(last.as_bytes(), its_last.as_bytes())
}

fn cut(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

fn file(root: &Root, path: &Path, mounts: &[Mount]) -> Option<BackupFile> {
    let lies = root.at(path);
    let m = fs::symlink_metadata(&lies).ok()?;
    let form = if m.is_dir() { repository(&lies).unwrap_or("directory") } else { head(&lies).map_or("unread", |h| form(&h)) };
    // A new snapshot of restic's touches no name in the repository itself.
    let newer = fs::symlink_metadata(lies.join("snapshots")).ok().filter(|_| form == "restic").and_then(|m| m.modified().ok());
    let modified = m.modified().ok().max(newer);
    let said = path.display().to_string();
    Some(BackupFile {
        modified: modified.and_then(|t| t.duration_since(UNIX_EPOCH).ok()).map_or(0, |d| d.as_secs()),
        size: m.len(),
        mode: m.mode() & 0o7777,
        owner: m.uid().to_string(),
        form: form.to_owned(),
        // restic knows no repository without a password; of borg's only borg can tell.
        encrypted: ["age", "gpg", "openssl", "luks", "restic"].contains(&form),
        remote: facts::mount::holding(mounts, &said).is_some_and(Mount::remote),
        path: said,
    })
}

/// Whose repository a directory is, by its layout (restic: references/design; borg: internals/data-structures).
pub fn repository(directory: &Path) -> Option<&'static str> {
    let is = |name: &str, wanted: fn(&fs::Metadata) -> bool| fs::symlink_metadata(directory.join(name)).is_ok_and(|m| wanted(&m));
    if !is("config", fs::Metadata::is_file) || !is("data", fs::Metadata::is_dir) {
        return None;
    }
    if ["index", "keys", "snapshots"].iter().all(|d| is(d, fs::Metadata::is_dir)) {
        return Some("restic");
    }
    let config = head(&directory.join("config")).unwrap_or_default();
    config.starts_with(b"[repository]").then_some("borg")
}

/// The first bytes of a regular file.
fn head(path: &Path) -> Option<Vec<u8>> {
    // A pipe in its place is refused instead of waited for.
    if !fs::symlink_metadata(path).ok()?.is_file() {
        return None;
    }
    let mut out = Vec::new();
    fs::File::open(path).ok()?.take(HEAD as u64).read_to_end(&mut out).ok()?;
    Some(out)
}

/// What first bytes say: forms that encrypt first.
pub fn form(head: &[u8]) -> &'static str {
    let starts = |mark: &[u8]| head.starts_with(mark);
    let openpgp = || {
        // RFC 9580: a packet with a session key, in the old or the new format (tags 1, 3), or ASCII armour.
        let tag = head.first().map(|b| if b & 0x40 != 0 { b & 0x3f } else { (b & 0x3c) >> 2 });
        head.first().is_some_and(|b| b & 0x80 != 0) && matches!(tag, Some(1 | 3)) && !starts(&[0x82, 0x9f])
    };
    match () {
        () if starts(b"age-encryption.org/") || starts(b"-----BEGIN AGE ENCRYPTED FILE-----") => "age",
        () if starts(b"-----BEGIN PGP MESSAGE-----") => "gpg",
        () if starts(b"Salted__") => "openssl",
        () if starts(b"LUKS\xba\xbe") => "luks",
        () if starts(b"PGDMP") => "pg-custom",
        () if starts(&[0x1f, 0x8b]) => "gzip",
        () if starts(&[0x28, 0xb5, 0x2f, 0xfd]) => "zstd",
        () if starts(&[0xfd, b'7', b'z', b'X', b'Z']) => "xz",
        () if head.get(257..262) == Some(b"ustar") => "tar",
        // A tuple of two, the first an endless list: what `lotus backup` writes.
        () if starts(&[0x82, 0x9f]) => "lotus",
        () if openpgp() => "gpg",
        () => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_match_within_the_last_part() {
        for (pattern, path, is) in [
            ("/b/keys-*.tar", "/b/keys-1.tar", true),
            ("/b/keys-*.tar", "/b/keys-.tar", true),
            ("/b/keys-*.tar", "/b/x/keys-1.tar", false),
            ("/b/a*b*c", "/b/axxbyyc", true),
            ("/b/a*b*c", "/b/acb", false),
            ("/b/a*a", "/b/a", false),
            ("/b/x", "/b/x", true),
            ("/b/x", "/b/xy", false),
        ] {
            assert_eq!(matches(pattern, path), is, "{pattern} {path}");
        }
    }

    #[test]
    fn forms_are_known_by_their_first_bytes() {
        assert_eq!(form(b"age-encryption.org/v1\n"), "age");
        assert_eq!(form(&[0x85, 0x02, 0x0c]), "gpg");
        assert_eq!(form(&[0x8c, 0x0d, 0x04]), "gpg");
        assert_eq!(form(&[0x82, 0x9f, 0x82]), "lotus");
        assert_eq!((form(b"PGDMP\x01"), form(b""), form(b"-- PostgreSQL database dump")), ("pg-custom", "other", "other"));
    }

    #[test]
    fn repositories_are_known_by_their_layout() {
        let dir = std::env::temp_dir().join(format!("ravelin-repositories-{}", std::process::id()));
        for name in ["restic/data", "restic/index", "restic/keys", "restic/snapshots", "borg/data", "plain/data"] {
            fs::create_dir_all(dir.join(name)).expect("makes");
        }
        fs::write(dir.join("restic/config"), "sealed").expect("writes");
        fs::write(dir.join("borg/config"), "[repository]\nversion = 1\n").expect("writes");
        fs::write(dir.join("plain/config"), "x").expect("writes");
        let said = ["restic", "borg", "plain"].map(|n| {
            let found = file(&Root::machine(), &dir.join(n), &[]).expect("found");
            (found.form, found.encrypted)
        });
        fs::remove_dir_all(&dir).expect("removes");
        assert_eq!(said, [("restic".to_owned(), true), ("borg".to_owned(), false), ("directory".to_owned(), false)]);
    }

    #[test]
    fn the_newest_file_is_found() {
        let dir = std::env::temp_dir().join(format!("ravelin-backups-{}", std::process::id()));
        fs::create_dir_all(&dir).expect("makes");
        for (name, text) in [("keys-1.tar", "a"), ("keys-2.age", "age-encryption.org/v1\n"), ("other", "x")] {
            fs::write(dir.join(name), text).expect("writes");
        }
        let past = std::time::SystemTime::now() - std::time::Duration::from_secs(1000);
        fs::File::options().write(true).open(dir.join("keys-1.tar")).and_then(|f| f.set_modified(past)).expect("sets");
        let path = format!("{}/keys-*", dir.display());
        let tested = RestoreTest { at: 5, path: format!("{}/keys-0.tar", dir.display()), passed: true, said: String::new() };
        let declared = [Declared { path, ..Declared::default() }, Declared { path: "/no/such/*".into(), ..Declared::default() }];
        let found = look(&Root::machine(), &declared, &[], &[tested]);
        fs::remove_dir_all(&dir).expect("removes");
        let newest = found[0].newest.as_ref().expect("found");
        assert!(newest.path.ends_with("keys-2.age") && newest.encrypted && found[0].tested.is_some());
        assert!(found[1].newest.is_none() && found[1].tested.is_none());
    }
}
