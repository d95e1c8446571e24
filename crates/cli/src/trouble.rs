//! What stops a verb: the world (a file, a program, a right) with a way out, or a bug of ours. The user's site file is not
//! here: its faults are diagnostics and part of a result.

use crate::exit::Exit;
use std::{fmt::Display, path::Path, process::ExitCode};

/// Why a verb could not be done.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// Arguments or this machine.
    #[error("{what}")]
    Usage {
        /// What is wrong.
        what: String,
        /// The way out.
        help: String,
    },
    /// A file or stream.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The result was shown already; only the exit code is left.
    #[error("")]
    Shown(Exit),
    /// Another program has said it; its exit code is ours.
    #[error("")]
    Passed(u8),
    /// An invariant of ours broke.
    #[error("{0}")]
    Bug(String),
}

impl Trouble {
    /// Arguments or this machine, with the way out.
    pub fn usage(what: impl Display, help: impl Display) -> Self {
        Self::Usage { what: what.to_string(), help: help.to_string() }
    }
    /// A file or stream.
    pub fn io(path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Self::Io { path: path.as_ref().display().to_string(), source }
    }
    /// An invariant of ours broke.
    pub fn bug(what: impl Display) -> Self {
        Self::Bug(what.to_string())
    }

    /// Tells it on standard error and gives the exit code.
    pub fn report(&self) -> ExitCode {
        let red = anstyle::AnsiColor::Red.on_default().bold();
        let help = match self {
            Self::Shown(exit) => return (*exit).into(),
            Self::Passed(code) => return ExitCode::from(*code),
            Self::Usage { help, .. } => help.clone(),
            Self::Io { source, .. } => match source.kind() {
                std::io::ErrorKind::NotFound => "check the path".to_owned(),
                std::io::ErrorKind::PermissionDenied => "run it as the owner of the file, or as root".to_owned(),
                _ => String::new(),
            },
            Self::Bug(_) => "this is a defect of Ravelin; nothing was changed. Please report it with the command you ran".to_owned(),
        };
        let bug = if matches!(self, Self::Bug(_)) { "bug: " } else { "" };
        anstream::eprintln!("{red}ravelin:{red:#} {bug}{self}");
        if !help.is_empty() {
            anstream::eprintln!("help: {help}");
        }
        Exit::Cannot.into()
    }
}

/// An error with its causes, in one line.
pub fn chain(e: &dyn std::error::Error) -> String {
    let mut text = e.to_string();
    let mut source = e.source();
    while let Some(cause) = source {
        text += &format!(": {cause}");
        source = cause.source();
    }
    text
}
