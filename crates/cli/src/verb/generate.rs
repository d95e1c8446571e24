//! `ravelin generate`: man pages and completion scripts from the same definition as the help; made-up sites for measuring.

use crate::{
    args::{Cli, Global},
    exit::Exit,
    face::{self, Face, show},
    trouble::Trouble,
};
use clap::{Args, CommandFactory, Subcommand};
use clap_complete::{Shell, generate_to};
use serde::Serialize;
use std::{fs, path::PathBuf};

/// Arguments of `generate`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// One man page per verb
    Man {
        /// Directory; made if it is missing
        directory: PathBuf,
    },
    /// A made-up site file, for measuring and trying things out; the same numbers give the same bytes
    Site {
        /// How many hosts
        #[arg(long, default_value_t = SITE_HOSTS)]
        hosts: usize,
        /// Another number, another site
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Completion scripts for bash, zsh and fish
    Completions {
        /// Directory; made if it is missing
        directory: PathBuf,
    },
}

/// Hosts of a generated site: a mid-sized provider.
const SITE_HOSTS: usize = 100;

#[derive(Serialize)]
struct Written {
    files: Vec<PathBuf>,
}

impl Face for Written {
    fn text(&self) -> String {
        self.files.iter().map(|f| format!("{}\n", f.display())).collect()
    }
}

/// Writes the files and lists them.
pub fn run(arguments: &Arguments, global: &Global) -> Result<Exit, Trouble> {
    let directory = match &arguments.what {
        What::Site { hosts, seed } => {
            face::print(&site::generate(*hosts, *seed))?;
            return Ok(Exit::Ok);
        }
        What::Man { directory } | What::Completions { directory } => directory,
    };
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    fs::create_dir_all(directory).map_err(|e| Trouble::io(directory, e))?;
    let files = match &arguments.what {
        What::Man { .. } => {
            clap_mangen::generate_to(command.clone(), directory).map_err(|e| Trouble::io(directory, e))?;
            let mut pages: Vec<PathBuf> =
                fs::read_dir(directory).map_err(|e| Trouble::io(directory, e))?.flatten().map(|e| e.path()).collect();
            pages.retain(|p| p.extension().is_some_and(|e| e == "1"));
            pages.sort();
            pages
        }
        _ => [Shell::Bash, Shell::Zsh, Shell::Fish]
            .into_iter()
            .map(|shell| generate_to(shell, &mut command, "ravelin", directory))
            .collect::<Result<_, _>>()
            .map_err(|e| Trouble::io(directory, e))?,
    };
    show(global, &Written { files })?;
    Ok(Exit::Ok)
}
