//! The record of what `learn` saw, and whether it allows going to `enforce`. In come samples, out comes learn's decision. The decision
//! itself is made in `learn::window`; here lie the file and the clock.

use crate::trouble::Trouble;
use jiff::Timestamp;
use learn::{PROVING_PERIOD, Sample, Window, window::decide};
use serde::Serialize;
use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// Samples older than this many proving periods say nothing any more.
const KEPT_PERIODS: u64 = 3;

/// Where a site's record lies unless the caller says otherwise: the account's own state directory.
pub fn default_path(site: &str) -> PathBuf {
    let home = || std::env::var_os("HOME").map(|h| PathBuf::from(h).join(".local/state"));
    let base = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).or_else(home).unwrap_or_else(|| "/var/lib".into());
    base.join("ravelin").join(format!("{site}.window"))
}

/// Seconds since 1970-01-01 UTC.
pub fn now() -> u64 {
    u64::try_from(Timestamp::now().as_second()).unwrap_or(0)
}

/// All samples of a record; none where there is no record.
pub fn samples(path: &Path) -> Result<Vec<Sample>, Trouble> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Trouble::io(path, e)),
    };
    // A line cut off by a power loss, and decisions, are no samples.
    let oldest = now().saturating_sub(KEPT_PERIODS * PROVING_PERIOD);
    Ok(text.lines().filter_map(|l| serde_json::from_str::<Sample>(l).ok()).filter(|s| s.at >= oldest).collect())
}

/// Adds a line, readable for its owner alone.
pub fn add(path: &Path, line: &impl Serialize) -> Result<(), Trouble> {
    let text = serde_json::to_string(line).map_err(|e| Trouble::bug(format!("a sample does not serialise: {e}")))?;
    if let Some(parent) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(|e| Trouble::io(parent, e))?;
    }
    let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(path).map_err(|e| Trouble::io(path, e))?;
    writeln!(file, "{text}").map_err(|e| Trouble::io(path, e))
}

/// The decision now.
pub fn decision(path: &Path) -> Result<Window, Trouble> {
    Ok(decide(&samples(path)?, now(), PROVING_PERIOD))
}

/// Going to `enforce` wants a clean window, or a reason, which is recorded.
pub fn judge(path: &Path, because: Option<&str>) -> Result<(), Trouble> {
    #[derive(Serialize)]
    struct Forced<'a> {
        forced_at: u64,
        because: &'a str,
        window: String,
    }
    let window = decision(path)?;
    if matches!(window, Window::Clean { .. }) {
        return Ok(());
    }
    match because {
        Some(because) => add(path, &Forced { forced_at: now(), because, window: window.to_string() }),
        None => Err(Trouble::usage(
            format!("going to `enforce` wants a clean window; this one is {window}"),
            "keep `ravelin learn --for 24h` running meanwhile, or say why it cannot wait: --because \"...\" (recorded)",
        )),
    }
}
