//! Times the reading of a generated site: `cargo run --release -p site --example time HOSTS`.
#![allow(clippy::print_stdout)]

fn main() {
    for hosts in std::env::args().skip(1).filter_map(|a| a.parse().ok()) {
        let source = words::SourceFile::new("site.toml", site::generate(hosts, 1));
        let start = std::time::Instant::now();
        let out = site::read(&source, "2026-11-22");
        let took = start.elapsed();
        println!("{hosts} hosts: {} flows, {} diagnostics, {took:.1?}", out.model.map_or(0, |m| m.flows.len()), out.diagnostics.len());
    }
}
