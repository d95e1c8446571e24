//! Which entries a process, a unit or a container image may be. In come names from a machine, out come entries, those
//! that are likelier first. Never: decides by port number (2345 is two services).

use crate::{Service, builtin};
use std::sync::Arc;

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
    fn units_and_images() {
        assert_eq!(names(unit("lotus-daemon.service")), ["lotus"]);
        assert_eq!(names(unit("openvpn-server@office.service")), ["openvpn"]);
        assert!(unit("cron.service").is_empty());
        assert_eq!(names(image("registry.example/filecoin/lotus:v1.36.2")), ["lotus"]);
        assert!(image("debian:12").is_empty());
    }
}
