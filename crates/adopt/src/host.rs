//! The machine itself: systemd, its accounts, its sockets. In come names, out comes what they did. Never: decides, waits without an end.

use crate::{Error, door::Door, hold, run::Adoption, run::Machine};
use bundle::OwnFile;
use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    time::{Duration, Instant},
};

/// Between two looks at a unit.
const POLL: Duration = Duration::from_millis(500);
/// How long a service must stay as it should be: one that may not read its files ends within a second or two, and systemd
/// starts it again.
const HOLD: Duration = Duration::from_secs(5);

/// This machine.
#[derive(Debug, Default)]
pub struct Host {
    /// The command with which a boot goes on with a move.
    pub goes_on: Vec<String>,
}

fn systemctl(arguments: &[&str]) -> Result<String, Error> {
    program("systemctl", arguments, "")
}

/// Runs a program; what it says where it fails is part of the error.
pub(crate) fn program(name: &str, arguments: &[&str], input: &str) -> Result<String, Error> {
    observe::run::with_input(name, arguments, input).map_err(|e| {
        let command = [&[name], arguments].concat().join(" ");
        Error::Program { command, why: e.to_string() }
    })
}

impl Machine for Host {
    fn accounts(&mut self, plan: &Adoption) -> Result<(u32, u32), Error> {
        program("systemd-sysusers", &["-"], &plan.accounts)?;
        program("systemd-tmpfiles", &["--create", "-"], &plan.directories)?;
        self.account(&plan.account).ok_or_else(|| Error::Apply(format!("account {} was not made", plan.account)))
    }
    fn account(&self, name: &str) -> Option<(u32, u32)> {
        let accounts = observe::account::accounts(&observe::Root::machine(), &mut Vec::new(), &mut Vec::new()).ok()?;
        accounts.into_iter().find(|a| a.name == name).map(|a| (a.uid, a.gid))
    }
    fn stop(&mut self, unit: &str) -> Result<(), Error> {
        systemctl(&["stop", unit]).map(drop)
    }
    fn start(&mut self, unit: &str) -> Result<(), Error> {
        // A unit that failed too often is held back by systemd, the one it was before as well.
        let _ = systemctl(&["reset-failed", unit]);
        systemctl(&["start", unit]).map(drop)
    }
    fn hold(&mut self, plan: &Adoption) -> Result<(), Error> {
        // Where systemd does not answer, nothing is put in its way.
        self.reload()?;
        // First who goes on, then what is held: at no point does a cut leave a service held for good.
        put(&hold::unit(plan, &self.goes_on))?;
        let link = hold::link(plan);
        let link = Path::new(&link);
        above(link)?;
        match symlink(format!("../{}", hold::at_boot(plan)), link) {
            Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => return Err(Error::record(link, e)),
            _ => sys::file::flush_directory(link)?,
        }
        put(&hold::drop_in(plan))?;
        self.reload()
    }
    fn release(&mut self, plan: &Adoption) -> Result<(), Error> {
        let path = hold::drop_in(plan).path;
        let path = Path::new(&path);
        let held = path.exists();
        sys::file::remove(path)?;
        // Other drop-ins keep it.
        path.parent().map(fs::remove_dir);
        self.reload().or_else(|e| if held { Err(e) } else { Ok(()) })
    }
    fn ended(&mut self, plan: &Adoption) -> Result<(), Error> {
        let unit = hold::unit(plan, &self.goes_on).path;
        if !Path::new(&unit).exists() {
            // It failed before anything was held.
            return Ok(());
        }
        // The unit last: where it is gone, the link is.
        for path in [hold::link(plan), unit] {
            sys::file::remove(Path::new(&path))?;
        }
        self.reload()
    }
    fn door(&self, account: &str) -> Result<Door, Error> {
        let read = |path: &str| fs::read_to_string(path).map_err(|e| Error::record(path, e));
        let door = Door::of(account, &read("/etc/passwd")?, &read("/etc/shadow")?);
        door.ok_or_else(|| Error::Apply(format!("account {account} is not in /etc/passwd and /etc/shadow")))
    }
    fn set_door(&mut self, account: &str, door: &Door) -> Result<(), Error> {
        program("usermod", &["--shell", &door.shell, "--expiredate", &door.ends, account], "").map(drop)
    }
    fn reload(&mut self) -> Result<(), Error> {
        systemctl(&["daemon-reload"]).map(drop)
    }
    fn healthy(&mut self, plan: &Adoption, uid: u32) -> Result<(), Error> {
        let begun = Instant::now();
        let mut good: Option<(Instant, String)> = None;
        loop {
            let why = match look(plan, uid) {
                Ok(process) => {
                    match &good {
                        Some((since, same)) if *same == process && since.elapsed() >= HOLD => return Ok(()),
                        Some((_, same)) if *same == process => {}
                        _ => good = Some((Instant::now(), process)),
                    }
                    "it works, but not for long enough yet".to_owned()
                }
                Err(why) => {
                    good = None;
                    why
                }
            };
            if begun.elapsed().as_secs() >= plan.within {
                return Err(Error::Unhealthy { within: plan.within, why });
            }
            std::thread::sleep(POLL);
        }
    }
}

fn put(file: &OwnFile) -> Result<(), Error> {
    let path = Path::new(&file.path);
    above(path)?;
    Ok(sys::file::replace_as(path, file.content.as_bytes(), file.mode)?)
}

/// Makes the directory that a file is to lie in.
fn above(path: &Path) -> Result<(), Error> {
    path.parent().map_or(Ok(()), |d| fs::create_dir_all(d).map_err(|e| Error::record(d, e)))
}

/// The unit's first process where all is as it should be, else what is not.
fn look(plan: &Adoption, uid: u32) -> Result<String, String> {
    let property = |name: &str| systemctl(&["show", &plan.unit, "-P", name]).map(|t| t.trim().to_owned()).map_err(|e| e.to_string());
    let state = property("ActiveState")?;
    if state != "active" {
        return Err(format!("{} is {state}", plan.unit));
    }
    let process = property("MainPID")?;
    let processes = observe::process::list(&observe::Root::machine()).map_err(|e| e.to_string())?;
    match processes.iter().find(|p| p.pid.to_string() == process) {
        Some(p) if p.uid == uid => {}
        Some(p) => return Err(format!("its process runs as uid {}, not as {}", p.uid, plan.account)),
        None => return Err("it has no process".to_owned()),
    }
    if let Some(port) = plan.port {
        let sockets = observe::socket::list().map_err(|e| e.to_string())?;
        if !sockets.iter().any(|s| s.listens() && s.local.port() == port && s.uid == uid) {
            return Err(format!("nothing of {} listens on port {port}", plan.account));
        }
    }
    Ok(process)
}
