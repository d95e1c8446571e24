//! `ravelin backup check`: the restore test of what was declared. In come the site file or arguments, out comes which backups could
//! be restored; the outcome is recorded for `ravelin audit`. Never prints a key or the name of one, never writes one.

use crate::{
    args::Global,
    backups::{self, Given},
    exit::Exit,
    face::{Face, show},
    input, machine,
    paint::{BAD, GOOD, WARN, paint},
    planning, progress,
    trouble::Trouble,
};
use ::backup::Outcome;
use clap::{Args, Subcommand};
use facts::{Asset, RestoreTest};
use observe::Root;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Arguments of `backup`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Read each declared backup as a restore would, compare, record
    Check(Check),
}

#[derive(Debug, Args)]
struct Check {
    /// The site file, for its [[backup]] lines
    #[arg(long, short, value_name = "SITE")]
    site: Option<PathBuf>,
    /// Which machine of the site this is [default: by its host name, else by its addresses]
    #[arg(long, value_name = "NAME", requires = "site")]
    host: Option<String>,
    #[command(flatten)]
    given: Given,
    /// Command that decrypts from standard input to standard output, split at blanks: "age -d -i /root/backup.key"
    #[arg(long, value_name = "COMMAND")]
    decrypt: Option<String>,
}

#[derive(Serialize)]
struct Tested {
    backups: Vec<One>,
    /// Key files of this machine that could not be read to compare.
    unread: usize,
}

#[derive(Serialize)]
struct One {
    of: Asset,
    path: String,
    /// `passed`, `failed` or `untested`.
    outcome: &'static str,
    said: String,
}

impl Face for Tested {
    fn text(&self) -> String {
        let one = |b: &One| {
            let style = match b.outcome {
                "passed" => GOOD,
                "failed" => BAD,
                _ => WARN,
            };
            format!("{} {}: {}\n  {}\n", paint(style, b.outcome), b.of, b.path, b.said)
        };
        let mut out: String = self.backups.iter().map(one).collect();
        if self.unread > 0 {
            out +=
                &format!("{} of {} key files could not be read and were not compared: run it as root\n", paint(WARN, "note"), self.unread);
        }
        out
    }
}

/// Tests and records.
pub fn run(arguments: &Arguments, global: &Global) -> Result<Exit, Trouble> {
    let What::Check(check) = &arguments.what;
    let facts = machine::facts();
    let site = check.site.as_ref().map(|path| input::model(path, global)).transpose()?;
    let host = site.as_ref().map(|(m, _)| planning::this_machine(m, check.host.as_deref(), &facts)).transpose()?;
    let declared = backups::all(&check.given, site.as_ref().map(|(m, _)| m).zip(host.as_ref()));
    if declared.is_empty() {
        return Err(Trouble::usage(
            "no backup is declared",
            "name it: [[backup]] in the site file and --site, or --backup keystore=/srv/backup/keys-*.age",
        ));
    }
    let root = Root::machine();
    let (keys, unread) = ::backup::live_keys(&facts);
    let (mut out, mut made) = (Vec::new(), Vec::new());
    for d in declared {
        let Some(path) = observe::backup::newest(&root, &d.path) else {
            out.push(One { of: d.of, path: d.path, outcome: "failed", said: "nothing lies there".into() });
            continue;
        };
        let tested = progress::during("reading a backup", || ::backup::check(d.of, Path::new(&path), check.decrypt.as_deref(), &keys));
        let (outcome, said) = match tested {
            Outcome::Passed(said) => ("passed", said),
            Outcome::Failed(said) => ("failed", said),
            Outcome::Untested(said) => ("untested", said),
        };
        let path = path.display().to_string();
        if outcome != "untested" {
            made.push(RestoreTest { at: facts.taken_at, path: path.clone(), passed: outcome == "passed", said: said.clone() });
        }
        out.push(One { of: d.of, path, outcome, said });
    }
    backups::record(&check.given.state, made)?;
    let wrong = out.iter().any(|b| b.outcome != "passed");
    show(global, &Tested { backups: out, unread })?;
    Ok(Exit::found(wrong))
}
