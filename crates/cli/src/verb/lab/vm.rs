//! `ravelin lab vm`: a Debian machine under QEMU with a kernel of its own, for what namespaces cannot show: boot, init, SELinux.
//! In come a script and files, out comes what it said and its exit code. The machine's disk is gone afterwards; one that was brought
//! up with a name stands until it is taken down.

use crate::{
    args::{Format, Global},
    exit::Exit,
    face::{json, remark},
    progress,
    trouble::{Trouble, chain},
};
use ::vm::{Code, Disk, Ended, Image, Machine, Mode, Options, Standing, VmError, cache, console};
use clap::{Args, Subcommand};
use rustix::termios::{self, OptionalActions, Termios};
use serde::Serialize;
use std::{
    fs,
    io::{Read, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};
use words::HostName;

/// Seconds a script may take, unless told otherwise: emulation is slow, and a script that hangs should not hang a terminal for long.
const SCRIPT_WITHIN_S: u64 = 600;

/// Arguments of `lab vm`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// A Debian as it is installed: AppArmor, no SELinux
    #[arg(long, global = true, conflicts_with = "permissive")]
    plain: bool,
    /// SELinux only looks on and logs
    #[arg(long, global = true)]
    permissive: bool,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Boot, run a shell script as root, power off; ends with the script's exit code
    Run {
        /// Script; `-` is standard input
        script: PathBuf,
        /// Put a file of this machine there first, with its mode
        #[arg(long, value_name = "LOCAL:REMOTE", value_parser = pair)]
        put: Vec<(PathBuf, String)>,
        /// Seconds until the script is ended
        #[arg(long, default_value_t = SCRIPT_WITHIN_S)]
        timeout: u64,
    },
    /// Its console on this terminal: log in as root, no password. Without a name a machine boots for it, and Ctrl-A X ends it; a standing
    /// one goes on when Ctrl-] leaves it
    Shell {
        /// A standing machine
        #[arg(value_parser = name)]
        machine: Option<HostName>,
    },
    /// Boot a machine and leave it standing
    Up {
        /// Its name
        #[arg(value_parser = name)]
        machine: HostName,
    },
    /// Power a standing machine off; nothing is left of it
    Down {
        /// Its name
        #[arg(value_parser = name)]
        machine: HostName,
    },
}

fn name(text: &str) -> Result<HostName, String> {
    HostName::new(text).map_err(|e| e.to_string())
}

fn pair(text: &str) -> Result<(PathBuf, String), String> {
    let (local, remote) = text.rsplit_once(':').ok_or("write LOCAL:REMOTE")?;
    if !remote.starts_with('/') {
        return Err("the place in the machine begins with `/`".into());
    }
    Ok((local.into(), remote.to_owned()))
}

/// What a script did.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Ran {
    code: Option<u8>,
    out: String,
    err: String,
    booted_in_seconds: f64,
}

/// Dispatches.
pub fn run(arguments: &Arguments, global: &Global) -> Result<Exit, Trouble> {
    let mode = match (arguments.plain, arguments.permissive) {
        (true, _) => Mode::Plain,
        (_, true) => Mode::Permissive,
        _ => Mode::Enforcing,
    };
    let options = Options { mode, ..Options::default() };
    match &arguments.what {
        What::Run { script, put, timeout } => script_in(script, put, Duration::from_secs(*timeout), &options, global),
        What::Shell { machine: None } => shell(&options),
        What::Shell { machine: Some(name) } => attach(&Standing::below(&cache::directory()), name.as_str()),
        What::Up { machine: name } => up(&Standing::below(&cache::directory()), name.as_str(), &options),
        What::Down { machine: name } => down(&Standing::below(&cache::directory()), name.as_str()),
    }
}

fn trouble(e: VmError) -> Trouble {
    Trouble::usage(chain(&e), e.help().unwrap_or_default())
}

fn image() -> Result<Image, Trouble> {
    progress::during("building the machine's image, once for all runs: some minutes", || Image::ready(&cache::directory(), &|_| ()))
        .map_err(trouble)
}

fn script_in(script: &Path, put: &[(PathBuf, String)], limit: Duration, options: &Options, global: &Global) -> Result<Exit, Trouble> {
    // What can fail here fails before a machine boots.
    let text = if script == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(|e| Trouble::io("standard input", e))?;
        text
    } else {
        fs::read_to_string(script).map_err(|e| Trouble::io(script, e))?
    };
    let files = put.iter().map(|(local, remote)| Ok((content(local)?, remote))).collect::<Result<Vec<_>, Trouble>>()?;
    let image = image()?;
    let disk = Disk::new(&image).map_err(trouble)?;
    let mut machine = progress::during("booting", || Machine::boot(&image, &disk, options)).map_err(trouble)?;
    for ((mode, bytes), remote) in &files {
        progress::during("putting files into it", || machine.put(remote, *mode, bytes)).map_err(trouble)?;
    }
    let ran = progress::during("running the script", || machine.run_within(&text, limit)).map_err(trouble)?;
    let booted = machine.booted_in().as_secs_f64();
    progress::during("powering off", || machine.power_off()).map_err(trouble)?;
    let code = match ran.code {
        Code::Exit(code) => Some(code),
        Code::Late => None,
    };
    if global.format() == Format::Json {
        let err = String::from_utf8_lossy(&ran.err).into_owned();
        json(&Ran { code, out: ran.text(), err, booted_in_seconds: booted })?;
    } else {
        std::io::stdout().write_all(&ran.out).map_err(|e| Trouble::io("standard output", e))?;
        std::io::stderr().write_all(&ran.err).map_err(|e| Trouble::io("standard error", e))?;
    }
    match code {
        Some(0) => Ok(Exit::Ok),
        Some(code) => Err(Trouble::Passed(code)),
        None => Err(Trouble::usage(format!("the script was ended after {} s", limit.as_secs()), "--timeout gives it longer")),
    }
}

fn content(local: &Path) -> Result<(u32, Vec<u8>), Trouble> {
    let mode = fs::metadata(local).map_err(|e| Trouble::io(local, e))?.permissions().mode() & 0o7777;
    Ok((mode, fs::read(local).map_err(|e| Trouble::io(local, e))?))
}

fn shell(options: &Options) -> Result<Exit, Trouble> {
    let image = image()?;
    let disk = Disk::new(&image).map_err(trouble)?;
    remark("Log in as root, no password. `poweroff` or Ctrl-A X ends it, and its disk is gone.");
    let mut command = console(&image, &disk, options);
    let status = command
        .status()
        .map_err(|e| Trouble::usage(format!("cannot run {}: {e}", command.get_program().display()), "`cargo xtask setup` installs it"))?;
    super::pass(status)
}

fn up(standing: &Standing, name: &str, options: &Options) -> Result<Exit, Trouble> {
    let image = image()?;
    progress::during("booting", || standing.up(&image, name, options)).map_err(trouble)?;
    remark(&format!("{name} stands. `ravelin lab vm shell {name}` is its console, `ravelin lab vm down {name}` ends it."));
    Ok(Exit::Ok)
}

fn down(standing: &Standing, name: &str) -> Result<Exit, Trouble> {
    let ended = progress::during("powering off", || standing.down(name)).map_err(|e| missing(e, standing))?;
    remark(&format!(
        "{name} {}; nothing is left of it.",
        match ended {
            Ended::PoweredOff => "has powered off",
            Ended::Cut => "did not power off in its time and was cut off",
            Ended::Remains => "did not run any more",
        }
    ));
    Ok(Exit::Ok)
}

/// Which ones stand is said with a name that does not.
fn missing(e: VmError, standing: &Standing) -> Trouble {
    match (&e, standing.names()) {
        (VmError::NotThere(_), there) if !there.is_empty() => Trouble::usage(chain(&e), format!("these stand: {}", there.join(", "))),
        _ => trouble(e),
    }
}

/// The console of a standing machine and this terminal, each to the other, until one of them ends or Ctrl-] is typed.
fn attach(standing: &Standing, name: &str) -> Result<Exit, Trouble> {
    let failed = |e| Trouble::io("the console", e);
    let mut console = standing.console(name).map_err(|e| missing(e, standing))?;
    remark("Enter shows its prompt. Log in as root, no password. Ctrl-] leaves it standing.");
    let _raw = Raw::terminal();
    let mut keys = console.try_clone().map_err(failed)?;
    std::thread::spawn(move || {
        let mut typed = [0; 256];
        while let Ok(n @ 1..) = std::io::stdin().read(&mut typed) {
            let typed = &typed[..n];
            let until = typed.iter().position(|b| *b == LEAVE);
            if keys.write_all(&typed[..until.unwrap_or(n)]).is_err() || until.is_some() {
                break;
            }
        }
        let _ = keys.shutdown(std::net::Shutdown::Both);
    });
    let mut said = [0; 4096];
    loop {
        match console.read(&mut said).map_err(failed)? {
            0 => return Ok(Exit::Ok),
            n => {
                let mut out = std::io::stdout();
                out.write_all(&said[..n]).and_then(|()| out.flush()).map_err(|e| Trouble::io("standard output", e))?;
            }
        }
    }
}

/// Ctrl-].
const LEAVE: u8 = 0x1d;

/// The terminal hands every key on as it is typed, and is as it was when this goes. Where standard input is no terminal, nothing.
struct Raw(Option<Termios>);

impl Raw {
    fn terminal() -> Self {
        let before = termios::tcgetattr(rustix::stdio::stdin()).ok();
        if let Some(mut raw) = before.clone() {
            raw.make_raw();
            let _ = termios::tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, &raw);
        }
        Self(before)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = termios::tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::pair;

    #[test]
    fn pairs_split_at_the_last_colon_and_name_a_whole_path() {
        assert_eq!(pair("a:b:/c"), Ok(("a:b".into(), "/c".to_owned())));
        assert!(pair("a:c").is_err());
        assert!(pair("/a").is_err());
    }
}
