//! Netlink sockets. In comes a request, out come the payloads of the answers. Never interprets them.

use crate::{
    Error,
    wire::{self, Request},
};
use rustix::{
    fd::OwnedFd,
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType,
        netlink::{self, SocketAddrNetlink},
        recv, sendto, socket_with, sockopt,
    },
};
use std::time::Duration;

/// Which part of the kernel is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Sockets of the machine.
    SockDiag,
    /// Packet filter, connection tracking.
    Netfilter,
    /// Devices, addresses, routes.
    Route,
}

/// Bytes taken per datagram: the kernel builds dumps in pieces of at most 32 KiB.
const DATAGRAM: usize = 64 << 10;
/// Bytes the kernel may queue for us.
const RECEIVE_BUFFER: usize = 4 << 20;
/// The kernel answers from its own context: what takes longer is lost.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a list that changed while it was read is asked for again. The last one is taken as it is.
const DUMP_TRIES: u32 = 3;

/// A netlink socket.
#[derive(Debug)]
pub struct Netlink {
    fd: OwnedFd,
    what: &'static str,
    sequence: u32,
}

impl Netlink {
    /// Opens one in the network namespace of this thread.
    pub fn open(family: Family) -> Result<Self, Error> {
        let (protocol, what) = match family {
            Family::SockDiag => (Some(netlink::SOCK_DIAG), "netlink sock_diag"),
            Family::Netfilter => (Some(netlink::NETFILTER), "netlink netfilter"),
            // Its number is 0, which is what no number means.
            Family::Route => (None, "netlink route"),
        };
        let call = |e: rustix::io::Errno| Error::call(what, e);
        let fd = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol).map_err(call)?;
        // A smaller buffer only means more turns: refusal does no harm.
        let _ = sockopt::set_socket_recv_buffer_size(&fd, RECEIVE_BUFFER);
        sockopt::set_socket_timeout(&fd, sockopt::Timeout::Recv, Some(ANSWER_TIMEOUT)).map_err(call)?;
        Ok(Self { fd, what, sequence: 0 })
    }

    fn send(&mut self, request: Request) -> Result<(), Error> {
        self.sequence = self.sequence.wrapping_add(1);
        let bytes = request.finish(self.sequence);
        sendto(&self.fd, &bytes, SendFlags::empty(), &SocketAddrNetlink::new(0, 0)).map_err(|e| Error::call(self.what, e))?;
        Ok(())
    }

    /// Sends a request that lists, and hands each entry's payload to `each`.
    pub fn dump(&mut self, request: &Request, mut each: impl FnMut(&[u8])) -> Result<(), Error> {
        for turn in 1..=DUMP_TRIES {
            let mut entries: Vec<Vec<u8>> = Vec::new();
            self.send(request.clone())?;
            let interrupted = self.answers(|m| entries.push(m.payload.to_vec()))?;
            if !interrupted || turn == DUMP_TRIES {
                entries.iter().for_each(|e| each(e));
                return Ok(());
            }
        }
        Ok(())
    }

    /// Sends a request and waits until the kernel says that it is done.
    pub fn execute(&mut self, request: Request) -> Result<(), Error> {
        self.send(request)?;
        self.answers(|_| {}).map(|_| ())
    }

    /// Reads until the end or acknowledgement; whether the list changed while it was read.
    fn answers(&mut self, mut each: impl FnMut(wire::Message<'_>)) -> Result<bool, Error> {
        let mut buffer = vec![0u8; DATAGRAM];
        let mut interrupted = false;
        loop {
            let (_, length) = recv(&self.fd, buffer.as_mut_slice(), RecvFlags::TRUNC).map_err(|e| Error::call(self.what, e))?;
            let answer = |why: String| Error::Answer { what: self.what.into(), why };
            let datagram = buffer.get(..length).ok_or_else(|| answer(format!("{length} bytes at once")))?;
            for message in wire::messages(datagram) {
                let message = message.map_err(|e| answer(e.to_string()))?;
                if message.sequence != self.sequence {
                    continue;
                }
                interrupted |= message.flags & wire::DUMP_INTERRUPTED != 0;
                match message.kind {
                    wire::ERROR | wire::DONE => {
                        let code = wire::u32_at(message.payload, 0).unwrap_or(0).cast_signed();
                        return match code {
                            0 => Ok(interrupted),
                            code => Err(Error::call(self.what, std::io::Error::from_raw_os_error(code.saturating_neg()))),
                        };
                    }
                    _ => each(message),
                }
            }
        }
    }
}
