//! What the base policy already holds, as data: its port types, the services it confines itself, the aliases of its paths.
//! In comes a port or a path, out comes what the base policy says of it. Debian 12's data is extracted from the package
//! (`selinux-policy-default`); a test holds it against the package. Never: looks at a machine.

use std::{collections::BTreeMap, sync::LazyLock};
use words::{PortRange, Proto};

/// Protocol, first and last port, type; one line each, as the package's policy has them.
pub const DEBIAN_12_PORTS: &str = include_str!("debian-12.ports.tsv");

/// Types that stand for "no other type": a port of ours inside their ranges gets a type of its own.
const UNSPECIFIC: [&str; 3] = ["unreserved_port_t", "reserved_port_t", "hi_reserved_port_t"];

/// Services that the base policy confines by itself, with their domain.
const CONFINED: [(&str, &str); 1] = [("postgres", "postgresql_t")];

/// Beginnings of paths that the base policy knows under another name (`file_contexts.subs_dist`).
const ALIASES: [(&str, &str); 10] = [
    ("/bin/", "/usr/bin/"),
    ("/sbin/", "/usr/sbin/"),
    ("/lib/", "/usr/lib/"),
    ("/lib64/", "/usr/lib/"),
    ("/usr/lib64/", "/usr/lib/"),
    ("/usr/local/lib/", "/usr/lib/"),
    ("/run/lock/", "/var/lock/"),
    ("/var/run/", "/run/"),
    ("/var/lib/private/", "/var/lib/"),
    ("/etc/systemd/system/", "/usr/lib/systemd/system/"),
];

type Table = BTreeMap<(Proto, u16, u16), &'static str>;

static PORTS: LazyLock<Table> = LazyLock::new(|| DEBIAN_12_PORTS.lines().filter_map(row).collect());

fn row(line: &'static str) -> Option<((Proto, u16, u16), &'static str)> {
    let mut fields = line.split('\t');
    let proto = match fields.next()? {
        "tcp" => Proto::Tcp,
        "udp" => Proto::Udp,
        _ => return None,
    };
    let (first, last) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(((proto, first, last), fields.next()?))
}

/// The specific type the base policy has for exactly these ports. A port context of ours for the same range would collide.
pub(crate) fn port_type(proto: Proto, range: PortRange) -> Option<&'static str> {
    PORTS.get(&(proto, range.first(), range.last())).copied().filter(|t| !UNSPECIFIC.contains(t))
}

/// The type the base policy's narrowest specific range gives a port.
pub(crate) fn narrowest(proto: Proto, port: u16) -> Option<&'static str> {
    let holds = PORTS.iter().filter(|((p, a, b), t)| *p == proto && (*a..=*b).contains(&port) && !UNSPECIFIC.contains(*t));
    holds.min_by_key(|((_, a, b), _)| b - a).map(|(_, t)| *t)
}

/// Every port of a type.
pub(crate) fn ports_of(proto: Proto, name: &str) -> Vec<PortRange> {
    PORTS.iter().filter(|((p, ..), t)| *p == proto && **t == name).filter_map(|((_, a, b), _)| PortRange::new(*a, *b)).collect()
}

/// The domain in which the base policy confines a service by itself.
pub(crate) fn confined(service: &str) -> Option<&'static str> {
    CONFINED.iter().find(|(s, _)| *s == service).map(|(_, d)| *d)
}

/// A path as the base policy's file contexts spell it.
pub(crate) fn canonical(path: &str) -> String {
    ALIASES.iter().find_map(|(from, to)| path.strip_prefix(from).map(|rest| format!("{to}{rest}"))).unwrap_or_else(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_is_read_and_known_collisions_are_there() {
        assert_eq!(PORTS.len(), DEBIAN_12_PORTS.lines().count());
        for (port, name) in [
            (1234, "monopd_port_t"),
            (8080, "http_cache_port_t"),
            (7000, "gatekeeper_port_t"),
            (7100, "xfs_port_t"),
            (9100, "hplip_port_t"),
        ] {
            assert_eq!(port_type(Proto::Tcp, PortRange::one(port)), Some(name), "{port}");
        }
        assert_eq!(port_type(Proto::Tcp, PortRange::one(3456)), None);
        assert_eq!(narrowest(Proto::Tcp, 10_005), Some("http_cache_port_t"));
        assert!(ports_of(Proto::Tcp, "http_port_t").contains(&PortRange::one(443)));
        assert_eq!(canonical("/bin/mv"), "/usr/bin/mv");
        assert_eq!(canonical("/usr/local/bin/lotus"), "/usr/local/bin/lotus");
    }
}
