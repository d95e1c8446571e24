//! What looking for contents costs: packets of random bytes and of text, with thousands of rules loaded. Two baselines: a bare copy of the
//! packet in small letters, which is the least that has to be done, and an automaton of the same strings.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use ips_detect::{Chunk, FlowState, Hits, Options, Seen, Tables};
use ips_rules::Set;
use ips_wire::packet::Transport;
use std::hint::black_box;
use words::SourceFile;

#[path = "../tests/common/mod.rs"]
mod common;
use common::{TCP, packet, seen};

/// A sequence that looks like chance and is the same each time (Knuth's MMIX constants).
fn chance(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *seed >> 33
}

/// Rules with contents made of words, as rules have them.
fn rules(count: u64) -> String {
    let parts = [
        "admin",
        "login",
        "shell",
        "exec",
        "cmd",
        "php",
        "GET /",
        "POST /",
        "passwd",
        "update",
        "|0d 0a|",
        "|90 90|",
        "id=",
        ".exe",
        "User-Agent",
    ];
    let mut seed = 7;
    (1..=count)
        .map(|sid| {
            let pick: Vec<&str> = (0..3).map(|_| parts[usize::try_from(chance(&mut seed)).unwrap_or(0) % parts.len()]).collect();
            format!("alert tcp any any -> any any (content:\"{}{}{sid:x}{}\"; nocase; sid:{sid};)\n", pick[0], pick[1], pick[2])
        })
        .collect()
}

fn matcher(c: &mut Criterion) {
    let source = SourceFile::new("r", rules(3_000));
    let set = Set::read(std::slice::from_ref(&source), &ips_rules::Tables::default());
    let (tables, _) = Tables::build(set.rules, &Options::default());
    let mut strings: Vec<Vec<u8>> = tables.rules().iter().filter_map(|r| Some(r.prefilter.as_ref()?.bytes.to_ascii_lowercase())).collect();
    strings.sort();
    strings.dedup();
    let automaton = daachorse::DoubleArrayAhoCorasick::<u32>::new(strings).expect("it builds");
    let mut seed = 3;
    let random: Vec<u8> = (0..1_446).map(|_| u8::try_from(chance(&mut seed) & 0xff).unwrap_or(0)).collect();
    let text: Vec<u8> = b"GET /admin/login.php?id=17 HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: Mozilla/5.0\r\nAccept: */*\r\n"
        .iter()
        .copied()
        .cycle()
        .take(1_446)
        .collect();
    for (name, bytes) in [("random", &random), ("text", &text)] {
        let mut group = c.benchmark_group(name);
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        let mut into = Vec::new();
        group.bench_function("copy in small letters", |b| {
            b.iter(|| {
                into.clear();
                into.extend_from_slice(black_box(bytes));
                into.make_ascii_lowercase();
                black_box(&into);
            });
        });
        group.bench_function("automaton alone", |b| {
            b.iter(|| black_box(automaton.find_overlapping_iter(black_box(bytes)).count()));
        });
        let (mut scratch, mut memory, mut hits, mut flow) = (tables.scratch(), tables.memory(), Hits::default(), FlowState::default());
        group.bench_function("packet against 3,000 rules", |b| {
            b.iter_batched(
                || (),
                |()| {
                    let p = packet(Transport::Tcp(&TCP), bytes);
                    let s = Seen { stream: Some(Chunk { bytes, offset: 0, last: false }), in_stream: true, ..seen(&p) };
                    hits.clear();
                    tables.packet(&mut scratch, black_box(&s), Some(&mut flow), &mut memory, &mut hits);
                },
                BatchSize::SmallInput,
            );
        });
        group.finish();
    }
}

criterion_group!(benches, matcher);
criterion_main!(benches);
