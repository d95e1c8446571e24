//! Every row of the facts is consumed by the catalogue, or listed as unused with a reason.
//!
//! A row counts as consumed when its ports, protocols, binds and parties are found in the entries themselves; only the
//! facts' free-text names are translated by a table (`facts/names.tsv`). A listed row that is consumed fails as well.

mod read;

use catalog::{Auth, Bind, Class, Egress, Endpoint, Intended, PortDefault, Service, When, builtin};
use read::{Party, Port, party, paths, ports, protos, rows, unused};
use std::collections::{BTreeMap, BTreeSet};
use words::Proto;

const PORTS: &str = include_str!("../../facts/ports.tsv");
const FLOWS: &str = include_str!("../../facts/flows.tsv");
const SECRETS: &str = include_str!("../../facts/secrets.tsv");

fn covers(e: &Endpoint, port: Port) -> bool {
    match (port, &e.port) {
        (Port::Random, PortDefault::Random { .. }) => true,
        // A port nobody can pin is written as the range the kernel chooses from.
        (Port::Random, PortDefault::Range(r)) => !r.is_one(),
        (Port::One(n), PortDefault::Fixed(f)) => n == *f || e.seen.contains(&n),
        (Port::One(n), PortDefault::Range(r)) => r.contains(n),
        (Port::One(n), _) => e.seen.contains(&n),
        (Port::Range(a), PortDefault::Range(b)) => a == *b,
        _ => false,
    }
}

fn auth_agrees(text: &str, auth: Auth) -> bool {
    let lower = text.to_lowercase();
    match auth {
        Auth::None => lower.is_empty() || lower.starts_with("none") || lower.contains("optional tls"),
        Auth::Jwt => lower.is_empty() || lower.contains("jwt"),
        Auth::PeerId => lower.is_empty() || lower.contains("peer-id"),
        Auth::Password => lower.contains("password"),
        Auth::PerRoute => lower.contains("per-route"),
        Auth::Key => lower.contains("key"),
    }
}

fn endpoint_agrees(e: &Endpoint, address: Option<&str>, port: Port, row: &[&str]) -> Result<(), String> {
    let bind = match address {
        Some("127.0.0.1" | "localhost") => Some(Bind::Loopback),
        Some("0.0.0.0" | "[::]") => Some(Bind::Any),
        _ => None,
    };
    let merely_seen = matches!(port, Port::One(n) if e.seen.contains(&n));
    if bind.is_some_and(|b| b != e.bind) && !merely_seen {
        return Err(format!("{} binds {:?}, the facts say {bind:?}", e.name, e.bind));
    }
    if !auth_agrees(row[4], e.auth) {
        return Err(format!("{}: {:?}, the facts say `{}`", e.name, e.auth, row[4]));
    }
    if row[5].starts_with("public") != (e.intended == Intended::Public) && !row[5].is_empty() {
        return Err(format!("{}: intended {:?}, the facts say `{}`", e.name, e.intended, row[5]));
    }
    Ok(())
}

fn port_row(row: &[&str]) -> Result<(), String> {
    let Party::Services(services) = party(row[0])? else { return Err("not a service".to_owned()) };
    let mut listed = ports(row[2]);
    if listed.is_empty() {
        listed = ports(row[1]).into_iter().map(|p| (Some(row[2]), p.1)).collect();
    }
    if listed.is_empty() {
        return Err("no port found in the row".to_owned());
    }
    let protos = protos(row[3]);
    let mut used = BTreeSet::new();
    for (address, port) in listed {
        let mut last = Err(format!("{port:?} is at no endpoint"));
        for (s, _) in &services {
            for e in s.endpoints.iter().filter(|e| covers(e, port) && protos.iter().all(|p| e.proto.contains(p))) {
                let agrees = endpoint_agrees(e, address, port, row);
                if agrees.is_ok() {
                    used.insert(s.name.clone());
                }
                if last.is_err() {
                    last = agrees;
                }
            }
        }
        last?;
    }
    if used.len() < services.len() { Err(format!("only {used:?} have such an endpoint")) } else { Ok(()) }
}

fn peered(from: &Service, to: &Service, port: Port) -> bool {
    from.peers.iter().filter(|p| p.service.contains(&to.name)).filter_map(|p| to.endpoint(p.endpoint.as_str())).any(|e| covers(e, port))
}

fn opens(e: &Egress, port: Port, protos: &[Proto]) -> bool {
    protos.iter().all(|p| {
        e.to.iter().filter(|t| t.proto == *p).any(|t| match port {
            Port::Any => t.ports.is_all() || (t.ports.contains(80) && t.ports.contains(443)),
            Port::Random => t.ports.is_all(),
            Port::One(n) => t.ports.contains(n),
            Port::Range(r) => t.ports.contains(r.first()) && t.ports.contains(r.last()),
        })
    })
}

fn goes_out(from: &Service, to: &[&str], port: Port, protos: &[Proto]) -> bool {
    to.iter().all(|name| {
        from.egress.iter().any(|e| {
            let meant = match *name {
                "any" => e.any,
                "any:first-run" => e.when == When::FirstRun,
                name => e.names.iter().any(|n| n == name),
            };
            meant && opens(e, port, protos)
        })
    })
}

fn between(from: &Service, to: &Service, listed: &[Port], only: Option<u16>) -> Result<Vec<Port>, String> {
    let hit: Vec<Port> = listed.iter().copied().filter(|p| only.is_none_or(|q| *p == Port::One(q)) && peered(from, to, *p)).collect();
    if hit.is_empty() { Err(format!("{} has no such peer {}", from.name, to.name)) } else { Ok(hit) }
}

fn flow_row(row: &[&str]) -> Result<(), String> {
    let (from, to) = (party(row[0])?, party(row[1])?);
    let mut listed: Vec<Port> = ports(row[2]).into_iter().map(|p| p.1).collect();
    if let Party::Services(to) = &to {
        listed.extend(to.iter().filter_map(|(_, p)| p.map(Port::One)).filter(|_| row[2] == "various"));
    }
    if listed.is_empty() {
        return Err("no port found in the row".to_owned());
    }
    let protos = protos(row[3]);
    match (&from, &to) {
        (Party::Services(from), Party::Services(to)) => {
            let mut used = Vec::new();
            for (f, _) in from {
                for (t, only) in to {
                    used.extend(between(f, t, &listed, *only)?);
                    if row[1].ends_with("(and back)") {
                        used.extend(between(t, f, &listed, None)?);
                    }
                }
            }
            listed.iter().find(|p| !used.contains(p)).map_or(Ok(()), |p| Err(format!("{p:?} is used by no peer")))
        }
        (Party::Services(from), Party::Outside(names)) => {
            let miss = from.iter().flat_map(|(f, _)| listed.iter().map(move |p| (f, p))).find(|(f, p)| !goes_out(f, names, **p, &protos));
            miss.map_or(Ok(()), |(f, p)| Err(format!("{} has no egress to {names:?} on {p:?}", f.name)))
        }
        (Party::Operator, Party::Outside(names)) => builtin()
            .values()
            .any(|s| listed.iter().all(|p| goes_out(s, names, *p, &protos)))
            .then_some(())
            .ok_or("no entry has it as egress".to_owned()),
        (who @ (Party::Public | Party::Operator | Party::Users), Party::Services(to)) => {
            let meant = |e: &Endpoint| match who {
                Party::Public => e.intended == Intended::Public,
                Party::Operator => e.intended == Intended::Operator,
                _ => e.class == Class::Storage,
            };
            let hit = |s: &Service, p: Port| s.endpoints.iter().any(|e| covers(e, p) && meant(e));
            if let Some(p) = listed.iter().find(|p| !to.iter().any(|(s, _)| hit(s, **p))) {
                return Err(format!("{p:?} is at no endpoint meant for them"));
            }
            let idle = to.iter().find(|(s, _)| !listed.iter().any(|p| hit(s, *p)));
            idle.map_or(Ok(()), |(s, _)| Err(format!("{} has no endpoint meant for them", s.name)))
        }
        _ => Err("no rule for such parties".to_owned()),
    }
}

/// Path (or default of it) to what all entries say of it, with the mode.
fn known() -> BTreeMap<String, Vec<(String, Option<String>)>> {
    let mut out: BTreeMap<String, Vec<(String, Option<String>)>> = BTreeMap::new();
    let mut add = |path: &str, text: String, mode: &Option<String>| {
        out.entry(path.trim_end_matches('/').to_owned()).or_default().push((text, mode.clone()));
    };
    for s in builtin().values() {
        for p in &s.paths {
            for path in std::iter::once(&p.path).chain(&p.default) {
                add(path, p.note.clone().unwrap_or_default(), &p.mode);
            }
        }
        for x in &s.secrets {
            add(&x.path, format!("{} {}", x.holds, x.worth), &x.mode);
            // Entries write the variable, the facts sometimes its default.
            for p in s.paths.iter().filter(|p| p.kind == catalog::PathKind::Repo) {
                if let (Some(rest), Some(default)) = (x.path.strip_prefix(&p.path), &p.default) {
                    add(&format!("{default}{rest}"), format!("{} {}", x.holds, x.worth), &x.mode);
                }
            }
        }
    }
    out
}

fn secret_row(row: &[&str]) -> Result<(), String> {
    let known = known();
    let listed = paths(row[0]);
    if listed.is_empty() {
        return Err("no path found in the row".to_owned());
    }
    for path in listed {
        let path = path.trim_end_matches('/');
        if let Some(entries) = known.get(path) {
            let digits: Vec<&str> = row[1].split(|c: char| !c.is_ascii_digit()).filter(|w| w.len() == 4).collect();
            let modes: Vec<&str> = entries.iter().filter_map(|e| e.1.as_deref()).collect();
            if !digits.is_empty() && !modes.is_empty() && !modes.iter().any(|m| digits.contains(m)) {
                return Err(format!("{path}: modes {modes:?}, the facts say `{}`", row[1]));
            }
            continue;
        }
        // Or the entry of the directory, or of a neighbour in it, speaks of the file by name.
        let (dir, leaf) = path.rsplit_once(['/', ':']).unwrap_or(("", path));
        let beside = |k: &str| k == dir || k.rsplit_once(['/', ':']).is_some_and(|d| d.0 == dir);
        if !known
            .iter()
            .any(|(k, entries)| beside(k) && (entries.iter().any(|e| e.0.contains(leaf)) || k.starts_with(&format!("db:{leaf}."))))
        {
            return Err(format!("{path} is in no entry"));
        }
    }
    Ok(())
}

fn check(file: &str, text: &'static str, key: impl Fn(&[&str]) -> String, consumed: impl Fn(&[&str]) -> Result<(), String>) {
    let unused = unused(file);
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for row in rows(text) {
        let key = key(&row);
        match (consumed(&row), unused.contains(&key)) {
            (Ok(()), true) => wrong.push(format!("{key}: listed as unused, but an entry uses it")),
            (Err(why), false) => wrong.push(format!("{key}: {why}")),
            _ => {}
        }
        seen.insert(key);
    }
    wrong.extend(unused.difference(&seen).map(|k| format!("unused.tsv: no such row: {k}")));
    assert!(wrong.is_empty(), "{file}.tsv:\n  {}", wrong.join("\n  "));
    assert!(seen.len() > 20, "{file}.tsv was not read");
}

#[test]
fn every_port_row_is_consumed() {
    check("ports", PORTS, |r| format!("{}, {}", r[0], r[1]), port_row);
}

#[test]
fn every_flow_row_is_consumed() {
    check("flows", FLOWS, |r| format!("{} -> {}", r[0], r[1]), flow_row);
}

#[test]
fn every_secret_row_is_consumed() {
    check("secrets", SECRETS, |r| r[0].to_owned(), secret_row);
}

#[test]
fn the_check_itself_can_fail() {
    let mut row: Vec<&str> = rows(PORTS).next().expect("a row");
    assert_eq!(port_row(&row), Ok(()));
    row[2] = "127.0.0.1:1299";
    assert!(port_row(&row).is_err(), "a port nobody has");
    row[2] = "0.0.0.0:1234";
    assert!(port_row(&row).is_err(), "another bind");
    assert!(flow_row(&["lotus-worker", "lotus daemon", "1234", "tcp"]).is_err(), "workers do not dial the daemon");
    assert!(flow_row(&["booster-http", "bootstrap.filecoin.chain.love", "1235", "tcp"]).is_err(), "no such egress");
    assert!(secret_row(&["$LOTUS_PATH/nowhere", "0600"]).is_err());
    assert!(secret_row(&["$LOTUS_PATH/token", "0644"]).is_err(), "another mode");
}
