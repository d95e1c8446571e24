//! A hardened container as a compose override or as a Quadlet. In comes its plan, out comes text for the engine, reasons as comments.
//! An override is merged over the file it belongs to; lists that must shrink are replaced with `!override` (Compose 2.24.4 or
//! later). Never: environment or command; they are the original's, and may hold tokens.

use crate::accounts::one_line;
use plan::containers::{Hardened, Mount, Port, harden::PIDS};
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
        if c.findings.iter().any(|f| f.fault == plan::containers::Fault::HostNetwork) {
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

/// A Quadlet, `NAME.container` below `/etc/containers/systemd` (Podman 4.4 or later).
pub fn quadlet(c: &Hardened) -> String {
    let mut out = String::from("# Written by ravelin: arguments and environment are the original's; add them from where they were.\n");
    for f in &c.findings {
        let _ = writeln!(out, "# {}", one_line(&f.what));
    }
    let _ = writeln!(out, "[Unit]\nDescription={}\nAfter=network-online.target\nWants=network-online.target\n", one_line(&c.name));
    let _ = writeln!(out, "[Container]\nImage={}\nContainerName={}", one_line(&c.image), one_line(&c.name));
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
        let _ = writeln!(out, "Volume={}", mounted(m));
    }
    for path in &c.hidden {
        let _ = writeln!(out, "# {path} is gone: it commanded the engine");
    }
    if c.gpu {
        out += "AddDevice=nvidia.com/gpu=all\n";
    }
    out + "\n[Service]\nRestart=always\n\n[Install]\nWantedBy=multi-user.target\n"
}

fn published(p: &Port) -> String {
    let address = if p.address.is_ipv6() { format!("[{}]", p.address) } else { p.address.to_string() };
    let host = p.host.map(|h| h.to_string()).unwrap_or_default();
    format!("{address}:{host}:{}/{}", p.inside, p.proto)
}

fn mounted(m: &Mount) -> String {
    format!("{}:{}{}", m.source, m.target, if m.read_only { ":ro" } else { "" })
}
