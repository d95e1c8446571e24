//! Real owners on a file system of the test's own: what a move changes and gives back exactly, what it refuses, and what it does when
//! it is killed. In a mount namespace, and in a user namespace with accounts of its own where the test is not root.

mod common;

use adopt::{
    Ended,
    judge::Owners,
    own,
    record::Journal,
    run::{self, Record},
};
use common::{Fake, TO, adoption, inside, owner, repository, roots, sh};
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
};

const OWNERS: Owners = Owners { from: (0, 0), to: TO };

/// Everything a tree is: owner, mode, kind and access lists of each path, links by their target.
fn tree(root: &Path) -> BTreeMap<PathBuf, String> {
    fn visit(path: &Path, out: &mut BTreeMap<PathBuf, String>) {
        let meta = fs::symlink_metadata(path).expect("is there");
        let mut buffer = [0u8; 4096];
        let lists: Vec<String> = ["system.posix_acl_access", "system.posix_acl_default", "security.capability"]
            .iter()
            .map(|name| rustix::fs::lgetxattr(path, *name, &mut buffer[..]).map(|n| format!("{:?}", &buffer[..n])).unwrap_or_default())
            .collect();
        out.insert(path.to_owned(), format!("{}:{} {:o} {lists:?}", meta.uid(), meta.gid(), meta.mode()));
        if meta.is_dir() {
            fs::read_dir(path).expect("lists").flatten().for_each(|e| visit(&e.path(), out));
        }
    }
    let mut out = BTreeMap::new();
    visit(root, &mut out);
    out
}

#[test]
fn a_move_changes_owners_and_the_way_back_gives_exactly_the_old_tree() {
    if !inside("a_move_changes_owners_and_the_way_back_gives_exactly_the_old_tree") {
        return;
    }
    repository("/tmp/repo");
    let before = tree(Path::new("/tmp/repo"));
    let journal = Journal("/tmp/journal".into());
    let list = roots(&["/tmp/repo"]);
    let survey = own::survey(&list, OWNERS).expect("nothing stands against it");
    assert_eq!((survey.others, survey.already, survey.bits), (1, 0, 1));
    assert_eq!(tree(Path::new("/tmp/repo")), before, "looking changes nothing");
    let mut told = 0;
    let done = own::change(&list, OWNERS, &survey, &journal, &mut |n| told = n).expect("moves");
    assert_eq!((done, told), (survey.change, survey.change));
    for path in [
        "/tmp/repo",
        "/tmp/repo/keystore/key",
        "/tmp/repo/link",
        "/tmp/repo/dangling",
        "/tmp/repo/pipe",
        "/tmp/repo/datastore/chain/300.vlog",
    ] {
        assert_eq!(owner(path), TO, "{path}");
    }
    assert_eq!((owner("/tmp/repo/third"), owner("/tmp/repo/group")), ((5, 6), (TO.0, 44)), "what is a third one's stays so");
    assert_eq!(fs::metadata("/tmp/repo/set-id").expect("is there").mode() & 0o7777, 0o755, "set-id bits were root's");
    assert_eq!(fs::metadata("/tmp/repo/datastore").expect("is there").mode() & 0o7777, 0o2770, "a directory's bit is its group's");
    assert_eq!(own::survey(&list, OWNERS).expect("again").change, 0, "nothing is left to do");
    let back = own::give_back(&journal).expect("gives back");
    assert_eq!(back.missed, Vec::<String>::new());
    assert_eq!(tree(Path::new("/tmp/repo")), before);
}

#[test]
fn links_mounts_devices_and_names_outside_stop_it_before_anything_is_changed() {
    if !inside("links_mounts_devices_and_names_outside_stop_it_before_anything_is_changed") {
        return;
    }
    let plants: [(&str, &str, &str); 6] = [
        ("a hard link to a file outside", "echo s >/tmp/shadow; ln /tmp/shadow /tmp/repo/innocent", "hard link"),
        ("a link to a directory outside", "mkdir -p /tmp/elsewhere; ln -s /tmp/elsewhere /tmp/repo/store", "no declared store"),
        ("another file system", "mkdir /tmp/repo/m; mount -t tmpfs none /tmp/repo/m", "another file system"),
        ("the same file system bound in", "mkdir -p /tmp/repo/m /tmp/etc; mount --bind /tmp/etc /tmp/repo/m", "another file system"),
        ("a tree deeper than any store", "cd /tmp/repo; for n in $(seq 140); do mkdir d; cd d; done", "deep"),
        ("a root that is a link", "mv /tmp/repo /tmp/elsewhere; ln -s /tmp/elsewhere /tmp/repo", "no declared store"),
    ];
    for (name, plant, word) in plants {
        sh("umount /tmp/repo/m 2>/dev/null || true; rm -rf /tmp/* ; mkdir /tmp/repo; echo x >/tmp/repo/x");
        own::survey(&roots(&["/tmp/repo"]), OWNERS).unwrap_or_else(|e| panic!("{name}, before it is planted: {e}"));
        sh(plant);
        let said = run::chain(&own::survey(&roots(&["/tmp/repo"]), OWNERS).expect_err(name));
        assert!(said.contains(word), "{name}: {said}");
        for path in ["/tmp/shadow", "/tmp/elsewhere", "/tmp/etc"] {
            assert!(!Path::new(path).exists() || owner(path) == (0, 0), "{name}: {path}");
        }
    }
    // Declared, the same link is a store like another.
    sh("umount /tmp/repo/m 2>/dev/null || true; rm -rf /tmp/*; mkdir /tmp/repo /tmp/elsewhere; ln -s /tmp/elsewhere /tmp/repo/store");
    own::survey(&roots(&["/tmp/repo", "/tmp/elsewhere"]), OWNERS).expect("declared");
}

#[test]
fn what_is_planted_between_survey_and_change_is_not_followed() {
    if !inside("what_is_planted_between_survey_and_change_is_not_followed") {
        return;
    }
    sh("mkdir /tmp/repo /tmp/victim; echo s >/tmp/victim/shadow; echo a >/tmp/repo/a; mkdir /tmp/repo/b; echo b >/tmp/repo/b/shadow");
    let list = roots(&["/tmp/repo"]);
    let survey = own::survey(&list, OWNERS).expect("clean");
    let journal = Journal("/tmp/journal".into());
    // A directory becomes a link, a file another name of somebody's.
    sh("rm -r /tmp/repo/b; ln -s /tmp/victim /tmp/repo/b");
    own::change(&list, OWNERS, &survey, &journal, &mut |_| {}).expect("the link itself is given");
    assert_eq!((owner("/tmp/repo/b"), owner("/tmp/victim"), owner("/tmp/victim/shadow")), (TO, (0, 0), (0, 0)));
    sh("ln /tmp/victim/shadow /tmp/repo/c");
    let refused = own::change(&list, OWNERS, &survey, &journal, &mut |_| {}).expect_err("refuses");
    assert!(refused.to_string().contains("hard link"), "{refused}");
    assert_eq!(owner("/tmp/victim/shadow"), (0, 0));
    // On the way back: another file under the name, and a link on the way to it, are no business of the journal's.
    sh("mv /tmp/repo/a /tmp/repo/moved; ln -s /tmp/victim/shadow /tmp/repo/a; chown -h 7:7 /tmp/victim/shadow /tmp/repo/a");
    let back = own::give_back(&journal).expect("goes on");
    assert_eq!(back.missed, ["/tmp/repo/a"]);
    assert_eq!((owner("/tmp/victim/shadow"), owner("/tmp/repo/a")), ((7, 7), (7, 7)));
}

#[test]
fn files_swapped_while_it_walks_never_reach_outside() {
    if !inside("files_swapped_while_it_walks_never_reach_outside") {
        return;
    }
    sh("mkdir /tmp/repo /tmp/victim; echo s >/tmp/victim/shadow; mkdir /tmp/repo/d; for n in $(seq 400); do echo x >/tmp/repo/d/$n; done");
    // Somebody with the account exchanges a directory and a link to root's as fast as it can.
    let mut swapper = Command::new("sh")
        .args(["-c", "cd /tmp/repo; ln -s /tmp/victim l; while :; do mv -T d x && mv -T l d && mv -T d l && mv -T x d; done 2>/dev/null"])
        .spawn()
        .expect("a shell");
    let list = roots(&["/tmp/repo"]);
    let journal = Journal("/tmp/journal".into());
    let mut done = 0;
    for _ in 0..25 {
        let _ = fs::remove_file(&journal.0);
        // What it refuses on the way is as good as what it gives.
        let survey = own::survey(&list, OWNERS).or_else(|_| own::survey(&[], OWNERS)).expect("an empty one");
        done += own::change(&list, OWNERS, &survey, &journal, &mut |_| {}).unwrap_or(0);
        done += own::give_back(&journal).map_or(0, |b| b.inodes);
        assert_eq!((owner("/tmp/victim"), owner("/tmp/victim/shadow")), ((0, 0), (0, 0)));
    }
    swapper.kill().expect("kills");
    swapper.wait().expect("ends");
    assert!(done > 100, "it did something: {done}");
}

#[test]
fn an_account_people_logged_in_as_is_closed_at_the_end_and_opened_again_on_the_way_back() {
    if !inside("an_account_people_logged_in_as_is_closed_at_the_end_and_opened_again_on_the_way_back") {
        return;
    }
    repository("/tmp/repo");
    let plan = adopt::Adoption { closes: true, ..adoption(&["/tmp/repo"], (0, 0)) };
    let record = Record::begin(Path::new("/tmp/state"), plan).expect("begins");
    let mut machine = Fake::default();
    assert_eq!(run::carry_out(&record, &mut machine, &mut |_| {}).expect("ends"), Ended::Moved);
    assert!(machine.asked.join(", ").ends_with("healthy 1990, lotus gets /usr/sbin/nologin, ended"), "{:?}", machine.asked);
    record.back("asked for").expect("marks");
    machine.asked.clear();
    assert!(matches!(run::carry_out(&record, &mut machine, &mut |_| {}).expect("ends"), Ended::Returned { .. }));
    assert!(machine.asked.join(", ").starts_with("lotus gets /bin/bash, hold, stop"), "{:?}", machine.asked);
}

#[test]
fn a_step_that_fails_takes_everything_back_in_order() {
    if !inside("a_step_that_fails_takes_everything_back_in_order") {
        return;
    }
    for (fails, from, asked) in [
        (None, (0, 0), "accounts, hold, stop lotus.service, reload, release, start lotus.service, healthy 1990, ended"),
        (Some("accounts"), (0, 0), "accounts, ended"),
        (Some("hold"), (0, 0), "accounts, hold, release, start lotus.service, ended"),
        (
            Some("healthy"),
            (0, 0),
            "accounts, hold, stop lotus.service, reload, release, start lotus.service, healthy 1990, hold, stop lotus.service, reload, release, \
             start lotus.service, ended",
        ),
        (
            Some("healthy"),
            (1500, 1500),
            "accounts, hold, stop lotus.service, reload, release, start lotus.service, healthy 1990, hold, stop lotus.service, reload, release, \
             start lotus.service, ended",
        ),
    ] {
        sh("rm -rf /tmp/*");
        repository("/tmp/repo");
        if from.0 != 0 {
            sh(&format!("find /tmp/repo -user 0 -exec chown -h {}:{} {{}} +", from.0, from.1));
        }
        let before = tree(Path::new("/tmp/repo"));
        let record = Record::begin(Path::new("/tmp/state"), adoption(&["/tmp/repo"], from)).expect("begins");
        let mut machine = Fake { fails, makes: Some("/tmp/repo/made-since".into()), ..Fake::default() };
        let ended = run::carry_out(&record, &mut machine, &mut |_| {}).expect("ends");
        assert_eq!(machine.asked.join(", "), asked, "{fails:?}");
        if fails.is_none() {
            assert_eq!((ended, owner("/tmp/repo/token")), (Ended::Moved, TO));
            assert!(Record::find(Path::new("/tmp/state"), "lotus", false).expect("looks").is_none(), "it is over");
            // And back when it is asked for.
            let record = Record::find(Path::new("/tmp/state"), "lotus", true).expect("looks").expect("the last one");
            record.back("asked for").expect("marks");
            assert!(matches!(run::carry_out(&record, &mut machine, &mut |_| {}).expect("ends"), Ended::Returned { .. }));
        } else {
            assert!(matches!(ended, Ended::Returned { .. }), "{fails:?}");
        }
        let mut after = tree(Path::new("/tmp/repo"));
        if let Some(made) = after.remove(Path::new("/tmp/repo/made-since")) {
            let expected = if from.0 == 0 { TO.0 } else { from.0 };
            assert!(
                made.starts_with(&format!("{expected}:")),
                "{fails:?} {from:?}: what was made since is read by the old account: {made}"
            );
        }
        assert_eq!(after, before, "{fails:?} {from:?}");
    }
}

/// What the killed process of the next test does.
#[test]
fn a_killed_move_is_gone_on_from_or_taken_back() {
    const STATE: &str = "/tmp/state";
    const CHILD: &str = "RAVELIN_TEST_CHILD";
    let find = || Record::find(Path::new(STATE), "lotus", false).expect("looks").expect("an unfinished one");
    if std::env::var_os(CHILD).is_some() {
        // Killed by itself after the first batch, with no chance to tidy up.
        let _ = run::carry_out(&find(), &mut Fake::default(), &mut |_| {
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        });
        return;
    }
    if !inside("a_killed_move_is_gone_on_from_or_taken_back") {
        return;
    }
    for goes_on in [true, false] {
        sh("rm -rf /tmp/*");
        repository("/tmp/repo");
        let before = tree(Path::new("/tmp/repo"));
        drop(Record::begin(Path::new(STATE), adoption(&["/tmp/repo"], (0, 0))).expect("begins"));
        let status = Command::new(std::env::current_exe().expect("own program"))
            .args(["--exact", "a_killed_move_is_gone_on_from_or_taken_back", "--test-threads=1"])
            .env(CHILD, "1")
            .status()
            .expect("starts");
        assert!(!status.success(), "it was killed");
        let half = tree(Path::new("/tmp/repo"));
        assert!(half != before && owner("/tmp/repo") == (0, 0), "half of it is done");
        // A power cut tears the last line.
        sys::file::append(&find().directory.join("journal"), b"{\"inode\":{\"pa").expect("tears");
        let record = find();
        if !goes_on {
            record.back("asked for").expect("marks");
        }
        let ended = run::carry_out(&record, &mut Fake::default(), &mut |_| {}).expect("ends");
        if goes_on {
            assert_eq!((ended, owner("/tmp/repo"), owner("/tmp/repo/token")), (Ended::Moved, TO, TO));
            record.back("asked for").expect("marks");
            run::carry_out(&record, &mut Fake::default(), &mut |_| {}).expect("ends");
        }
        assert_eq!(tree(Path::new("/tmp/repo")), before, "goes on: {goes_on}");
    }
}

#[test]
fn directories_on_the_way_must_let_the_account_through() {
    if !inside("directories_on_the_way_must_let_the_account_through") {
        return;
    }
    sh("chmod 755 /tmp; mkdir -p /tmp/root/.lotus/x; chmod 700 /tmp/root");
    let closed = |roots_: &[&str]| own::closed(&roots(roots_), None).expect("looks");
    assert_eq!(closed(&["/tmp/root/.lotus"]).len(), 1);
    assert_eq!(closed(&["/tmp/root"]), Vec::<String>::new(), "what moves along is its own afterwards");
    sh("chmod 711 /tmp/root");
    assert_eq!(closed(&["/tmp/root/.lotus"]), Vec::<String>::new());
}
