//! What the engine costs in the packet path, beside plain forwarding and beside a queue that accepts everything, by turns in one run.
//! `RAVELIN_RULES=FILE cargo bench -p ips-inline`; `ROUNDS` and `SECONDS` are optional. In namespaces of its own.
#![expect(clippy::print_stdout, reason = "it tells what it measured")]

#[path = "../tests/common/mod.rs"]
mod common;

use common::{Engine, at, build, connect, get, http, serve, sh, switch, table};
use std::{
    io::{Read, Write},
    net::TcpStream,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use sys::queue::{Queues, Received, Settings, Verdict, Verdicts};

const INSIDE: &str = "RAVELIN_PATH_BENCH";
const POLICY: &str = r#"{"others": {"name": "all", "mode": "enforce", "inspect": "EXTENT"}}"#;

#[derive(Clone, Copy, PartialEq)]
enum Variant {
    Forward,
    Accept,
    Inspect,
    Bypass,
}

const VARIANTS: [(Variant, &str); 4] = [
    (Variant::Forward, "forwarding, tracked"),
    (Variant::Accept, "queue, accept all"),
    (Variant::Inspect, "engine, extent all"),
    (Variant::Bypass, "engine, extent 1MiB"),
];

/// A queue whose reader accepts everything.
fn accept_all(stop: Arc<AtomicBool>) -> std::thread::JoinHandle<()> {
    at("edge", move || {
        let mut q = Queues::open(ips_inline::pump::ROOM, Duration::from_millis(20)).expect("a socket");
        for (queue, fail_open) in [(8, true), (9, false)] {
            let _ = q.bind(queue, &Settings { most: ips_inline::pump::MOST, fail_open, segments: true }).expect("bound");
        }
        let mut verdicts = Verdicts::default();
        while !stop.load(Relaxed) {
            for n in 0..64 {
                // The own table drops what bears `wanted` still.
                let got = q.receive(n == 0, &mut |p| verdicts.add(p.queue, p.id, Verdict::Accept, p.mark & !0x2008)).expect("received");
                if got == Received::Nothing {
                    break;
                }
            }
            q.decide(&mut verdicts).expect("decided");
        }
    })
}

fn bulk(line: &str, out: &mut TcpStream) -> std::io::Result<()> {
    let end = Instant::now() + Duration::from_secs_f64(line.parse().unwrap_or(1.0));
    // Bytes that no rule waits for and that do not repeat soon.
    let mut x = 1u64;
    let chunk: Vec<u8> = (0..1 << 18)
        .map(|_| {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (x >> 33) as u8
        })
        .collect();
    while Instant::now() < end {
        out.write_all(&chunk)?;
    }
    out.shutdown(std::net::Shutdown::Both)
}

/// Gbit/s of one flow.
fn throughput(seconds: f64) -> f64 {
    at("client", move || {
        let mut s = connect(7000).expect("connected");
        s.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
        let begun = Instant::now();
        s.write_all(format!("{seconds}\n").as_bytes()).expect("sent");
        let (mut buffer, mut bytes) = (vec![0; 1 << 20], 0usize);
        while let Ok(n) = s.read(&mut buffer) {
            if n == 0 {
                break;
            }
            bytes += n;
        }
        bytes as f64 * 8.0 / begun.elapsed().as_secs_f64() / 1e9
    })
    .join()
    .expect("run")
}

/// Requests that were not answered in time: a number here wants to be looked into.
static UNANSWERED: AtomicU32 = AtomicU32::new(0);

fn ask(s: &mut TcpStream) {
    if get(s, "/good").is_err() {
        UNANSWERED.fetch_add(1, Relaxed);
    }
}

/// Connections with one request each, a second.
fn connections(seconds: f64) -> f64 {
    at("client", move || {
        let (begun, mut n) = (Instant::now(), 0);
        while begun.elapsed().as_secs_f64() < seconds {
            let mut s = connect(80).expect("connected");
            // Closed at once by us: no port waits for its end.
            ask(&mut s);
            socket_reset(&s);
            n += 1;
        }
        f64::from(n) / begun.elapsed().as_secs_f64()
    })
    .join()
    .expect("run")
}

fn socket_reset(s: &TcpStream) {
    let _ = rustix::net::sockopt::set_socket_linger(s, Some(Duration::ZERO));
}

/// Requests a second on one connection, and microseconds of a round trip: half of them below, 99 of 100.
fn requests(seconds: f64) -> (f64, f64, f64) {
    at("client", move || {
        let mut s = connect(80).expect("connected");
        let (begun, mut times) = (Instant::now(), Vec::new());
        while begun.elapsed().as_secs_f64() < seconds {
            let one = Instant::now();
            ask(&mut s);
            times.push(one.elapsed().as_secs_f64() * 1e6);
        }
        let all = begun.elapsed().as_secs_f64();
        times.sort_by(f64::total_cmp);
        (times.len() as f64 / all, times[times.len() / 2], times[times.len() * 99 / 100])
    })
    .join()
    .expect("run")
}

fn median(values: &mut [f64]) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    let n = values.len();
    // Ranks of a 95 % interval of the median (normal approximation of the binomial).
    let half = (0.98 * (n as f64).sqrt()).ceil() as usize;
    (values[n / 2], values[(n / 2).saturating_sub(half)], values[(n / 2 + half).min(n - 1)])
}

fn number(name: &str, default: f64) -> f64 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

fn main() {
    if std::env::var_os(INSIDE).is_none() {
        let exe = std::env::current_exe().expect("this program");
        let mut c = Command::new("unshare");
        c.args([
            "-Urnmpf",
            "--kill-child",
            "--mount-proc",
            "sh",
            "-c",
            "mount -t tmpfs tmpfs /run && mkdir /run/netns && \"$@\"; exit $?",
            "sh",
        ]);
        let status = c.arg(exe).env(INSIDE, "1").status().expect("namespaces");
        std::process::exit(status.code().unwrap_or(1));
    }
    let rules = std::env::var("RAVELIN_RULES").map(|p| std::fs::read(p).expect("rules")).unwrap_or_default();
    let rules = String::from_utf8_lossy(&rules).into_owned();
    let (rounds, seconds) = (number("ROUNDS", 5.0) as usize, number("SECONDS", 1.0));
    build();
    table(false);
    serve(80, http);
    serve(7000, bulk);
    // The hook is put in place by the first engine and stays.
    drop(Engine::start("", &POLICY.replace("EXTENT", "all")));
    let mut measured = vec![[const { Vec::new() }; 5]; VARIANTS.len()];
    for round in 0..rounds {
        for i in 0..VARIANTS.len() {
            // By turns, and each time in another order.
            let at = (i + round) % VARIANTS.len();
            let variant = VARIANTS[at].0;
            switch(variant == Variant::Forward);
            let stop = Arc::new(AtomicBool::new(false));
            let reader = (variant == Variant::Accept).then(|| accept_all(stop.clone()));
            let engine = match variant {
                Variant::Inspect => Some(Engine::start(&rules, &POLICY.replace("EXTENT", "all"))),
                Variant::Bypass => Some(Engine::start(&rules, &POLICY.replace("EXTENT", "1MiB"))),
                _ => None,
            };
            std::thread::sleep(Duration::from_millis(100));
            let gbit = throughput(seconds);
            let opened = connections(seconds);
            let (asked, p50, p99) = requests(seconds);
            for (list, value) in measured[at].iter_mut().zip([gbit, opened, asked, p50, p99]) {
                list.push(value);
            }
            drop(engine);
            stop.store(true, Relaxed);
            if let Some(r) = reader {
                r.join().expect("run");
            }
        }
    }
    println!("| | Gbit/s, one flow | connections/s | requests/s | round trip us p50 | p99 |\n|---|---|---|---|---|---|");
    for ((_, name), lists) in VARIANTS.iter().zip(&mut measured) {
        let cells: Vec<String> = lists
            .iter_mut()
            .map(|l| {
                let (m, low, high) = median(l);
                if m < 100.0 { format!("{m:.2} ({low:.2}-{high:.2})") } else { format!("{m:.0} ({low:.0}-{high:.0})") }
            })
            .collect();
        println!("| {name} | {} |", cells.join(" | "));
    }
    let unanswered = UNANSWERED.load(Relaxed);
    println!("{rounds} rounds of {seconds} s, {} bytes of rules, {}; {unanswered} requests unanswered", rules.len(), sh("uname -r").trim());
}
