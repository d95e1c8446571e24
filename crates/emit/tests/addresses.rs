//! Addresses of edge nodes: what is rendered is what `ip` takes, and what is sealed is what was planned.

use plan::{Devices, Options};
use std::{collections::BTreeSet, io::Write, process::Stdio};
use words::{Digest, SourceFile};

fn example(name: &str) -> site::Model {
    let path = format!("{}/../../examples/{name}/site.toml", env!("CARGO_MANIFEST_DIR"));
    let source = SourceFile::new("site.toml", std::fs::read_to_string(&path).expect(&path));
    site::read(&source, "2026-11-22").model.expect("model")
}

/// Addresses on devices after `ip -batch`, in namespaces of their own; link-local ones left out.
fn taken(devices: &BTreeSet<String>, batch: &str) -> BTreeSet<String> {
    let made: String = devices.iter().map(|d| format!("ip link add {d} type veth peer name p-{d} && ")).collect();
    let script = format!("{made} ip -batch - && ip -o address show");
    let mut child = std::process::Command::new("unshare")
        .args(["-Urn", "sh", "-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("unshare is installed");
    child.stdin.take().expect("piped").write_all(batch.as_bytes()).expect("writes");
    let out = child.wait_with_output().expect("ends");
    assert!(out.status.success(), "{batch}");
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let words = text.lines().map(|l| l.split_whitespace().collect::<Vec<_>>());
    let aside = |w: &[&str]| if w.contains(&"deprecated") { " aside" } else { "" };
    words.filter(|w| devices.contains(w[1])).map(|w| format!("{} {}{}", w[1], w[3], aside(&w))).collect()
}

fn word(device: &str, address: ipnet::IpNet, source: bool) -> String {
    format!("{device} {address}{}", if address.addr().is_ipv6() && !source { " aside" } else { "" })
}

#[test]
fn what_is_rendered_is_what_ip_takes_and_what_is_sealed() {
    let (name, edge) = ("curio-cluster", "fw1");
    let model = example(name);
    let plan = plan::plan(&model, &Devices::default(), Options::default());
    let files = emit::render::files(&model, &plan, &Devices::default());
    let named: Vec<&String> = files.keys().filter(|p| p.ends_with("/addresses.ip")).collect();
    assert_eq!(named, [&format!("{edge}/addresses.ip")]);
    let text = String::from_utf8(files[named[0]].clone()).expect("text");
    assert!(text.contains("site.toml:"), "{text}");
    let machine = &plan.machines[edge];
    let wanted: BTreeSet<String> = machine.addresses.iter().map(|a| word(&a.device, a.address, a.source)).collect();
    assert!(wanted.len() >= 2, "{wanted:?}");
    let devices = machine.addresses.iter().map(|a| a.device.clone()).collect();
    assert_eq!(taken(&devices, &text), wanted, "{name}");
    let glass = plan::break_glass(&model, &Devices::default(), &machine.host).expect("management");
    let draft = emit::bundle::draft(&model, machine, &glass, Digest::of(b""), emit::bundle::Link::default());
    let sealed = bundle::Bundle::seal(draft).expect("seals");
    let held: BTreeSet<String> = sealed.draft().addresses().map(|a| word(&a.device, a.address, a.source)).collect();
    assert_eq!(held, wanted, "{name}");
}

#[test]
fn what_a_pair_elects_for_is_named_and_put_on_by_nobody_else() {
    let model = example("small");
    let plan = plan::plan(&model, &Devices::default(), Options::default());
    let files = emit::render::files(&model, &plan, &Devices::default());
    assert!(!files.keys().any(|p| p.ends_with("/addresses.ip")), "a file for `ip` would put them on both nodes");
    let mut held = Vec::new();
    for node in ["fw-a", "fw-b"] {
        let machine = &plan.machines[node];
        let glass = plan::break_glass(&model, &Devices::default(), &machine.host).expect("management");
        let draft = emit::bundle::draft(&model, machine, &glass, Digest::of(b""), emit::bundle::Link::default());
        let sealed = bundle::Bundle::seal(draft).expect("seals");
        assert!(sealed.draft().elects() && machine.wanted_addresses().is_empty());
        held.push(sealed.draft().addresses().cloned().collect::<Vec<_>>());
    }
    assert!(held[0].len() > 10 && held[0] == held[1], "{held:?}");
}
