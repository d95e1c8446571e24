//! What keeps a service from running on half-moved files, also over a power cut: a drop-in under which systemd refuses to start it, and a
//! unit with which the next boot goes on with the move. In come a move and a command, out come files. Pure. Never: outlives the move.

use crate::Adoption;
use bundle::{
    OwnFile,
    file::{MARK, UNITS},
};

/// Name of the drop-in: it is read after ours, and nothing in it is a setting of the service.
const HELD: &str = "90-ravelin-held.conf";
/// Units that every boot to a login starts.
const AT_BOOT: &str = "multi-user.target.wants/";

/// Mode of what systemd reads.
const READABLE: u32 = 0o644;

/// The drop-in of the service's unit. An assertion, not a condition: who starts the service by hand is told why it does not start.
pub fn drop_in(plan: &Adoption) -> OwnFile {
    let content = format!(
        "{MARK}: while {0} moves to its account its files belong to nobody alone. `ravelin adopt {0} --yes` goes on with the move,\n\
         # --undo takes it back, and both end with this file gone.\n[Unit]\nAssertPathExists=!/\n",
        plan.service
    );
    OwnFile { path: format!("{UNITS}{}.d/{HELD}", plan.unit), mode: READABLE, content }
}

/// Name of the unit that goes on at boot.
pub fn at_boot(plan: &Adoption) -> String {
    format!("ravelin-adopt-{}-at-boot.service", plan.service)
}

/// That unit: it carries the move out with this command once the stores are mounted. Not `oneshot`: a copy of terabytes must not keep the
/// boot waiting.
pub fn unit(plan: &Adoption, command: &[String]) -> OwnFile {
    let places: Vec<String> = plan.roots.iter().chain(plan.relocation.iter().flat_map(|r| [&r.from, &r.to])).map(|p| word(p)).collect();
    let command: Vec<String> = command.iter().map(|w| word(w).replace('$', "$$")).collect();
    let content = format!(
        "{MARK}: gone when the move has ended.\n[Unit]\nDescription=Ravelin: go on with the move of {} that was cut off\n\
         RequiresMountsFor={}\nAfter=local-fs.target remote-fs.target\n[Service]\nType=exec\nExecStart={}\n",
        plan.service,
        places.join(" "),
        command.join(" "),
    );
    OwnFile { path: format!("{UNITS}{}", at_boot(plan)), mode: READABLE, content }
}

/// Where the link to that unit lies: what `systemctl enable` would make, without its `[Install]`.
pub fn link(plan: &Adoption) -> String {
    format!("{UNITS}{AT_BOOT}{}", at_boot(plan))
}

/// A word of a unit file that means itself: no specifier, no end of the word (systemd.syntax(7)). Commands have variables besides.
fn word(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%");
    format!("\"{escaped}\"")
}
