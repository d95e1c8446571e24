//! Groups that amount to root, or part of the way. In come memberships, devices and sockets, out come edges. A table of groups;
//! what a group really holds is read from devices and sockets besides.

use super::edge;
use crate::{
    graph::{Edge, Evidence, Node},
    machine::Machine,
    technique::Technique,
};
use facts::{Account, FileKind};

/// Groups, why they matter, and whether membership alone is enough.
const GROUPS: [(&str, &str, bool); 17] = [
    ("root", "group of root's own files", false),
    ("docker", "the Docker socket starts root containers", true),
    ("lxd", "the LXD socket starts privileged containers", true),
    ("incus-admin", "the Incus socket starts privileged containers", true),
    ("incus", "the Incus socket starts containers, restricted by its projects", false),
    ("libvirt", "the libvirt socket starts machines with any disk", true),
    ("disk", "raw block devices: every file, whatever its mode", true),
    ("kmem", "kernel memory", true),
    ("shadow", "password hashes: root's is guessed offline", false),
    ("kvm", "virtual machines, their own memory alone", false),
    ("sudo", "sudo on Debian and Ubuntu, where sudoers says so", false),
    ("wheel", "su and sudo, where PAM or sudoers say so", false),
    ("admin", "sudo on old Ubuntu, where sudoers says so", false),
    ("adm", "logs of the system: tokens and command lines in them", false),
    ("systemd-journal", "the whole journal: tokens and command lines in it", false),
    ("staff", "may write /usr/local, where root's programs are looked for", false),
    ("netdev", "network configuration through polkit and D-Bus", false),
];
/// Memberships that are no way up by themselves; other techniques see what they hold.
const SILENT: [&str; 6] = ["kvm", "sudo", "wheel", "admin", "staff", "netdev"];
/// Memberships that read things rather than lead to uid 0.
const READERS: [&str; 2] = ["adm", "systemd-journal"];

/// Sockets of engines that start containers or machines as root.
const SOCKETS: [&str; 11] = [
    "/run/docker.sock",
    "/var/run/docker.sock",
    "/run/podman/podman.sock",
    "/run/containerd/containerd.sock",
    "/run/crio/crio.sock",
    "/run/k3s/containerd/containerd.sock",
    "/var/lib/lxd/unix.socket",
    "/var/snap/lxd/common/lxd/unix.socket",
    "/var/lib/incus/unix.socket",
    "/run/libvirt/libvirt-sock",
    "/run/buildkit/buildkitd.sock",
];

/// Paths this module wants looked at.
pub(crate) const LOOKED_AT: [&str; 11] = SOCKETS;

/// Why a group matters on the way to uid 0, if it does.
pub(super) fn how(group: &str) -> Option<(&'static str, bool)> {
    let named = |g: &&(&str, &'static str, bool)| g.0 == group && !SILENT.contains(&g.0) && !READERS.contains(&g.0);
    GROUPS.iter().find(named).map(|g| (g.1, g.2))
}

pub(super) fn edges(m: &Machine, account: &Account, out: &mut Vec<Edge>) {
    for (group, gid) in m.groups(account) {
        if how(&group).is_some() {
            let primary = gid == account.gid;
            let seen =
                if primary { format!("primary group of {}", account.name) } else { format!("{} is a member of {group}", account.name) };
            let evidence = Evidence::new(seen).at(if primary { "/etc/passwd" } else { "/etc/group" }, 0);
            out.push(edge(account, Node::Group(group), Technique::Member, true, vec![evidence]));
        } else if READERS.contains(&group.as_str()) {
            let what = GROUPS.iter().find(|g| g.0 == group).map_or("", |g| g.1);
            let evidence = Evidence::new(format!("{} is a member of {group}: {what}", account.name)).at("/etc/group", 0);
            out.push(edge(account, Node::Secret("the system's logs".into()), Technique::ReadSecret, false, vec![evidence]));
        }
    }
    let me = m.identity(account);
    for socket in SOCKETS {
        let Some(end) = m.paths.end(socket).filter(|e| e.kind == FileKind::Socket) else { continue };
        if m.paths.may(&me, socket, 2) == Some(true) {
            let node = Node::Socket(end.path.clone());
            let seen = Evidence::new(format!("can be written ({})", m.described(end))).at(&end.path, 0);
            out.push(edge(account, node.clone(), Technique::Write, true, vec![seen]));
            let evidence = vec![Evidence::new("starts containers or machines with any directory of the host in them")];
            out.push(Edge { from: node, to: Node::Root, technique: Technique::EngineSocket, certain: true, evidence });
        }
    }
    for device in m.paths.entries("/dev").filter(|d| d.kind == FileKind::Other) {
        let name = device.path.trim_start_matches("/dev/");
        let disk = ["sd", "nvme", "vd", "xvd", "md", "dm-", "hd", "mmcblk"].iter().any(|b| name.starts_with(b)) && name != "mdev";
        let memory = ["mem", "kmem", "port"].contains(&name);
        if (disk || memory) && crate::access::bits(device, &me) & 2 != 0 {
            let node = Node::File(device.path.clone());
            let seen = Evidence::new(format!("device can be written ({})", m.described(device))).at(&device.path, 0);
            out.push(edge(account, node.clone(), Technique::Write, true, vec![seen]));
            // A disk of the services alone holds no system; which one it is cannot be told from its node.
            let evidence =
                vec![Evidence::new(if memory { "the machine's memory" } else { "a disk: whether the system is on it is not known" })];
            out.push(Edge { from: node, to: Node::Root, technique: Technique::Device, certain: memory, evidence });
        }
    }
}

pub(super) fn root_edges(_: &Machine, group: &str) -> Vec<Edge> {
    let Some((why, certain)) = how(group) else { return Vec::new() };
    let evidence = vec![Evidence::new(why)];
    vec![Edge { from: Node::Group(group.to_owned()), to: Node::Root, technique: Technique::RootGroup, certain, evidence }]
}
