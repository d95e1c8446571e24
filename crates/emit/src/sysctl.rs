//! A `sysctl.d` file. In come a machine's settings, out comes text that `sysctl --system` and systemd-sysctl take: keys with
//! slashes, since device names may hold dots. The form cannot say "at least" or "later"; such lines say it in their comment.
//! Never: a setting without its reason.

use plan::{Sysctl, SysctlPhase, SysctlRule};
use std::fmt::Write as _;

/// The file's text.
pub fn file(settings: &[Sysctl]) -> String {
    let mut out = String::from("# Written by ravelin; changes are reported as drift.\n");
    for s in settings {
        let mut why = s.why.clone();
        if s.phase == SysctlPhase::AfterSeeding {
            why += " (by hand: only once connections under way are tracked)";
        }
        if s.rule == SysctlRule::AtLeast {
            why += " (a larger value may stay)";
        }
        // A leading `-` lets the rest go on where a key does not exist yet: a device that comes up later.
        let _ = writeln!(out, "# {why}\n-{} = {}", s.key, s.value);
    }
    out
}
