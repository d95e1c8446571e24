//! A policy as the bench needs it: exact permissions between hosts of different zones, and the router's devices.
//!
//! In comes a number of hosts; out come zones and permissions, the same for the same number.

use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, net::Ipv4Addr};

/// Transport protocols the bench sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Proto {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Proto {
    /// Protocol number.
    pub fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
        }
    }
    /// As nft and iptables write it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// A zone and the router's device in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Zone {
    /// The router's device.
    pub device: String,
    /// Its subnets: address and prefix length.
    pub subnets: Vec<(Ipv4Addr, u8)>,
}

/// One permission: this host may open this port of that host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Permit {
    /// Protocol.
    pub proto: Proto,
    /// Who opens.
    pub src: Ipv4Addr,
    /// Who listens.
    pub dst: Ipv4Addr,
    /// On which port.
    pub port: u16,
    /// Index of the opener's zone.
    pub from: usize,
    /// Index of the listener's zone.
    pub to: usize,
}

/// Everything the router forwards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Number of hosts it was made for.
    pub hosts: usize,
    /// Zones.
    pub zones: Vec<Zone>,
    /// Permissions, sorted.
    pub permits: Vec<Permit>,
}

/// Ports of the hand-made policy, as a provider's services use them.
const PORTS: [(Proto, u16); 6] =
    [(Proto::Tcp, 1234), (Proto::Tcp, 2345), (Proto::Tcp, 3456), (Proto::Tcp, 5433), (Proto::Tcp, 9100), (Proto::Udp, 53)];

/// Zones of the hand-made policy; a provider's usual number of VLANs.
const ZONES: usize = 6;

/// Peers of each host: at 1,000 hosts this makes the 20,000 and more elements the goal speaks of.
const PEERS: usize = 24;

/// A policy without a site file: each host may open a service on up to [`PEERS`] hosts of other zones.
pub fn mesh(hosts: usize) -> Policy {
    let zones = (0..ZONES)
        .map(|z| Zone { device: format!("vlan{z}"), subnets: vec![(Ipv4Addr::new(10, u8::try_from(z).unwrap_or(u8::MAX), 0, 0), 16)] })
        .collect();
    let address = |host: usize| {
        let [.., high, low] = (host / ZONES + 1).to_be_bytes();
        Ipv4Addr::new(10, u8::try_from(host % ZONES).unwrap_or(u8::MAX), high, low)
    };
    let mut permits = BTreeSet::new();
    for src in 0..hosts {
        for peer in 0..PEERS.min(hosts) {
            // A stride that is prime to the usual sizes spreads peers over all zones.
            let dst = (src + 1 + peer * 37) % hosts;
            if dst % ZONES != src % ZONES {
                let (proto, port) = PORTS[(src + peer) % PORTS.len()];
                permits.insert(Permit { proto, src: address(src), dst: address(dst), port, from: src % ZONES, to: dst % ZONES });
            }
        }
    }
    Policy { hosts, zones, permits: permits.into_iter().collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_hosts_make_twenty_thousand_permissions() {
        let policy = mesh(1_000);
        assert!(policy.permits.len() >= 19_000, "{}", policy.permits.len());
        assert!(policy.permits.iter().all(|p| p.from != p.to));
        assert!(mesh(10).permits.len() > 10);
    }
}
