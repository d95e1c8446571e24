//! On files of a temporary directory.

use super::*;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

fn file(path: &Path, mode: u32) -> Step {
    fs::write(path, "").expect("writes");
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("mode");
    let uid = fs::metadata(path).expect("is there").uid();
    Step::Mode { path: path.display().to_string(), uid, before: mode, after: mode & !0o022 }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("is there").mode() & 0o7777
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("directory");
    // The directory's own name may lead over a link.
    let real = dir.path().canonicalize().expect("path");
    (dir, real)
}

#[test]
fn steps_are_done_and_taken_back() {
    let (_keep, dir) = place();
    let (a, b) = (dir.join("a"), dir.join("b"));
    let steps = [file(&a, 0o666), file(&b, 0o4775)];
    run(&dir, &steps).expect("does");
    assert_eq!((mode(&a), mode(&b)), (0o644, 0o4755));
    assert_eq!(undo(&dir).expect("undoes"), Some(2));
    assert_eq!((mode(&a), mode(&b)), (0o666, 0o4775));
    assert_eq!(undo(&dir).expect("nothing is left"), None);
}

#[test]
fn one_that_fails_takes_all_back() {
    let (_keep, dir) = place();
    let (a, b) = (dir.join("a"), dir.join("b"));
    let steps = [file(&a, 0o666), file(&b, 0o666)];
    fs::set_permissions(&b, fs::Permissions::from_mode(0o600)).expect("somebody else was faster");
    let failed = run(&dir, &steps).expect_err("another mode than the one looked at");
    assert!(matches!(failed.error, Error::Changed { .. }) && failed.stuck.is_empty(), "{failed:?}");
    assert_eq!((mode(&a), mode(&b)), (0o666, 0o600));
}

#[test]
fn a_link_put_in_place_of_a_file_is_not_followed() {
    let (_keep, dir) = place();
    let (target, victim) = (dir.join("target"), dir.join("victim"));
    file(&target, 0o666);
    let step = file(&victim, 0o666);
    fs::remove_file(&victim).expect("removes");
    symlink(&target, &victim).expect("links");
    assert!(run(&dir, &[step]).is_err());
    assert_eq!(mode(&target), 0o666, "the link's target is left alone");
    // A directory on the way as well.
    fs::create_dir(dir.join("real")).expect("makes");
    let inner = file(&dir.join("real/x"), 0o666);
    fs::rename(dir.join("real"), dir.join("moved")).expect("renames");
    symlink("moved", dir.join("real")).expect("links");
    assert!(run(&dir, &[inner]).is_err());
    assert_eq!(mode(&dir.join("moved/x")), 0o666);
}

#[test]
fn a_power_loss_between_record_and_step_is_taken_back() {
    let (_keep, dir) = place();
    let a = dir.join("a");
    let step = file(&a, 0o666);
    let path = fresh(&dir).expect("record");
    write(&path, &Record { done: vec![step] }).expect("writes");
    assert_eq!(undo(&dir).expect("undoes"), Some(1));
    assert_eq!(mode(&a), 0o666);
}
