//! What the peer answered over one UDP packet, held against what is answered here: thousands of small rules with contents, numbers,
//! expressions and their places, and payloads made so that both answers occur. `cases/recorded.tsv` holds them; lines in
//! `cases/differs.tsv` are answered otherwise on purpose, each with its reason.

mod common;

use common::{Bench, UDP, packet, seen};
use ips_rules::{Set, Tables as Known};
use ips_wire::packet::Transport;
use std::collections::BTreeSet;
use words::SourceFile;

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).expect("hex")).collect()
}

fn read(name: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(name);
    std::fs::read_to_string(path).expect("it reads")
}

#[test]
fn as_the_peer_answered() {
    let known = Known::default();
    let (differs, recorded) = (read("differs.tsv"), read("recorded.tsv"));
    let differs: BTreeSet<&str> = differs.lines().filter_map(|l| l.rsplit_once('\t').map(|(case, _)| case)).collect();
    let (mut asked, mut yes, mut wrong, mut other, mut refused) = (0, 0, Vec::new(), 0, 0);
    for line in recorded.lines().filter(|l| !l.starts_with('#')) {
        let mut parts = line.split('\t');
        let (options, payload, want) = (parts.next().expect("options"), bytes(parts.next().expect("payload")), parts.next() == Some("Y"));
        let source = SourceFile::new("r", format!("alert udp any any -> any any (msg:\"c\"; {options} sid:1;)"));
        let mut set = Set::read(std::slice::from_ref(&source), &known);
        let Some(rule) = set.rules.pop() else {
            refused += 1;
            continue;
        };
        let (tables, gone) = ips_detect::Tables::build(vec![rule], &ips_detect::Options::default());
        assert_eq!(gone, []);
        let mut bench = Bench::of(tables);
        let p = packet(Transport::Udp(&UDP), &payload);
        let mut s = seen(&p);
        if let Some(f) = &mut s.flow {
            f.established = false;
        }
        let got = !bench.sids(&s).is_empty();
        asked += 1;
        yes += usize::from(want);
        if got == want {
            continue;
        }
        if differs.contains(line) {
            other += 1;
        } else {
            wrong.push(format!("{line}\there {}", if got { "Y" } else { "n" }));
        }
    }
    assert!(wrong.is_empty(), "{} of {asked} are answered otherwise:\n{}", wrong.len(), wrong.join("\n"));
    assert!(asked > 5_000 && yes > 1_000 && refused < 300, "{asked} asked, {yes} of them yes, {refused} not read");
    assert_eq!(other, differs.len(), "each difference is still one");
}
