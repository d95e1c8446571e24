//! systemd asked and told. In come words for `systemctl`, out comes what it said, or that it did not say anything in time. Never: waits
//! without bound: a way back that hangs is none.

use crate::{Error, timer};
use observe::run;
use std::time::Duration;

/// How long systemd has for one word. A daemon of a pair starts and stops in less than one second; one that hangs would be waited for
/// 90 s (`DefaultTimeoutStopSec`), with the rules of before and the lock waiting as well.
pub const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// How long it has where it reads all units again, which `enable` and `disable` make it do as well: it starts every generator then, and
/// waits for them. Seconds on a machine that is busy; one that lost both its processors to others took more than ten.
pub const READS_WITHIN: Duration = Duration::from_secs(60);

/// Words after which it reads all units.
const READING: [&str; 3] = ["daemon-reload", "enable", "disable"];

/// Our units are systemd's own. The word that keeps init scripts of the same name in step writes below `/etc/rc*.d`, which the boot
/// unit's sandbox does not let it.
const NO_INIT_SCRIPTS: (&str, &str) = ("SYSTEMCTL_SKIP_SYSV", "1");

/// What systemd says of a unit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unit {
    /// Started at boot; nothing where it is neither that nor the opposite (masked, static, not there).
    pub enabled: Option<bool>,
    /// It runs, or is on its way to.
    pub runs: bool,
}

/// Whether systemd can be told anything here: it runs this machine, or this is its unit before the network.
pub fn listens() -> bool {
    timer::systemd_runs_here() || is_boot_unit()
}

/// The unit that runs before the network. Its sandbox may not look at process 1, so it cannot tell whose network it is in; but it
/// is no unit anywhere else.
fn is_boot_unit() -> bool {
    let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    own.lines().any(|l| l.ends_with("/ravelin-restore.service"))
}

/// One word, in bounded time.
pub fn call(words: &[&str]) -> Result<String, Error> {
    let within = if words.first().is_some_and(|w| READING.contains(w)) { READS_WITHIN } else { ANSWERS_WITHIN };
    Ok(run::within(within, &[NO_INIT_SCRIPTS], "systemctl", words)?)
}

/// The same about a unit. One that does neither what it is told nor refuses is killed: systemd then goes on with what it was told.
pub fn call_or_kill(words: &[&str], unit: &str) -> Result<String, Error> {
    call(words).inspect_err(|_| {
        // Of use where it hangs, and without effect where nothing runs: what matters is the first complaint.
        let _ = call(&["kill", "-s", "KILL", unit]);
    })
}

/// What systemd says of a unit.
pub fn ask(unit: &str) -> Result<Unit, Error> {
    let said = call(&["show", "--property=UnitFileState,ActiveState", unit])?;
    let value = |name: &str| said.lines().find_map(|l| l.split_once('=').filter(|(n, _)| *n == name)).map(|(_, v)| v.trim());
    let enabled = match value("UnitFileState") {
        Some("enabled") => Some(true),
        Some("disabled") => Some(false),
        _ => None,
    };
    Ok(Unit { enabled, runs: matches!(value("ActiveState"), Some("active" | "reloading" | "refreshing" | "activating")) })
}
