//! The site file, from disk to model. In comes a path, out comes the model with its source, or its diagnostics on standard
//! error and exit code 1. Never: changes the file, hides a diagnostic.

use crate::{args::Global, exit::Exit, paint, trouble::Trouble};
use clap::Args;
use site::model::Model;
use std::path::{Path, PathBuf};
use words::{Diagnostic, SourceFile};

/// Largest site file in bytes: 5,000 hosts written out one by one stay below 2 MB.
const MAX_SITE_FILE: u64 = 16 << 20;

/// The site file argument of most verbs.
#[derive(Debug, Args)]
pub struct SiteArgument {
    /// The site file
    #[arg(value_name = "SITE", default_value = "site.toml")]
    pub site: PathBuf,
}

/// The site file of verbs whose own arguments come first.
#[derive(Debug, Args)]
pub struct SiteOption {
    /// The site file
    #[arg(long, short, value_name = "SITE", default_value = "site.toml")]
    pub site: PathBuf,
}

/// A site file that was read.
pub struct Site {
    /// Its text, for citations.
    pub source: SourceFile,
    /// The model, where there is one: a site whose only fault is a weakening past its end still has one.
    pub model: Option<Model>,
    /// Everything there is to say about it.
    pub diagnostics: Vec<Diagnostic>,
}

/// Refuses a file that is larger than what is read.
pub fn bounded(path: &Path, max: u64) -> Result<(), Trouble> {
    let size = std::fs::metadata(path).map_err(|e| Trouble::io(path, e))?.len();
    if size > max {
        return Err(Trouble::usage(format!("{}: {size} bytes, at most {max} are read", path.display()), "is this the right file?"));
    }
    Ok(())
}

/// Reads a text file of bounded size.
pub fn text(path: &Path, max: u64) -> Result<String, Trouble> {
    bounded(path, max)?;
    std::fs::read_to_string(path).map_err(|e| Trouble::io(path, e))
}

/// The source of a site file.
pub fn source(path: &Path) -> Result<SourceFile, Trouble> {
    Ok(SourceFile::new(path.display().to_string(), text(path, MAX_SITE_FILE)?))
}

/// Reads and resolves; diagnostics are left to the caller.
pub fn read(path: &Path, global: &Global) -> Result<Site, Trouble> {
    let source = source(path)?;
    let outcome = site::read(&source, &global.today());
    Ok(Site { model: outcome.model, diagnostics: outcome.diagnostics, source })
}

/// Reads and resolves for verbs that need a model: tells the diagnostics on standard error and stops where there is none.
pub fn model(path: &Path, global: &Global) -> Result<(Model, SourceFile), Trouble> {
    told(path, global).map(|(model, source, _)| (model, source))
}

/// As [`model`], with what was told.
pub fn told(path: &Path, global: &Global) -> Result<(Model, SourceFile, Vec<Diagnostic>), Trouble> {
    let Site { source, model, diagnostics } = read(path, global)?;
    for d in diagnostics.iter().filter(|d| model.is_none() || d.severity > words::Severity::Note) {
        anstream::eprint!("{}", paint::diagnostic(d, &source));
    }
    model.map(|m| (m, source, diagnostics)).ok_or(Trouble::Shown(Exit::Found))
}
