//! Compose overrides. In come the containers of one file, out comes YAML that is merged over it; lists that must shrink are replaced
//! with `!override` (Compose 2.24.4 or later).

use super::{mounted, published};
use crate::accounts::one_line;
use plan::containers::{Fault, Hardened, harden::PIDS};
use std::fmt::Write as _;

/// A text that YAML reads as the same text.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

/// `docker-compose.override.yml` for the containers of one compose file.
pub fn compose(all: &[Hardened]) -> String {
    let mut out = String::from("# Written by ravelin: put it beside the compose file, or name it with -f after it.\nservices:\n");
    for c in all {
        let _ = writeln!(out, "  {}:", quoted(&c.name));
        for f in &c.findings {
            let _ = writeln!(out, "    # {}", one_line(&f.what));
        }
        let _ = match &c.user {
            Some(user) => writeln!(out, "    user: {}  # {}", quoted(user), one_line(&c.user_why)),
            None => writeln!(out, "    # user: {}", one_line(&c.user_why)),
        };
        out += "    privileged: false\n    read_only: true\n    cap_drop: !override [\"ALL\"]\n";
        let caps: Vec<String> = c.capabilities.iter().map(|c| quoted(c)).collect();
        let _ = writeln!(out, "    cap_add: !override [{}]", caps.join(", "));
        out += "    security_opt: !override [\"no-new-privileges:true\"]\n    tmpfs: [\"/tmp\"]\n";
        let _ = writeln!(out, "    pids_limit: {PIDS}");
        if c.findings.iter().any(|f| f.fault == Fault::HostNetwork) {
            out += "    network_mode: \"bridge\"\n";
        }
        for note in &c.port_notes {
            let _ = writeln!(out, "    # {}", one_line(note));
        }
        if !c.ports.is_empty() {
            out += "    ports: !override\n";
            for p in &c.ports {
                let _ = writeln!(out, "      - {}", quoted(&published(p)));
            }
        }
        if !c.mounts.is_empty() || !c.hidden.is_empty() {
            out += "    volumes: !override\n";
            for m in &c.mounts {
                let _ = writeln!(out, "      - {}", quoted(&mounted(m)));
            }
            for path in &c.hidden {
                let _ = writeln!(out, "      # {path} is gone: it commanded the engine");
            }
        }
        if c.gpu {
            out += "    deploy: {resources: {reservations: {devices: [{driver: nvidia, count: all, capabilities: [gpu]}]}}}\n";
        }
    }
    out
}
