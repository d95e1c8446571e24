//! Listening sockets on every port of interest on every node, served by one thread.
//!
//! In come ports per node; out goes, to whoever connects, a banner that says which node and port answered, then an echo.
//! Ports nobody should reach are opened as well: a filter that holds only because nobody listens is no filter.
//! Never: outlives the process.

use crate::{build::Lab, error::LabError};
use rustix::{
    buffer::spare_capacity,
    event::epoll,
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, accept_with, bind, listen, recv, recvfrom, send, sendto, socket_with,
        sockopt,
    },
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv6Addr, SocketAddr},
    os::fd::OwnedFd,
};
use words::Proto;

/// Every banner's beginning.
pub const BANNER: &str = "RAVELIN-LAB ";
/// Connections that may wait to be accepted.
const BACKLOG: i32 = 128;
/// Events taken from the kernel at once.
const EVENTS: usize = 256;

/// Which ports to open, per node.
pub type Ports = BTreeMap<String, BTreeSet<(Proto, u16)>>;

enum Socket {
    Stream { listener: OwnedFd, banner: String },
    Datagram { socket: OwnedFd, banner: String },
    Talk(OwnedFd),
}

/// Opens everything and serves it until the process ends. Returns how many sockets listen.
pub fn serve(lab: &Lab, ports: &Ports) -> Result<usize, LabError> {
    let mut sockets = Vec::new();
    for (node, wanted) in ports {
        let addresses: Vec<IpAddr> = lab
            .topology
            .nodes
            .get(node)
            .map(|n| n.ports.iter().flat_map(|p| p.addresses.iter().map(ipnet::IpNet::addr)).collect())
            .unwrap_or_default();
        sockets.append(&mut lab.space(node)?.run(|| open(node, &addresses, wanted))?);
    }
    let count = sockets.len();
    let server = Server::new(sockets)?;
    std::thread::Builder::new().name("lab-listeners".into()).spawn(move || server.run()).map_err(LabError::io("start the listeners"))?;
    Ok(count)
}

/// TCP listens on every address at once; UDP on each by itself, so that answers leave from the address that was asked.
fn open(node: &str, addresses: &[IpAddr], wanted: &BTreeSet<(Proto, u16)>) -> Result<Vec<Socket>, LabError> {
    let mut all = Vec::new();
    for (proto, port) in wanted {
        let banner = format!("{BANNER}{node} {port}\n");
        match proto {
            Proto::Tcp => {
                let listener = bound(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), *port), SocketType::STREAM)?;
                listen(&listener, BACKLOG).map_err(LabError::os(format!("listen on {port}")))?;
                all.push(Socket::Stream { listener, banner });
            }
            Proto::Udp => {
                for a in addresses {
                    all.push(Socket::Datagram { socket: bound(SocketAddr::new(*a, *port), SocketType::DGRAM)?, banner: banner.clone() });
                }
            }
            _ => {}
        }
    }
    Ok(all)
}

fn bound(at: SocketAddr, kind: SocketType) -> Result<OwnedFd, LabError> {
    let family = if at.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, kind, flags, None).map_err(LabError::os("open a socket"))?;
    sockopt::set_socket_reuseaddr(&socket, true).map_err(LabError::os("set SO_REUSEADDR"))?;
    if kind == SocketType::STREAM && at.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, false).map_err(LabError::os("clear IPV6_V6ONLY"))?;
    }
    bind(&socket, &at).map_err(LabError::os(format!("bind {at}")))?;
    Ok(socket)
}

struct Server {
    poll: OwnedFd,
    sockets: BTreeMap<u64, Socket>,
    next: u64,
}

impl Server {
    fn new(sockets: Vec<Socket>) -> Result<Self, LabError> {
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(LabError::os("create an epoll"))?;
        let mut server = Self { poll, sockets: BTreeMap::new(), next: 0 };
        for s in sockets {
            server.watch(s).map_err(LabError::os("watch a listener"))?;
        }
        Ok(server)
    }

    fn watch(&mut self, socket: Socket) -> Result<(), Errno> {
        let fd = match &socket {
            Socket::Stream { listener, .. } => listener,
            Socket::Datagram { socket, .. } => socket,
            Socket::Talk(fd) => fd,
        };
        epoll::add(&self.poll, fd, epoll::EventData::new_u64(self.next), epoll::EventFlags::IN)?;
        self.sockets.insert(self.next, socket);
        self.next += 1;
        Ok(())
    }

    fn run(mut self) {
        loop {
            let mut events = Vec::with_capacity(EVENTS);
            match epoll::wait(&self.poll, spare_capacity(&mut events), None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(_) => return,
            }
            for event in events {
                self.serve(event.data.u64());
            }
        }
    }

    fn serve(&mut self, id: u64) {
        let mut buffer = [0u8; 2048];
        match self.sockets.get(&id) {
            Some(Socket::Stream { listener, banner }) => {
                let mut came = Vec::new();
                while let Ok(fd) = accept_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
                    let _ = send(&fd, banner.as_bytes(), SendFlags::NOSIGNAL);
                    came.push(fd);
                }
                for fd in came {
                    let _ = self.watch(Socket::Talk(fd));
                }
            }
            Some(Socket::Datagram { socket, banner }) => {
                while let Ok((_, _, from)) = recvfrom(socket, &mut buffer, RecvFlags::empty()) {
                    if let Some(from) = from {
                        let _ = sendto(socket, banner.as_bytes(), SendFlags::NOSIGNAL, &from);
                    }
                }
            }
            Some(Socket::Talk(fd)) => match recv(fd, &mut buffer, RecvFlags::empty()) {
                Err(Errno::AGAIN) => {}
                Ok((n, _)) if n > 0 => drop(send(fd, buffer.get(..n).unwrap_or_default(), SendFlags::NOSIGNAL)),
                _ => drop(self.sockets.remove(&id)),
            },
            None => {}
        }
    }
}
