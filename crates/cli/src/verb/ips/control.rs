//! `ravelin ips status|reload|stop|off|on`: an engine that runs, from the console. `off` and `on` ask no engine: the kernel alone decides whether
//! packets wait, so that they work while the engine hangs.

use super::run::told;
use crate::{
    args::Global,
    exit::Exit,
    face::{Face, show},
    trouble::Trouble,
};
use clap::Args;
use ips_inline::{control, table};
use serde::Serialize;
use std::path::PathBuf;

/// Where the engine listens.
#[derive(Debug, Clone, Args)]
pub struct Socket {
    /// The engine's command socket
    #[arg(long, value_name = "PATH", default_value = control::SOCKET)]
    pub socket: PathBuf,
}

/// Arguments of verbs that ask the engine.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    socket: Socket,
}

#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Answer(serde_json::Value);

impl Face for Answer {
    fn text(&self) -> String {
        match &self.0 {
            serde_json::Value::String(s) => format!("{s}\n"),
            serde_json::Value::Object(o) => o
                .iter()
                .map(|(k, v)| match v {
                    serde_json::Value::Object(inner) if k == "counted" => inner.iter().map(|(k, v)| format!("{k:>16} {v}\n")).collect(),
                    _ => format!("{k}: {v}\n"),
                })
                .collect(),
            v => format!("{v}\n"),
        }
    }
}

/// Asks the engine.
pub fn ask(command: &str, a: &Arguments, global: &Global) -> Result<Exit, Trouble> {
    let answer = control::ask(&a.socket.socket, command).map_err(told)?;
    let failed = answer.starts_with("failed");
    let value = serde_json::from_str(&answer).unwrap_or(serde_json::Value::String(answer));
    show(global, &Answer(value))?;
    Ok(if failed { Exit::Found } else { Exit::Ok })
}

/// The kill switch.
pub fn switch(off: bool, global: &Global) -> Result<Exit, Trouble> {
    table::switch(off).map_err(told)?;
    let said = if off { "no packet waits for the engine any more" } else { "packets wait for the engine again" };
    show(global, &Answer(serde_json::Value::String(said.into())))?;
    Ok(Exit::Ok)
}
