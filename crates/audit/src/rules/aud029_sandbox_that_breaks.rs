//! AUD029: directives that are known to break a service.

use super::prelude::*;

/// The rule.
pub const RULE: Rule = Rule {
    code: Code("AUD029"),
    title: "a sandbox setting breaks the service",
    risk: Risk::Medium,
    needs: &[Source::Units],
    means: "the unit looks hardened and the service fails at the worst moment: a JIT cannot start, resources cannot be read, the GPU is lost after a reboot",
    fix: "take this one directive out and keep the others",
    reference: None,
    check,
};

/// Directive, its value, the services it breaks, and how.
const BREAKS: [(&str, &str, &[&str], &str); 3] = [
    ("MemoryDenyWriteExecute", "yes", &["lotus", "forest"], "the FVM is a JIT (wasmtime)"),
    ("ProcSubset", "pid", &["lotus-worker", "curio"], "it hides /proc/meminfo, which is read for resources"),
    ("PrivateDevices", "yes", &["lotus-miner", "lotus-worker", "curio"], "it hides the GPU's device nodes"),
];

fn check(view: &View) -> Vec<Seen> {
    let mut out = Vec::new();
    for (service, unit) in &view.units {
        for (key, value, services, why) in BREAKS {
            let set = unit.get("Service", key).is_some_and(|v| v == value || (value == "yes" && truth(v)));
            if set && services.contains(&service.name.as_str()) {
                let (file, line) = directive(unit, "Service", key).map_or((String::new(), 0), |d| (d.file.clone(), d.line));
                out.push(Seen::new(&unit.name, format!("{key}={value}: {why}")).at(file, line));
            }
        }
    }
    out
}
