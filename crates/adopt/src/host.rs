//! The machine itself: systemd, its accounts, its sockets. In come names, out comes what they did. Never: decides, waits without an end.

use crate::{Error, run::Adoption, run::Machine};
use std::time::{Duration, Instant};

/// Between two looks at a unit.
const POLL: Duration = Duration::from_millis(500);
/// How long a service must stay as it should be: one that may not read its files ends within a second or two, and systemd
/// starts it again.
const HOLD: Duration = Duration::from_secs(5);

/// This machine.
#[derive(Debug, Default)]
pub struct Host;

fn systemctl(arguments: &[&str]) -> Result<String, Error> {
    program("systemctl", arguments, "")
}

fn program(name: &str, arguments: &[&str], input: &str) -> Result<String, Error> {
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
