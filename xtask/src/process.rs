//! Running other programs: in comes a command line, out comes success or a reason to stop. Every command is shown before
//! it runs. Never: goes on after a failure.

use std::{
    ffi::OsStr,
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

/// Why a command of ours ends early.
#[derive(Debug)]
pub struct Stop {
    /// What to tell; empty when the program that failed has told it already.
    pub message: String,
    /// Exit code: 1 something is wrong with the repository, 2 with the arguments or this machine.
    pub code: u8,
}

impl Stop {
    /// Something is wrong with the repository: exit code 1.
    pub fn fault(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: 1 }
    }
    /// Something is wrong with the arguments or this machine: exit code 2.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: 2 }
    }
}

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// The cargo that runs us, with the pinned toolchain.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

fn shown(command: &Command) -> String {
    let word = |w: &OsStr| Path::new(w).to_string_lossy().into_owned();
    let program = Path::new(command.get_program()).file_name().map(word).unwrap_or_default();
    std::iter::once(program).chain(command.get_args().map(word)).collect::<Vec<_>>().join(" ")
}

/// Runs with our terminal. A failure passes the program's own exit code on.
pub fn run(command: &mut Command) -> Result<(), Stop> {
    eprintln!("$ {}", shown(command));
    ended(command)
}

/// Runs beside something that has our terminal: what it writes goes to a file, and is shown when it has ended.
pub fn run_aside(command: &mut Command, log: &Path) -> Result<(), Stop> {
    let text = shown(command);
    let cannot = |e: std::io::Error| Stop::usage(format!("{}: {e}", log.display()));
    let file = File::create(log).map_err(cannot)?;
    eprintln!("$ {text} (beside; it writes to {})", log.display());
    let result = ended(command.stdout(file.try_clone().map_err(cannot)?).stderr(file));
    let mut terminal = std::io::stderr().lock();
    let told = writeln!(terminal, "$ {text} (has ended)").and_then(|()| std::io::copy(&mut File::open(log)?, &mut terminal));
    told.map_err(cannot)?;
    result
}

fn ended(command: &mut Command) -> Result<(), Stop> {
    let text = shown(command);
    let status = command.status().map_err(|e| Stop::usage(format!("cannot run `{text}`: {e}")))?;
    if status.success() {
        return Ok(());
    }
    let code = status.code().and_then(|c| u8::try_from(c).ok()).unwrap_or(1);
    Err(Stop { message: format!("`{text}` ended with {status}"), code: code.max(1) })
}

/// Runs silently and gives what it wrote to standard output.
pub fn output(command: &mut Command) -> Result<String, Stop> {
    let text = shown(command);
    let out = command.output().map_err(|e| Stop::usage(format!("cannot run `{text}`: {e}")))?;
    if !out.status.success() {
        return Err(Stop::fault(format!("`{text}` ended with {}\n{}", out.status, String::from_utf8_lossy(&out.stderr))));
    }
    String::from_utf8(out.stdout).map_err(|_| Stop::fault(format!("`{text}` wrote something that is not UTF-8")))
}

/// Where a program lies, looked for in PATH and the system directories that a user's PATH may lack.
pub fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(system).map(|d| d.join(program)).find(|p| p.is_file())
}

/// Whether we are root.
pub fn is_root() -> bool {
    output(Command::new("id").arg("-u")).is_ok_and(|uid| uid.trim() == "0")
}
