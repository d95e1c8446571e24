//! What carries the requirement of SELinux on a kernel that has none. In come the site's layers and the machines whose kernel will not
//! have it, out comes which part of the requirement which layer carries there, and which nobody does. Never: calls it the same thing.

use serde::Serialize;
use site::{
    model::{Layers, Mode},
    tier::{Row, SELINUX, Stand, named},
};
use words::HostName;

/// Said of one machine.
pub const HEAD: &str = "this kernel has no SELinux: the unit's sandbox, the accounts and the packet filter carry these rows";

/// A part of what a domain keeps, and what keeps it instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Carried {
    /// What is kept.
    pub what: &'static str,
    /// The lines of the sandbox, or the layer, that keep it; `None` where nothing of this site does.
    pub by: Option<&'static str>,
}

impl Carried {
    /// One line for people.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}: {}", self.what, self.by.unwrap_or("nothing carries it"))
    }
}

/// Which layer keeps a part where there are no domains.
#[derive(Clone, Copy)]
enum By {
    /// The unit's sandbox (`layers.system`).
    Sandbox(&'static str),
    /// The packet filter (`layers.network`).
    Filter(&'static str),
    /// Nobody.
    Nothing,
}

/// The assertions of `docs/selinux.md`, and the lines of a unit that say the same without labels.
const PARTS: [(&str, By); 8] = [
    ("another service's keys and repository", By::Sandbox("InaccessiblePaths, and the modes of the service's account")),
    ("the rest of the machine's files", By::Sandbox("ProtectSystem=strict, ProtectHome, PrivateTmp")),
    ("what a service may execute", By::Sandbox("NoExecPaths=/ but for its program and libraries")),
    ("capabilities, setuid programs", By::Sandbox("CapabilityBoundingSet, NoNewPrivileges, RestrictSUIDSGID")),
    ("devices, modules, raw sockets, tracing", By::Sandbox("PrivateDevices, RestrictAddressFamilies, SystemCallFilter")),
    ("ports it may listen on", By::Filter("the host's filter refuses others; binding is not refused")),
    ("peers it may dial", By::Filter("the host's filter: exact addresses and ports, alike for every account")),
    ("a service that runs outside of its unit, or as uid 0", By::Nothing),
];

/// What carries each part with these layers in force.
#[must_use]
pub fn carried(layers: &Layers) -> Vec<Carried> {
    let held = |mode: Mode, by| (mode == Mode::Enforce).then_some(by);
    let by = |by| match by {
        By::Sandbox(lines) => held(layers.system, lines),
        By::Filter(how) => held(layers.network, how),
        By::Nothing => None,
    };
    PARTS.into_iter().map(|(what, b)| Carried { what, by: by(b) }).collect()
}

/// The requirement's row, with what is known about kernels: `without` are machines that get domains and whose kernel will not have SELinux.
#[must_use]
pub fn row(row: Row, layers: &Layers, without: &[&HostName]) -> Row {
    if row.id != SELINUX || without.is_empty() || layers.selinux == Mode::Off {
        return row;
    }
    let (stand, instead) = match layers.system {
        Mode::Enforce => (Stand::Partly, "the unit's sandbox carries it there"),
        Mode::Observe | Mode::Off => (Stand::No, "no sandbox is in force there: write `[layers] system = \"enforce\"`"),
    };
    let why = format!("{}; not on {}, whose kernel has no SELinux: {instead}", row.why, named(without));
    Row { stand, why, ..row }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers(system: Mode, network: Mode) -> Layers {
        Layers { network, methods: Mode::Off, ips: Mode::Off, selinux: Mode::Enforce, system }
    }

    #[test]
    fn a_part_is_carried_by_a_layer_in_force_alone() {
        let said = |l: &Layers| carried(l).iter().filter_map(|c| c.by).count();
        assert_eq!(said(&layers(Mode::Enforce, Mode::Enforce)), PARTS.len() - 1);
        assert_eq!(said(&layers(Mode::Enforce, Mode::Observe)), 5);
        assert_eq!(said(&layers(Mode::Off, Mode::Enforce)), 2);
        assert_eq!(said(&layers(Mode::Observe, Mode::Off)), 0);
        assert!(carried(&layers(Mode::Off, Mode::Off))[0].text().ends_with("nothing carries it"));
    }

    #[test]
    fn the_row_changes_where_a_kernel_has_none_and_nowhere_else() {
        let plain = |id| Row { id, asks: "", stand: Stand::Enforced, why: "domains".into() };
        let host = HostName::new("one").expect("name");
        let on = layers(Mode::Enforce, Mode::Enforce);
        assert_eq!(row(plain(SELINUX), &on, &[]), plain(SELINUX));
        assert_eq!(row(plain("S3"), &on, &[&host]), plain("S3"));
        let changed = row(plain(SELINUX), &on, &[&host]);
        assert_eq!(changed.stand, Stand::Partly);
        assert_eq!(changed.why, "domains; not on one, whose kernel has no SELinux: the unit's sandbox carries it there");
        assert_eq!(row(plain(SELINUX), &layers(Mode::Off, Mode::Enforce), &[&host]).stand, Stand::No);
    }
}
