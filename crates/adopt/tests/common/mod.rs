//! Namespaces, a repository with all that may lie in one, and a machine without systemd.

#![allow(dead_code, reason = "each test program uses a part of it")]

use adopt::{Adoption, Error, Machine, door::Door};
use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::Path,
    process::Command,
};

const INSIDE: &str = "RAVELIN_TEST_INSIDE";
/// The account services get here.
pub const TO: (u32, u32) = (1990, 1991);
pub fn sh(script: &str) {
    let out = Command::new("sh").args(["-ec", script]).output().expect("a shell");
    assert!(out.status.success(), "{script}: {}", String::from_utf8_lossy(&out.stderr));
}

/// Runs the test of this name again in namespaces of its own; `true` inside of them, with an empty `/tmp`.
pub fn inside(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        sh("mount -t tmpfs none /tmp");
        return true;
    }
    let root = fs::metadata("/proc/self").expect("proc").uid() == 0;
    let mut command = Command::new("unshare");
    command.args(if root { &["-m"][..] } else { &["-Ur", "--map-auto", "-m"] });
    let out = command
        .arg(std::env::current_exe().expect("own program"))
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        .output()
        .expect("unshare is installed");
    let text = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success() && text.contains("1 passed"), "{test} in its namespaces:\n{text}");
    false
}

/// A repository with all that may lie in one.
pub fn repository(at: &str) {
    sh(&format!(
        "mkdir -p {at}/keystore {at}/datastore/chain; cd {at}; chmod 700 keystore; echo k >keystore/key; chmod 600 keystore/key
        echo t >token; chmod 600 token; for n in $(seq 300); do echo $n >datastore/chain/$n.vlog; done
        cp /bin/true set-id; chmod 6755 set-id; ln datastore/chain/1.vlog datastore/chain/other-name; ln -s token link; ln -s nowhere dangling
        mkfifo pipe; echo g >group; chgrp 44 group; echo o >third; chown 5:6 third; chmod 2770 datastore"
    ));
    fs::write(Path::new(at).join(OsStr::from_bytes(b"odd \xff\n%41\x01 name")), "x").expect("writes");
    // An access list for uid 1234: user::rw- user:1234:r-- group::r-- mask::r-- other::---
    let entry = |tag: u16, bits: u16, id: u32| [&tag.to_le_bytes()[..], &bits.to_le_bytes(), &id.to_le_bytes()].concat();
    let none = u32::MAX;
    let list = [vec![2, 0, 0, 0], entry(1, 6, none), entry(2, 4, 1234), entry(4, 4, none), entry(16, 4, none), entry(32, 0, none)].concat();
    rustix::fs::setxattr(format!("{at}/token"), "system.posix_acl_access", &list, rustix::fs::XattrFlags::empty()).expect("access lists");
}

pub fn owner(path: &str) -> (u32, u32) {
    let meta = fs::symlink_metadata(path).expect("is there");
    (meta.uid(), meta.gid())
}

pub fn roots(list: &[&str]) -> Vec<String> {
    list.iter().map(|r| (*r).to_owned()).collect()
}

/// A machine without systemd: says what it was asked, and fails where it is told to.
#[derive(Default)]
pub struct Fake {
    pub asked: Vec<String>,
    pub fails: Option<&'static str>,
    pub makes: Option<String>,
    /// What else it does when it starts.
    pub also: Option<String>,
}

impl Fake {
    fn ask(&mut self, what: String) -> Result<(), Error> {
        let fails = self.fails.is_some_and(|f| what.starts_with(f));
        self.asked.push(what);
        if fails { Err(Error::Apply("on purpose".into())) } else { Ok(()) }
    }
}

impl Machine for Fake {
    fn accounts(&mut self, _: &Adoption) -> Result<(u32, u32), Error> {
        self.ask("accounts".into()).map(|()| TO)
    }
    fn account(&self, _: &str) -> Option<(u32, u32)> {
        Some(TO)
    }
    fn stop(&mut self, unit: &str) -> Result<(), Error> {
        self.ask(format!("stop {unit}"))
    }
    fn start(&mut self, unit: &str) -> Result<(), Error> {
        // The service writes something as whoever it is now.
        if let Some(path) = self.makes.take() {
            sh(&format!("echo new >{path}; chown {}:{} {path}", TO.0, TO.1));
        }
        if let Some(script) = self.also.take() {
            sh(&script);
        }
        self.ask(format!("start {unit}"))
    }
    fn hold(&mut self, _: &Adoption) -> Result<(), Error> {
        self.ask("hold".into())
    }
    fn release(&mut self, _: &Adoption) -> Result<(), Error> {
        self.ask("release".into())
    }
    fn ended(&mut self, _: &Adoption) -> Result<(), Error> {
        self.ask("ended".into())
    }
    fn door(&self, _: &str) -> Result<Door, Error> {
        Ok(Door { shell: "/bin/bash".into(), ends: String::new() })
    }
    fn set_door(&mut self, account: &str, door: &Door) -> Result<(), Error> {
        self.ask(format!("{account} gets {}", door.shell))
    }
    fn reload(&mut self) -> Result<(), Error> {
        self.ask("reload".into())
    }
    fn healthy(&mut self, _: &Adoption, uid: u32) -> Result<(), Error> {
        self.ask(format!("healthy {uid}"))
    }
}

pub fn adoption(list: &[&str], from: (u32, u32)) -> Adoption {
    Adoption {
        service: "lotus".into(),
        unit: "lotus.service".into(),
        active: true,
        account: "lotus".into(),
        from: ("before".into(), from.0, from.1),
        roots: roots(list),
        relocation: None,
        accounts: String::new(),
        directories: String::new(),
        files: Vec::new(),
        port: None,
        within: 1,
        closes: false,
        deadlines: None,
    }
}
