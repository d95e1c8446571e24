//! One type, two faces: a verb's result is a struct that serialises and that can write itself for people. In comes the
//! result, out comes what the operator asked for, on standard output. Never: mixes anything else into standard output.

use crate::{
    args::{Format, Global},
    trouble::Trouble,
};
use serde::Serialize;
use std::io::Write;

/// What every verb's result can do.
pub trait Face: Serialize {
    /// For people; ends in a newline unless it is empty. May hold ANSI styles: they are taken out where no terminal shows them.
    fn text(&self) -> String;

    /// Findings for SARIF, where the verb has any to give.
    fn sarif(&self) -> Option<serde_json::Value> {
        None
    }
}

/// Writes the result in the format that was asked for.
pub fn show(global: &Global, result: &impl Face) -> Result<(), Trouble> {
    match global.format() {
        Format::Text => print(&result.text()),
        Format::Json => json(result),
        Format::Sarif => match result.sarif() {
            Some(log) => json(&log),
            None => Err(Trouble::usage("this verb has no findings to write as SARIF", "leave --format out, or use --json")),
        },
    }
}

/// JSON to standard output.
pub fn json(value: &impl Serialize) -> Result<(), Trouble> {
    let text = serde_json::to_string_pretty(value).map_err(|e| Trouble::bug(format!("a result does not serialise: {e}")))?;
    print(&(text + "\n"))
}

/// To standard output. A reader that closed the pipe (`| head`) is no trouble.
pub fn print(text: &str) -> Result<(), Trouble> {
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(Trouble::io("standard output", e)),
        _ => Ok(()),
    }
}

/// To standard error: progress and remarks that are not the result.
pub fn remark(text: &str) {
    let _ = anstream::stderr().lock().write_all(format!("{text}\n").as_bytes());
}
