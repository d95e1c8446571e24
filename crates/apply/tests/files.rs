//! Files of our own under an `/etc` of the test's own: what is somebody else's is left alone, no link is followed, what is changed by
//! hand is named and repaired, what is no longer meant goes.

mod common;

use common::*;
use std::{fs, os::unix::fs::symlink};

const UNITS: &str = "/etc/systemd/system";

/// Applies these files as a first generation; out comes what was said, and whether it went through.
fn apply_first(files: Vec<bundle::OwnFile>) -> (bool, String) {
    let dir = tempfile::tempdir().expect("directory");
    let bundle = sealed_with(&ruleset("22"), 1, None, files);
    let out = applier(&dir.path().join("state"), &["apply", &written(dir.path(), "b", &bundle), "--auto-confirm"]);
    (out.status.success(), String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr))
}

#[test]
fn what_is_somebody_else_s_is_left_alone() {
    if !inside("what_is_somebody_else_s_is_left_alone") {
        return;
    }
    etc_of_its_own();
    let victim = "/etc/victim";
    let unit = format!("{UNITS}/a.service");
    let whole = || {
        let drop_in = own_files("lotus", &["a.service"]);
        [drop_in, vec![own_file(&format!("{UNITS}/a.service"), "[Service]\nExecStart=/bin/true")]].concat()
    };
    let plants: [(&str, &dyn Fn()); 5] = [
        ("an administrator's unit", &|| fs::write(&unit, "[Service]\nExecStart=/bin/false\n").expect("writes")),
        ("a masked unit", &|| symlink("/dev/null", &unit).expect("links")),
        ("a link to another file", &|| symlink(victim, &unit).expect("links")),
        ("a link in place of the drop-in directory", &|| symlink("/etc/elsewhere", format!("{UNITS}/a.service.d")).expect("links")),
        ("a link where the new file would be made", &|| {
            fs::create_dir(format!("{UNITS}/a.service.d")).expect("makes");
            symlink(victim, format!("{UNITS}/a.service.d/{}.new", bundle::file::DROP_IN)).expect("links");
        }),
    ];
    for (name, plant) in plants {
        run("umount", &["/etc"]);
        etc_of_its_own();
        fs::write(victim, "untouched").expect("writes");
        fs::create_dir("/etc/elsewhere").expect("makes");
        plant();
        let before = on_disk();
        let (ok, said) = apply_first(whole());
        assert!(!ok, "{name}: {said}");
        assert_eq!(on_disk(), before, "{name}: {said}");
        assert_eq!(fs::read_to_string(victim).expect("reads"), "untouched", "{name}");
        assert_eq!(fs::read_dir("/etc/elsewhere").expect("lists").count(), 0, "{name}");
    }
    run("umount", &["/etc"]);
    etc_of_its_own();
    let (ok, said) = apply_first(whole());
    assert!(ok, "the same without anything planted: {said}");
}

#[test]
fn what_was_changed_by_hand_is_named_and_repaired() {
    if !inside("what_was_changed_by_hand_is_named_and_repaired") {
        return;
    }
    etc_of_its_own();
    let dir = tempfile::tempdir().expect("directory");
    let state = dir.path().join("state");
    let bundle = sealed_with(&ruleset("22"), 1, None, own_files("lotus", &["a.service", "b.service"]));
    let path = written(dir.path(), "b", &bundle);
    applied(&state, &["apply", &path, "--auto-confirm"]);
    let meant = on_disk();
    assert_eq!(fs::metadata("/etc/made-lotus").map(|m| m.is_dir()).ok(), Some(true), "systemd-tmpfiles was told");
    assert!(fs::read_to_string("/etc/group").expect("reads").contains("lotus"), "systemd-sysusers was told");
    let drift = || {
        let status: serde_json::Value = serde_json::from_str(&applied(&state, &["status", "--json"])).expect("JSON");
        status["drift"].as_array().expect("a list").iter().map(|d| d.as_str().expect("text").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(drift(), Vec::<String>::new());
    let a = format!("{UNITS}/a.service.d/{}", bundle::file::DROP_IN);
    let b = format!("{UNITS}/b.service.d/{}", bundle::file::DROP_IN);
    fs::write(&a, format!("{}\n[Service]\nUser=root\n", bundle::file::MARK)).expect("writes");
    fs::remove_file(&b).expect("removes");
    run("chmod", &["666", bundle::file::ACCOUNTS]);
    let said = drift();
    assert_eq!(said.len(), 3, "{said:?}");
    for path in [a.as_str(), &b, bundle::file::ACCOUNTS] {
        assert!(said.iter().any(|d| d.contains(path)), "{path}: {said:?}");
    }
    // The same bundle again is a repair.
    applied(&state, &["apply", &path, "--auto-confirm"]);
    assert_eq!((drift(), on_disk()), (Vec::new(), meant));
    // Nothing meant any more: the next generation clears what is ours, and leaves what lost our mark.
    fs::write(&a, "# mine now\n").expect("writes");
    let next = sealed_with(&ruleset("22"), 2, Some(bundle.digest()), vec![]);
    applied(&state, &["apply", &written(dir.path(), "c", &next), "--auto-confirm"]);
    assert_eq!(fs::read_to_string(&a).expect("stays"), "# mine now\n");
    let left = on_disk();
    assert!(!left.keys().any(|k| k.contains("b.service") || k.ends_with("/ravelin.conf")), "{left:?}");
}
