//! Containers and their engine: its API, its socket, what containers see of the host, which image runs. In come containers,
//! processes, files, out come ways from a container to the host. Root and privileges inside are AUD024's.

use super::prelude::*;
use facts::FileKind;

/// AUD083: the engine's API listens on TCP.
pub const ENGINE_NETWORK: Rule = Rule {
    code: Code("AUD083"),
    title: "the container engine takes orders over the network",
    risk: Risk::Critical,
    needs: &[Source::Processes, Source::Files],
    means: "who reaches it starts a container with the host's disk in it: that is root, without a password",
    fix: "take `-H tcp://...` and `hosts` out of the unit and /etc/docker/daemon.json; ssh is the way to manage it from afar",
    reference: None,
    check: engine_network,
};

/// AUD084: the engine's socket is open to every account.
pub const ENGINE_SOCKET: Rule = Rule {
    code: Code("AUD084"),
    title: "every account gives the container engine orders",
    risk: Risk::Critical,
    needs: &[Source::Files],
    means: "who writes to the socket starts a container with the host's disk in it: that is root",
    fix: "chmod 0660 the socket, owned by root and a group without service accounts",
    reference: None,
    check: engine_socket,
};

/// AUD085: a container sees the host's root, configuration, or another service's secrets.
pub const HOST_FILES: Rule = Rule {
    code: Code("AUD085"),
    title: "a container sees the host's own files",
    risk: Risk::High,
    needs: &[Source::Containers],
    means: "a taken-over container reads keys and password hashes, or writes a unit that the host starts",
    fix: "mount the service's own directories alone, read-only where it only reads",
    reference: None,
    check: host_files,
};

/// AUD086: an image without a version.
pub const FLOATING: Rule = Rule {
    code: Code("AUD086"),
    title: "a container runs whatever its image is today",
    risk: Risk::Low,
    needs: &[Source::Containers],
    means: "the next start may bring another program, a broken one or an attacker's, and nobody sees the change",
    fix: "name the image with a version, better with its digest (name@sha256:...)",
    reference: None,
    check: floating,
};

/// AUD087: a service's container may gain privileges.
pub const MAY_GAIN: Rule = Rule {
    code: Code("AUD087"),
    title: "a service's container may gain privileges",
    risk: Risk::Low,
    needs: &[Source::Containers],
    means: "a set-id program inside, or a capability nobody needs, is a step towards the host",
    fix: "security_opt: [no-new-privileges:true] and cap_drop: [ALL]; `ravelin containers` writes the override",
    reference: None,
    check: may_gain,
};

/// Sockets that are the engine.
const SOCKETS: [&str; 5] =
    ["/run/docker.sock", "/var/run/docker.sock", "/run/podman/podman.sock", "/run/containerd/containerd.sock", "/run/crio/crio.sock"];
/// Directories of the host that no container needs.
const HOSTS_OWN: [&str; 9] = ["/", "/etc", "/root", "/home", "/boot", "/usr", "/var", "/proc", "/dev"];

fn engine_network(view: &View) -> Vec<Seen> {
    let mut out = Vec::new();
    for p in view.facts.processes.iter().filter(|p| ["dockerd", "podman", "containerd"].contains(&p.comm.as_str())) {
        let tls = p.argv.iter().any(|a| a.starts_with("--tlsverify") && !a.ends_with("false"));
        if let Some(address) = p.argv.iter().find(|a| a.contains("tcp://") && !a.contains("tcp://127.") && !a.contains("tcp://localhost")) {
            let seen = Seen::new(&p.comm, format!("pid {}: {address}{}", p.pid, if tls { ", with --tlsverify" } else { "" }));
            out.push(if tls { seen.risk(Risk::Medium) } else { seen });
        }
    }
    for (file, line, text) in view.lines(|p| p == "/etc/docker/daemon.json") {
        if text.contains("tcp://") && !text.contains("tcp://127.") {
            out.push(Seen::new("dockerd", text.trim()).at(file, line));
        }
    }
    out
}

fn engine_socket(view: &View) -> Vec<Seen> {
    // /var/run is a link to /run almost everywhere: the same socket is told once.
    let twice = |path: &str| path.strip_prefix("/var").is_some_and(|short| view.facts.file(short).is_some());
    let open = view.facts.files.iter().filter(|f| f.kind == FileKind::Socket && SOCKETS.contains(&f.path.as_str()) && f.mode & 0o002 != 0);
    open.filter(|f| !twice(&f.path))
        .map(|f| Seen::new(&f.path, format!("mode {:04o}, owner {}", f.mode, owner(f))).at(&f.path, 0))
        .collect()
}

fn host_files(view: &View) -> Vec<Seen> {
    let mut out = Vec::new();
    for c in &view.facts.containers {
        for m in &c.mounts {
            let mut parts = m.split(':');
            let host = parts.next().unwrap_or_default();
            let host = if host.len() > 1 { host.trim_end_matches('/') } else { host };
            let read_only = parts.next_back().is_some_and(|o| o.split(',').any(|o| o == "ro"));
            let secret =
                view.facts.files.iter().any(|f| !f.secrets.is_empty() && f.text.is_none() && f.path.starts_with(&format!("{host}/")));
            if HOSTS_OWN.contains(&host) || host.ends_with("/keystore") && !own(c, view) {
                let seen =
                    Seen::new(format!("container {}", c.name), format!("{m}{}", if secret { ", with keys or tokens in it" } else { "" }));
                out.push(if read_only && !secret { seen.risk(Risk::Medium) } else { seen });
            }
        }
    }
    out
}

/// Whether a keystore is the container's own service's.
fn own(c: &facts::Container, view: &View) -> bool {
    catalog::recognise::image(&c.image).iter().any(|s| s.account.is_some())
        || view.running.iter().any(|r| r.container.is_some_and(|x| x.id == c.id))
}

fn floating(view: &View) -> Vec<Seen> {
    let wrong = view.facts.containers.iter().filter(|c| {
        let last = c.image.rsplit('/').next().unwrap_or_default();
        !c.image.contains("@sha256:") && !c.image.is_empty() && last.split_once(':').is_none_or(|(_, tag)| tag == "latest")
    });
    wrong.map(|c| Seen::new(format!("container {}", c.name), format!("image {}", c.image))).collect()
}

fn may_gain(view: &View) -> Vec<Seen> {
    let mut out = Vec::new();
    for c in view.facts.containers.iter().filter(|c| !c.privileged && own(c, view)) {
        let mut why = Vec::new();
        if !c.no_new_privs {
            why.push("no-new-privileges is not set");
        }
        if !c.cap_drop.iter().any(|d| d.eq_ignore_ascii_case("all")) {
            why.push("capabilities are not dropped");
        }
        if !why.is_empty() {
            out.push(Seen::new(format!("container {}", c.name), format!("image {}: {}", c.image, why.join(", "))));
        }
    }
    out
}
