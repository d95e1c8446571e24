//! What it wants of the machine: memory and processors, interfaces, programs it starts. In comes a profile, out come lines.

use super::Stage;
use crate::{
    act::{other, program, tell},
    kernel,
};
use std::{fs, io};
use stub::Profile;

const GROUP: &str = "machine";
/// Files of /proc that daemons read to tell how much work they can take.
const RESOURCES: [&str; 4] = ["/proc/meminfo", "/proc/cpuinfo", "/proc/stat", "/proc/loadavg"];
/// Nodes of GPUs, where the machine has any.
const GPU_NODES: [&str; 4] = ["/dev/nvidia0", "/dev/nvidiactl", "/dev/kfd", "/dev/dri/renderD128"];
/// The container of user-space drivers.
const VFIO: &str = "/dev/vfio/vfio";

pub fn all(profile: &Profile, stage: &mut Stage) {
    if profile.need("meminfo").is_some() {
        for path in RESOURCES {
            let filled = fs::read_to_string(path).and_then(|t| if t.is_empty() { Err(other("it is empty")) } else { Ok(()) });
            tell(GROUP, format!("read {path}"), filled);
        }
    }
    if profile.need("netlink").is_some() {
        tell(GROUP, "list interfaces, addresses, routes", kernel::interfaces());
    }
    if profile.need("core-pinning").is_some() {
        tell(GROUP, "pin threads and memory", kernel::pin());
        tell(GROUP, "lower its priority", kernel::lower_priority());
    }
    if profile.need("raw-socket").is_some() {
        tell(GROUP, "a raw socket", kernel::socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP));
    }
    for path in GPU_NODES.iter().filter(|_| profile.need("gpu").is_some()).chain([VFIO].iter().filter(|_| profile.need("vfio").is_some())) {
        match fs::File::options().read(true).write(true).open(path) {
            // No node, or a node without hardware behind it.
            Err(e) if e.kind() == io::ErrorKind::NotFound || matches!(e.raw_os_error(), Some(libc::ENODEV | libc::ENXIO)) => {}
            result => {
                if let Some(file) = tell(GROUP, format!("open {path}"), result) {
                    stage.held.push(Box::new(file));
                }
            }
        }
    }
    if profile.need("shell").is_some() {
        tell(GROUP, "a shell, and a program it names", program("/bin/sh", &["-c", "/bin/true && exec /bin/cat /etc/hostname"]));
    }
    for path in profile.need("exec").iter().flat_map(|n| &n.paths) {
        // Directories hold programs of a package that is not here, an interpreter that is not installed is not called.
        if fs::metadata(path).is_ok_and(|m| m.is_file()) && path != "/usr/bin/mv" {
            let arguments: &[&str] = if path.ends_with("/env") { &["mv", "--version"] } else { &["--version"] };
            tell(GROUP, format!("run {path}"), program(path, arguments));
        }
    }
}
