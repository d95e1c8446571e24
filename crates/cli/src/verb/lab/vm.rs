//! `ravelin lab vm`: a Debian machine under QEMU with a kernel of its own, for what namespaces cannot show: boot, init, SELinux.
//! In come a script and files, out comes what it said and its exit code. The machine's disk is gone afterwards.

use crate::{
    args::{Format, Global},
    exit::Exit,
    face::{json, remark},
    progress,
    trouble::{Trouble, chain},
};
use ::vm::{Code, Disk, Image, Machine, Mode, Options, VmError, cache, console};
use clap::{Args, Subcommand};
use serde::Serialize;
use std::{
    fs,
    io::{Read, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

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
    /// Boot with its console on this terminal: log in as root, no password; Ctrl-A X ends it
    Shell,
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
        What::Shell => shell(&options),
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
