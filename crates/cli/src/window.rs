//! The ledger of what `learn` saw, and whether it allows going to `enforce`. In come a site's model and its ledger on disk, out comes
//! learn's decision. What the ledger says is decided in `learn`; here lie the file and the clock.

use crate::{save, trouble::Trouble};
use jiff::Timestamp;
use learn::{Ledger, PROVING_PERIOD, Window};
use serde::Serialize;
use site::model::Model;
use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// Where a site's ledger lies unless the caller says otherwise: the account's own state directory.
pub fn default_path(site: &str) -> PathBuf {
    let home = || std::env::var_os("HOME").map(|h| PathBuf::from(h).join(".local/state"));
    let base = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).or_else(home).unwrap_or_else(|| "/var/lib".into());
    base.join("ravelin").join(format!("{site}.ledger"))
}

/// The ledger; an empty one where there is none yet.
pub fn load(path: &Path) -> Result<Ledger, Trouble> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Ledger::default()),
        Err(e) => return Err(Trouble::io(path, e)),
    };
    let help = "move it away; looking begins anew";
    let ledger: Ledger =
        serde_json::from_str(&text).map_err(|e| Trouble::usage(format!("{}: not a ledger of `learn`: {e}", path.display()), help))?;
    if ledger.is_known() { Ok(ledger) } else { Err(Trouble::usage(format!("{}: written by another version", path.display()), help)) }
}

/// Writes the ledger, whole or not at all.
pub fn store(path: &Path, ledger: &Ledger) -> Result<(), Trouble> {
    let text = serde_json::to_vec(ledger).map_err(|e| Trouble::bug(format!("the ledger does not serialise: {e}")))?;
    directory_of(path)?;
    save::private(path, &text)
}

fn directory_of(path: &Path) -> Result<(), Trouble> {
    let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) else { return Ok(()) };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(|e| Trouble::io(parent, e))
}

/// The decision now.
pub fn decision(ledger: &Ledger, model: &Model) -> Window {
    let now = u64::try_from(Timestamp::now().as_second()).unwrap_or(0);
    ledger.window(model, now, PROVING_PERIOD)
}

/// A decision that was forced, with its reason.
#[derive(Serialize)]
struct Forced<'a> {
    at: String,
    site: &'a str,
    because: &'a str,
    /// What spoke against it.
    against: String,
}

/// Going to `enforce` wants a clean window, or a reason, which is recorded beside the ledger.
pub fn judge(path: &Path, model: &Model, because: Option<&str>) -> Result<(), Trouble> {
    let window = decision(&load(path)?, model);
    if matches!(window, Window::Clean { .. }) {
        return Ok(());
    }
    let Some(because) = because else {
        return Err(Trouble::usage(
            format!("going to `enforce` wants a clean window; this one is {window}"),
            "set `network = \"observe\"` and keep `ravelin learn --for 24h` running, or say why it cannot wait: --because \"...\" (recorded)",
        ));
    };
    record(path, model, because, window.to_string())
}

/// Writes down, beside the ledger, that something was done although something spoke against it.
pub fn record(path: &Path, model: &Model, because: &str, against: String) -> Result<(), Trouble> {
    let line = serde_json::to_string(&Forced { at: Timestamp::now().to_string(), site: &model.name, because, against })
        .map_err(|e| Trouble::bug(format!("a decision does not serialise: {e}")))?;
    let path = path.with_extension("decisions");
    directory_of(&path)?;
    let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path).map_err(|e| Trouble::io(&path, e))?;
    writeln!(file, "{line}").map_err(|e| Trouble::io(&path, e))
}
