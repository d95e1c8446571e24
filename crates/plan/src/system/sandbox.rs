//! The sandbox of one unit. In come a service's needs and places, out come lines: everything closed, and what the needs ask for
//! opened again, each with its reason. Never: opens anything without an entry of the catalogue or a line of the site file.

use super::{
    gpu, hugepages,
    place::{Places, in_a_home, takes_stores},
    types::Line,
};
use catalog::{Need, NeedEntry};
use site::model::Instance;
use std::collections::{BTreeMap, BTreeSet};

/// Families every service may use: local sockets for name lookup and logging, and the Internet's two.
const FAMILIES: &str = "AF_UNIX AF_INET AF_INET6";
/// Where shared libraries lie. With everything else not executable, a file a service wrote cannot run.
const LIBRARIES: [&str; 5] = ["-/usr/lib", "-/lib", "-/lib32", "-/lib64", "-/usr/local/lib"];
/// Directories that every account writes, private ones included.
const WRITABLE_BY_ALL: [&str; 5] = ["/dev", "/dev/shm", "/run/lock", "/tmp", "/var/tmp"];
/// Homes, where the unit mounts empty ones over them.
const HOMES_MADE_ANEW: [&str; 3] = ["/home", "/root", "/run/user"];
/// What a shell may run: what the distribution and the administrator installed.
const SHELL: [&str; 4] = ["-/usr", "-/bin", "-/sbin", "-/opt"];
/// Ports below this want a capability (`net.ipv4.ip_unprivileged_port_start`).
const FIRST_FREE_PORT: u16 = 1024;

/// What the sandbox of an instance is made from.
pub(crate) struct Wants<'a> {
    pub instance: &'a Instance,
    pub places: &'a Places<'a>,
    /// The program.
    pub program: String,
    /// Others' keys and repositories on the machine.
    pub hidden: BTreeSet<String>,
    /// Stores of it that other machines mount as well.
    pub shared_stores: bool,
    needs: BTreeMap<Need, Vec<&'a NeedEntry>>,
    implied: BTreeMap<Need, String>,
}

impl<'a> Wants<'a> {
    pub fn new(instance: &'a Instance, places: &'a Places<'a>, program: String, hidden: BTreeSet<String>, shared_stores: bool) -> Self {
        let mut implied = BTreeMap::new();
        if let Some(l) = instance.listens.iter().find(|l| l.ports.ranges().iter().any(|r| r.first() < FIRST_FREE_PORT)) {
            implied.insert(Need::LowPort, format!("`{}` listens on {}", l.endpoint, l.ports));
        }
        if let Some(dir) = places.repo.iter().chain(&places.stores).find(|p| in_a_home(p)) {
            implied.insert(Need::Home, format!("{dir} lies in a home directory"));
        }
        let mut needs: BTreeMap<Need, Vec<&NeedEntry>> = BTreeMap::new();
        for n in &instance.service.needs {
            if !n.optional || instance.needs.contains(&n.what) || implied.contains_key(&n.what) {
                needs.entry(n.what).or_default().push(n);
            }
        }
        Self { instance, places, program, hidden, shared_stores, needs, implied }
    }

    /// Whether a need holds.
    pub fn has(&self, need: Need) -> bool {
        self.needs.contains_key(&need) || self.implied.contains_key(&need)
    }
    /// Every need that holds.
    pub fn all(&self) -> BTreeSet<Need> {
        self.needs.keys().chain(self.implied.keys()).copied().collect()
    }
    /// Paths of a need.
    pub fn paths(&self, need: Need) -> impl Iterator<Item = &str> {
        self.needs.get(&need).into_iter().flatten().flat_map(|n| n.path.iter().map(String::as_str))
    }
    pub fn reason(&self, need: Need) -> (String, String) {
        let said: Vec<&str> = self.needs.get(&need).into_iter().flatten().map(|n| n.why.as_str()).collect();
        let mut why = format!("{need}: {}", said.join("; "));
        if let Some(implied) = self.implied.get(&need) {
            why = format!("{need}: {implied}");
        }
        let sources: Vec<String> = self.needs.get(&need).into_iter().flatten().map(|n| full(self.instance, &n.source)).collect();
        (why, sources.join("; "))
    }
    /// A line opened for a need.
    fn open(&self, key: &str, value: impl Into<String>, need: Need) -> Line {
        let (why, source) = self.reason(need);
        Line::new(key, value).why(why, &source)
    }
    /// `strict` unless the need holds.
    fn unless(&self, need: Need, key: &str, strict: &str, opened: &str) -> Line {
        if self.has(need) { self.open(key, opened, need) } else { Line::new(key, strict) }
    }
    /// The first of these needs that holds.
    fn first(&self, of: &[Need]) -> Option<Need> {
        of.iter().copied().find(|n| self.has(*n))
    }
}

fn full(instance: &Instance, source: &str) -> String {
    let from = &instance.service.source;
    if from.is_empty() || source.contains("://") { source.to_owned() } else { format!("{from}: {source}") }
}

/// Every line of the sandbox, in the order they are written.
pub(crate) fn lines(w: &Wants<'_>) -> Vec<Line> {
    let mut out = Vec::new();
    privileges(w, &mut out);
    files(w, &mut out);
    devices(w, &mut out);
    kernel(w, &mut out);
    calls(w, &mut out);
    out
}

fn privileges(w: &Wants<'_>, out: &mut Vec<Line>) {
    out.push(Line::new("NoNewPrivileges", "yes"));
    let mut caps = Vec::new();
    for (need, cap) in [(Need::LowPort, "CAP_NET_BIND_SERVICE"), (Need::RawSocket, "CAP_NET_RAW")] {
        if w.has(need) {
            caps.push((need, cap));
        }
    }
    let names: Vec<&str> = caps.iter().map(|c| c.1).collect();
    for key in ["CapabilityBoundingSet", "AmbientCapabilities"] {
        out.push(match caps.first() {
            Some((need, _)) => w.open(key, names.join(" "), *need),
            None => Line::new(key, ""),
        });
    }
    out.push(Line::new("RestrictSUIDSGID", "yes"));
    // Device nodes, capabilities and locked memory belong to the machine's own user namespace.
    let outside = w.first(&[Need::Gpu, Need::LowPort, Need::RawSocket, Need::Vfio, Need::Memlock, Need::Hugepages]);
    out.push(outside.map_or_else(|| Line::new("PrivateUsers", "yes"), |need| w.open("PrivateUsers", "no", need)));
    out.push(w.unless(Need::SharedIpc, "RemoveIPC", "yes", "no"));
    out.push(Line::new("KeyringMode", "private"));
    out.push(Line::new("LimitCORE", "0").why("a core dump of it holds keys and tokens", ""));
    if w.shared_stores {
        let why = "stores on the network are read by accounts of other machines, whose numbers may differ";
        out.push(Line::new("UMask", "0022").why(why, ""));
    } else {
        out.push(Line::new("UMask", "0077"));
    }
}

/// Where the service may write, shared temporary directories included.
fn writes(w: &Wants<'_>) -> BTreeSet<String> {
    let mut out = w.places.writes();
    out.extend(w.places.repo.clone());
    if w.has(Need::Gpu) {
        out.insert(gpu::LOCKS.to_owned());
        out.insert(gpu::cuda_cache(&w.places.home));
    }
    out
}

fn files(w: &Wants<'_>, out: &mut Vec<Line>) {
    let writes = writes(w);
    if takes_stores(&w.instance.service) && w.places.stores.is_empty() {
        let why = "no store is declared, so what it writes is not known: name them, `stores = [\"/mnt/sealed\"]`, and the rest of the disk is closed as well";
        out.push(Line::new("ProtectSystem", "full").why(why, ""));
    } else {
        out.push(Line::new("ProtectSystem", "strict"));
    }
    out.push(match w.has(Need::Home) {
        // Homes vanish, and what is needed of them is put back.
        true => w.open("ProtectHome", "tmpfs", Need::Home),
        false => Line::new("ProtectHome", "yes"),
    });
    out.push(Line::new("PrivateTmp", "yes"));
    out.push(Line::new("PrivateMounts", "yes"));
    let (through, plain): (Vec<String>, Vec<String>) = writes.into_iter().partition(|p| in_a_home(p) || temporary(p));
    if !plain.is_empty() {
        out.push(Line::new("ReadWritePaths", plain.iter().map(|p| format!("-{p}")).collect::<Vec<_>>().join(" ")));
    }
    for path in through {
        let need = if temporary(&path) { Need::SharedTmp } else { Need::Home };
        out.push(w.open("BindPaths", format!("-{path}"), need));
    }
    for path in w.paths(Need::SharedTmp).filter(|p| !temporary(p) || *p == "/tmp") {
        out.push(w.open("BindPaths", path, Need::SharedTmp));
    }
    if !w.hidden.is_empty() {
        let why = "keys and repositories of other services of this machine: the account alone would not keep it out of them";
        let list = w.hidden.iter().map(|p| format!("-{p}")).collect::<Vec<_>>().join(" ");
        out.push(Line::new("InaccessiblePaths", list).why(why, ""));
    }
    exec(w, out);
    out.push(w.unless(Need::Meminfo, "ProcSubset", "pid", "all"));
    out.push(Line::new("ProtectProc", "invisible"));
}

/// Nothing is executable but the program, its libraries and what the needs name: no shell, nothing it wrote itself.
fn exec(w: &Wants<'_>, out: &mut Vec<Line>) {
    out.push(Line::new("NoExecPaths", "/"));
    let why = "systemd leaves out of `/` what another line mounts: each place it may write is named";
    let mut written = writes(w);
    written.extend(w.paths(Need::SharedTmp).map(str::to_owned));
    written.extend(WRITABLE_BY_ALL.map(str::to_owned));
    if w.has(Need::Home) {
        written.extend(HOMES_MADE_ANEW.map(str::to_owned));
    }
    if w.has(Need::Hugepages) {
        written.insert(hugepages::DIRECTORY.to_owned());
    }
    let named = written.iter().map(|p| format!("-{p}")).collect::<Vec<_>>().join(" ");
    out.push(Line::new("NoExecPaths", named).why(why, "systemd 252: src/core/namespace.c"));
    let mut own = vec![w.program.clone()];
    own.extend(LIBRARIES.iter().map(|l| (*l).to_owned()));
    out.push(Line::new("ExecPaths", own.join(" ")));
    let more: Vec<String> = w.paths(Need::Exec).map(|p| format!("-{p}")).collect();
    if !more.is_empty() {
        out.push(w.open("ExecPaths", more.join(" "), Need::Exec));
    }
    if w.has(Need::Shell) {
        out.push(w.open("ExecPaths", SHELL.join(" "), Need::Shell));
    }
    if w.has(Need::Gpu) {
        out.push(w.open("ExecPaths", "-/usr/local/cuda -/opt", Need::Gpu));
    }
}

fn devices(w: &Wants<'_>, out: &mut Vec<Line>) {
    let opened = w.first(&[Need::Gpu, Need::Vfio]);
    out.push(opened.map_or_else(|| Line::new("PrivateDevices", "yes"), |need| w.open("PrivateDevices", "no", need)));
    out.push(Line::new("DevicePolicy", "closed"));
    if w.has(Need::Gpu) {
        out.extend(gpu::DEVICES.iter().map(|d| w.open("DeviceAllow", format!("{d} rw"), Need::Gpu)));
    }
    if w.has(Need::Vfio) {
        // The groups' nodes have a major number of their own; the container's is one of many odd devices.
        out.push(w.open("DeviceAllow", "/dev/vfio/vfio rw", Need::Vfio));
        out.push(w.open("DeviceAllow", "char-vfio rw", Need::Vfio));
    }
    if w.has(Need::Hugepages) {
        out.push(w.open("ReadWritePaths", format!("-{}", hugepages::DIRECTORY), Need::Hugepages));
    }
    if let Some(need) = w.first(&[Need::Memlock, Need::Vfio]) {
        out.push(w.open("LimitMEMLOCK", "infinity", need));
    }
}

fn kernel(w: &Wants<'_>, out: &mut Vec<Line>) {
    for key in
        ["ProtectClock", "ProtectHostname", "ProtectKernelTunables", "ProtectKernelModules", "ProtectKernelLogs", "ProtectControlGroups"]
    {
        out.push(Line::new(key, "yes"));
    }
    for key in ["RestrictNamespaces", "RestrictRealtime", "LockPersonality"] {
        out.push(Line::new(key, "yes"));
    }
    out.push(w.unless(Need::Jit, "MemoryDenyWriteExecute", "yes", "no"));
}

fn calls(w: &Wants<'_>, out: &mut Vec<Line>) {
    out.push(Line::new("RestrictAddressFamilies", FAMILIES));
    if w.has(Need::Netlink) {
        out.push(w.open("RestrictAddressFamilies", "AF_NETLINK", Need::Netlink));
    }
    if w.has(Need::RawSocket) {
        out.push(w.open("RestrictAddressFamilies", "AF_PACKET", Need::RawSocket));
    }
    out.push(Line::new("SystemCallArchitectures", "native"));
    // An error, not a kill: what is refused is reported by the caller, and a proof under way survives it.
    out.push(Line::new("SystemCallErrorNumber", "EPERM"));
    out.push(Line::new("SystemCallFilter", "@system-service"));
    out.push(Line::new("SystemCallFilter", "~@privileged @resources"));
    if w.has(Need::Chown) {
        out.push(w.open("SystemCallFilter", "@chown", Need::Chown));
    }
    if w.has(Need::CorePinning) {
        out.push(w.open("SystemCallFilter", "@resources", Need::CorePinning));
    }
    if !w.has(Need::Jit) {
        let why = "a program in memory alone lies on no path that could forbid to execute it";
        out.push(Line::new("SystemCallFilter", "~memfd_create memfd_secret").why(why, "systemd.exec(5): MemoryDenyWriteExecute"));
    }
}

/// Whether a path lies in one of the shared temporary directories, which `PrivateTmp` replaces.
pub(crate) fn temporary(path: &str) -> bool {
    ["/tmp", "/var/tmp"].iter().any(|t| path.starts_with(&format!("{t}/")))
}
