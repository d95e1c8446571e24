//! Quadlets. In comes a container's plan, out comes `NAME.container`, which Podman's generator makes a unit of.

use super::{GONE, INSTALL, RESTART, head, mounted, published, specifiers};
use crate::accounts::one_line;
use plan::containers::{Hardened, harden::PIDS};
use std::fmt::Write as _;

/// A Quadlet, `NAME.container` below `/etc/containers/systemd` (Podman 4.4 or later).
pub fn quadlet(c: &Hardened) -> String {
    let mut out = String::from("# Written by ravelin: arguments and environment are the original's; add them from where they were.\n");
    out += &head(c);
    let (image, name) = (specifiers(&one_line(&c.image)), specifiers(&one_line(&c.name)));
    let _ = writeln!(out, "[Container]\nImage={image}\nContainerName={name}");
    match c.user.as_deref().map(|u| u.split_once(':').unwrap_or((u, ""))) {
        Some((user, group)) => {
            let _ = writeln!(out, "# {}\nUser={user}", one_line(&c.user_why));
            if !group.is_empty() {
                let _ = writeln!(out, "Group={group}");
            }
        }
        None => {
            let _ = writeln!(out, "# {}\n# User=", one_line(&c.user_why));
        }
    }
    out += "DropCapability=all\n";
    for cap in &c.capabilities {
        let _ = writeln!(out, "AddCapability=CAP_{cap}");
    }
    out += "NoNewPrivileges=true\nReadOnly=true\nVolatileTmp=true\n";
    let _ = writeln!(out, "PodmanArgs=--pids-limit={PIDS}");
    for note in &c.port_notes {
        let _ = writeln!(out, "# {}", one_line(note));
    }
    for p in &c.ports {
        let _ = writeln!(out, "PublishPort={}", published(p));
    }
    for m in &c.mounts {
        let _ = writeln!(out, "Volume={}", specifiers(&one_line(&mounted(m))));
    }
    for path in &c.hidden {
        let _ = writeln!(out, "# {} {GONE}", one_line(path));
    }
    if c.gpu {
        out += "AddDevice=nvidia.com/gpu=all\n";
    }
    out + "\n[Service]\n" + RESTART + INSTALL
}
