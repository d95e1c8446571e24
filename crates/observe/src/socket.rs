//! Sockets of this network namespace, and which processes hold them.

use crate::{Error, socket_table};
use facts::{Socket, SocketState};
use std::{collections::BTreeMap, fs, net::IpAddr};
use words::Proto;

/// All TCP and UDP sockets, sorted, without their processes.
pub fn list() -> Result<Vec<Socket>, Error> {
    let mut entries = Vec::new();
    for protocol in [sys::diag::TCP, sys::diag::UDP] {
        for v6 in [false, true] {
            // On a machine that loads no modules any more the kernel may have no list to give; its older table is always there.
            entries.extend(match sys::diag::sockets(protocol, v6)? {
                Some(list) => list,
                None => socket_table::look(protocol, v6)?,
            });
        }
    }
    let mut out: Vec<Socket> = entries
        .into_iter()
        .filter_map(|e| {
            let unspecified = e.remote.port() == 0;
            Some(Socket {
                proto: Proto::from_number(e.protocol),
                local: e.local,
                remote: (!unspecified).then_some(e.remote),
                state: SocketState::from_number(e.state)?,
                dual: e.v6 && e.v6_only == Some(false) && e.local.ip() == IpAddr::from([0u16; 8]),
                device: sys::diag::device_name(e.device),
                uid: e.uid,
                inode: u64::from(e.inode),
                pids: Vec::new(),
            })
        })
        .collect();
    out.sort();
    Ok(out)
}

/// Which processes hold which socket inodes. The second value counts processes that could not be looked into.
pub fn owners() -> Result<(BTreeMap<u64, Vec<u32>>, usize), Error> {
    let mut held: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
    let mut closed = 0;
    let entries = fs::read_dir("/proc").map_err(|source| Error::File { path: "/proc".into(), source })?;
    let mut pids: Vec<u32> = entries.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    for pid in pids {
        let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else {
            // Gone meanwhile, or somebody else's.
            closed += usize::from(fs::metadata(format!("/proc/{pid}")).is_ok());
            continue;
        };
        for descriptor in descriptors.flatten() {
            let Ok(target) = fs::read_link(descriptor.path()) else { continue };
            let inode = target.to_str().and_then(|t| t.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok());
            if let Some(inode) = inode {
                let pids = held.entry(inode).or_default();
                if pids.last() != Some(&pid) {
                    pids.push(pid);
                }
            }
        }
    }
    Ok((held, closed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream, UdpSocket};

    #[test]
    fn both_ends_of_an_own_connection_are_seen_with_their_process() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listens");
        let client = TcpStream::connect(listener.local_addr().expect("address")).expect("connects");
        let (server, _) = listener.accept().expect("accepts");
        let udp = UdpSocket::bind("[::]:0").ok();
        let all = list().expect("lists");
        let local = |a: std::net::SocketAddr| all.iter().find(move |s| s.local == a && s.remote.is_some());
        let (a, b) =
            (local(client.local_addr().expect("address")).expect("client"), local(server.local_addr().expect("address")).expect("server"));
        assert!(a.remote == Some(b.local) && b.remote == Some(a.local) && a.state == SocketState::Established);
        let (held, _) = owners().expect("reads");
        assert!(held.get(&a.inode).is_some_and(|p| p.contains(&std::process::id())));
        if let Some(udp) = udp {
            let port = udp.local_addr().expect("address").port();
            let seen = all.iter().find(|s| s.proto == Proto::Udp && s.local.port() == port).expect("UDP");
            assert!(seen.listens() && seen.dual && seen.on_any_address());
        }
    }
}
