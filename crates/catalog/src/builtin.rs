//! The compiled-in entries: in come the files of `services/`, out comes one map, made once.
//!
//! The list is written out so that adding an entry shows in a diff; a test holds it against the directory.

use crate::{Service, parse};
use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};
use words::ServiceName;

macro_rules! files {
    ($($name:literal)*) => {
        /// Name and text of every compiled-in entry, sorted by name.
        pub(crate) const FILES: &[(&str, &str)] = &[$(($name, include_str!(concat!("../services/", $name, ".toml")))),*];
    };
}

files! {
    "alertmanager"
    "bmc"
    "boostd"
    "boostd-data"
    "booster-bitswap"
    "booster-http"
    "ceph"
    "cloudflared"
    "conntrackd"
    "curio"
    "dhcp"
    "dns"
    "droplet"
    "droplet-client"
    "forest"
    "gpu-exporter"
    "grafana"
    "host"
    "hypervisor"
    "index-provider"
    "iscsi"
    "keepalived"
    "loki"
    "lotus"
    "lotus-gateway"
    "lotus-miner"
    "lotus-provider"
    "lotus-wallet"
    "lotus-worker"
    "nfs3"
    "nfs4"
    "node-exporter"
    "ntp"
    "nvme-of"
    "openvpn"
    "package-mirror"
    "postgres"
    "prometheus"
    "promtail"
    "reverse-proxy"
    "skiff"
    "snmp"
    "ssh"
    "syslog"
    "tailscale"
    "venus"
    "wireguard"
    "yugabyte"
}

static BUILTIN: LazyLock<BTreeMap<ServiceName, Arc<Service>>> = LazyLock::new(|| {
    FILES
        .iter()
        .filter_map(|(name, text)| match parse(name, text) {
            Ok(service) => Some((service.name.clone(), Arc::new(service))),
            Err(bug) => {
                // A test parses every file, so this cannot be in a build that passed; an entry that is missing narrows.
                debug_assert!(false, "{bug}");
                None
            }
        })
        .collect()
});

/// Every compiled-in entry by name.
pub fn builtin() -> &'static BTreeMap<ServiceName, Arc<Service>> {
    &BUILTIN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_a_valid_entry() {
        for (name, text) in FILES {
            if let Err(e) = parse(name, text) {
                let line = e.span.clone().map_or(0, |s| text[..s.start.min(text.len())].lines().count());
                panic!("services/{name}.toml:{line}: {e}");
            }
        }
        assert_eq!(builtin().len(), FILES.len());
    }

    #[test]
    fn the_list_is_the_directory() {
        let dir = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/services")).expect("services");
        let mut on_disk: Vec<String> =
            dir.map(|e| e.expect("entry").file_name().to_string_lossy().trim_end_matches(".toml").to_owned()).collect();
        on_disk.sort();
        assert_eq!(FILES.iter().map(|f| f.0.to_owned()).collect::<Vec<_>>(), on_disk);
    }

    #[test]
    fn entries_agree_with_each_other() {
        assert_eq!(crate::check::references(builtin()), Vec::<String>::new());
    }

    #[test]
    fn every_fact_has_a_source_and_every_entry_a_date() {
        for s in builtin().values() {
            let facts = (s.endpoints.iter().map(|x| &x.source))
                .chain(s.peers.iter().map(|x| &x.source))
                .chain(s.egress.iter().map(|x| &x.source))
                .chain(s.paths.iter().map(|x| &x.source))
                .chain(s.secrets.iter().map(|x| &x.source))
                .chain(s.settings.iter().map(|x| &x.source))
                .chain(s.traps.iter().map(|x| &x.source))
                .chain(s.needs.iter().map(|x| &x.source))
                .chain(s.unit.iter().map(|x| &x.source));
            assert!(facts.chain([&s.source]).all(|x| !x.trim().is_empty()), "{}: a fact without source", s.name);
            let date: Vec<&str> = s.checked.split('-').collect();
            assert!(
                matches!(date.as_slice(), [y, m, d] if y.len() == 4 && m.len() == 2 && d.len() == 2),
                "{}: checked = {}",
                s.name,
                s.checked
            );
        }
    }
}
