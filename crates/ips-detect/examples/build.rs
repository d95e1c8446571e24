//! `build FILE...`: reads rules files, compiles them and prints how long each took and what the tables hold; then looks at packets of
//! random bytes and of text as what goes to a web server and as what anybody sends to a high port, and prints the rates beside those of an
//! automaton of the same contents. Each figure is the best of many short runs: other work on the machine does not lower it.

#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use daachorse::DoubleArrayAhoCorasick;
use ips_detect::{Chunk, FlowState, Hits, Options, Seen, Tables};
use ips_proto::Toward;
use ips_rules::{Set, buffer::Buffer};
use ips_wire::packet::{Network, Packet, Transport};
use std::{hint::black_box, net::IpAddr, process::ExitCode, time::Instant};
use words::SourceFile;

/// Bytes of a packet's payload, as a full Ethernet frame has them.
const PAYLOAD: usize = 1_446;
/// Runs, and packets in each: a run is shorter than a time slice.
const RUNS: usize = 400;
const PACKETS: usize = 40;

fn main() -> ExitCode {
    let mut files = Vec::new();
    for path in std::env::args().skip(1) {
        match std::fs::read(&path) {
            Ok(bytes) => files.push(SourceFile::new(path, String::from_utf8_lossy(&bytes))),
            Err(e) => {
                println!("{path}: {e}");
                return ExitCode::from(2);
            }
        }
    }
    let begun = Instant::now();
    let set = Set::read(&files, &ips_rules::Tables::default());
    let read = begun.elapsed();
    let count = set.rules.len();
    let mut contents: Vec<Vec<u8>> = set
        .rules
        .iter()
        .filter_map(|r| r.prefilter.as_ref().filter(|p| r.groups[p.group].buffer == Buffer::Payload && p.bytes.len() > 3))
        .map(|p| p.bytes.to_ascii_lowercase())
        .collect();
    contents.sort();
    contents.dedup();
    let begun = Instant::now();
    let (tables, refused) = Tables::build(set.rules, &Options::default());
    println!(
        "{count} rules read in {:.2} s, compiled in {:.2} s, {} refused, matchers {} KiB, at most {} MB",
        read.as_secs_f64(),
        begun.elapsed().as_secs_f64(),
        refused.len(),
        tables.matcher_memory() >> 10,
        peak()
    );
    refused.iter().for_each(|r| println!("{}: {}", r.sid, r.why));
    let mut seed = 3u64;
    let mut chance = || {
        // Knuth's MMIX constants.
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u8::try_from(seed >> 56).unwrap_or(0)
    };
    let random: Vec<u8> = (0..PAYLOAD).map(|_| chance()).collect();
    let text = b"GET /products/list.php?category=17&page=2 HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n\
        Accept: text/html,application/xhtml+xml\r\nAccept-Language: en-US,en;q=0.5\r\nCookie: session=0a1b2c3d4e5f\r\nConnection: keep-alive\r\n\r\n";
    let text: Vec<u8> = text.iter().copied().cycle().take(PAYLOAD).collect();
    if let Ok(automaton) = DoubleArrayAhoCorasick::<u32>::new(&contents) {
        for (name, bytes) in [("random", &random), ("text", &text)] {
            let lower = bytes.to_ascii_lowercase();
            let alone = rate(|| {
                black_box(automaton.find_overlapping_iter(black_box(&lower)).count());
            });
            println!("{name}: automaton of {} contents {alone:.2} Gbit/s", contents.len());
            for port in [80, 50_000] {
                println!("{name}: packets to port {port} {:.2} Gbit/s", packets(&tables, bytes, port));
            }
        }
    }
    ExitCode::SUCCESS
}

/// Packets of a stream against the tables.
fn packets(tables: &Tables, bytes: &[u8], port: u16) -> f64 {
    let header = [0u8; 20];
    let ip = [0x45u8, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    let address = |last| IpAddr::from([10, 0, 0, last]);
    let packet = Packet {
        network: Network::V4(&ip),
        source: address(1),
        destination: address(2),
        protocol: 6,
        transport: Transport::Tcp(&header),
        source_port: 40_000,
        destination_port: port,
        payload: bytes,
        ..Packet::new(0, 1_500)
    };
    let flow = ips_detect::FlowView {
        established: true,
        age: 1,
        packets: [3, 2],
        bytes: [3_000, 200],
        sent: Some([3_000, 200]),
        app: ips_detect::AppView::default(),
    };
    let seen = Seen {
        packet: &packet,
        toward: Toward::Server,
        flow: Some(flow),
        stream: Some(Chunk { bytes, offset: 1_000_000, last: false }),
        in_stream: true,
        decode_events: &[],
        stream_events: &[],
        app_events: &[],
        checksums: ips_detect::Checksums::default(),
    };
    let (mut scratch, mut memory, mut hits, mut state) = (tables.scratch(), tables.memory(), Hits::default(), FlowState::default());
    rate(|| {
        hits.clear();
        tables.packet(&mut scratch, black_box(&seen), Some(&mut state), &mut memory, &mut hits);
    })
}

/// Gigabits of payload a second.
fn rate(mut one: impl FnMut()) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..RUNS {
        let begun = Instant::now();
        (0..PACKETS).for_each(|_| one());
        best = best.min(begun.elapsed().as_secs_f64());
    }
    (PAYLOAD * PACKETS * 8) as f64 / best / 1e9
}

/// Most memory the process had, in megabytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.and_then(|l| l.trim().trim_end_matches("kB").trim().parse::<u64>().ok()).unwrap_or(0) / 1024
}
