//! What a taken-over service tries. In comes a service, out come its orders: for SELinux alone with what the audit log must then
//! hold, for the unit alone without. Left out is what the service declares: a shell where it has one, public peers where it
//! dials them.

use super::{Service, Site};

/// Fewer lines than this are no work in full.
pub const FEWEST_ACTIONS: usize = 22;

/// What the attacks need to be there: a module that may be loaded, a home with something in it, listening neighbours.
pub const PREPARE: &str = "set -e
    mkdir -p /lib/modules/trial /root/.ssh; cp $(find /lib/modules -name dummy.ko | head -1) /lib/modules/trial/; restorecon -R /lib/modules/trial
    touch /root/.ssh/authorized_keys; sysctl -q kernel.perf_event_paranoid=-1 2>/dev/null || true";

/// Order, and a mark of the line in the audit log.
const ALWAYS: [(&str, &str); 40] = [
    ("read=/etc/shadow", "shadow_t"),
    ("read=/var/log/audit/audit.log", "auditd_log_t"),
    ("read=/proc/1/environ", "init_t"),
    ("read=/dev/vda", "fixed_disk_device_t"),
    ("read=/dev/mem", "memory_device_t"),
    ("list=/root", "user_home_dir_t"),
    ("append=/etc/passwd", "name=\"passwd\""),
    ("append=/usr/bin/mv", "name=\"mv\""),
    ("append=/etc/sudoers", "{ dac_override }"),
    ("append=/root/.ssh/authorized_keys", "user_home_dir_t"),
    ("write=/etc/systemd/system/evil.service", "systemd_unit_t"),
    ("write=/etc/systemd/system/evil.timer", "systemd_unit_t"),
    ("write=/etc/cron.d/evil", "system_cron_spool_t"),
    ("write=/etc/profile.d/evil.sh", "name=\"profile.d\""),
    ("write=/etc/ld.so.preload", "tcontext=system_u:object_r:etc_t"),
    ("write=/usr/local/bin/evil", "bin_t"),
    ("chown=/etc/hostname", "{ setattr }"),
    ("run=/bin/su,-c,true", "su_exec_t"),
    ("run=/usr/bin/sudo,-n,true", "sudo_exec_t"),
    ("run=/usr/bin/mount,-t,tmpfs,none,/media", "mount_exec_t"),
    ("run=/usr/bin/passwd,-S,root", "passwd_exec_t"),
    ("become=1000", "{ setuid }"),
    ("namespace", "cap_userns"),
    ("raw", "rawip_socket"),
    ("packet", "packet_socket"),
    ("address", "netlink_route_socket"),
    ("listen=9999", "src=9999"),
    ("udp=514", "src=514"),
    ("trace=1", "{ ptrace }"),
    ("signal=1", "{ signull }"),
    ("bpf", "{ bpf }"),
    ("counters", "perf"),
    ("module=/lib/modules/trial/dummy.ko", "modules_object_t"),
    ("mount=/media", "{ mounton }"),
    ("clock", "{ sys_time }"),
    ("node=/run", "tcontext=system_u:object_r:var_run_t:s0 tclass=dir"),
    ("setenforce", "security_t"),
    ("context=system_u:system_r:initrc_t:s0", "{ setexec }"),
    ("relabel=/mnt,system_u:object_r:etc_t:s0", "{ relabelfrom }"),
    ("read=/etc/filecoin/lotus.env", "ravelin_lotus_environment_t"),
];

/// Secrets by the service they belong to, with their type.
const SECRETS: [(&str, &str, &str); 6] = [
    ("lotus", "read=/var/lib/lotus/.lotus/keystore/MRSWMYLVNR2A", "ravelin_lotus_repo_t"),
    ("lotus", "read=/var/lib/lotus/.lotus/token", "ravelin_lotus_repo_t"),
    ("lotus-miner", "read=/var/lib/lotus/.lotusminer/token", "ravelin_lotus_miner_repo_t"),
    ("lotus-wallet", "read=/var/lib/lotus-wallet/.lotuswallet/keystore/MF2XI2BNNJ3XILLQOJUXMYLUMU", "ravelin_lotus_wallet"),
    ("boostd", "read=/var/lib/boost/.boost/token", "ravelin_boostd_repo_t"),
    ("yugabyte", "list=/var/lib/yugabyte", "ravelin_yugabyte_repo_t"),
];

/// Neighbours that only those may dial who declare them.
const NEIGHBOURS: [(&str, u16); 4] = [("forest", 2350), ("lotus-wallet", 1777), ("boostd-data", 8042), ("yugabyte", 5433)];

/// What is another layer's: ports and peers are the packet filter's, labels are SELinux' own. And `become` is asked the other way.
const NOT_OF_THE_UNIT: [&str; 6] = ["listen=", "connect=", "setenforce", "context=", "relabel=", "become="];

/// What the unit alone must refuse this service, under its account.
pub fn of_unit(service: &Service, site: &Site) -> Vec<String> {
    let mut out: Vec<String> = ALWAYS.iter().map(|(order, _)| (*order).to_owned()).collect();
    out.retain(|order| !NOT_OF_THE_UNIT.iter().any(|n| order.starts_with(n)));
    out.retain(|order| order != "udp=514" || service.profile.need("low-port").is_none());
    out.push("become=0".to_owned());
    out.push(format!("append={}", service.program));
    for directory in service.repository().into_iter().chain(["/tmp".to_owned(), "/dev/shm".to_owned()]) {
        out.push(format!("dropped={directory}"));
        out.push(format!("setuid={directory}"));
    }
    // A compiler at run time executes what it made in memory; so may whoever takes it over.
    if service.profile.need("jit").is_none() {
        out.push("fileless".to_owned());
    }
    if service.profile.need("shell").is_none() {
        out.push("run=/bin/sh,-c,true".to_owned());
        out.push("run=/usr/bin/tar,--version".to_owned());
    }
    // Others' keys. On one machine the unit hides them, whoever's account it is; between machines there is no way.
    for (whose, order, _) in SECRETS.iter().filter(|s| s.0 != service.profile.service) {
        let neighbour =
            site.services.iter().any(|s| s.profile.service == *whose && (s.host == service.host || s.account != service.account));
        // A client of a daemon may read its token.
        let client = order.ends_with("/token") && service.profile.peers.iter().any(|p| p.name.starts_with(&format!("{whose}.")));
        if neighbour && !client {
            out.push((*order).to_owned());
        }
    }
    out.sort();
    out.dedup();
    out
}

/// What SELinux alone must refuse this service as uid 0.
pub fn of_domain(service: &Service, site: &Site) -> Vec<(String, String)> {
    let profile = &service.profile;
    let mut out: Vec<(String, String)> = ALWAYS.iter().map(|(o, n)| ((*o).to_owned(), (*n).to_owned())).collect();
    let mut add = |order: String, named: String| out.push((order, named));
    for (whose, order, named) in SECRETS.iter().filter(|s| s.0 != profile.service) {
        assert!(site.services.iter().any(|s| s.profile.service == *whose));
        add((*order).to_owned(), (*named).to_owned());
    }
    let stem = profile.service.replace('-', "_");
    // A file in memory has the type of the service's temporary files: written, never executed.
    add("fileless".to_owned(), format!("tcontext=system_u:object_r:ravelin_{stem}_tmp_t:s0 tclass=file"));
    add(format!("append={}", service.program), format!("ravelin_{stem}_exec_t"));
    if let Some(repo) = service.repository() {
        add(format!("dropped={repo}"), format!("ravelin_{stem}_repo_t"));
    }
    let declared = |port: u16| profile.peers.iter().any(|p| p.at.port == port);
    for (_, port) in NEIGHBOURS.iter().filter(|(name, port)| *name != profile.service && !declared(*port)) {
        add(format!("connect=127.0.0.1:{port}"), format!("dest={port}"));
    }
    // Who dials any public peer is kept from private addresses by the packet filter.
    if !profile.outside.iter().any(|p| !p.udp && p.port == 4001) {
        add("connect=127.0.0.1:22".to_owned(), "dest=22 ".to_owned());
        add("connect=127.0.0.1:6379".to_owned(), "dest=6379".to_owned());
    }
    if profile.need("low-port").is_none() {
        add("listen=80".to_owned(), "src=80 ".to_owned());
    }
    // Instances of one service share a domain.
    let needs = |word| site.services.iter().any(|s| s.profile.service == profile.service && s.profile.need(word).is_some());
    if !needs("exec") && !needs("shell") {
        add("run=/usr/bin/env,true".to_owned(), "name=\"env\"".to_owned());
    }
    if !needs("shell") {
        add("run=/bin/sh,-c,true".to_owned(), "shell_exec_t".to_owned());
    }
    out
}
