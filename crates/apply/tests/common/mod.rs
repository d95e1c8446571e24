//! Private namespaces and small bundles for the tests. Nothing here touches the machine's own network.
#![allow(dead_code, reason = "each test program uses a part of it")]

use bundle::{Artefact, Bundle, Draft, Expected, Management, OwnAddress, OwnFile, content::SCHEMA};
use std::{
    collections::BTreeMap,
    path::Path,
    process::{Command, Output},
    sync::Mutex,
};
use words::{Digest, Generation, HostName};

const INSIDE: &str = "RAVELIN_TEST_INSIDE";

/// Runs the test of this name again in user, network, mount and process namespaces of its own; `true` inside of them.
/// What it leaves running ends with them.
pub fn inside(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        run("ip", &["link", "set", "lo", "up"]);
        // State files are flushed at every step: in memory that costs nothing.
        run("mount", &["-t", "tmpfs", "none", "/tmp"]);
        return true;
    }
    let own = std::env::current_exe().expect("own program");
    let status = Command::new("unshare")
        .args(["-Urnmpf", "--kill-child", "--mount-proc"])
        .arg(own)
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        .status()
        .expect("unshare is installed");
    assert!(status.success(), "{test} failed in its namespaces");
    false
}

/// Runs a program that must succeed.
pub fn run(program: &str, arguments: &[&str]) -> String {
    let out = Command::new(program).args(arguments).output().unwrap_or_else(|e| panic!("{program}: {e}"));
    assert!(out.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// Runs the applier.
pub fn applier(state: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ravelin-applier"));
    // Whoever runs the tests may have come by ssh; the machine of the test did not.
    command.env_remove("SSH_CONNECTION").env_remove("SSH_CLIENT");
    command.arg("--state").arg(state).args(arguments).output().expect("the applier starts")
}

/// Runs the applier, which must succeed.
pub fn applied(state: &Path, arguments: &[&str]) -> String {
    let out = applier(state, arguments);
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success(), "{arguments:?}: {text}{}", String::from_utf8_lossy(&out.stderr));
    text
}

/// Our own table without state, empty where it is not there.
pub fn live() -> String {
    let out = Command::new("nft").args(["-s", "list", "table", "inet", "ravelin"]).output().expect("nft is installed");
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// A strict ruleset for one machine that lets these TCP ports in and everything out.
pub fn ruleset(ports: &str) -> String {
    format!(
        "table inet ravelin {{ }}\ndelete table inet ravelin\ntable inet ravelin {{
  chain input {{
    type filter hook input priority 0; policy drop;
    iifname \"lo\" accept
    ct state established,related accept comment \"NET001\"
    ct state invalid counter drop comment \"NET002\"
    icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert }} accept
    tcp dport {{ {ports} }} ct state new accept comment \"f0000001\"
    counter drop comment \"NET099\"
  }}
  chain output {{
    type filter hook output priority 0; policy accept;
    ct state invalid counter drop comment \"NET003\"
  }}
}}
"
    )
}

/// What the kernel makes of a script, read in a network namespace of its own.
pub fn meaning(script: &str) -> ruleset::Ruleset {
    static KNOWN: Mutex<BTreeMap<String, ruleset::Ruleset>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().expect("nobody panics with it");
    known.entry(script.to_owned()).or_insert_with(|| ask_the_kernel(script)).clone()
}

fn ask_the_kernel(script: &str) -> ruleset::Ruleset {
    use std::io::Write;
    let mut child = Command::new("unshare")
        .args(["-Urn", "sh", "-c", "nft -f - && nft -j list ruleset"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("unshare is installed");
    child.stdin.take().expect("piped").write_all(script.as_bytes()).expect("writes");
    let out = child.wait_with_output().expect("ends");
    ruleset::nft::read(&String::from_utf8_lossy(&out.stdout)).expect("nft's JSON is understood")
}

/// A draft with this script.
pub fn draft(script: &str, generation: u64, parent: Option<Digest>) -> Draft {
    Draft {
        schema: SCHEMA,
        machine: HostName::new("here").expect("name"),
        generation: Generation(generation),
        parent,
        site: Digest::of(b"site"),
        layers: BTreeMap::new(),
        artefacts: vec![Artefact::Nft { text: script.to_owned() }],
        expected: Expected { ruleset: Some(meaning(script)) },
        management: Management { from: vec!["0.0.0.0/0".parse().expect("net")], ports: vec![22] },
        break_glass: ruleset("22"),
        probes: vec![],
        seeds: vec![],
    }
}

/// A sealed bundle with this script.
pub fn sealed(script: &str, generation: u64, parent: Option<Digest>) -> Bundle {
    Bundle::seal(draft(script, generation, parent)).expect("seals")
}

/// Writes a bundle and gives its path.
pub fn written(dir: &Path, name: &str, bundle: &Bundle) -> String {
    let path = dir.join(name);
    std::fs::write(&path, bundle.to_bytes()).expect("writes");
    path.display().to_string()
}

/// An `/etc` of the test's own, with what systemd's tools ask of it and a file whose mode is too open. Only in a mount namespace.
pub fn etc_of_its_own() {
    assert!(std::env::var_os(INSIDE).is_some(), "never on the machine's own /etc");
    run("mount", &["-t", "tmpfs", "-o", "mode=755", "none", "/etc"]);
    std::fs::create_dir_all("/etc/systemd/system").expect("makes");
    std::fs::write("/etc/passwd", "root:x:0:0::/root:/bin/sh\n").expect("writes");
    std::fs::write("/etc/group", "root:x:0:\n").expect("writes");
    std::fs::create_dir("/etc/secrets").expect("makes");
    std::fs::write("/etc/secrets/a key", "hunter2").expect("writes");
    run("chmod", &["644", "/etc/secrets/a key"]);
}

/// A file of ours.
pub fn own_file(path: &str, body: &str) -> OwnFile {
    OwnFile { path: path.to_owned(), mode: 0o644, content: format!("{}; a test.\n{body}\n", bundle::file::MARK) }
}

/// The files of one generation: the accounts' and directories' file, and drop-ins of these units for this account.
pub fn own_files(account: &str, units: &[&str]) -> Vec<OwnFile> {
    let mut out = vec![
        own_file(bundle::file::ACCOUNTS, &format!("u {account} - \"A test\" /var/lib/{account} /usr/sbin/nologin")),
        own_file(bundle::file::DIRECTORIES, &format!("d /etc/made-{account} :0750 :root :root -\nz /etc/secrets/* 0600 - - -")),
    ];
    out.extend(
        units
            .iter()
            .map(|u| own_file(&format!("/etc/systemd/system/{u}.d/{}", bundle::file::DROP_IN), &format!("[Service]\nUser={account}"))),
    );
    out
}

/// A sealed bundle with this script and these files.
pub fn sealed_with(script: &str, generation: u64, parent: Option<Digest>, files: Vec<OwnFile>) -> Bundle {
    let mut with = draft(script, generation, parent);
    with.artefacts.extend(files.into_iter().map(Artefact::File));
    Bundle::seal(with).expect("seals")
}

/// The same with these addresses on a device.
pub fn sealed_on(script: &str, generation: u64, parent: Option<Digest>, files: Vec<OwnFile>, device: &str, all: &[&str]) -> Bundle {
    let mut with = draft(script, generation, parent);
    with.artefacts.extend(files.into_iter().map(Artefact::File));
    let one = |a: &&str| OwnAddress { device: device.to_owned(), address: a.parse().expect("address"), source: false };
    with.artefacts.push(Artefact::Addresses { addresses: all.iter().map(one).collect(), leave: false, elected: false });
    Bundle::seal(with).expect("seals")
}

/// A device of the test's own, made anew, with the addresses an operator gave it.
pub fn device_of_its_own(device: &str, addresses: &[&str]) {
    assert!(std::env::var_os(INSIDE).is_some(), "never on the machine's own devices");
    let _ = Command::new("ip").args(["link", "del", device]).output();
    run("ip", &["link", "add", device, "type", "veth", "peer", "name", &format!("{device}-peer")]);
    run("ip", &["link", "set", device, "up"]);
    addresses.iter().for_each(|a| drop(run("ip", &["address", "add", a, "dev", device])));
}

/// A device's addresses as `ip` lists them, sorted, without link-local ones.
pub fn addresses_on(device: &str) -> Vec<String> {
    let text = run("ip", &["-o", "address", "show", "dev", device]);
    let mut out: Vec<String> = text.lines().filter_map(|l| l.split_whitespace().nth(3)).map(str::to_owned).collect();
    out.retain(|a| !a.starts_with("fe80"));
    out.sort();
    out
}

/// Everything below the places of our files, and the modes that may be closed: path, kind, mode, content or target.
pub fn on_disk() -> BTreeMap<String, String> {
    fn walk(path: &Path, out: &mut BTreeMap<String, String>) {
        use std::os::unix::fs::PermissionsExt;
        let Ok(meta) = std::fs::symlink_metadata(path) else { return };
        let what = if meta.is_symlink() {
            format!("-> {}", std::fs::read_link(path).expect("reads").display())
        } else if meta.is_dir() {
            "directory".to_owned()
        } else {
            String::from_utf8_lossy(&std::fs::read(path).expect("reads")).into_owned()
        };
        out.insert(path.display().to_string(), format!("{:04o} {what}", meta.permissions().mode() & 0o7777));
        if meta.is_dir() {
            for entry in std::fs::read_dir(path).expect("lists") {
                walk(&entry.expect("entry").path(), out);
            }
        }
    }
    let mut out = BTreeMap::new();
    for place in ["/etc/systemd", "/etc/sysusers.d", "/etc/tmpfiles.d", "/etc/secrets"] {
        walk(Path::new(place), &mut out);
    }
    out
}
