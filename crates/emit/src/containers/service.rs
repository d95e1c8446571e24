//! Plain units. In comes a container's plan, out comes `NAME.service`, which runs Podman with the restrictions a Quadlet has, under
//! the supervision Podman's own generator writes.

use super::{GONE, INSTALL, RESTART, head, mounted, published, specifiers};
use crate::accounts::one_line;
use plan::containers::{Hardened, harden::PIDS};
use std::fmt::Write as _;

/// Podman's place in Debian, Ubuntu, Fedora and RHEL.
pub const PODMAN: &str = "/usr/bin/podman";
/// What `VolatileTmp=` of a Quadlet stands for.
const TMP: &str = "--tmpfs=/tmp:rw,size=512M,mode=1777";
/// conmon is the main process and says when the container runs; it and the container are groups below the unit's own; what an end
/// without order left behind is replaced.
const SUPERVISED: &str = "--cidfile=%t/%N.cid --replace --rm --cgroups=split --sdnotify=conmon --detach";
/// Variables in which the original's options and arguments are put.
const LEFT_OUT: &str = "Environment=\"OPTIONS=\" \"ARGUMENTS=\"\n";

/// A unit, `NAME.service` below `/etc/systemd/system`.
pub fn unit(c: &Hardened) -> String {
    let mut out =
        String::from("# Written by ravelin for a Podman without Quadlets (before 4.4). The original's environment and arguments\n");
    out += "# are left out: `systemctl edit` this unit and set OPTIONS (--env-file=...) and ARGUMENTS under [Service].\n";
    out += &head(c);
    out += "[Service]\nType=notify\nNotifyAccess=all\nDelegate=yes\nKillMode=mixed\n";
    out += RESTART;
    out += LEFT_OUT;
    for note in &c.port_notes {
        let _ = writeln!(out, "# {}", one_line(note));
    }
    for path in &c.hidden {
        let _ = writeln!(out, "# {} {GONE}", one_line(path));
    }
    let _ = writeln!(out, "# {}{}", if c.user.is_some() { "--user: " } else { "no --user: " }, one_line(&c.user_why));
    let _ = writeln!(out, "ExecStart={PODMAN} run {SUPERVISED} \\");
    for option in options(c) {
        let _ = writeln!(out, "  {option} \\");
    }
    let _ = writeln!(out, "  $OPTIONS {} $ARGUMENTS", word(&c.image));
    let _ = writeln!(out, "ExecStop={PODMAN} stop --ignore --cidfile=%t/%N.cid");
    let _ = writeln!(out, "ExecStopPost=-{PODMAN} rm --force --ignore --cidfile=%t/%N.cid");
    out + INSTALL
}

fn options(c: &Hardened) -> Vec<String> {
    let mut out = vec![word(&format!("--name={}", c.name))];
    out.extend(c.user.iter().map(|u| word(&format!("--user={u}"))));
    out.push("--cap-drop=all".to_owned());
    out.extend(c.capabilities.iter().map(|cap| word(&format!("--cap-add=CAP_{cap}"))));
    out.extend(["--security-opt=no-new-privileges", "--read-only", TMP].map(str::to_owned));
    out.push(format!("--pids-limit={PIDS}"));
    out.extend(c.ports.iter().map(|p| word(&format!("--publish={}", published(p)))));
    out.extend(c.mounts.iter().map(|m| word(&format!("--volume={}", mounted(m)))));
    if c.gpu {
        out.push("--device=nvidia.com/gpu=all".to_owned());
    }
    out
}

/// One word of a command line, whatever is in it.
fn word(text: &str) -> String {
    let text = specifiers(&one_line(text)).replace('$', "$$");
    if text.contains(|c: char| c.is_whitespace() || "\"'\\;".contains(c)) {
        return format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_stays_one() {
        assert_eq!(word("--name=lotus"), "--name=lotus");
        assert_eq!(word("--volume=/a b:/c"), "\"--volume=/a b:/c\"");
        assert_eq!(word("x%n$HOME"), "x%%n$$HOME");
        assert_eq!(word("a\"; \\b\nc"), "\"a\\\"; \\\\b c\"");
    }
}
