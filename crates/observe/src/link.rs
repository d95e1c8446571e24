//! Interfaces and routes, as `ip` of iproute2 describes them in JSON. What it leaves out is left empty.

use crate::{Error, run};
use facts::{Interface, Route};
use ipnet::IpNet;
use serde_json::Value;
use std::net::IpAddr;

/// Interfaces with their addresses, sorted by index.
pub fn interfaces() -> Result<Vec<Interface>, Error> {
    let mut out: Vec<Interface> = list(&["-j", "-d", "address", "show"])?.iter().map(interface).collect();
    out.sort_by_key(|i| i.index);
    Ok(out)
}

/// Routes of all tables and both families, sorted.
pub fn routes() -> Result<Vec<Route>, Error> {
    let mut out = Vec::new();
    for family in ["-4", "-6"] {
        // A kernel without this family has none.
        if let Ok(routes) = list(&["-j", "-d", "-N", family, "route", "show", "table", "all"]) {
            out.extend(routes.iter().filter_map(|r| route(r, family == "-4")));
        }
    }
    out.sort();
    Ok(out)
}

fn list(arguments: &[&str]) -> Result<Vec<Value>, Error> {
    let text = run::output("ip", arguments)?;
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let bad = |e: serde_json::Error| Error::Program { program: "ip".into(), why: format!("its JSON is not understood: {e}") };
    let value: Value = serde_json::from_str(&text).map_err(bad)?;
    Ok(value.as_array().cloned().unwrap_or_default())
}

fn string(v: &Value, key: &str) -> Option<String> {
    v.get(key)?.as_str().map(str::to_owned)
}

fn number(v: &Value, key: &str) -> Option<u64> {
    let value = v.get(key)?;
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

fn interface(v: &Value) -> Interface {
    let info = v.get("linkinfo");
    let listed = || v.get("addr_info").and_then(Value::as_array).into_iter().flatten();
    let net = |a: &Value| {
        let address: IpAddr = string(a, "local")?.parse().ok()?;
        IpNet::new(address, u8::try_from(number(a, "prefixlen")?).ok()?).ok()
    };
    let mut addresses: Vec<IpNet> = listed().filter_map(net).collect();
    addresses.sort();
    let mut advertised: Vec<IpNet> = listed().filter(|a| is_advertised(a)).filter_map(net).collect();
    advertised.sort();
    let flags = v.get("flags").and_then(Value::as_array);
    Interface {
        name: string(v, "ifname").unwrap_or_default(),
        index: number(v, "ifindex").and_then(|n| n.try_into().ok()).unwrap_or(0),
        mac: string(v, "address").unwrap_or_default(),
        mtu: number(v, "mtu").and_then(|n| n.try_into().ok()).unwrap_or(0),
        up: flags.is_some_and(|f| f.iter().any(|f| f == "UP")),
        kind: info.and_then(|i| string(i, "info_kind")),
        master: string(v, "master"),
        vlan: info.and_then(|i| i.get("info_data")).and_then(|d| number(d, "id")).and_then(|n| n.try_into().ok()),
        parent: string(v, "link"),
        addresses,
        advertised,
    }
}

/// Whether an address was made from a router advertisement: it has a lifetime, and the kernel says whose it is. Kernels
/// before 5.18 name no protocol, but manage temporary addresses for exactly these.
fn is_advertised(a: &Value) -> bool {
    let says = |key: &str| a.get(key).and_then(Value::as_bool).unwrap_or(false);
    // IFAPROT_KERNEL_RA of `if_addr.h`.
    let by_protocol = matches!(string(a, "protocol").as_deref(), Some("kernel_ra" | "2"));
    says("dynamic") && (by_protocol || says("mngtmpaddr") || says("temporary"))
}

fn route(v: &Value, v4: bool) -> Option<Route> {
    let to = string(v, "dst")?;
    let to = match to.as_str() {
        "default" if v4 => "0.0.0.0/0".parse().ok()?,
        "default" => "::/0".parse().ok()?,
        text => text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).ok()?,
    };
    let address = |key: &str| string(v, key).and_then(|a| a.parse().ok());
    Some(Route {
        to,
        via: address("gateway").or_else(|| v.get("via").and_then(|via| string(via, "host")).and_then(|a| a.parse().ok())),
        device: string(v, "dev"),
        source: address("prefsrc"),
        metric: number(v, "metric").and_then(|n| n.try_into().ok()).unwrap_or(0),
        table: number(v, "table").and_then(|n| n.try_into().ok()).unwrap_or(254),
        // With -N types are numbers (`rtnetlink.h`).
        kind: match string(v, "type").as_deref() {
            None | Some("1" | "unicast") => "unicast",
            Some("2" | "local") => "local",
            Some("3" | "broadcast") => "broadcast",
            Some("4" | "anycast") => "anycast",
            Some("5" | "multicast") => "multicast",
            Some("6" | "blackhole") => "blackhole",
            Some("7" | "unreachable") => "unreachable",
            Some("8" | "prohibit") => "prohibit",
            Some(_) => "other",
        }
        .to_owned(),
        // RTPROT_RA of `rtnetlink.h`.
        advertised: matches!(string(v, "protocol").as_deref(), Some("9" | "ra")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ip_says_is_understood() {
        let link = serde_json::json!({"ifindex": 3, "ifname": "eth0.10", "link": "eth0", "flags": ["UP"], "mtu": 1500,
            "address": "02:00:00:00:00:01", "linkinfo": {"info_kind": "vlan", "info_data": {"protocol": "802.1Q", "id": 10}},
            "addr_info": [{"family": "inet", "local": "10.20.10.2", "prefixlen": 24}]});
        let i = interface(&link);
        assert_eq!((i.vlan, i.parent.as_deref(), i.up, i.addresses.len()), (Some(10), Some("eth0"), true, 1));
        assert!(i.advertised.is_empty());
        let made = |more: serde_json::Value| {
            let mut a = serde_json::json!({"family": "inet6", "local": "2001:db8::1", "prefixlen": 64});
            a.as_object_mut().expect("object").extend(more.as_object().expect("object").clone());
            interface(&serde_json::json!({"ifname": "e", "addr_info": [a]})).advertised.len()
        };
        assert_eq!(made(serde_json::json!({"dynamic": true, "mngtmpaddr": true})), 1);
        assert_eq!(made(serde_json::json!({"dynamic": true, "protocol": "kernel_ra"})), 1);
        assert_eq!(made(serde_json::json!({"dynamic": true})), 0, "leased");
        assert_eq!(made(serde_json::json!({"mngtmpaddr": true})), 0, "written, for good");
        let r = route(&serde_json::json!({"dst": "default", "gateway": "10.0.0.1", "dev": "eth0", "metric": 5}), true).expect("route");
        assert_eq!((r.to.prefix_len(), r.table, r.metric, r.kind.as_str()), (0, 254, 5, "unicast"));
        assert!(!r.advertised);
        let learnt = serde_json::json!({"dst": "default", "gateway": "fe80::1", "dev": "eth0", "protocol": "9"});
        assert!(route(&learnt, false).is_some_and(|r| r.advertised));
        assert!(route(&serde_json::json!({}), true).is_none());
    }
}
