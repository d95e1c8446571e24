//! What must hold of entries: [`entry`] for one by itself, [`references`] for all together. In come services, out come
//! problems in words; an empty list is a pass. Never: judges whether a fact is true (its source does that).

use crate::{Access, Need, PortDefault, Service};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use words::ServiceName;

/// One thing that is wrong with an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// In words.
    pub message: String,
    /// Key of the list and index in it, for a citation.
    pub place: Option<(&'static str, usize)>,
}

fn problem(list: &'static str, i: usize, message: String) -> Problem {
    Problem { message, place: Some((list, i)) }
}

/// Problems of one entry by itself.
pub fn entry(s: &Service) -> Vec<Problem> {
    let mut out = Vec::new();
    let keys: BTreeSet<&str> = s.settings.iter().map(|t| t.key.as_str()).collect();
    let mut names = BTreeSet::new();
    let mut used: BTreeMap<(u8, u16), &str> = BTreeMap::new();
    for (i, e) in s.endpoints.iter().enumerate() {
        if !names.insert(&e.name) {
            out.push(problem("endpoint", i, format!("endpoint `{}` is there twice", e.name)));
        }
        if e.proto.is_empty() {
            out.push(problem("endpoint", i, format!("endpoint `{}` names no protocol", e.name)));
        }
        if let Some(key) = e.setting.as_deref().filter(|k| !keys.contains(k)) {
            out.push(problem("endpoint", i, format!("endpoint `{}` refers to setting `{key}`, which is not in the entry", e.name)));
        }
        let portless = matches!(e.port, PortDefault::None { .. });
        if e.proto.iter().any(|p| p.has_ports() == portless) {
            out.push(problem(
                "endpoint",
                i,
                format!("endpoint `{}`: a port belongs to tcp and udp, `{{ none = true }}` to the others", e.name),
            ));
        }
        if let PortDefault::Fixed(0) = e.port {
            out.push(problem(
                "endpoint",
                i,
                format!("endpoint `{}`: port 0 is the kernel's choice; write {{ random = true, suggest = N }}", e.name),
            ));
        }
        if let PortDefault::Fixed(port) = e.port {
            for p in &e.proto {
                if let Some(other) = used.insert((p.number(), port), e.name.as_str()) {
                    out.push(problem("endpoint", i, format!("endpoints `{other}` and `{}` share {port}/{p}", e.name)));
                }
            }
        }
    }
    let mut seen = BTreeSet::new();
    for (i, t) in s.settings.iter().enumerate() {
        if !seen.insert(t.key.as_str()) {
            out.push(problem("setting", i, format!("setting `{}` is there twice", t.key)));
        }
        if t.env.is_none() && t.flag.is_none() && t.config.is_none() {
            out.push(problem("setting", i, format!("setting `{}` has neither env nor flag nor config: nobody could set it", t.key)));
        }
    }
    for (i, p) in s.peers.iter().enumerate() {
        if p.service.is_empty() {
            out.push(problem("peer", i, "a peer names at least one service".to_owned()));
        }
        if let Some(t) = p.token.as_ref().filter(|t| t.least > t.given || t.held.is_empty()) {
            out.push(problem("peer", i, format!("token: `least` ({}) is above `given` ({}), or `held` is empty", t.least, t.given)));
        }
    }
    for (i, e) in s.egress.iter().enumerate() {
        if e.any != e.names.is_empty() {
            out.push(problem("egress", i, "an egress has either names or `any = true`".to_owned()));
        }
        if e.to.is_empty() {
            out.push(problem("egress", i, "an egress names its ports, e.g. to = [\"443/tcp\"]".to_owned()));
        }
    }
    modes(s, &mut out);
    needs(s, &mut out);
    unit(s, &mut out);
    out
}

fn octal(mode: &str) -> Option<u32> {
    u32::from_str_radix(mode, 8).ok().filter(|n| *n <= 0o7777)
}

fn modes(s: &Service, out: &mut Vec<Problem>) {
    let paths = s.paths.iter().enumerate().map(|(i, p)| ("path", i, &p.mode, &p.tightest));
    let secrets = s.secrets.iter().enumerate().map(|(i, p)| ("secret", i, &p.mode, &p.tightest));
    for (list, i, mode, tightest) in paths.chain(secrets) {
        for bad in [mode, tightest].into_iter().flatten().filter(|m| octal(m).is_none()) {
            out.push(problem(list, i, format!("`{bad}` is no mode: octal digits such as 0600")));
        }
        let wider = match (mode.as_deref().and_then(octal), tightest.as_deref().and_then(octal)) {
            (Some(written), Some(tight)) => tight & !written != 0,
            _ => false,
        };
        if wider {
            out.push(problem(list, i, "`tightest` grants what `mode` does not".to_owned()));
        }
    }
}

fn needs(s: &Service, out: &mut Vec<Problem>) {
    let mut seen = BTreeSet::new();
    for (i, n) in s.needs.iter().enumerate() {
        if n.what.has_paths() == n.path.is_empty() {
            let must = if n.what.has_paths() { "names its paths" } else { "has no path" };
            out.push(problem("need", i, format!("need `{}` {must}", n.what)));
        }
        if let Some(bad) = n.path.iter().find(|p| !p.starts_with('/')) {
            out.push(problem("need", i, format!("need `{}`: `{bad}` is no absolute path", n.what)));
        }
        if n.why.is_empty() {
            out.push(problem("need", i, format!("need `{}` says no reason", n.what)));
        }
        // Modes, labels and accounts come from paths: without one the directory would be opened by no layer.
        let below = |p: &&String| p.starts_with("/tmp/") || p.starts_with("/var/tmp/");
        let written = |p: &str| s.paths.iter().any(|e| e.access == Access::Write && (e.path == p || e.default.as_deref() == Some(p)));
        if let Some(bad) = n.path.iter().filter(below).find(|p| n.what == Need::SharedTmp && !written(p)) {
            out.push(problem("need", i, format!("need `{}`: `{bad}` is no [[path]] that it writes", n.what)));
        }
        if !seen.insert((n.what, n.path.clone())) {
            out.push(problem("need", i, format!("need `{}` is there twice", n.what)));
        }
    }
}

fn unit(s: &Service, out: &mut Vec<Problem>) {
    let Some(unit) = &s.unit else { return };
    let mut say = |message: String| out.push(Problem { message, place: None });
    if s.units.is_empty() {
        say("[unit]: `units` names none, so it would have no name".to_owned());
    }
    if s.account.is_none() {
        say("[unit]: there is no [account] to run it under".to_owned());
    }
    if !unit.exec.starts_with('/') {
        say(format!("[unit]: exec `{}` does not begin with an absolute path", unit.exec));
    }
    for w in &unit.wrongs {
        if !matches!(w.section.as_str(), "Unit" | "Service" | "Install") || !w.line.contains('=') {
            say(format!("[unit]: correction `{}` in [{}] is no line of a unit", w.line, w.section));
        }
    }
    if let Some(h) = unit.health.as_ref().filter(|h| s.endpoint(h.endpoint.as_str()).is_none()) {
        say(format!("[unit]: health asks endpoint `{}`, which is not in the entry", h.endpoint));
    }
}

/// Problems of references between entries: peers and `unless` name services and endpoints that exist.
pub fn references(all: &BTreeMap<ServiceName, Arc<Service>>) -> Vec<String> {
    let mut out = Vec::new();
    for s in all.values() {
        for p in &s.peers {
            for to in &p.service {
                match all.get(to) {
                    None => out.push(format!("{}: peer `{to}` is no service", s.name)),
                    Some(t) if t.endpoint(p.endpoint.as_str()).is_none() => {
                        out.push(format!("{}: `{to}` has no endpoint `{}`", s.name, p.endpoint));
                    }
                    Some(_) => {}
                }
            }
        }
        for name in s.egress.iter().filter_map(|e| e.unless.as_ref()).filter(|n| !all.contains_key(*n)) {
            out.push(format!("{}: egress unless `{name}`, which is no service", s.name));
        }
    }
    out
}
