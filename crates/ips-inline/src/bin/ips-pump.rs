//! The pump by itself, for tests and measurements, in no package: `ips-pump RULES SOCKET EVENTS POLICIES`, each a path. Queues 8 (open) and
//! 9 (closed). People run `ravelin ips run`.
#![expect(clippy::print_stderr, reason = "a program tells what it does")]

use ips_inline::{events, fresh, policy::Policies, pump, run};
use std::{error::Error, path::PathBuf, time::Duration};
use words::SourceFile;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [rules, socket, events, policies] = arguments.as_slice() else { return Err("ips-pump RULES SOCKET EVENTS POLICIES".into()) };
    let policies: Policies = serde_json::from_str(&std::fs::read_to_string(policies)?)?;
    let mut config = ips_io::config::Config::default();
    config.eve.kinds = pump::KINDS.map(str::to_owned).to_vec();
    pump::inline(&mut config);
    let settings =
        pump::Settings { open: 8, closed: 9, segments: true, engine: config.engine, parsers: config.parsers, eve: config.eve, policies };
    let (path, options) = (rules.clone(), config.detect);
    let load: run::Load = Box::new(move || {
        let text = std::fs::read_to_string(&path).map_err(|e| e.to_string())?;
        let tables = ips_rules::Tables::default();
        let set = ips_rules::Set::read(&[SourceFile::new(path.display().to_string(), text)], &tables);
        if set.rules.is_empty() && !set.rejected.is_empty() {
            return Err(format!("none of {} rules is understood", set.rejected.len()));
        }
        Ok(fresh::compile(set.rules, set.rejected.len(), &options, &[], tables))
    });
    let to = events::To::File(events.clone());
    let setup = run::Setup { settings, load, events: to, socket: socket.clone(), hook: true, table: None, hang: Duration::from_secs(5) };
    run::run(setup, |m| eprintln!("{m}"))?;
    Ok(())
}
