//! `ravelin render DIR`: plain artefacts for those who deploy by other means: per machine its nft script and kernel settings, and the
//! whole site's flows for firewalls that are not ours.

use crate::{
    args::Global,
    exit::Exit,
    face::{Face, show},
    input::{self, SiteOption},
    planning, save,
    trouble::Trouble,
};
use clap::Args;
use plan::Devices;
use serde::Serialize;
use std::{
    fs::DirBuilder,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

/// Arguments of `render`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Directory to write into; made if it is missing
    directory: PathBuf,
    #[command(flatten)]
    site: SiteOption,
}

#[derive(Serialize)]
struct Rendered {
    files: Vec<PathBuf>,
}

impl Face for Rendered {
    fn text(&self) -> String {
        self.files.iter().map(|f| format!("{}\n", f.display())).collect()
    }
}

/// Mode of directories made here.
const PRIVATE_DIRECTORY: u32 = 0o700;

/// Writes the files, readable for their owner alone: they are a map of the site.
pub fn run(arguments: &Arguments, global: &Global) -> Result<Exit, Trouble> {
    let (model, _) = input::model(&arguments.site.site, global)?;
    let plan = planning::plan(&model);
    let mut files = Vec::new();
    for (name, bytes) in emit::render::files(&model, &plan, &Devices::default()) {
        let path = arguments.directory.join(name);
        directory(path.parent().unwrap_or(Path::new(".")))?;
        save::private(&path, &bytes)?;
        files.push(path);
    }
    show(global, &Rendered { files })?;
    Ok(Exit::Ok)
}

fn directory(path: &Path) -> Result<(), Trouble> {
    DirBuilder::new().recursive(true).mode(PRIVATE_DIRECTORY).create(path).map_err(|e| Trouble::io(path, e))
}
