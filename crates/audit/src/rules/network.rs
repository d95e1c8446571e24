//! What listens and who reaches it: services of the catalogue that must stay private, and other software that asks nobody. In
//! come sockets and the filter, out come those whose packets arrive. A rule here never says that a filter is there: it says
//! whose packet passes it.

use super::prelude::*;
use crate::exposure::Who;
use catalog::{Auth, Class, Intended};
use facts::{Process, Socket};
use std::collections::BTreeMap;

/// AUD088: a container registry answers others.
pub const REGISTRY: Rule = Rule {
    code: Code("AUD088"),
    title: "a container registry is reachable",
    risk: Risk::Medium,
    needs: &[Source::Processes, Source::Sockets, Source::SocketOwners],
    means: "without a login whoever reaches it pushes the image that every machine starts next",
    fix: "bind it to one address, filter it, and give it an htpasswd or a token",
    reference: None,
    check: |view| programs(view, &["registry", "zot", "harbor_core"], Risk::Medium),
};

/// AUD089: a data store that asks nobody who they are.
pub const DATA_STORE: Rule = Rule {
    code: Code("AUD089"),
    title: "a data store without login is reachable",
    risk: Risk::High,
    needs: &[Source::Processes, Source::Sockets, Source::SocketOwners],
    means: "redis, memcached, etcd and the like believe everybody; redis writes files as its account on request",
    fix: "bind it to loopback, or set a password and filter it",
    reference: None,
    check: data_store,
};

/// AUD090: a server that takes passwords or files in the clear.
pub const CLEAR: Rule = Rule {
    code: Code("AUD090"),
    title: "a server from the time before encryption is reachable",
    risk: Risk::High,
    needs: &[Source::Processes, Source::Sockets, Source::SocketOwners],
    means: "telnet, ftp, rsh, tftp and rsync daemons show passwords and files to whoever listens, or ask for none",
    fix: "apt purge it; ssh and sftp do its work",
    reference: Some("CIS Debian Linux 12 Benchmark 2.1.6, 2.1.13, 2.1.16 and 2.1.19"),
    check: |view| {
        programs(
            view,
            &[
                "telnetd",
                "in.telnetd",
                "inetd",
                "xinetd",
                "vsftpd",
                "proftpd",
                "pure-ftpd",
                "in.tftpd",
                "tftpd",
                "atftpd",
                "in.rshd",
                "rlogind",
                "rsync",
            ],
            Risk::High,
        )
    },
};

/// AUD091: a desktop is served to the network.
pub const DESKTOP: Rule = Rule {
    code: Code("AUD091"),
    title: "a desktop is reachable",
    risk: Risk::High,
    needs: &[Source::Processes, Source::Sockets, Source::SocketOwners],
    means: "VNC and X11 show and move an administrator's screen, often without a password",
    fix: "stop it; a storage machine has no screen",
    reference: Some("CIS Debian Linux 12 Benchmark 2.1.20"),
    check: |view| {
        programs(
            view,
            &["Xorg", "Xvnc", "x11vnc", "Xtigervnc", "vncserver", "xrdp", "wayvnc", "jupyter-lab", "jupyter-noteboo"],
            Risk::High,
        )
    },
};

/// AUD092: a storage target of the kernel is reachable by anybody.
pub const TARGET: Rule = Rule {
    code: Code("AUD092"),
    title: "a storage target is reachable from anywhere",
    risk: Risk::High,
    needs: &[Source::Sockets, Source::Nft, Source::Iptables],
    means: "NFS, iSCSI and NVMe over fabrics believe the address that asks: who reaches them mounts or overwrites the store",
    fix: "let the machine's filter pass the declared clients alone (`ravelin plan` writes it), and bind it to the storage network",
    reference: None,
    check: target,
};

/// AUD093: a port that must stay private takes packets from anywhere.
pub const EXPOSED: Rule = Rule {
    code: Code("AUD093"),
    title: "a private port takes packets from anywhere",
    risk: Risk::Critical,
    needs: &[Source::Sockets, Source::SocketOwners, Source::Nft, Source::Iptables],
    means: "what the machine's own filter lets through is the Internet's, unless something before the machine stops it; tokenless requests to Lotus APIs get read",
    fix: "bind it to loopback or the one network it is for, and drop the rest (`ravelin plan` writes the filter)",
    reference: Some("CIS Debian Linux 12 Benchmark 4.2.6"),
    check: exposed,
};

/// Sockets of these programs that others reach, by program.
fn reached<'a>(view: &View<'a>, wanted: impl Fn(&Process) -> bool) -> BTreeMap<&'a str, Vec<(&'a Process, &'a Socket, String)>> {
    let mut out: BTreeMap<&str, Vec<(&Process, &Socket, String)>> = BTreeMap::new();
    for socket in view.facts.sockets.iter().filter(|s| s.listens()) {
        let holders = socket.pids.iter().filter_map(|pid| view.facts.processes.iter().find(|p| p.pid == *pid));
        for p in holders.filter(|p| wanted(p)) {
            if let Some(by) = view.reached(socket) {
                out.entry(&p.comm).or_default().push((p, socket, by));
            }
        }
    }
    out
}

fn programs(view: &View, names: &[&str], risk: Risk) -> Vec<Seen> {
    let found = reached(view, |p| names.contains(&p.comm.as_str()));
    found.into_iter().map(|(name, all)| told(name, &all).risk(risk)).collect()
}

fn told(name: &str, all: &[(&Process, &Socket, String)]) -> Seen {
    let mut lines = all.iter().map(|(p, s, by)| format!("pid {}, {}: {by}", p.pid, place(s)));
    let first = Seen::new(name, lines.next().unwrap_or_default());
    lines.fold(first, Seen::and)
}

/// Stores that ask nobody unless they are told to, with the words of their command line or configuration that make them ask.
const STORES: [(&str, &[&str]); 9] = [
    ("redis-server", &["requirepass", "aclfile"]),
    ("valkey-server", &["requirepass", "aclfile"]),
    ("memcached", &["-S", "--auth-file"]),
    ("etcd", &["--client-cert-auth", "--auth-token"]),
    ("mongod", &["--auth", "authorization"]),
    ("beam.smp", &[]),
    ("minio", &["MINIO_ROOT_PASSWORD"]),
    ("zookeeper", &[]),
    ("consul", &["acl"]),
];

fn data_store(view: &View) -> Vec<Seen> {
    let mut out = Vec::new();
    for (name, asks) in STORES {
        let configured = view.lines(|p| {
            p.starts_with("/etc/redis/") || p.starts_with("/etc/valkey/") || p == "/etc/mongod.conf" || p == "/etc/default/minio"
        });
        let in_file = configured.iter().any(|(_, _, l)| asks.iter().any(|a| l.trim_start().starts_with(a)));
        let found = reached(view, |p| p.comm == name && !p.argv.iter().any(|a| asks.iter().any(|w| a.contains(w))));
        if !in_file {
            out.extend(found.into_iter().map(|(name, all)| told(name, &all)));
        }
    }
    out
}

/// Ports on which the kernel itself serves storage.
const TARGETS: [(u16, &str); 5] =
    [(2049, "NFS"), (3260, "iSCSI"), (4420, "NVMe over TCP"), (111, "the NFS port mapper"), (8009, "NVMe discovery")];

fn target(view: &View) -> Vec<Seen> {
    let mut out: BTreeMap<u16, Seen> = BTreeMap::new();
    for socket in view.facts.sockets.iter().filter(|s| s.listens()) {
        let Some((port, what)) = TARGETS.iter().find(|(p, _)| *p == socket.local.port()) else { continue };
        if view.who(socket) == Some(Who::Anybody) {
            let line = format!("{} ({what}): {}", place(socket), Who::Anybody);
            let seen = out.remove(port).map_or_else(|| Seen::new(format!("port {port}"), line.clone()), |s| s.and(line.clone()));
            out.insert(*port, seen);
        }
    }
    out.into_values().collect()
}

fn exposed(view: &View) -> Vec<Seen> {
    let mut out = Vec::new();
    for r in &view.running {
        for (socket, endpoint) in &r.listens {
            let Some(e) = endpoint.filter(|e| {
                e.intended != Intended::Public && matches!(e.class, Class::Api | Class::Database | Class::Metrics | Class::Admin)
            }) else {
                continue;
            };
            // What operators log into is for the networks they come from; that is the site file's matter.
            if r.service.name.as_str() == "ssh" || view.who(socket) != Some(Who::Anybody) {
                continue;
            }
            let risk = if e.class == Class::Metrics { Risk::High } else { Risk::Critical };
            let auth = if e.auth == Auth::None { "asks nobody who they are" } else { "asks for credentials" };
            let seen =
                Seen::new(format!("{}.{}", r.service.name, e.name), format!("{}, {auth}: {}", place(socket), Who::Anybody)).risk(risk);
            let setting = e.setting.as_ref().and_then(|k| r.service.settings.iter().find(|s| &s.key == k));
            out.push(match setting {
                Some(s) => seen.fix(how_to_set(s)),
                None => seen,
            });
        }
    }
    out
}
