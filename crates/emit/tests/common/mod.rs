//! What the golden tests share: site files of case directories, planned, and texts held against what is written.

use plan::{Devices, Options, Plan};
use site::Model;
use std::{fs, path::Path};

#[allow(dead_code, reason = "a test of an example has no case directories")]
/// Every case below a directory: its name, its site, the plan.
pub fn planned(directory: &Path) -> Vec<(String, Model, Plan)> {
    let mut out = Vec::new();
    for entry in fs::read_dir(directory).expect("cases") {
        let dir = entry.expect("entry").path();
        let Ok(text) = fs::read_to_string(dir.join("site.toml")) else { continue };
        let source = words::SourceFile::new("site.toml", text);
        let read = site::read(&source, "2026-11-26");
        assert!(read.is_good(), "{}", read.render(&source));
        let model = read.model.expect("model");
        let plan = plan::plan(&model, &Devices::default(), Options::default());
        out.push((dir.file_name().expect("name").to_string_lossy().into_owned(), model, plan));
    }
    out.sort_by(|a, b| a.0.cmp(&b.0));
    out
}

/// Holds a text against its file; `UPDATE_EXPECT=1` writes it anew.
#[allow(dead_code, reason = "a test with a machine has no golden text")]
pub fn hold(path: &Path, made: &str) {
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(path, made).expect("written");
        return;
    }
    let there = fs::read_to_string(path).unwrap_or_default();
    let first = there.lines().zip(made.lines()).enumerate().find(|(_, (a, b))| a != b);
    assert!(there == made, "{} is stale; first difference: {first:?}", path.display());
}
