//! A machine that somebody else wrote to: pipes and rings of links in place of files, directories in place of tables, names that are
//! no text, tables full of odd bytes. Observed below a root and audited it gives a report, in time, and names what does not read.

use observe::{Interest, Root, file::Keep};
use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt, fs::symlink},
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

fn put(root: &Path, path: &str, bytes: &[u8]) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().expect("parent")).expect("directories");
    fs::write(path, bytes).expect("writes");
}

fn pipe(root: &Path, path: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().expect("parent")).expect("directories");
    assert!(Command::new("mkfifo").arg(path).status().expect("mkfifo").success());
}

#[test]
fn odd_files_are_named_and_hold_nobody_up() {
    let dir = tempfile::tempdir().expect("directory");
    let root = dir.path();
    put(root, "etc/passwd", b"root:x:0:0:root:/root:/bin/bash\n\xff\xfe:x:1\n\x00\x00\n:::::::\nlotus:x:990:990::/home/../../..:/bin/sh\n");
    put(root, "etc/shadow", b"root:$6$\xff:1:2\n\nlotus:\xff:x:y:z:::::\n");
    put(root, "etc/group", b"root:x:0:\n\xff\n");
    put(root, "etc/sudoers", b"lotus ALL=(ALL\nDefaults \xff,!authenticate\n@include /etc/sudoers\n@includedir /etc/sudoers.d\n");
    put(root, "etc/sudoers.d/a", &b"x ALL=".repeat(5000));
    put(root, "etc/systemd/system/odd.service", b"[Service\nUser\n=\n\xff\xff=\xff\nExecStart=\\\n");
    pipe(root, "etc/systemd/system/pipe.service");
    pipe(root, "etc/ssh/sshd_config");
    symlink("ring", root.join("etc/ring")).expect("links");
    symlink("/etc/ring", root.join("etc/crontab")).expect("links");
    symlink("/proc/self/root/etc/shadow", root.join("etc/exports")).expect("links");
    fs::create_dir_all(root.join("etc/login.defs")).expect("makes");
    fs::create_dir_all(root.join("home/x/.ssh")).expect("makes");
    put(root, "etc/apt/sources.list", b"deb [\xff http://x\ndeb\n\x00");
    put(root, "etc/apt/sources.list.d/x.sources", b" a\n:\nURIs: http://\xff\nSuites: \n\nx");
    put(
        root,
        "var/lib/dpkg/status",
        b"Package: \xff\nVersion\nStatus: install ok installed\n\n\n\nVersion: ~~~:-::--\nPackage: x\nStatus: install ok installed\n",
    );
    put(root, "var/lib/apt/lists/a-security_b_Packages", b"Package: x\nVersion: 99999999999999999999999999:0-\n");
    put(root, "proc/mounts", b"a\n\\777 \\04 \\ x\n/dev/\xff/../x / ext4 rw 0 0\n");
    put(root, "proc/cmdline", b"init= =x \xff\x00 selinux");
    put(root, "proc/swaps", b"\n\\\n");
    put(root, "proc/7/status", b"Uid:\t-1 x\n");
    put(root, "proc/99999999999999/status", b"");
    put(root, "proc/sys/kernel/kptr_restrict", b"\xff");
    let odd = root.join("root").join(OsStr::from_bytes(b"\xff\n<script>"));
    fs::create_dir_all(root.join("root")).expect("makes");
    fs::write(odd, "7b2254797065223a22").expect("writes");

    let began = Instant::now();
    let interests: Vec<Interest> =
        audit::wanted().into_iter().map(|w| Interest { path: w.path, holds: w.holds, keep: Keep::configuration(w.text) }).collect();
    let mut facts = observe::from_tree(&Root::tree(root), &interests, 1_764_000_000);
    facts.paths = observe::path::look_in(&Root::tree(root), &breach::wanted_paths(&facts), &mut Vec::new());
    let report = audit::run(&facts, None);
    assert!(began.elapsed() < Duration::from_secs(30), "a pipe held it up: {:?}", began.elapsed());
    let named: Vec<String> =
        facts.unread.iter().map(|u| format!("{}:{}", u.file, u.line)).chain(facts.failures.iter().map(|f| f.reason.clone())).collect();
    for place in [
        "/etc/passwd:2",
        "/etc/shadow:1",
        "/etc/group:2",
        "/etc/systemd/system/odd.service:2",
        "/etc/apt/sources.list:1",
        "/etc/apt/sources.list.d/x.sources:1",
        "/proc/mounts:1",
        "/etc/sudoers:3",
    ] {
        assert!(named.iter().any(|n| n.starts_with(place)), "{place} is not named: {named:#?}");
    }
    assert!(facts.file("/etc/exports").is_none_or(|f| f.text.is_none()), "a link out of the tree was followed");
    assert!(report.findings.iter().any(|f| f.code.0 == "AUD047"), "what reads is still judged:\n{}", report.text());
    let page = report.html(&str::to_owned);
    assert!(!page.contains("<script>") && page.ends_with("</html>\n"));
}
