//! `ravelin ips rules list`: the rules that are understood, a line each; `--json` gives each in its typed form.

use super::{Loaded, Sources};
use crate::{
    args::Global,
    exit::Exit,
    face::{Face, show},
    paint::table,
    trouble::Trouble,
};
use clap::Args;
use ips_rules::{Rule, pattern};
use serde::Serialize;

/// Arguments of `ips rules list`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    sources: Sources,
}

/// Longest prefilter that is shown in a line, in characters.
const SHOWN: usize = 40;

#[derive(Serialize)]
struct Listed {
    rules: Vec<Rule>,
}

fn word(value: &impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

impl Face for Listed {
    fn text(&self) -> String {
        let row = |r: &Rule| {
            let first = r.prefilter.as_ref().map_or_else(
                || "-".to_owned(),
                |p| {
                    let text: String = pattern::text(&p.bytes).chars().take(SHOWN).collect();
                    format!("{} \"{text}\"", r.groups.get(p.group).map_or("", |g| g.buffer.row().name))
                },
            );
            vec![
                format!("{}:{}:{}", r.meta.gid, r.meta.sid, r.meta.rev),
                word(&r.header.action),
                r.meta.priority.to_string(),
                first,
                r.meta.msg.clone(),
            ]
        };
        table(&self.rules.iter().map(row).collect::<Vec<_>>())
    }
}

/// Reads and lists.
pub fn run(arguments: &Arguments, global: &Global) -> Result<Exit, Trouble> {
    let Loaded { set, .. } = arguments.sources.understood()?;
    let found = !set.rejected.is_empty();
    show(global, &Listed { rules: set.rules })?;
    Ok(Exit::found(found))
}
