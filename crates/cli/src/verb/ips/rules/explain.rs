//! `ravelin ips rules explain`: what a rule needs, in words; which buffer is looked at first, and where that comes from.

use super::{Loaded, Sources};
use crate::{
    args::Global,
    exit::Exit,
    face::{Face, show},
    trouble::Trouble,
};
use clap::Args;
use ips_rules::{Rule, explain};
use serde::Serialize;

/// Arguments of `ips rules explain`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    sources: Sources,
    /// Only this rule
    #[arg(long, value_name = "SID")]
    sid: Option<u32>,
}

#[derive(Serialize)]
struct Explained {
    rules: Vec<One>,
}

#[derive(Serialize)]
struct One {
    file: String,
    line: u32,
    words: Vec<String>,
    rule: Rule,
}

impl Face for Explained {
    fn text(&self) -> String {
        let one = |o: &One| format!("{}:{}\n{}\n", o.file, o.line, o.words.join("\n"));
        self.rules.iter().map(one).collect::<Vec<_>>().join("\n")
    }
}

/// Reads and explains.
pub fn run(arguments: &Arguments, global: &Global) -> Result<Exit, Trouble> {
    let Loaded { sources, set, .. } = arguments.sources.understood()?;
    let wanted = |r: &Rule| arguments.sid.is_none_or(|s| s == r.meta.sid);
    let place = |r: &Rule| sources.get(r.file).map(|s| (s.name().to_owned(), s.place(r.span.start).line)).unwrap_or_default();
    let one = |rule: Rule| {
        let (file, line) = place(&rule);
        One { file, line, words: explain::lines(&rule), rule }
    };
    let rules: Vec<One> = set.rules.into_iter().filter(wanted).map(one).collect();
    if let (true, Some(sid)) = (rules.is_empty(), arguments.sid) {
        return Err(Trouble::usage(
            format!("no rule that is understood has the number {sid}"),
            "`ravelin ips rules check` says what is not, and why",
        ));
    }
    show(global, &Explained { rules })?;
    Ok(Exit::Ok)
}
