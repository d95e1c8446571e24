//! How long the product takes and how much memory it needs, as a person sees it: the whole process, file to verdict.
//! In come the program and sizes of generated sites, or a command; out come seconds and the largest resident set.

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
    /// Seconds of processor time, of all its threads: what a crowded machine leaves as it is.
    pub cpu: Median,
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
    let cost = cost(times, || {
        let mut command = Command::new(program);
        command.arg("check").arg(&path);
        command
    })?;
    let verdict = cost.said.lines().last().unwrap_or_default().to_owned();
    Ok(Check { hosts, lines: text.lines().count(), seconds: cost.seconds, cpu: cost.cpu, memory: cost.memory, code: cost.code, verdict })
}

/// What a process costs.
#[derive(Debug, Clone)]
pub struct Cost {
    /// Seconds.
    pub seconds: Median,
    /// Seconds of processor time, of all its threads: what a crowded machine leaves as it is.
    pub cpu: Median,
    /// Largest resident set, KiB.
    pub memory: u64,
    /// Exit code of the last run.
    pub code: Option<i32>,
    /// What the last run wrote to its standard output.
    pub said: String,
}

/// One run of a process.
#[derive(Debug, Clone)]
pub struct Run {
    /// Time on the wall.
    pub time: Duration,
    /// Processor time of all its threads, user's and system's.
    pub cpu: Duration,
    /// Largest resident set, KiB.
    pub memory: u64,
    /// Exit code.
    pub code: Option<i32>,
    /// What it wrote to its standard output.
    pub said: String,
}

/// Runs a command once.
pub fn run(mut command: Command) -> Result<Run, Error> {
    let out = tempfile::NamedTempFile::new().map_err(Error::call("file for the output"))?;
    let handle = out.reopen().map_err(Error::call("file for the output"))?;
    command.stdin(Stdio::null()).stdout(handle).stderr(Stdio::null());
    let start = Instant::now();
    let mut child = command.spawn().map_err(Error::call(format!("cannot run {}", command.get_program().display())))?;
    let (mut memory, mut cpu) = (0, 0.0f64);
    let status = loop {
        memory = memory.max(high_water(child.id()));
        cpu = cpu.max(processor(child.id()));
        if let Some(status) = child.try_wait().map_err(Error::call("waiting for the program"))? {
            break status;
        }
        std::thread::sleep(INTERVAL);
    };
    let time = start.elapsed();
    let said = fs::read_to_string(out.path()).map_err(Error::call("reading the output"))?;
    Ok(Run { time, cpu: Duration::from_secs_f64(cpu), memory, code: status.code(), said })
}

/// Runs a command so many times.
pub fn cost(times: usize, command: impl Fn() -> Command) -> Result<Cost, Error> {
    let (mut samples, mut spent, mut memory, mut code, mut said) = (Vec::new(), Vec::new(), 0, None, String::new());
    for _ in 0..times {
        let run = run(command())?;
        samples.push(run.time.as_secs_f64());
        spent.push(run.cpu.as_secs_f64());
        memory = memory.max(run.memory);
        (code, said) = (run.code, run.said);
    }
    let seconds = stats::median(&samples).ok_or_else(|| Error::Invalid("no samples".into()))?;
    let cpu = stats::median(&spent).ok_or_else(|| Error::Invalid("no samples".into()))?;
    Ok(Cost { seconds, cpu, memory, code, said })
}

/// `VmHWM` of a process in KiB; 0 once it is gone.
fn high_water(process: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = text.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.and_then(|l| l.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// Ticks in a second of `/proc/PID/stat` (`USER_HZ`, 100 on every architecture Linux has today).
const TICKS: f64 = 100.0;

/// Seconds of processor time a process has had so far, user's and system's; 0 once it is gone.
fn processor(process: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // Behind the name, which may hold anything: utime and stime are the twelfth and thirteenth field.
    let fields = text.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().skip(11).take(2)).into_iter().flatten();
    fields.filter_map(|f| f.parse::<f64>().ok()).sum::<f64>() / TICKS
}
