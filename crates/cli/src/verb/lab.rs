//! `ravelin lab`: the whole site on this machine, in namespaces of its own, with an Internet and attackers. Never touches the
//! machine's own network, firewall or accounts.

mod attack;
mod demo;
mod hold;
mod vm;

use crate::{
    args::Global,
    exit::Exit,
    face::{Face, show},
    input::{self, SiteArgument},
    progress,
    trouble::{Trouble, chain},
};
use clap::{Args, Subcommand};
use lab::{
    LabError,
    stand::{self, DEFAULT_NAME, Standing},
};
use serde::Serialize;
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::ExitStatus,
};

/// Arguments of `lab`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Name of the lab, to have several
    #[arg(long, global = true, default_value = DEFAULT_NAME)]
    name: String,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Build the site and leave it standing, its rules in force
    Up {
        #[command(flatten)]
        site: SiteArgument,
        /// Without rules: every packet passes
        #[arg(long)]
        bare: bool,
    },
    /// End it; nothing is left
    Down,
    /// What stands
    Status,
    /// A shell on one of its machines
    Shell {
        /// Machine
        host: String,
    },
    /// Run a program on one of its machines
    Exec {
        /// Machine
        host: String,
        /// Program and its arguments
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<OsString>,
    },
    /// Fire the legitimate flows and the attacks at it; exit 1 if one is not as expected
    Attack,
    /// Everything in one run: prove, build, learn, apply, attack, break; exit 1 unless all is as expected
    Demo {
        #[command(flatten)]
        site: SiteArgument,
        /// One row per attempt, not per flow and per kind, sender and target of attacks
        #[arg(long)]
        all: bool,
    },
    /// A Debian machine under QEMU with a kernel of its own: boot, systemd, SELinux
    Vm(vm::Arguments),
    #[command(hide = true)]
    Hold {
        site: PathBuf,
        #[arg(long)]
        bare: bool,
    },
    #[command(hide = true)]
    AttackInside { site: PathBuf },
}

/// Troubles of the lab, with the way out it knows.
pub fn trouble(e: LabError) -> Trouble {
    let help = match &e {
        LabError::Namespaces { .. } => "allow unprivileged user namespaces, or run it as root; `cargo xtask setup` names the switch",
        LabError::Spawn { .. } => "install the missing program; `cargo xtask setup` does",
        _ => "`ravelin lab down` ends a lab that stands; then try again",
    };
    Trouble::usage(chain(&e), help)
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Stands {
    standing: Option<Standing>,
}

impl Face for Stands {
    fn text(&self) -> String {
        match &self.standing {
            Some(s) => format!(
                "lab `{}` of {} stands: {}\nravelin lab shell HOST, ravelin lab attack, ravelin lab down\n",
                s.name,
                s.site.display(),
                s.said
            ),
            None => "no lab stands\n".to_owned(),
        }
    }
}

/// Dispatches.
pub fn run(arguments: &Arguments, global: &Global) -> Result<Exit, Trouble> {
    let name = arguments.name.as_str();
    match &arguments.what {
        What::Up { site, bare } => up(name, &site.site, *bare, global),
        What::Down => {
            let stood = stand::down(name).map_err(trouble)?;
            crate::face::remark(if stood { "The lab is gone." } else { "No lab stood." });
            Ok(Exit::Ok)
        }
        What::Status => {
            let standing = stand::status(name).map_err(trouble)?;
            let found = standing.is_some();
            show(global, &Stands { standing })?;
            Ok(if found { Exit::Ok } else { Exit::Found })
        }
        What::Shell { host } => {
            let shell = std::env::var_os("SHELL").unwrap_or_else(|| "/bin/sh".into());
            exec(name, host, &[shell])
        }
        What::Exec { host, command } => exec(name, host, command),
        What::Attack => {
            let standing = standing(name)?;
            let mut again: Vec<OsString> = ["lab", "attack-inside"].map(OsString::from).to_vec();
            again.push(standing.site.clone().into());
            again.extend(format_arguments(global));
            pass(stand::rerun(&standing, &again).map_err(trouble)?)
        }
        What::Demo { site, all } => demo::demo(&site.site, *all, global),
        What::Vm(arguments) => vm::run(arguments, global),
        What::Hold { site, bare } => hold::hold(site, *bare, global),
        What::AttackInside { site } => attack::attack(site, global),
    }
}

fn up(name: &str, site: &Path, bare: bool, global: &Global) -> Result<Exit, Trouble> {
    // Diagnostics belong to this terminal, not to the log of the holder.
    input::model(site, global)?;
    let site = site.canonicalize().map_err(|e| Trouble::io(site, e))?;
    let mut hold: Vec<OsString> = ["lab", "hold"].map(OsString::from).to_vec();
    hold.push(site.clone().into());
    hold.extend(["--now".into(), global.today().into()]);
    if bare {
        hold.push("--bare".into());
    }
    let standing = progress::during("building the site", || stand::up(name, &site, &hold)).map_err(trouble)?;
    show(global, &Stands { standing: Some(standing) })?;
    Ok(Exit::Ok)
}

fn standing(name: &str) -> Result<Standing, Trouble> {
    stand::status(name).map_err(trouble)?.ok_or_else(|| Trouble::usage("no lab stands", "ravelin lab up SITE builds one"))
}

fn exec(name: &str, host: &str, command: &[OsString]) -> Result<Exit, Trouble> {
    pass(stand::exec(&standing(name)?, host, command).map_err(trouble)?)
}

fn format_arguments(global: &Global) -> Vec<OsString> {
    let mut out = vec!["--now".into(), global.today().into()];
    if global.format() == crate::args::Format::Json {
        out.push("--json".into());
    }
    out
}

/// The exit code of another program as ours.
pub fn pass(status: ExitStatus) -> Result<Exit, Trouble> {
    match status.code().and_then(|c| u8::try_from(c).ok()) {
        Some(0) => Ok(Exit::Ok),
        Some(code) => Err(Trouble::Passed(code)),
        None => Err(Trouble::usage(format!("the program ended with {status}"), "see what it said above")),
    }
}
