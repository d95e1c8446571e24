//! Containers found bad and rewritten: golden text, and the narrower form read back and judged again, with nothing left to object to.
//! `UPDATE_EXPECT=1 cargo test -p emit --test containers` writes the texts anew.

#![expect(clippy::print_stderr, reason = "a test tells what it could not ask")]

use plan::containers::{Fault, Form, Hardened, Known, compose, harden};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::PermissionsExt as _,
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
/// Units of the distribution that ours name or come after.
const TARGETS: [&str; 6] =
    ["basic.target", "sysinit.target", "shutdown.target", "multi-user.target", "network.target", "network-online.target"];
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
    let known = Known { site: with_site.then_some((&model, host)), accounts: Some(&accounts), podman: None };
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
fn a_directory_with_the_engines_socket_is_taken_away_and_others_become_read_only() {
    let text = "services: {x: {image: x, user: '1', security_opt: ['no-new-privileges'], volumes: ['/:/host:ro', '/var/run:/run', '/etc/:/e', '/srv:/srv']}}";
    let c = harden(&compose::read(text).expect("readable")[0], Known::default());
    assert_eq!(c.findings.iter().map(|f| f.fault).collect::<Vec<_>>(), [Fault::EngineSocket, Fault::EngineSocket, Fault::HostDirectory]);
    assert!(c.findings[0].what.starts_with("it mounts /, where the engine's socket is"), "{:?}", c.findings);
    assert_eq!(c.hidden, ["/host", "/run"]);
    assert_eq!(c.mounts.iter().map(|m| (m.source.as_str(), m.read_only)).collect::<Vec<_>>(), [("/etc/", true), ("/srv", false)]);
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

#[test]
fn units_are_the_golden_ones_and_systemd_takes_them() {
    let root = tempfile::TempDir::new().expect("directory");
    let put = |path: &str, text: &str, mode: u32| {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().expect("parent")).expect("directory");
        fs::write(&path, text).expect("file");
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("mode");
    };
    put("usr/bin/podman", "#!/bin/true\n", 0o755);
    for target in TARGETS {
        put(&format!("usr/lib/systemd/system/{target}"), "[Unit]\nDescription=x\n", 0o644);
    }
    let mut text = String::new();
    for mut c in hardened(true) {
        c.form = Form::Unit;
        let (name, one) = emit::containers::file(&c);
        put(&format!("etc/systemd/system/{name}"), &one, 0o644);
        let out = Command::new("systemd-analyze")
            .args(["verify", "--man=no", &format!("--root={}", root.path().display()), &name])
            .env("SYSTEMD_COLORS", "0")
            .output()
            .expect("systemd-analyze: cargo xtask setup installs it");
        assert!(out.status.success() && out.stderr.is_empty(), "{name}: {}", String::from_utf8_lossy(&out.stderr));
        text += &format!("==> {name}\n{one}\n");
    }
    hold(&directory().join("units.txt"), &text);
}

/// A Quadlet and a unit of the same container say the same.
#[test]
fn a_unit_restricts_what_a_quadlet_restricts() {
    for c in hardened(true) {
        let (quadlet, unit) = (emit::containers::quadlet(&c), emit::containers::unit(&c));
        for line in quadlet.lines().skip_while(|l| *l != "[Container]").take_while(|l| *l != "[Service]") {
            let Some((key, value)) = line.split_once('=').filter(|_| !line.starts_with('#')) else { continue };
            let option = match key {
                "Image" => format!("  $OPTIONS {value} $ARGUMENTS"),
                "ContainerName" => format!("--name={value}"),
                "User" => format!("--user={value}:"),
                "Group" => format!(":{value} \\"),
                "DropCapability" => format!("--cap-drop={value}"),
                "AddCapability" => format!("--cap-add={value}"),
                "NoNewPrivileges" => "--security-opt=no-new-privileges".to_owned(),
                "ReadOnly" => "--read-only".to_owned(),
                "VolatileTmp" => "--tmpfs=/tmp:".to_owned(),
                "PodmanArgs" => value.to_owned(),
                "PublishPort" => format!("--publish={value}"),
                "Volume" => format!("--volume={value}"),
                "AddDevice" => format!("--device={value}"),
                _ => panic!("{key}"),
            };
            assert!(unit.lines().any(|l| l.contains(&option)), "{}: {line}: {option}: {unit}", c.name);
        }
    }
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
