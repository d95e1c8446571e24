//! Units: secrets in their text, daemons of root that others reach, services that stay down. In come units, processes and sockets,
//! out come units to be changed. Sandboxes are AUD017's.

use super::prelude::*;
use std::collections::BTreeMap;

/// AUD080: a token or password stands in a unit file.
pub const SECRET: Rule = Rule {
    code: Code("AUD080"),
    title: "a unit file holds a secret",
    risk: Risk::High,
    needs: &[Source::Units],
    means: "unit files are readable by everybody, and `systemctl show` tells what stands in Environment= to every account",
    fix: "move it to a file of mode 0600 and name that in EnvironmentFile= or LoadCredential=; replace the secret, it counts as known",
    reference: None,
    check: secret,
};

/// AUD081: a daemon that is no service of the catalogue runs as root, and packets of others reach it.
pub const ROOT_LISTENS: Rule = Rule {
    code: Code("AUD081"),
    title: "a daemon of root is reachable from the network",
    risk: Risk::Medium,
    needs: &[Source::Processes, Source::Sockets, Source::SocketOwners],
    means: "a fault in it is root for whoever can send it a packet",
    fix: "bind it to loopback, filter it, stop it, or run it under an account of its own",
    reference: Some("CIS Debian Linux 12 Benchmark 2.1.22"),
    check: root_listens,
};

/// AUD082: a service is not started again when it dies.
pub const NO_RESTART: Rule = Rule {
    code: Code("AUD082"),
    title: "a service stays down when it dies",
    risk: Risk::Low,
    needs: &[Source::Units],
    means: "a crash at night is a missed window: faults, fees, in the end collateral",
    fix: "Restart=on-failure and RestartSec=10 in the unit",
    reference: None,
    check: no_restart,
};

/// AUD124: a line of a unit, of apt's sources, of shadow or of the mount table does not read.
pub const UNREAD: Rule = Rule {
    code: Code("AUD124"),
    title: "a line of configuration does not read",
    risk: Risk::Low,
    needs: &[],
    means: "systemd, apt and login leave it out: what it was to switch off is on, and nobody notices",
    fix: "mend or remove the line; `systemd-analyze verify`, `apt update` and `pwck` say more",
    reference: None,
    check: |view| {
        view.facts.unread.iter().map(|u| Seen::new(format!("{}:{}", u.file, u.line), "it does not read").at(&u.file, u.line)).collect()
    },
};

/// Programs that have to be root until somebody has logged in, or that hold sockets for others.
const ROOTS_OWN: [&str; 9] =
    ["sshd", "systemd", "systemd-networkd", "dhclient", "dhcpcd", "NetworkManager", "conntrackd", "keepalived", "rngd"];

fn secret(view: &View) -> Vec<Seen> {
    let mut out = Vec::new();
    for unit in &view.facts.units {
        for d in unit.directives.iter().filter(|d| d.section == "Service" && d.value.contains("[redacted: ")) {
            let said = d
                .value
                .find("[redacted: ")
                .and_then(|at| d.value.get(at..))
                .and_then(|v| v.split_inclusive(']').next())
                .unwrap_or_default();
            out.push(Seen::new(&unit.name, format!("{} holds {said}", d.key)).at(&d.file, d.line));
        }
    }
    out
}

fn root_listens(view: &View) -> Vec<Seen> {
    let mut out: BTreeMap<&str, Seen> = BTreeMap::new();
    let known: Vec<u32> = view.running.iter().filter(|r| r.service.account.is_some()).map(|r| r.process.pid).collect();
    for socket in view.facts.sockets.iter().filter(|s| s.listens()) {
        let holders = socket.pids.iter().filter_map(|pid| view.facts.process(*pid));
        let holders =
            holders.filter(|p| p.uid == 0 && p.container.is_none() && !known.contains(&p.pid) && !ROOTS_OWN.contains(&p.comm.as_str()));
        for p in holders {
            // Of a master with workers of another account the workers answer.
            if view.facts.processes.iter().any(|w| w.parent == p.pid && w.uid != 0) {
                continue;
            }
            let Some(reached) = view.reached(socket) else { continue };
            let line = format!("pid {}, {}: {reached}", p.pid, place(socket));
            let seen = out.remove(p.comm.as_str()).map_or_else(|| Seen::new(&p.comm, line.clone()), |s| s.and(line.clone()));
            out.insert(&p.comm, seen);
        }
    }
    out.into_values().collect()
}

fn no_restart(view: &View) -> Vec<Seen> {
    let mut out = Vec::new();
    for (service, unit) in
        view.units.iter().filter(|(s, u)| s.account.is_some() && (u.enabled || u.active) && u.get("Service", "ExecStart").is_some())
    {
        let kind = unit.get("Service", "Type").unwrap_or("simple");
        let restart = unit.get("Service", "Restart").unwrap_or("no");
        let idle = unit.get("Service", "ExecStart").is_some_and(|e| e.ends_with("/true"));
        if restart == "no" && kind != "oneshot" && !idle {
            let seen = Seen::new(&unit.name, format!("{} has no Restart=", service.name));
            out.push(seen.at(unit.files.first().cloned().unwrap_or_default(), 0));
        }
    }
    out
}
