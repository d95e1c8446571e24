//! Containers as Docker and Podman describe them. An engine that is not installed has none.

use crate::{Error, run};
use facts::{Container, Engine, PortMapping};
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr};
use words::Proto;

/// Engines whose containers are looked at.
const ENGINES: [&str; 2] = ["docker", "podman"];
/// What a narrower container may keep, as `ravelin containers` writes it.
const KEPT: &str = "CAP_NET_BIND_SERVICE";

/// What an engine says; `None` where it is not installed.
fn ask(engine: &str, arguments: &[&str]) -> Result<Option<String>, Error> {
    match run::output(engine, arguments) {
        Ok(text) => Ok(Some(text)),
        Err(Error::Program { why, .. }) if why == "not installed" => Ok(None),
        Err(e) => Err(e),
    }
}

/// Engines that are installed, with their versions.
pub fn engines() -> Result<Vec<Engine>, Error> {
    let mut out = Vec::new();
    for name in ENGINES {
        if let Some(said) = ask(name, &["--version"])? {
            out.push(Engine { name: name.to_owned(), version: version(&said) });
        }
    }
    Ok(out)
}

/// The number in `podman version 4.3.1` or `Docker version 20.10.24+dfsg1, build 297e128`.
fn version(said: &str) -> String {
    said.split_whitespace().nth(2).unwrap_or_default().trim_end_matches(',').to_owned()
}

/// Running containers of both engines, sorted by name.
pub fn list() -> Result<Vec<Container>, Error> {
    let mut out = Vec::new();
    for engine in ENGINES {
        let Some(ids) = ask(engine, &["ps", "-q", "--no-trunc"])? else { continue };
        let ids: Vec<&str> = ids.split_whitespace().collect();
        if ids.is_empty() {
            continue;
        }
        let text = run::output(engine, &[&["inspect"], ids.as_slice()].concat())?;
        let bad = |e: serde_json::Error| Error::Program { program: engine.into(), why: format!("its JSON is not understood: {e}") };
        let all: Value = serde_json::from_str(&text).map_err(bad)?;
        out.extend(all.as_array().into_iter().flatten().map(|c| container(engine, c)));
    }
    out.sort_by(|a, b| (&a.name, &a.engine).cmp(&(&b.name, &b.engine)));
    Ok(out)
}

fn container(engine: &str, c: &Value) -> Container {
    let string = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let strings = |v: &Value| v.as_array().into_iter().flatten().map(string).collect::<Vec<_>>();
    let host = &c["HostConfig"];
    let mut ports: Vec<PortMapping> = Vec::new();
    for (inside, bindings) in c["NetworkSettings"]["Ports"].as_object().into_iter().flatten() {
        for b in bindings.as_array().into_iter().flatten() {
            ports.extend(mapping(inside, b));
        }
    }
    ports.sort();
    Container {
        name: string(&c["Name"]).trim_start_matches('/').to_owned(),
        id: string(&c["Id"]),
        image: string(&c["Config"]["Image"]),
        engine: engine.to_owned(),
        user: string(&c["Config"]["User"]),
        privileged: host["Privileged"].as_bool().unwrap_or(false),
        host_network: host["NetworkMode"] == "host",
        cap_add: strings(&host["CapAdd"]),
        cap_drop: dropped(c),
        no_new_privs: strings(&host["SecurityOpt"]).iter().any(|o| o.starts_with("no-new-privileges") && !o.ends_with("false")),
        ports,
        mounts: strings(&host["Binds"]),
    }
}

/// Capabilities dropped. Docker repeats what it was told; Podman names each that is missing from its own default, and what is
/// left besides.
fn dropped(c: &Value) -> Vec<String> {
    let names = |v: &Value| v.as_array().into_iter().flatten().filter_map(|n| n.as_str().map(str::to_owned)).collect::<Vec<_>>();
    let left = &c["BoundingCaps"];
    let all = c.get("BoundingCaps").is_some() && names(left).iter().all(|n| n == KEPT);
    if all { vec!["ALL".to_owned()] } else { names(&c["HostConfig"]["CapDrop"]) }
}

/// `8080/tcp` and `{"HostIp": "0.0.0.0", "HostPort": "80"}`.
fn mapping(inside: &str, binding: &Value) -> Option<PortMapping> {
    let (port, proto) = inside.split_once('/')?;
    let address = binding["HostIp"].as_str().and_then(|a| a.parse().ok()).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let proto: Proto = proto.parse().ok()?;
    Some(PortMapping { proto, address, host: binding["HostPort"].as_str()?.parse().ok()?, inside: port.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_engines_say() {
        assert_eq!(version("podman version 4.3.1\n"), "4.3.1");
        assert_eq!(version("Docker version 20.10.24+dfsg1, build 297e128\n"), "20.10.24+dfsg1");
        assert_eq!(version("nonsense"), "");
    }

    #[test]
    fn podman_names_what_is_left_and_not_what_it_was_told() {
        let of = |left: Value| dropped(&serde_json::json!({"BoundingCaps": left, "HostConfig": {"CapDrop": ["CAP_CHOWN"]}}));
        assert_eq!(of(Value::Null), ["ALL"]);
        assert_eq!(of(serde_json::json!(["CAP_NET_BIND_SERVICE"])), ["ALL"]);
        assert_eq!(of(serde_json::json!(["CAP_SETUID"])), ["CAP_CHOWN"]);
        assert_eq!(dropped(&serde_json::json!({"HostConfig": {"CapDrop": ["all"]}})), ["all"], "Docker");
    }

    #[test]
    fn what_an_engine_says_is_understood() {
        let c = serde_json::json!({"Id": "a", "Name": "/lotus", "Config": {"Image": "lotus:v1", "User": ""},
            "HostConfig": {"Privileged": true, "NetworkMode": "bridge", "CapAdd": ["NET_ADMIN"], "Binds": ["/data:/data"], "SecurityOpt": ["no-new-privileges"]},
            "NetworkSettings": {"Ports": {"1234/tcp": [{"HostIp": "0.0.0.0", "HostPort": "1234"}], "9/udp": null}}});
        let c = container("docker", &c);
        assert!(c.privileged && c.no_new_privs && !c.host_network && c.name == "lotus");
        assert_eq!((c.ports.len(), c.ports[0].host, c.mounts.len()), (1, 1234, 1));
    }
}
