//! The repository's own commands: in comes `cargo xtask COMMAND`, out comes its result as text and an exit code.
//! Never: anything an installed Ravelin needs; this crate is for those who build it.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command for the terminal")]

mod bench;
mod demo;
mod fuzz;
mod layers;
mod licences;
mod package;
mod process;
mod setup;
mod test;

use process::Stop;
use std::process::ExitCode;

const HELP: &str = "cargo xtask COMMAND

  setup              install the missing tools (as root), or print the line that does it and exit 2
  demo [ARGS...]     the whole example site on this machine, in namespaces: proof, apply, attacks, rollback
  test [ARGS...]     set-up, format, layers, licences and all tests; ARGS go to `cargo test`
  layers [--check]   refuse an import that points up; write docs/deps.txt, or compare it with --check
  licences           refuse a dependency whose licence is not on the list, or that docs/dependencies.md does not argue for
  package            a static binary and a .deb in target/package, installed into an empty root and tried there
  man                man pages and completion scripts into target/man
  bench [NAME]       the benchmarks whose figures stand in docs/performance.md
  fuzz [TARGET] [S]  the readers of foreign text under libFuzzer, S seconds each, one or all of fuzz/fuzz_targets
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = arguments.split_first().map_or(("help", &[][..]), |(c, r)| (c.as_str(), r));
    let result = match command {
        "setup" => setup::run(),
        "demo" => demo::run(rest),
        "test" => test::run(rest),
        "layers" => layers::run(rest.iter().any(|a| a == "--check")),
        "licences" => licences::run(),
        "package" => package::run(),
        "man" => package::manuals(&process::root().join("target/man")),
        "bench" => bench::run(rest),
        "fuzz" => fuzz::run(rest),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(())
        }
        other => Err(Stop::usage(format!("no command `{other}`\n\n{HELP}"))),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(stop) => {
            if !stop.message.is_empty() {
                eprintln!("xtask: {}", stop.message);
            }
            ExitCode::from(stop.code)
        }
    }
}
