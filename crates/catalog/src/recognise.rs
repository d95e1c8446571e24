//! Which entries a process, a unit or a container image may be. In come names from a machine, out come entries, those
//! that are likelier first. Never: decides by port number (2345 is two services).

use crate::{Endpoint, PortDefault, Service, builtin};
use std::{ops::RangeInclusive, sync::Arc};
use words::Proto;

/// Linux's default `net.ipv4.ip_local_port_range`: where port 0 ends up.
pub const EPHEMERAL: RangeInclusive<u16> = 32768..=60999;

/// Linux cuts process names here (`TASK_COMM_LEN` less the terminator).
const COMM: usize = 15;

fn names_it(service: &Service, name: &str) -> bool {
    service.processes.iter().any(|p| p == name || (name.len() == COMM && p.len() > COMM && p.starts_with(name)))
}

/// Entries whose process this may be: by the program's path first, else by its short name.
pub fn process(comm: &str, exe: &str) -> Vec<&'static Arc<Service>> {
    let base = exe.trim_end_matches(" (deleted)").rsplit('/').next().unwrap_or_default();
    let by = |name: &str| builtin().values().filter(|s| !name.is_empty() && names_it(s, name)).collect::<Vec<_>>();
    let found = by(base);
    if found.is_empty() { by(comm) } else { found }
}

/// Entries that ship under this unit name; instances of a template count (`openvpn-server@x.service`).
pub fn unit(name: &str) -> Vec<&'static Arc<Service>> {
    let template =
        name.split_once('@').map(|(t, rest)| format!("{t}@{}", rest.rsplit_once('.').map_or(String::new(), |(_, e)| format!(".{e}"))));
    builtin().values().filter(|s| s.units.iter().any(|u| u == name || Some(u) == template.as_ref())).collect()
}

/// Entries a container image may be, by the last part of its name: `filecoin/lotus:v1` is `lotus`.
pub fn image(image: &str) -> Vec<&'static Arc<Service>> {
    let last = image.rsplit('/').next().unwrap_or_default();
    let name = last.split([':', '@']).next().unwrap_or_default();
    builtin().values().filter(|s| s.name.as_str() == name || names_it(s, name)).collect()
}

/// Which endpoint of a service listens on this port: its default first, then a port it is otherwise found on, then a range
/// or the kernel's choice.
pub fn endpoint(service: &Service, proto: Proto, port: u16) -> Option<&Endpoint> {
    let of = |matches: &dyn Fn(&Endpoint) -> bool| service.endpoints.iter().find(|e| e.proto.contains(&proto) && matches(e));
    let default = |e: &Endpoint| match e.port {
        PortDefault::Fixed(p) => p == port,
        PortDefault::Range(r) => r.is_one() && r.contains(port),
        PortDefault::Random { .. } | PortDefault::None { .. } => false,
    };
    let wide = |e: &Endpoint| match e.port {
        PortDefault::Range(r) => r.contains(port),
        PortDefault::Random { suggest, .. } => port == suggest || EPHEMERAL.contains(&port),
        PortDefault::Fixed(_) | PortDefault::None { .. } => false,
    };
    of(&default).or_else(|| of(&|e| e.seen.contains(&port))).or_else(|| of(&wide))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(found: Vec<&'static Arc<Service>>) -> Vec<String> {
        found.iter().map(|s| s.name.to_string()).collect()
    }

    #[test]
    fn processes_are_known_by_program_and_by_short_name() {
        assert_eq!(names(process("lotus", "/usr/local/bin/lotus")), ["lotus"]);
        assert_eq!(names(process("main", "/opt/lotus-miner (deleted)")), ["lotus-miner"]);
        assert_eq!(names(process("booster-bitswap", "")), ["booster-bitswap"]);
        assert_eq!(names(process("prometheus-node", "")), ["node-exporter"], "a cut name");
        assert_eq!(names(process("prometheus", "")), ["prometheus"], "a whole one");
        assert!(process("bash", "/bin/bash").is_empty());
        assert!(process("", "").is_empty());
    }

    #[test]
    fn ports_are_the_default_before_the_wide() {
        let name = |service: &str, proto, port| endpoint(&builtin()[service], proto, port).map(|e| e.name.to_string());
        assert_eq!(name("lotus", Proto::Tcp, 1234).as_deref(), Some("api"));
        assert_eq!(name("lotus", Proto::Udp, 1234), None);
        assert_eq!(name("lotus", Proto::Udp, 45000).as_deref(), Some("libp2p"));
        assert_eq!(name("boostd-data", Proto::Tcp, 8044).as_deref(), Some("lid"));
        assert_eq!(name("curio", Proto::Tcp, 443).as_deref(), Some("market"));
        assert_eq!(name("lotus", Proto::Tcp, 4444), None);
    }

    #[test]
    fn units_and_images() {
        assert_eq!(names(unit("lotus-daemon.service")), ["lotus"]);
        assert_eq!(names(unit("openvpn-server@office.service")), ["openvpn"]);
        assert!(unit("cron.service").is_empty());
        assert_eq!(names(image("registry.example/filecoin/lotus:v1.36.2")), ["lotus"]);
        assert!(image("debian:12").is_empty());
    }
}
