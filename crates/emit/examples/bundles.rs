//! Writes the bundles of site files' machines into a directory: sealed, and the draft alone. In come the directory and the site
//! files. For `cargo xtask fuzz`, whose target `bundle` begins with them. Never: part of the product.

use emit::bundle::{Link, draft};
use plan::{Devices, Options};
use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
};
use words::{Digest, SourceFile};

/// A fixed day: the same seeds every time.
const TODAY: &str = "2026-11-26";

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let into = arguments.next().ok_or("DIRECTORY SITE... are needed")?;
    fs::create_dir_all(&into)?;
    for (n, site) in arguments.enumerate() {
        write(&site, &into, n)?;
    }
    Ok(())
}

fn write(site: &Path, into: &Path, n: usize) -> Result<(), Box<dyn Error>> {
    let source = SourceFile::new(site.display().to_string(), fs::read_to_string(site)?);
    let outcome = site::read(&source, TODAY);
    let told = outcome.render(&source);
    let model = outcome.model.ok_or(told)?;
    let devices = Devices::default();
    let plan = plan::plan(&model, &devices, Options::default());
    for (host, machine) in &plan.machines {
        let Some(glass) = plan::break_glass(&model, &devices, host) else { continue };
        let draft = draft(&model, machine, &glass, Digest::of(source.text().as_bytes()), Link::default());
        fs::write(into.join(format!("{n:02}-{host}.json")), serde_json::to_vec(&draft)?)?;
        fs::write(into.join(format!("{n:02}-{host}.bundle")), bundle::Bundle::seal(draft)?.to_bytes())?;
    }
    Ok(())
}
