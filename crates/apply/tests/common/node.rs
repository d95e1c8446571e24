//! A node of a pair: the files its daemons get, as they are emitted, and bundles one after another.

use crate::common::*;
use bundle::{Artefact, Bundle, OwnAddress, OwnFile, pair::Daemon};
use std::{fs, path::PathBuf};
use words::Digest;

/// A device of the emitted election, an address the machine has there by itself, and two that are the election's.
pub const LAN: &str = "internet";
pub const OWN: &str = "192.0.2.2/24";
pub const GATEWAY: &str = "203.0.113.1/32";
pub const PUBLISHED: &str = "203.0.113.5/32";

/// What Ravelin emits, all of it.
pub const ELECTION: &str = include_str!("../../../emit/tests/pair/fw-a-keepalived.conf");
pub const STATES: &str = include_str!("../../../emit/tests/pair/fw-a-conntrackd.conf");

fn file(path: &str, content: &str) -> OwnFile {
    OwnFile { path: path.into(), mode: 0o644, content: content.into() }
}

/// The files of a node with this election.
pub fn files(election: &str) -> Vec<OwnFile> {
    let drop_in = |d: Daemon| file(&format!("/etc/systemd/system/{}.d/10-ravelin.conf", d.unit()), &bundle::pair::drop_in(d));
    vec![
        file(Daemon::Keepalived.path(), election),
        file(Daemon::Conntrackd.path(), STATES),
        drop_in(Daemon::Conntrackd),
        drop_in(Daemon::Keepalived),
    ]
}

pub struct Node {
    pub dir: tempfile::TempDir,
    generation: u64,
}

impl Node {
    pub fn new() -> Self {
        run("nft", &["flush", "ruleset"]);
        etc_of_its_own();
        fs::write("/etc/passwd", "root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/usr/sbin/nologin\n").expect("writes");
        device_of_its_own(LAN, &[OWN]);
        Self { dir: tempfile::tempdir().expect("directory"), generation: 0 }
    }
    pub fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }
    fn status(&self) -> serde_json::Value {
        serde_json::from_str(&applied(&self.state(), &["status", "--json"])).expect("JSON")
    }
    fn parent(&self) -> Option<Digest> {
        self.status()["confirmed"]["digest"].as_str().map(|d| d.parse().expect("digest"))
    }
    pub fn drift(&self) -> Vec<String> {
        serde_json::from_value(self.status()["drift"].clone()).expect("lines")
    }
    /// The next bundle with these files and addresses.
    pub fn bundle(&mut self, files: Vec<OwnFile>, all: &[&str], elected: bool) -> String {
        self.generation += 1;
        let parent = if self.generation == 1 { None } else { self.parent() };
        let mut with = draft(&ruleset("22"), self.generation, parent);
        with.artefacts.extend(files.into_iter().map(Artefact::File));
        let one = |a: &&str| OwnAddress { device: LAN.into(), address: a.parse().expect("address"), source: false };
        with.artefacts.push(Artefact::Addresses { addresses: all.iter().map(one).collect(), leave: false, elected });
        written(self.dir.path(), "bundle", &Bundle::seal(with).expect("seals"))
    }
    pub fn apply(&mut self, files: Vec<OwnFile>, all: &[&str], elected: bool) {
        let path = self.bundle(files, all, elected);
        applied(&self.state(), &["apply", &path, "--auto-confirm"]);
    }
}
