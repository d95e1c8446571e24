//! `ravelin ips rules`: rules files read together, with the files beside them. In come paths and settings, out comes what the
//! verb below shows. Never: says that a rule is in force.

mod check;
mod explain;
mod list;

use crate::{args::Global, exit::Exit, face::remark, input, paint, trouble::Trouble};
use clap::{Args, Subcommand};
use ips_rules::{Set, Tables, Vars, config::Override, limits::MAX_FILE_BYTES};
use std::path::{Path, PathBuf};
use words::{Diagnostic, SourceFile};

/// Arguments of `ips rules`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Which rules are understood in full, and every reason why the others are not; exit 1 if one is not
    Check(check::Arguments),
    /// The rules that are understood, a line each
    List(list::Arguments),
    /// What a rule needs, in words, and which buffer is looked at first
    Explain(explain::Arguments),
}

/// The files of every verb here.
#[derive(Debug, Args)]
pub struct Sources {
    /// Rules files, read together
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Takes the groups of addresses and ports from the peer's configuration (its `vars`; nothing else is read)
    #[arg(long, short, value_name = "YAML")]
    config: Option<PathBuf>,
    /// Sets a group, e.g. vars.address-groups.HOME_NET=[10.0.0.0/8]; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    #[command(flatten)]
    beside: Beside,
}

/// The files beside rules, of every verb that reads rules.
#[derive(Debug, Clone, Args)]
pub struct Beside {
    /// Classes of rules, in the peer's format
    #[arg(long, value_name = "FILE")]
    pub classification: Option<PathBuf>,
    /// Kinds of references, in the peer's format
    #[arg(long, value_name = "FILE")]
    pub reference: Option<PathBuf>,
    /// Suppressions and thresholds, in the peer's format; `ips rules` only checks them
    #[arg(long, value_name = "FILE")]
    pub threshold: Option<PathBuf>,
}

/// What was read.
pub struct Loaded {
    sources: Vec<SourceFile>,
    /// The rules.
    pub set: Set,
    /// What they were read against.
    pub tables: Tables,
    /// Suppressions and thresholds.
    pub overrides: Vec<Override>,
    /// Faults of the files beside the rules, as people see them.
    pub beside: Vec<(SourceFile, Diagnostic)>,
}

fn text(path: &Path) -> Result<SourceFile, Trouble> {
    input::bounded(path, MAX_FILE_BYTES)?;
    // Bytes that are no UTF-8 become U+FFFD, and the rule that holds them is named.
    let bytes = std::fs::read(path).map_err(|e| Trouble::io(path, e))?;
    Ok(SourceFile::new(path.display().to_string(), String::from_utf8_lossy(&bytes)))
}

/// Reads rules against groups, with what stands beside them.
pub fn load(files: &[PathBuf], vars: Vars, beside: &Beside) -> Result<Loaded, Trouble> {
    let mut tables = Tables::default();
    tables.vars = vars;
    let (mut faults, mut overrides) = (Vec::new(), Vec::new());
    if let Some(path) = &beside.classification {
        let source = text(path)?;
        faults.extend(tables.take_classes(&source).into_iter().map(|d| (source.clone(), d)));
    }
    if let Some(path) = &beside.reference {
        let source = text(path)?;
        faults.extend(tables.take_references(&source).into_iter().map(|d| (source.clone(), d)));
    }
    if let Some(path) = &beside.threshold {
        let source = text(path)?;
        let (understood, wrong) = ips_rules::thresholds(&source, &tables.vars);
        overrides = understood;
        faults.extend(wrong.into_iter().map(|d| (source.clone(), d)));
    }
    let sources = files.iter().map(|p| text(p)).collect::<Result<Vec<_>, _>>()?;
    let set = Set::read(&sources, &tables);
    Ok(Loaded { sources, set, tables, overrides, beside: faults })
}

impl Loaded {
    /// Remarks on what was not understood; `what` such rules are not.
    pub fn remarks(&self, what: &str) {
        for (source, d) in &self.beside {
            remark(paint::diagnostic(d, source).trim_end());
        }
        if !self.set.rejected.is_empty() {
            remark(&format!("{} rules are not understood and not {what}: `ravelin ips rules check` says why", self.set.rejected.len()));
        }
    }
}

impl Sources {
    /// Reads everything.
    fn load(&self) -> Result<Loaded, Trouble> {
        let mut vars = Vars::default();
        if let Some(path) = &self.config {
            let help = "its `vars` hold `address-groups` and `port-groups`";
            vars.take_yaml(text(path)?.text()).map_err(|e| Trouble::usage(format!("{}: {e}", path.display()), help))?;
        }
        for setting in &self.set {
            vars.set(setting).map_err(|e| Trouble::usage(e, "write --set vars.address-groups.NAME=VALUE"))?;
        }
        load(&self.files, vars, &self.beside)
    }

    /// As [`Sources::load`], for verbs about what was understood: how many were not is a remark.
    fn understood(&self) -> Result<Loaded, Trouble> {
        let loaded = self.load()?;
        loaded.remarks("shown");
        Ok(loaded)
    }
}

/// Dispatches.
pub fn run(arguments: &Arguments, global: &Global) -> Result<Exit, Trouble> {
    match &arguments.what {
        What::Check(a) => check::run(a, global),
        What::List(a) => list::run(a, global),
        What::Explain(a) => explain::run(a, global),
    }
}
