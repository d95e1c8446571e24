//! `ravelin fmt`: the site file in its canonical form, comments kept.

use crate::{
    args::Global,
    exit::Exit,
    face::{Face, show},
    input::{self, SiteArgument},
    paint, save,
    trouble::Trouble,
};
use clap::Args;
use serde::Serialize;

/// Arguments of `fmt`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    site: SiteArgument,
    /// Change nothing; exit 1 if the file is not in its canonical form
    #[arg(long)]
    check: bool,
    /// Write to standard output instead of the file
    #[arg(long, conflicts_with = "check")]
    stdout: bool,
}

#[derive(Serialize)]
struct Formatted {
    site: String,
    changed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

impl Face for Formatted {
    fn text(&self) -> String {
        match (&self.text, self.changed) {
            (Some(text), _) => text.clone(),
            (None, true) => format!("{}: not in its canonical form\n", self.site),
            (None, false) => String::new(),
        }
    }
}

/// Formats in place.
pub fn run(arguments: &Arguments, global: &Global) -> Result<Exit, Trouble> {
    let path = &arguments.site.site;
    let source = input::source(path)?;
    let text = match site::fmt::format(&source) {
        Ok(text) => text,
        Err(diagnostics) => {
            for d in &diagnostics {
                anstream::eprint!("{}", paint::diagnostic(d, &source));
            }
            return Ok(Exit::Found);
        }
    };
    let changed = text != source.text();
    let site = path.display().to_string();
    if arguments.stdout {
        show(global, &Formatted { site, changed, text: Some(text) })?;
        return Ok(Exit::Ok);
    }
    if arguments.check {
        show(global, &Formatted { site, changed, text: None })?;
        return Ok(Exit::found(changed));
    }
    if changed {
        save::keep_mode(path, text.as_bytes())?;
    }
    Ok(Exit::Ok)
}
