//! Containers as Docker and Podman describe them. An engine that is not installed has none.

use crate::{Error, run};
use facts::{Container, PortMapping};
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr};
use words::Proto;

/// Running containers of both engines, sorted by name.
pub fn list() -> Result<Vec<Container>, Error> {
    let mut out = Vec::new();
    for engine in ["docker", "podman"] {
        let ids = match run::output(engine, &["ps", "-q", "--no-trunc"]) {
            Ok(ids) => ids,
            Err(Error::Program { why, .. }) if why == "not installed" => continue,
            Err(e) => return Err(e),
        };
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
        cap_drop: strings(&host["CapDrop"]),
        no_new_privs: strings(&host["SecurityOpt"]).iter().any(|o| o.starts_with("no-new-privileges") && !o.ends_with("false")),
        ports,
        mounts: strings(&host["Binds"]),
    }
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
    fn what_an_engine_says_is_understood() {
        let c = serde_json::json!({"Id": "a", "Name": "/lotus", "Config": {"Image": "lotus:v1", "User": ""},
            "HostConfig": {"Privileged": true, "NetworkMode": "bridge", "CapAdd": ["NET_ADMIN"], "Binds": ["/data:/data"], "SecurityOpt": ["no-new-privileges"]},
            "NetworkSettings": {"Ports": {"1234/tcp": [{"HostIp": "0.0.0.0", "HostPort": "1234"}], "9/udp": null}}});
        let c = container("docker", &c);
        assert!(c.privileged && c.no_new_privs && !c.host_network && c.name == "lotus");
        assert_eq!((c.ports.len(), c.ports[0].host, c.mounts.len()), (1, 1234, 1));
    }
}
