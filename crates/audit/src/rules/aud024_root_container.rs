//! AUD024: containers that run privileged, as root, or hold the engine socket.

use super::prelude::*;
use catalog::recognise;

/// The rule.
pub const RULE: Rule = Rule {
    code: Code("AUD024"),
    title: "a container of a service is as good as root",
    risk: Risk::High,
    needs: &[Source::Containers],
    means: "root inside a container with all privileges, the host network or the engine socket is root outside",
    fix: "user of its own, cap_drop: [ALL], security_opt: [no-new-privileges:true], read-only root, ports on one address",
    reference: None,
    check,
};

fn check(view: &View) -> Vec<Seen> {
    let mut out = Vec::new();
    for c in &view.facts.containers {
        let known = recognise::image(&c.image).into_iter().any(|s| s.account.is_some())
            || view.running.iter().any(|r| r.container.is_some_and(|x| x.id == c.id));
        let root = matches!(c.user.split(':').next(), Some("" | "0" | "root") | None);
        let socket = c.mounts.iter().any(|m| m.contains("docker.sock") || m.contains("podman.sock") || m.contains("containerd.sock"));
        let mut why = Vec::new();
        if c.privileged {
            why.push("privileged".to_owned());
        }
        if socket {
            why.push("holds the engine's socket".to_owned());
        }
        if root && known {
            why.push("runs as root inside".to_owned());
        }
        if root && c.host_network {
            why.push("root with the host's network".to_owned());
        }
        if let Some(cap) =
            c.cap_add.iter().find(|c| ["ALL", "SYS_ADMIN", "CAP_SYS_ADMIN", "SYS_PTRACE", "SYS_MODULE"].contains(&c.as_str()))
        {
            why.push(format!("capability {cap} added"));
        }
        if !why.is_empty() {
            let seen = Seen::new(format!("container {}", c.name), format!("image {}: {}", c.image, why.join(", ")));
            out.push(if c.privileged || socket { seen } else { seen.risk(Risk::Medium) });
        }
    }
    out
}
