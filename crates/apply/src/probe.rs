//! What must work after a change, tried from this machine. In come probes, out come those that failed, by their id and
//! destination. An answer of either kind, accepted or refused by the other end, shows that the way is open; silence or an unreachable does not.

use bundle::Probe;
use std::{
    collections::BTreeMap,
    io::ErrorKind,
    net::{SocketAddr, TcpStream},
    time::Duration,
};
use words::Proto;

/// How long an answer may take: three retransmissions of a SYN (1 s, 2 s, 4 s) are more than a working way needs.
const PATIENCE: Duration = Duration::from_secs(3);

/// Tries all of them at once. Out come those without an answer, and why.
pub fn failures(probes: &[Probe]) -> BTreeMap<String, String> {
    std::thread::scope(|scope| {
        let tried: Vec<_> = probes.iter().map(|p| (key(p), scope.spawn(move || attempt(p)))).collect();
        let ended = |t: std::thread::ScopedJoinHandle<'_, Option<String>>| t.join().unwrap_or_else(|_| Some("a probe broke".into()));
        tried.into_iter().filter_map(|(key, t)| Some((key, ended(t)?))).collect()
    })
}

fn key(probe: &Probe) -> String {
    format!("{} {} {}", probe.id, probe.to, probe.port)
}

fn attempt(probe: &Probe) -> Option<String> {
    if probe.proto != Proto::Tcp {
        return Some(format!("{}: only TCP can be probed", probe.id));
    }
    match TcpStream::connect_timeout(&SocketAddr::new(probe.to, probe.port), PATIENCE) {
        Ok(_) => None,
        Err(e) if e.kind() == ErrorKind::ConnectionRefused => None,
        Err(e) => Some(format!("{}: {} port {}: {e}", probe.id, probe.to, probe.port)),
    }
}
