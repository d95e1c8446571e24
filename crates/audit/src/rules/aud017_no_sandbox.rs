//! AUD017: service units that lack most of the basic sandbox.

use super::prelude::*;

/// The rule.
pub const RULE: Rule = Rule {
    code: Code("AUD017"),
    title: "a unit has no sandbox",
    risk: Risk::Medium,
    needs: &[Source::Units],
    means: "a taken-over service reads every home directory, loads what it likes and gains privileges through setuid programs; upstream units are rated 9.6 of 10 (unsafe) by systemd-analyze",
    fix: "add the missing directives in a drop-in, one after the other, with the traps of the catalogue in mind",
    reference: None,
    check,
};

/// Directives that break none of these services, with what they close.
const BASIC: [(&str, &str); 8] = [
    ("NoNewPrivileges", "setuid programs"),
    ("ProtectSystem", "writing to the system"),
    ("ProtectHome", "other accounts' homes"),
    ("ProtectKernelModules", "loading modules"),
    ("ProtectKernelTunables", "changing /proc/sys"),
    ("ProtectControlGroups", "changing cgroups"),
    ("RestrictSUIDSGID", "making setuid files"),
    ("CapabilityBoundingSet", "capabilities"),
];

/// A unit with fewer of them than this is reported.
const ENOUGH: usize = 4;

fn check(view: &View) -> Vec<Seen> {
    let mut out = Vec::new();
    for (service, unit) in view.units.iter().filter(|(s, u)| s.account.is_some() && starts(u)) {
        // Distributions ship prometheus and friends with a sandbox of their own; what has none is reported all the same.
        let set = |key: &str| unit.get("Service", key).is_some_and(|v| key == "CapabilityBoundingSet" || !falsehood(v)) || reset(unit, key);
        let missing: Vec<String> = BASIC.iter().filter(|(k, _)| !set(k)).map(|(k, what)| format!("{k} ({what})")).collect();
        if BASIC.len() - missing.len() < ENOUGH {
            out.push(
                Seen::new(&unit.name, format!("{} lacks {}", service.name, missing.join(", ")))
                    .at(unit.files.first().cloned().unwrap_or_default(), 0),
            );
        }
    }
    out
}

/// Whether the unit runs here, or would at boot. Debian's postgresql.service starts nothing itself.
fn starts(unit: &facts::Unit) -> bool {
    let idle = ["/bin/true", "/usr/bin/true"].iter().any(|t| unit.get("Service", "ExecStart") == Some(t));
    (unit.active || unit.enabled) && !idle
}

/// `CapabilityBoundingSet=` with nothing after it is the empty set: the tightest.
fn reset(unit: &facts::Unit, key: &str) -> bool {
    key == "CapabilityBoundingSet" && directive(unit, "Service", key).is_some_and(|d| d.value.is_empty())
}
