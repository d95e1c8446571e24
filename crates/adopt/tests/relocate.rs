//! A repository at another place, on file systems of the test's own: by rename and by a copy, there and back, killed at many points, too
//! little room, and with somebody who exchanges files while it is copied. In a mount namespace, and in a user namespace where the test
//! is not root.

mod common;

use adopt::{Ended, Error, Progress, Relocation, run, run::Record, step::Mark};
use common::{Fake, TO, adoption, inside, owner, repository, sh};
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
};

const STATE: &str = "/tmp/state";
const FROM: &str = "/tmp/old/.lotus";
const TARGET: &str = "/tmp/new/lotus";

fn hash(bytes: &[u8]) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

/// All that a copy must keep, by path below the root: kind, mode, owner, times, names, length, blocks where it has holes, attributes, content.
fn whole(root: &str) -> BTreeMap<PathBuf, String> {
    fn visit(root: &Path, path: &Path, links: &mut BTreeMap<u64, PathBuf>, out: &mut BTreeMap<PathBuf, String>) {
        let meta = fs::symlink_metadata(path).expect("is there");
        let below = path.strip_prefix(root).expect("below").to_owned();
        let mut text = format!("{:o} {}:{} {}.{}", meta.mode(), meta.uid(), meta.gid(), meta.mtime(), meta.mtime_nsec());
        if meta.file_type().is_symlink() {
            text += &format!(" -> {}", fs::read_link(path).expect("reads").display());
        } else {
            let open = rustix::fs::open(path, rustix::fs::OFlags::PATH, rustix::fs::Mode::empty()).expect("opens");
            text += &format!(" {:?}", sys::xattr::all(&open).expect("lists"));
        }
        if meta.is_file() {
            let first = links.entry(meta.ino()).or_insert_with(|| below.clone()).clone();
            text += &format!(
                " {} {first:?} {} {:x}",
                meta.nlink(),
                meta.len() > 2 * 512 * meta.blocks(),
                hash(&fs::read(path).expect("reads"))
            );
        }
        out.insert(below, text);
        if meta.is_dir() {
            let mut names: Vec<_> = fs::read_dir(path).expect("lists").flatten().map(|e| e.path()).collect();
            names.sort();
            names.iter().for_each(|p| visit(root, p, links, out));
        }
    }
    let mut out = BTreeMap::new();
    visit(Path::new(root), Path::new(root), &mut BTreeMap::new(), &mut out);
    out
}

/// The same without owners and set-id bits, which the move to an account changes.
fn content(root: &str) -> BTreeMap<PathBuf, Option<u64>> {
    let one = |p: &PathBuf| {
        let path = Path::new(root).join(p);
        // A pipe would be waited for.
        fs::symlink_metadata(&path).expect("is there").is_file().then(|| hash(&fs::read(path).expect("reads")))
    };
    whole(root).into_keys().map(|p| (p.clone(), one(&p))).collect()
}

/// Both places, the new one on another file system if that is wanted.
fn places(copies: bool) {
    sh("umount /tmp/new 2>/dev/null || true; rm -rf /tmp/*; mkdir -p /tmp/old /tmp/new");
    if copies {
        sh("mount -t tmpfs none /tmp/new");
    }
    repository(FROM);
    // More than one block of the copy, one with holes, and more names of it.
    sh(&format!(
        "cd {FROM}; head -c 3000000 /dev/urandom >big; truncate -s 4M holes; printf x | dd of=holes bs=1 seek=2500000 conv=notrunc \
         status=none; ln holes datastore/holes-too; touch -d '2020-01-02 03:04:05.678' token datastore; touch -h -d 2019-01-01 dangling"
    ));
}

fn relocation() -> Relocation {
    Relocation { from: FROM.into(), to: TARGET.into() }
}

fn begin() -> Record {
    let plan = adopt::Adoption { relocation: Some(relocation()), ..adoption(&[TARGET], (0, 0)) };
    run::survey(&plan, &Fake::default()).unwrap_or_else(|e| panic!("{}", run::chain(&e)));
    Record::begin(Path::new(STATE), plan).expect("begins")
}

fn carry(record: &Record, machine: &mut Fake) -> Ended {
    run::carry_out(record, machine, &mut |_| {}).unwrap_or_else(|e| panic!("{}", run::chain(&e)))
}

fn left_over() -> Vec<String> {
    let names = ["/tmp/old", "/tmp/new"].map(|d| fs::read_dir(d).expect("lists").flatten().map(|e| e.path().display().to_string()));
    let mut out: Vec<String> = names.into_iter().flatten().collect();
    out.sort();
    out
}

#[test]
fn it_goes_to_the_other_place_and_comes_back_as_it_was() {
    if !inside("it_goes_to_the_other_place_and_comes_back_as_it_was") {
        return;
    }
    for copies in [false, true] {
        places(copies);
        let (before, contents) = (whole(FROM), content(FROM));
        // A directory that was made for it beforehand is in nobody's way.
        sh(&format!("mkdir {TARGET}"));
        assert_eq!(relocation().survey().expect("nothing stands against it").copies, copies);
        let record = begin();
        let mut bytes = (0, 0);
        let ended = run::carry_out(&record, &mut Fake::default(), &mut |p| {
            if let Progress::Bytes(done, all) = p {
                bytes = (done, all);
            }
        });
        assert_eq!(ended.expect("ends"), Ended::Moved, "{:?}", record.journal().marks());
        assert!(if copies { bytes.0 == bytes.1 && bytes.0 > 3_000_000 } else { bytes.1 == 0 }, "{bytes:?}");
        assert_eq!((owner(TARGET), owner("/tmp/new/lotus/token"), content(TARGET)), (TO, TO, contents), "copies: {copies}");
        assert!(!Path::new(FROM).exists());
        let expected: &[&str] = if copies { &[TARGET, "/tmp/old/..lotus.ravelin-kept"] } else { &[TARGET] };
        assert_eq!(left_over(), expected);
        if copies {
            let kept = fs::metadata("/tmp/old/..lotus.ravelin-kept").expect("is there");
            assert_eq!((kept.mode() & 0o7777, kept.uid()), (0o700, 0), "closed to all but root");
        }
        record.back("asked for").expect("marks");
        assert!(matches!(carry(&record, &mut Fake::default()), Ended::Returned { .. }));
        assert_eq!(whole(FROM), before, "copies: {copies}");
        assert_eq!(left_over(), [FROM], "copies: {copies}");
    }
}

#[test]
fn what_was_written_at_the_new_place_comes_back_with_it() {
    if !inside("what_was_written_at_the_new_place_comes_back_with_it") {
        return;
    }
    for copies in [false, true] {
        places(copies);
        let record = begin();
        let mut machine = Fake { makes: Some(format!("{TARGET}/keystore/made-since")), fails: Some("healthy"), ..Fake::default() };
        // It writes, changes, removes and exchanges before it is found to be unwell; the other length of the same time is no trick.
        machine.also = Some(format!("cd {TARGET}; echo other >token; rm big; rm pipe; mkdir pipe; echo in >pipe/x; rm link; echo f >link"));
        let Ended::Returned { why, .. } = carry(&record, &mut machine) else { panic!("it was unwell") };
        assert!(why.contains("on purpose"), "{why}");
        let read = |name: &str| fs::read_to_string(Path::new(FROM).join(name)).ok();
        assert_eq!(read("keystore/made-since").as_deref(), Some("new\n"), "copies: {copies}");
        assert_eq!(
            (read("token").as_deref(), read("pipe/x").as_deref(), read("link").as_deref()),
            (Some("other\n"), Some("in\n"), Some("f\n"))
        );
        assert!(!Path::new(FROM).join("big").exists());
        assert_eq!(left_over(), [FROM], "copies: {copies}");
    }
}

#[test]
fn done_removes_the_old_copy_and_the_way_back() {
    if !inside("done_removes_the_old_copy_and_the_way_back") {
        return;
    }
    places(true);
    let record = begin();
    assert!(record.close().is_err(), "it has not ended");
    assert_eq!(carry(&record, &mut Fake::default()), Ended::Moved);
    assert!(record.close().expect("removes"));
    assert_eq!(left_over(), [TARGET]);
    assert!(Record::find(Path::new(STATE), "lotus", true).expect("looks").is_none());
}

#[test]
fn killed_anywhere_it_goes_on_or_back() {
    const CHILD: &str = "RAVELIN_TEST_CHILD";
    const NAME: &str = "killed_anywhere_it_goes_on_or_back";
    let find = || Record::find(Path::new(STATE), "lotus", false).expect("looks").expect("an unfinished one");
    if let Ok(at) = std::env::var(CHILD) {
        // Killed by itself at the n-th word of progress, with no chance to tidy up.
        let at: u32 = at.parse().expect("a number");
        let mut told = 0;
        let _ = run::carry_out(&find(), &mut Fake::default(), &mut |_| {
            told += 1;
            if told == at {
                let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
            }
        });
        return;
    }
    if !inside(NAME) {
        return;
    }
    let killed = |at: u32| {
        let mut child = Command::new(std::env::current_exe().expect("own program"));
        child.args(["--exact", NAME, "--test-threads=1"]).env(CHILD, at.to_string());
        !child.output().expect("starts").status.success()
    };
    // The tree has some 320 inodes: in the copy, in the comparison, in the change of owners.
    for at in [1, 200, 330, 500, 620] {
        for goes_on in [true, false] {
            places(true);
            let (before, contents) = (whole(FROM), content(FROM));
            let record = begin();
            assert!(killed(at), "{at}: it was killed");
            if goes_on {
                assert_eq!(carry(&find(), &mut Fake::default()), Ended::Moved, "{at}");
                assert_eq!((owner(TARGET), content(TARGET)), (TO, contents), "{at}");
                record.back("asked for").expect("marks");
                // The way back is killed as well.
                killed(at);
            } else {
                record.back("asked for").expect("marks");
            }
            if !matches!(adopt::step::next(&record.journal().marks().expect("reads")), adopt::step::Act::Returned) {
                carry(&record, &mut Fake::default());
            }
            assert_eq!(whole(FROM), before, "{at} {goes_on}");
            assert_eq!(left_over(), [FROM], "{at} {goes_on}");
        }
    }
}

#[test]
fn a_death_between_two_renames_is_gone_on_from() {
    if !inside("a_death_between_two_renames_is_gone_on_from") {
        return;
    }
    for goes_on in [true, false] {
        places(true);
        let (before, contents) = (whole(FROM), content(FROM));
        let record = begin();
        // As a power cut leaves it: the old one has its other name, the copy has not got its own yet.
        assert_eq!(carry(&record, &mut Fake::default()), Ended::Moved);
        sh("mv /tmp/new/lotus /tmp/new/.lotus.ravelin-copy");
        let journal = record.journal();
        let marks: Vec<Mark> = journal.marks().expect("reads");
        let cut = marks.iter().position(|m| *m == Mark::Done(adopt::Step::Relocate)).expect("was done");
        fs::remove_file(&journal.0).expect("removes");
        journal.add(&marks[..cut].iter().cloned().map(adopt::record::Line::Step).collect::<Vec<_>>()).expect("adds");
        if goes_on {
            assert_eq!(carry(&record, &mut Fake::default()), Ended::Moved);
            assert_eq!((owner(TARGET), content(TARGET)), (TO, contents));
        } else {
            record.back("asked for").expect("marks");
            carry(&record, &mut Fake::default());
            assert_eq!((whole(FROM), left_over()), (before, vec![FROM.to_owned()]));
        }
    }
}

#[test]
fn what_stands_against_it_is_said_before_anything_is_changed() {
    if !inside("what_stands_against_it_is_said_before_anything_is_changed") {
        return;
    }
    let plants: [(&str, &str); 9] = [
        ("umount /tmp/new; mount -t tmpfs -o size=2m none /tmp/new", "bytes free"),
        ("umount /tmp/new; mount -t tmpfs -o nr_inodes=100 none /tmp/new", "inodes free"),
        ("mkdir /tmp/new/lotus; echo x >/tmp/new/lotus/x", "not empty"),
        ("mkdir /tmp/new/lotus; mount -t tmpfs none /tmp/new/lotus", "name a directory below it"),
        ("ln -s /tmp/old/.lotus/token /tmp/old/.lotus/full", "relative link"),
        (
            "printf 'A = 1\\n[x]\\nPath = \"/tmp/old/.lotus/cache\"\\n' >/tmp/old/.lotus/config.toml",
            "/tmp/old/.lotus/config.toml:3: names the old place",
        ),
        ("mkdir /tmp/new/.lotus.ravelin-copy", "left of a move before"),
        ("mount --bind /tmp/old/.lotus /tmp/old/.lotus", "mount it at /tmp/new/lotus instead"),
        ("mkdir /tmp/old/.lotus/m; mount -t tmpfs none /tmp/old/.lotus/m", "another file system"),
    ];
    for (plant, word) in plants {
        sh("umount /tmp/new/lotus /tmp/old/.lotus/m /tmp/old/.lotus 2>/dev/null || true");
        places(true);
        relocation().survey().unwrap_or_else(|e| panic!("before {plant}: {}", run::chain(&e)));
        sh(plant);
        let before = left_over();
        let said = run::chain(&relocation().survey().expect_err(plant));
        assert!(said.contains(word), "{plant}: {said}");
        assert_eq!(left_over(), before, "{plant}");
    }
    sh("umount /tmp/new/lotus /tmp/old/.lotus/m /tmp/old/.lotus 2>/dev/null || true");
    // Room that is gone only when it copies: everything is as before.
    places(true);
    let before = whole(FROM);
    let record = begin();
    sh("umount /tmp/new; mount -t tmpfs -o size=2m none /tmp/new");
    let Ended::Returned { why, .. } = carry(&record, &mut Fake::default()) else { panic!("there is no room") };
    assert!(why.contains("bytes free"), "{why}");
    assert_eq!((whole(FROM), left_over()), (before, vec![FROM.to_owned()]));
}

#[test]
fn what_is_exchanged_while_it_is_copied_is_not_followed() {
    if !inside("what_is_exchanged_while_it_is_copied_is_not_followed") {
        return;
    }
    sh("mkdir -p /tmp/victim; echo secret-of-root >/tmp/victim/shadow; chmod 600 /tmp/victim/shadow; mount -t tmpfs none /mnt");
    sh("mkdir -p /tmp/old/.lotus/d; cd /tmp/old/.lotus/d; for n in $(seq 300); do echo x >$n; done; cp -a ../d ../e");
    // Somebody exchanges a directory and a link to root's, and gives a file of root's another name here, as fast as it can.
    let scripts = [
        "cd /tmp/old/.lotus; ln -s /tmp/victim l; while :; do mv -T d x && mv -T l d && mv -T d l && mv -T x d; done 2>/dev/null",
        "cd /tmp/old/.lotus/e; while :; do ln /tmp/victim/shadow 7-; mv 7- 7; rm -f 7; done 2>/dev/null",
    ];
    let mut swappers: Vec<_> = scripts.iter().map(|s| Command::new("sh").args(["-c", s]).spawn().expect("a shell")).collect();
    let stat = fs::metadata(FROM).expect("is there");
    let (mut same, mut refused) = (0, 0);
    for n in 0..40 {
        let to = format!("/mnt/{n}");
        fs::create_dir(&to).expect("makes");
        let open = fs::File::open(&to).expect("opens");
        let top = (stat.dev(), stat.ino());
        let told = &mut |_| {};
        use std::os::fd::AsFd;
        let copied =
            adopt::mirror::mirror(FROM, top, open.as_fd(), told).and_then(|()| adopt::mirror::compare(FROM, top, open.as_fd(), told));
        match copied {
            Ok(()) => {
                same += 1;
                let found = Command::new("grep").args(["-rl", "secret-of-root", &to]).output().expect("grep");
                assert!(found.stdout.is_empty(), "{}", String::from_utf8_lossy(&found.stdout));
            }
            Err(Error::Refused(_) | Error::Differs { .. } | Error::Kernel(_)) => refused += 1,
            Err(e) => panic!("{}", run::chain(&e)),
        }
        sh(&format!("rm -rf {to}"));
        assert_eq!(fs::read_to_string("/tmp/victim/shadow").expect("reads"), "secret-of-root\n");
    }
    for swapper in &mut swappers {
        swapper.kill().expect("kills");
        swapper.wait().expect("ends");
    }
    assert!(refused > 0, "they were fast enough to be noticed: {same} {refused}");
}
