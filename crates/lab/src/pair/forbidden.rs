//! Packets the policy forbids, sent across the edge while something happens to it. In come a stage, out comes how many were sent and how many
//! arrived. A packet counts as arrived where its receiver's own socket has it, whatever becomes of an answer. Never: takes a way for
//! forbidden that a flow of the model allows.

use crate::{error::LabError, stage::Stage, topology::Role};
use serde::Serialize;
use std::{
    io::ErrorKind,
    net::{IpAddr, SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};
use words::Proto;

/// A port that no flow of any site names; those that allow any go to the Internet.
const PORT: u16 = 40_404;
/// Between two rounds.
const ROUND: Duration = Duration::from_millis(5);
/// How long what was sent last may be on its way.
const LAST: Duration = Duration::from_millis(100);

/// What became of forbidden packets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Forbidden {
    /// Sent.
    pub sent: u64,
    /// Arrived: none may.
    pub arrived: u64,
}

/// A try under way.
pub struct Trespass {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Forbidden>,
}

struct Way {
    from: UdpSocket,
    to: SocketAddr,
}

/// From one machine of every zone, and everybody outside, to one machine of every other zone.
pub fn begin(stage: &Stage) -> Result<Trespass, LabError> {
    let nodes: Vec<_> = stage.lab.topology.nodes.values().filter(|n| !matches!(n.role, Role::Edge | Role::Router)).collect();
    let (mut ways, mut takers) = (Vec::new(), Vec::new());
    let mut seen = std::collections::BTreeSet::new();
    for to in nodes.iter().filter(|n| n.role != Role::Outside) {
        for port in to.ports.iter().filter(|p| seen.insert(p.segment.clone())) {
            for there in port.addresses.iter().map(ipnet::IpNet::addr) {
                let at = SocketAddr::new(there, PORT);
                takers.push(bound(stage, &to.name, at)?);
                for from in nodes.iter().filter(|n| n.name != to.name && n.ports.iter().all(|p| p.segment != port.segment)) {
                    let own: Vec<IpAddr> = from.ports.iter().flat_map(|p| &p.addresses).map(ipnet::IpNet::addr).collect();
                    let Some(here) = own.iter().find(|a| a.is_ipv4() == there.is_ipv4()) else { continue };
                    if allowed(stage, *here, there) {
                        continue;
                    }
                    ways.push(Way { from: bound(stage, &from.name, SocketAddr::new(*here, 0))?, to: at });
                }
            }
        }
    }
    if ways.is_empty() {
        return Err(LabError::Other("no way across the edge is forbidden".into()));
    }
    let stop = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stop);
    let thread = std::thread::Builder::new().name("pair-forbidden".into()).spawn(move || run(&ways, &takers, &told));
    Ok(Trespass { stop, thread: thread.map_err(LabError::io("start what is forbidden"))? })
}

impl Trespass {
    /// Ends it.
    pub fn end(self) -> Forbidden {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_default()
    }
}

/// Whether some flow of the model lets this pair of addresses through to the port.
fn allowed(stage: &Stage, from: IpAddr, to: IpAddr) -> bool {
    let hits = |nets: &[ipnet::IpNet], a: IpAddr| nets.iter().any(|n| n.contains(&a));
    let udp = stage.model.flows.iter().filter(|f| f.target.proto == Proto::Udp && f.target.ports.contains(PORT));
    udp.flat_map(|f| &f.legs).any(|l| hits(&l.src, from) && hits(&l.dst, to))
}

fn bound(stage: &Stage, node: &str, at: SocketAddr) -> Result<UdpSocket, LabError> {
    let socket = stage.lab.space(node)?.run(|| UdpSocket::bind(at).map_err(LabError::io(format!("bind {at} in {node}"))))?;
    socket.set_nonblocking(true).map_err(LabError::io("make a socket wait for nothing"))?;
    Ok(socket)
}

fn run(ways: &[Way], takers: &[UdpSocket], stop: &AtomicBool) -> Forbidden {
    let mut seen = Forbidden::default();
    loop {
        let last = stop.load(Ordering::Relaxed);
        if last {
            std::thread::sleep(LAST);
        } else {
            // What its own kernel refuses (an unreachable answer to the one before) is tried again at once.
            let send = |w: &Way| w.from.send_to(b"forbidden", w.to).or_else(|_| w.from.send_to(b"forbidden", w.to)).is_ok();
            seen.sent += ways.iter().filter(|w| send(w)).count() as u64;
        }
        for taker in takers {
            let mut buffer = [0_u8; 64];
            loop {
                match taker.recv_from(&mut buffer) {
                    Ok(_) => seen.arrived += 1,
                    Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                    // An error of another packet's, told at the next word.
                    Err(_) => {}
                }
            }
        }
        if last {
            return seen;
        }
        std::thread::sleep(ROUND);
    }
}
