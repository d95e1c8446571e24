//! Flows that conversations announce, such as the data connections of FTP. In come announcements, out comes the one that a new flow is.
//! Bounded in number and time; each is used once.

use ips_proto::Expected;
use std::{
    collections::VecDeque,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// Announcements that are kept: the oldest go first.
const MOST: usize = 4096;
/// Microseconds until an announcement means nothing any more: as long as the peer keeps one.
const PATIENCE: u64 = 10 * 60 * 1_000_000;
/// Addresses in an announcement.
const V4: usize = 4;
const V6: usize = 16;

#[derive(Debug)]
struct Announced {
    listener: IpAddr,
    until: u64,
    what: Expected,
}

/// What was announced.
#[derive(Debug, Default)]
pub struct Expectations(VecDeque<Announced>);

impl Expectations {
    /// Keeps an announcement; `own`: the address of who listens, where none is named.
    pub fn add(&mut self, what: Expected, own: IpAddr, now: u64) {
        let named = match what.address.len() {
            V4 => what.address.as_slice().try_into().ok().map(|a: [u8; V4]| IpAddr::V4(Ipv4Addr::from(a))),
            V6 => what.address.as_slice().try_into().ok().map(|a: [u8; V6]| IpAddr::V6(Ipv6Addr::from(a))),
            _ => None,
        };
        if self.0.len() >= MOST {
            self.0.pop_front();
        }
        self.0.push_back(Announced { listener: named.unwrap_or(own), until: now.saturating_add(PATIENCE), what });
    }

    /// Takes the announcement of a flow to this address and port.
    pub fn take(&mut self, listener: IpAddr, port: u16, now: u64) -> Option<Expected> {
        if self.0.is_empty() {
            return None;
        }
        while self.0.front().is_some_and(|a| a.until < now) {
            self.0.pop_front();
        }
        let at = self.0.iter().position(|a| a.what.port == port && a.listener == listener)?;
        self.0.remove(at).map(|a| a.what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ips_proto::Toward;
    use ips_rules::header::App;

    #[test]
    fn an_announcement_is_used_once_and_in_time() {
        let (own, other) = (IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)));
        let mut e = Expectations::default();
        let what = |address: &[u8]| Expected {
            listener: Toward::Server,
            port: 2020,
            address: address.to_vec(),
            app: App::FtpData,
            command: Default::default(),
            name: Default::default(),
        };
        e.add(what(&[]), own, 0);
        e.add(what(&[10, 0, 0, 1]), own, 0);
        assert!(e.take(own, 2021, 1).is_none());
        assert!(e.take(own, 2020, 1).is_some() && e.take(own, 2020, 1).is_none());
        assert!(e.take(other, 2020, PATIENCE + 1).is_none());
        for n in 0..10_000 {
            e.add(what(&[]), own, n);
        }
        assert_eq!(e.0.len(), MOST);
    }
}
