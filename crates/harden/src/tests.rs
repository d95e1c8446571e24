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
    write(&path, &Record { done: vec![Done { step, kept: None }] }).expect("writes");
    assert_eq!(undo(&dir).expect("undoes"), Some(1));
    assert_eq!(mode(&a), 0o666);
}

fn root() -> bool {
    rustix::process::geteuid().is_root()
}

fn edits(path: &Path, syntax: edit::Syntax, line: u32, seen: &str, how: edit::How) -> Step {
    let edits = vec![edit::Edit { line, seen: seen.into(), how }];
    Step::Edit { path: path.display().to_string(), syntax, edits, made: true }
}

#[test]
fn lines_change_and_come_back_with_everything_else() {
    let (_keep, dir) = place();
    let a = dir.join("a");
    let text = "one\n\ttwo  \nthree";
    fs::write(&a, text).expect("writes");
    fs::set_permissions(&a, fs::Permissions::from_mode(0o604)).expect("mode");
    let file = fs::File::open(&a).expect("opens");
    sys::xattr::set(&file, "user.kept", Some(b"x")).expect("the file system has attributes");
    let steps = [edits(&a, edit::Syntax::Plain, 2, "two", edit::How::Comment), {
        let path = dir.join("own").display().to_string();
        Step::File { path, mode: 0o640, content: "ours".into(), there: true }
    }];
    run(&dir, &steps).expect("does");
    assert_eq!(fs::read_to_string(&a).expect("reads"), format!("one\n{}\ttwo  \nthree", edit::MARK));
    assert_eq!((mode(&a), mode(&dir.join("own"))), (0o604, 0o640));
    let now = fs::File::open(&a).expect("opens");
    assert_eq!(sys::xattr::value(&now, "user.kept").expect("reads").as_deref(), Some(b"x".as_slice()));
    assert_eq!(undo(&dir).expect("undoes"), Some(2));
    assert_eq!(fs::read_to_string(&a).expect("reads"), text);
    let now = fs::File::open(&a).expect("opens");
    assert_eq!((mode(&a), sys::xattr::value(&now, "user.kept").expect("reads").as_deref()), (0o604, Some(b"x".as_slice())));
    assert!(!dir.join("own").exists());
}

#[test]
fn what_somebody_changed_since_is_not_overwritten() {
    let (_keep, dir) = place();
    let a = dir.join("a");
    fs::write(&a, "one\ntwo\n").expect("writes");
    let step = || edits(&a, edit::Syntax::Plain, 2, "two", edit::How::Comment);
    fs::write(&a, "one\nzwei\n").expect("somebody was faster");
    assert!(matches!(run(&dir, &[step()]).expect_err("refused").error, Error::Changed { .. }));
    fs::write(&a, "one\ntwo\n").expect("writes");
    run(&dir, &[step()]).expect("does");
    fs::write(&a, "one\nby hand\n").expect("a person works on it");
    assert_eq!(undo(&dir).expect_err("refused").stuck.len(), 1, "the step is named");
    assert_eq!(fs::read_to_string(&a).expect("reads"), "one\nby hand\n");
    // A second name keeps the old content whatever is swapped.
    let b = dir.join("b");
    fs::write(&b, "one\ntwo\n").expect("writes");
    fs::hard_link(&b, dir.join("c")).expect("links");
    assert!(run(&dir, &[edits(&b, edit::Syntax::Plain, 2, "two", edit::How::Comment)]).is_err());
}

#[test]
fn a_policy_that_does_not_read_never_takes_the_name() {
    if !root() || Command::new("visudo").arg("-V").output().is_err() {
        return;
    }
    let (_keep, dir) = place();
    let a = dir.join("policy");
    let text = "lotus ALL=(root) NOPASSWD: /usr/bin/env\nops ALL=(ALL) ALL\n";
    fs::write(&a, text).expect("writes");
    let line = "lotus ALL=(root) NOPASSWD: /usr/bin/env";
    let odd = edits(&a, edit::Syntax::Sudoers, 1, line, edit::How::Becomes("lotus ALL=(".into()));
    assert!(run(&dir, &[odd]).is_err());
    assert_eq!(fs::read_to_string(&a).expect("reads"), text);
    assert_eq!(fs::read_dir(&dir).expect("lists").count(), 2, "nothing is left beside it");
    run(&dir, &[edits(&a, edit::Syntax::Sudoers, 1, line, edit::How::Comment)]).expect("does");
    assert!(fs::read_to_string(&a).expect("reads").starts_with(edit::MARK));
    undo(&dir).expect("undoes");
    assert_eq!(fs::read_to_string(&a).expect("reads"), text);
}

#[test]
fn owners_and_capabilities_come_back_to_the_letter() {
    if !root() {
        return;
    }
    use breach::fix::step::Held;
    let (_keep, dir) = place();
    let a = dir.join("a");
    fs::write(&a, "").expect("writes");
    std::os::unix::fs::chown(&a, Some(990), Some(991)).expect("root may");
    fs::set_permissions(&a, fs::Permissions::from_mode(0o4750)).expect("mode");
    // cap_setuid, permitted and effective, as the kernel keeps it.
    let value = [1, 0, 0, 2, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let set = |path: &Path| {
        fs::write(path, "").expect("writes");
        sys::xattr::set(fs::File::open(path).expect("opens"), sys::xattr::CAPABILITY, Some(&value)).expect("root may");
    };
    let b = dir.join("b");
    set(&b);
    let of = |path: &Path| {
        let m = fs::metadata(path).expect("is there");
        Held { uid: m.uid(), gid: m.gid(), mode: m.mode() & 0o7777 }
    };
    let bits = |path: &Path| sys::xattr::capabilities(path);
    let before = (of(&a), of(&b));
    let after = Held { uid: 0, gid: 990, mode: 0o750 };
    let path = |p: &Path| p.display().to_string();
    let steps = [
        Step::Owner { path: path(&a), before: before.0, after },
        Step::Capability { path: path(&b), held: before.1, bits: 1 << 7, off: true },
    ];
    run(&dir, &steps).expect("does");
    assert_eq!((of(&a), bits(&b)), (after, 0));
    undo(&dir).expect("undoes");
    assert_eq!((of(&a), of(&b), bits(&b)), (before.0, before.1, 1 << 7));
    let now = sys::xattr::value(fs::File::open(&b).expect("opens"), sys::xattr::CAPABILITY).expect("reads");
    assert_eq!(now.as_deref(), Some(value.as_slice()));
}
