//! Containers found bad and rewritten: golden text, and the narrower form read back and judged again, with nothing left to object to.
//! `UPDATE_EXPECT=1 cargo test -p emit --test containers` writes the texts anew.

#![expect(clippy::print_stderr, reason = "a test tells what it could not ask")]

use plan::containers::{Fault, Hardened, Known, compose, harden};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Keys of `[Container]` that the text uses, as podman-systemd.unit(5) of Podman 4.4 lists them.
const QUADLET_KEYS: [&str; 13] = [
    "AddCapability",
    "AddDevice",
    "ContainerName",
    "DropCapability",
    "Group",
    "Image",
    "NoNewPrivileges",
    "PodmanArgs",
    "PublishPort",
    "ReadOnly",
    "User",
    "VolatileTmp",
    "Volume",
];
/// Where Podman's generator lies; Debian 12's Podman is 4.3.1 and has none yet.
const GENERATORS: [&str; 2] = ["/usr/libexec/podman/quadlet", "/usr/lib/podman/quadlet"];

fn directory() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/containers"))
}

fn hold(path: &Path, made: &str) {
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(path, made).expect("written");
        return;
    }
    assert_eq!(fs::read_to_string(path).unwrap_or_default(), made, "{} is stale", path.display());
}

fn hardened(with_site: bool) -> Vec<Hardened> {
    let source = words::SourceFile::new("site.toml", fs::read_to_string(directory().join("site.toml")).expect("site"));
    let read = site::read(&source, "2026-11-26");
    assert!(read.is_good(), "{}", read.render(&source));
    let model = read.model.expect("model");
    let host = model.hosts.values().find(|h| h.name.as_str() == "box1").expect("box1");
    let accounts = BTreeMap::from([("lotus".to_owned(), (990, 989)), ("boost".to_owned(), (991, 988))]);
    let known = Known { site: with_site.then_some((&model, host)), accounts: Some(&accounts) };
    let seen = compose::read(&fs::read_to_string(directory().join("bad.yml")).expect("compose file")).expect("readable");
    seen.iter().map(|c| harden(c, known)).collect()
}

#[test]
fn every_fault_is_found() {
    let of = |name: &str| {
        let all = hardened(true);
        let c = all.iter().find(|c| c.name == name).expect("container").clone();
        c.findings.iter().map(|f| f.fault).collect::<BTreeSet<_>>()
    };
    use Fault::{Capability, EngineSocket, HostDirectory, HostNetwork, NewPrivileges, OpenPort, Privileged, Root};
    assert_eq!(of("lotus"), BTreeSet::from([Root, Privileged, HostNetwork, EngineSocket, HostDirectory, NewPrivileges]));
    assert_eq!(of("boostd"), BTreeSet::from([Root, Capability, OpenPort, NewPrivileges]));
    assert_eq!(of("booster-http"), BTreeSet::new(), "a good one is left alone");
    assert_eq!(of("thing"), BTreeSet::from([Root, OpenPort, NewPrivileges]));
}

#[test]
fn the_override_is_the_golden_one_and_leaves_nothing_to_object_to() {
    for (file, with_site) in [("with-site.override.yml", true), ("alone.override.yml", false)] {
        let text = emit::containers::compose(&hardened(with_site));
        hold(&directory().join(file), &text);
        let again = compose::read(&text).expect("the YAML reader takes it");
        assert_eq!(again.len(), 4);
        for c in again {
            let left: Vec<Fault> = harden(&c, Known::default()).findings.iter().map(|f| f.fault).collect();
            // Of `thing` nobody knows which account it should have; that is said, not guessed.
            // Without a site file nobody knows the address a public port is for either.
            let expected = match c.name.as_str() {
                "thing" => vec![Fault::Root],
                "boostd" if !with_site => vec![Fault::OpenPort],
                _ => Vec::new(),
            };
            assert_eq!(left, expected, "{}: {c:?}", c.name);
            assert!(c.cap_drop == ["ALL"] && c.read_only == Some(true), "{}", c.name);
        }
    }
}

#[test]
fn ports_are_bound_to_the_address_their_users_come_to() {
    let all = hardened(true);
    let bound = |name: &str, inside: u16| {
        let c = all.iter().find(|c| c.name == name).expect("container");
        c.ports.iter().filter(|p| p.inside == inside).map(|p| p.address.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(bound("boostd", 8080), ["127.0.0.1"], "an interface without login");
    assert_eq!(bound("boostd", 24001), ["10.0.1.11"], "published through the edge");
    assert_eq!(bound("thing", 80), ["127.0.0.1"], "nobody knows what it is");
    assert_eq!(bound("lotus", 6665).len(), 2, "TCP and UDP, out of the host's network");
}

#[test]
fn quadlets_are_the_golden_ones() {
    let mut text = String::new();
    for c in hardened(true) {
        let one = emit::containers::quadlet(&c);
        let mut section = "";
        for line in one.lines().filter(|l| !l.starts_with('#') && !l.is_empty()) {
            if line.starts_with('[') {
                section = line;
            } else if section == "[Container]" {
                let key = line.split_once('=').expect("a key").0;
                assert!(QUADLET_KEYS.contains(&key), "{key}");
            }
        }
        text += &format!("==> {}.container\n{one}\n", c.name);
        generator(&c.name, &one);
    }
    hold(&directory().join("quadlets.txt"), &text);
}

/// Podman's own generator, where it is installed.
fn generator(name: &str, text: &str) {
    let Some(program) = GENERATORS.iter().find(|g| Path::new(g).exists()) else {
        eprintln!("no Quadlet generator (Podman 4.4 or later): its keys are held against the manual's list alone");
        return;
    };
    let dir = tempfile::TempDir::new().expect("directory");
    fs::write(dir.path().join(format!("{name}.container")), text).expect("file");
    let out = Command::new(program).arg("-dryrun").env("QUADLET_UNIT_DIRS", dir.path()).output().expect("generator");
    let said = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success() && said.contains("podman run") && !said.contains("unsupported key"), "{name}: {said}");
}
