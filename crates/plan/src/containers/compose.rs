//! Compose files: in comes YAML, out come its services as [`Seen`], in the order of their names. Short and long forms of ports and
//! volumes. Total; what it does not know (variables, extensions) is left out of the result, and a port it cannot read is an
//! error, not nothing. Never: interpolates variables or reads other files.

use super::seen::{Mount, Port, Seen};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
};
use words::Proto;

/// Largest file read, in bytes: compose files are small, and a YAML alias can make much of little.
const MAX_BYTES: usize = 1 << 20;
/// Ports a range may stand for.
const MAX_RANGE: u16 = 1024;

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    services: BTreeMap<String, Service>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Service {
    image: Option<String>,
    container_name: Option<String>,
    user: Option<Scalar>,
    privileged: Option<bool>,
    network_mode: Option<String>,
    cap_add: Vec<String>,
    cap_drop: Vec<String>,
    security_opt: Vec<String>,
    read_only: Option<bool>,
    ports: Vec<PortForm>,
    volumes: Vec<VolumeForm>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Scalar {
    Number(u64),
    Text(String),
}

impl Scalar {
    fn text(&self) -> String {
        match self {
            Self::Number(n) => n.to_string(),
            Self::Text(t) => t.clone(),
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum PortForm {
    Short(Scalar),
    Long { target: u16, published: Option<Scalar>, protocol: Option<String>, host_ip: Option<String> },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum VolumeForm {
    Short(String),
    Long { source: Option<String>, target: String, read_only: Option<bool> },
}

/// The services of a compose file.
pub fn read(text: &str) -> Result<Vec<Seen>, String> {
    if text.len() > MAX_BYTES {
        return Err(format!("the file is larger than {MAX_BYTES} bytes"));
    }
    let file: File = serde_saphyr::from_str(text).map_err(|e| e.to_string().lines().next().unwrap_or_default().to_owned())?;
    file.services.into_iter().map(|(name, s)| seen(name, &s)).collect()
}

fn seen(name: String, s: &Service) -> Result<Seen, String> {
    let mut ports = Vec::new();
    for p in &s.ports {
        ports.extend(port(p).map_err(|why| format!("service `{name}`: {why}"))?);
    }
    let mounts = s.volumes.iter().filter_map(|v| match v {
        VolumeForm::Short(text) => Mount::parse(text),
        VolumeForm::Long { source, target, read_only } => {
            Some(Mount { source: source.clone()?, target: target.clone(), read_only: read_only.unwrap_or(false) })
        }
    });
    let set = |o: &String| o.starts_with("no-new-privileges") && !o.ends_with("false");
    Ok(Seen {
        image: s.image.clone().or_else(|| s.container_name.clone()).unwrap_or_default(),
        engine: "docker".to_owned(),
        user: s.user.as_ref().map(Scalar::text).unwrap_or_default(),
        privileged: s.privileged.unwrap_or(false),
        host_network: s.network_mode.as_deref() == Some("host"),
        cap_add: s.cap_add.clone(),
        cap_drop: s.cap_drop.clone(),
        no_new_privs: s.security_opt.iter().any(set),
        read_only: Some(s.read_only.unwrap_or(false)),
        ports,
        mounts: mounts.collect(),
        name,
    })
}

fn port(form: &PortForm) -> Result<Vec<Port>, String> {
    match form {
        PortForm::Long { target, published, protocol, host_ip } => {
            let text = published.as_ref().map(Scalar::text);
            let host = text.as_ref().map(|t| range(t)).transpose()?.map(|(first, _)| first);
            let address = host_ip.as_deref().map_or(Ok(ANY), str::parse).map_err(|_| "an address of a port is none".to_owned())?;
            Ok(vec![Port { proto: proto(protocol.as_deref().unwrap_or("tcp"))?, address, host, inside: *target }])
        }
        PortForm::Short(scalar) => short(&scalar.text()),
    }
}

/// Where nothing is said.
const ANY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// `[address:][host:]inside[/protocol]`, the address of IPv6 in brackets, each port perhaps a range.
fn short(text: &str) -> Result<Vec<Port>, String> {
    let (rest, protocol) = text.rsplit_once('/').unwrap_or((text, "tcp"));
    let proto = proto(protocol)?;
    let (front, inside) = rest.rsplit_once(':').map_or((None, rest), |(f, i)| (Some(f), i));
    let (address, host) = match front {
        None => (ANY, None),
        Some(f) => match f.rsplit_once(':') {
            None => (ANY, Some(f)),
            Some((a, h)) => {
                let plain = a.trim_start_matches('[').trim_end_matches(']');
                (plain.parse().map_err(|_| format!("`{text}` has no readable address"))?, Some(h).filter(|h| !h.is_empty()))
            }
        },
    };
    let (first, last) = range(inside)?;
    let from = host.map(range).transpose()?;
    if last - first > MAX_RANGE || from.is_some_and(|(a, b)| b - a != last - first) {
        return Err(format!("`{text}` is a range that does not fit"));
    }
    Ok((0..=last - first)
        .map(|n| Port { proto, address, host: from.map(|(a, _)| a.saturating_add(n)), inside: first.saturating_add(n) })
        .collect())
}

fn range(text: &str) -> Result<(u16, u16), String> {
    let bad = || format!("`{text}` is no port; variables are not filled in here");
    let (a, b) = text.split_once('-').unwrap_or((text, text));
    let (a, b) = (a.trim().parse::<u16>().map_err(|_| bad())?, b.trim().parse::<u16>().map_err(|_| bad())?);
    if b < a { Err(bad()) } else { Ok((a, b)) }
}

fn proto(text: &str) -> Result<Proto, String> {
    text.parse().map_err(|_| format!("`{text}` is no protocol"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_form_is_read() {
        let text = "services:\n  lotus:\n    image: filecoin/lotus:v1\n    user: 0\n    privileged: true\n    network_mode: host\n    ports: [\"127.0.0.1:1234:1234\", \"6665:6665/udp\", 8080, \"[::1]:9:10\", \"3000-3001:4000-4001\", {target: 80, published: \"8081\", host_ip: 10.0.0.1}]\n    volumes: [\"/var/run/docker.sock:/var/run/docker.sock:ro\", {type: bind, source: /data, target: /data}, \"named:/x\"]\n    security_opt: [\"no-new-privileges:true\"]\n";
        let s = read(text).expect("read").remove(0);
        assert!(s.privileged && s.host_network && s.no_new_privs && s.user == "0");
        let ports: Vec<(String, Option<u16>, u16)> = s.ports.iter().map(|p| (p.address.to_string(), p.host, p.inside)).collect();
        let any = || "0.0.0.0".to_owned();
        assert_eq!(
            ports,
            [
                ("127.0.0.1".to_owned(), Some(1234), 1234),
                (any(), Some(6665), 6665),
                (any(), None, 8080),
                ("::1".to_owned(), Some(9), 10),
                (any(), Some(3000), 4000),
                (any(), Some(3001), 4001),
                ("10.0.0.1".to_owned(), Some(8081), 80)
            ]
        );
        assert_eq!(s.mounts.len(), 3);
        assert!(s.mounts[0].read_only);
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        for bad in ["\"${PORT}:80\"", "\"1-2:3-9\"", "\"70000:80\"", "\"1:2/sctpx\"", "\"9-1:9-1\""] {
            assert!(read(&format!("services: {{a: {{ports: [{bad}]}}}}")).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(\\PC|\n){0,200}") {
            let _ = read(&text);
            let _ = short(&text);
        }
    }
}
