//! How long `ravelin check` takes and how much memory it needs, as a person sees it: the whole process, file to verdict.
//! In come the program and sizes of generated sites, out come seconds and the largest resident set.

use crate::{
    Error, emitted,
    stats::{self, Median},
};
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// One size.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Check {
    /// Hosts of the site.
    pub hosts: usize,
    /// Lines of its file.
    pub lines: usize,
    /// Seconds.
    pub seconds: Median,
    /// Largest resident set, KiB.
    pub memory: u64,
    /// Exit code.
    pub code: Option<i32>,
    /// The last line it said.
    pub verdict: String,
}

/// Interval at which the process's memory is read: its high-water mark only grows, so only what the last interval adds is
/// missed.
const INTERVAL: Duration = Duration::from_millis(2);

/// Checks a generated site of this size so many times.
pub fn check(program: &Path, hosts: usize, times: usize) -> Result<Check, Error> {
    let directory = tempfile::tempdir().map_err(Error::call("directory for the site file"))?;
    let path = directory.path().join("site.toml");
    let text = emitted::site_file(hosts);
    fs::write(&path, &text).map_err(Error::call("writing the site file"))?;
    let (mut samples, mut memory, mut code, mut verdict) = (Vec::new(), 0, None, String::new());
    for _ in 0..times {
        let out = tempfile::NamedTempFile::new_in(directory.path()).map_err(Error::call("file for the output"))?;
        let handle = out.reopen().map_err(Error::call("file for the output"))?;
        let start = Instant::now();
        let mut child = Command::new(program)
            .arg("check")
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(handle)
            .stderr(Stdio::null())
            .spawn()
            .map_err(Error::call(format!("cannot run {}", program.display())))?;
        let status = loop {
            memory = memory.max(high_water(child.id()));
            if let Some(status) = child.try_wait().map_err(Error::call("waiting for check"))? {
                break status;
            }
            std::thread::sleep(INTERVAL);
        };
        samples.push(start.elapsed().as_secs_f64());
        code = status.code();
        let said = fs::read_to_string(out.path()).map_err(Error::call("reading the output"))?;
        verdict = said.lines().last().unwrap_or_default().to_owned();
    }
    let seconds = stats::median(&samples).ok_or_else(|| Error::Invalid("no samples".into()))?;
    Ok(Check { hosts, lines: text.lines().count(), seconds, memory, code, verdict })
}

/// `VmHWM` of a process in KiB; 0 once it is gone.
fn high_water(process: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = text.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.and_then(|l| l.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
