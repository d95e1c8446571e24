//! Packets that wait for a verdict: NFQUEUE (`include/uapi/linux/netfilter/nfnetlink_queue.h`). In come numbers of queues and how they are to
//! work, out come packets as the kernel hands them over; verdicts go back in batches. When the socket goes, the kernel drops what waits and
//! from then on does what each rule says of a queue that nobody reads. Never: judges a packet.
//!
//! | module | what |
//! |---|---|
//! | [`packet`] | a packet's message, taken apart |
//! | [`verdict`] | verdicts, those alike in one message |

pub mod packet;
pub mod verdict;

pub use packet::Packet;
pub use verdict::{Verdict, Verdicts};

use crate::{
    Error,
    wire::{self, Request},
};
use rustix::{
    fd::OwnedFd,
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType,
        netlink::{self, SocketAddrNetlink},
        recv, sendto, socket_with, sockopt,
    },
};
use std::{collections::VecDeque, time::Duration};

pub(crate) const SUBSYSTEM: u16 = 3 << 8;
const PACKET: u16 = SUBSYSTEM;
const CONFIGURE: u16 = SUBSYSTEM | 2;

const COMMAND: u16 = 1;
const PARAMETERS: u16 = 2;
const MOST: u16 = 3;
const MASK: u16 = 4;
const FLAGS: u16 = 5;
const BIND: u8 = 1;
const UNBIND: u8 = 2;
/// Headers and payload are copied to us.
const COPY_PACKET: u8 = 2;
/// Bytes copied of a packet: as many as an attribute holds (`0xffff - NLA_HDRLEN`).
pub const COPY_RANGE: u32 = 0xffff - 4;

const FAIL_OPEN: u32 = 1;
const CONNTRACK: u32 = 1 << 1;
const GSO: u32 = 1 << 2;

/// Bytes of a message: a whole packet and some twenty attributes of a few bytes.
const DATAGRAM: usize = (64 << 10) + (4 << 10);
/// Messages the kernel may send while it answers a request: those are packets, which are kept.
const MAX_ANSWERS: usize = 1 << 16;
/// The kernel answers a request from its own context.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// How a queue is to work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Packets that may wait at once.
    pub most: u32,
    /// What finds no room goes on unjudged; else it is dropped.
    pub fail_open: bool,
    /// Segments come as the stack moves them, up to 64 KiB, not cut to the wire's size.
    pub segments: bool,
}

/// What the kernel grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Granted {
    /// The connection's mark comes with each packet and can be written with the verdict; not with every kernel
    /// (`CONFIG_NETFILTER_NETLINK_GLUE_CT`).
    pub connections: bool,
}

/// What a turn of receiving brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Received {
    /// A message, handed over.
    Message,
    /// Nothing, within the time.
    Nothing,
    /// The kernel found no room in the socket for a packet: it was dropped, or let go on where the queue is open.
    Lost,
    /// A message that is no packet: the kernel refused an earlier verdict.
    Refused,
}

/// Queues of this thread's network namespace, read through one socket.
#[derive(Debug)]
pub struct Queues {
    fd: OwnedFd,
    sequence: u32,
    buffer: Vec<u8>,
    /// Packets that came while an answer was waited for.
    early: VecDeque<Vec<u8>>,
    bound: Vec<u16>,
    room: usize,
}

impl Queues {
    /// Opens the socket. `room`: bytes of packets that may wait in it; more than the machine's limit needs the capability that queues need
    /// anyway. `wait`: how long [`Queues::receive`] waits.
    ///
    /// # Errors
    /// Where the kernel has no such sockets.
    pub fn open(room: usize, wait: Duration) -> Result<Self, Error> {
        let call = |e: Errno| Error::call(WHAT, e);
        let fd = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, Some(netlink::NETFILTER)).map_err(call)?;
        if sockopt::set_socket_recv_buffer_size_force(&fd, room).is_err() {
            // Within the machine's limit: packets are lost sooner, and that is counted.
            let _ = sockopt::set_socket_recv_buffer_size(&fd, room);
        }
        let room = sockopt::socket_recv_buffer_size(&fd).map_err(call)?;
        sockopt::set_socket_timeout(&fd, sockopt::Timeout::Recv, Some(wait)).map_err(call)?;
        Ok(Self { fd, sequence: 0, buffer: vec![0; DATAGRAM], early: VecDeque::new(), bound: Vec::new(), room })
    }

    /// Bytes that the kernel granted for packets that wait, as it counts them.
    pub fn room(&self) -> usize {
        self.room
    }

    /// The queues that are bound.
    pub fn bound(&self) -> &[u16] {
        &self.bound
    }

    /// Begins to read a queue.
    ///
    /// # Errors
    /// Where another process reads it (`EPERM`), the capability is missing (`EPERM`), or the kernel knows no queues.
    pub fn bind(&mut self, queue: u16, settings: &Settings) -> Result<Granted, Error> {
        let flags = if settings.fail_open { FAIL_OPEN } else { 0 } | if settings.segments { GSO } else { 0 };
        let mut request = self.configure(queue, settings, flags | CONNTRACK);
        let mut granted = Granted { connections: true };
        if let Err(e) = self.execute(request) {
            // EOPNOTSUPP: without the connection, then.
            if e.raw_os_error() != Errno::OPNOTSUPP.raw_os_error() {
                return Err(Error::call(format!("{WHAT}: bind queue {queue}"), e));
            }
            // The kernel may have made the queue before it looked at the flags.
            let _ = self.execute(command(queue, UNBIND));
            granted.connections = false;
            request = self.configure(queue, settings, flags);
            self.execute(request).map_err(|e| Error::call(format!("{WHAT}: bind queue {queue}"), e))?;
        }
        self.bound.push(queue);
        Ok(granted)
    }

    fn configure(&self, queue: u16, settings: &Settings, flags: u32) -> Request {
        let mut parameters = COPY_RANGE.to_be_bytes().to_vec();
        parameters.push(COPY_PACKET);
        command(queue, BIND)
            .with(PARAMETERS, &parameters)
            .with(MOST, &settings.most.to_be_bytes())
            .with(FLAGS, &flags.to_be_bytes())
            .with(MASK, &(FAIL_OPEN | CONNTRACK | GSO).to_be_bytes())
    }

    fn execute(&mut self, request: Request) -> Result<(), Errno> {
        self.sequence = self.sequence.wrapping_add(1);
        let sequence = self.sequence;
        self.send(&request.finish(sequence))?;
        let begun = std::time::Instant::now();
        for _ in 0..MAX_ANSWERS {
            if begun.elapsed() > ANSWER_TIMEOUT {
                break;
            }
            let length = match recv(&self.fd, self.buffer.as_mut_slice(), RecvFlags::empty()) {
                Ok((length, _)) => length,
                Err(Errno::AGAIN | Errno::NOBUFS | Errno::INTR) => continue,
                Err(e) => return Err(e),
            };
            let datagram = self.buffer.get(..length).unwrap_or_default();
            for message in wire::messages(datagram).map_while(Result::ok) {
                match message.kind {
                    PACKET => self.early.push_back(message.payload.to_vec()),
                    wire::ERROR if message.sequence == sequence => {
                        let code = wire::u32_at(message.payload, 0).unwrap_or(0).cast_signed();
                        return if code == 0 { Ok(()) } else { Err(Errno::from_raw_os_error(code.saturating_neg())) };
                    }
                    _ => {}
                }
            }
        }
        Err(Errno::TIMEDOUT)
    }

    fn send(&self, bytes: &[u8]) -> Result<(), Errno> {
        sendto(&self.fd, bytes, SendFlags::empty(), &SocketAddrNetlink::new(0, 0)).map(drop)
    }

    /// Takes the next message and hands its packet to `each`. With `wait` until the time set at opening is over, else only what is there.
    /// A packet that cannot be read is handed over as its number, as far as that can be read: it must get a verdict too.
    ///
    /// # Errors
    /// Where the socket fails.
    pub fn receive(&mut self, wait: bool, each: &mut dyn FnMut(Packet<'_>)) -> Result<Received, Error> {
        if let Some(payload) = self.early.pop_front() {
            return Ok(hand_over(&payload, each));
        }
        let flags = if wait { RecvFlags::empty() } else { RecvFlags::DONTWAIT };
        let length = match recv(&self.fd, self.buffer.as_mut_slice(), flags) {
            Ok((length, _)) => length,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(Received::Nothing),
            Err(Errno::NOBUFS) => return Ok(Received::Lost),
            Err(e) => return Err(Error::call(WHAT, e)),
        };
        let mut what = Received::Refused;
        for message in wire::messages(self.buffer.get(..length).unwrap_or_default()).map_while(Result::ok) {
            if message.kind == PACKET {
                what = hand_over(message.payload, each);
            }
        }
        Ok(what)
    }

    /// Sends verdicts, and empties them.
    ///
    /// # Errors
    /// Where the socket fails.
    pub fn decide(&self, verdicts: &mut Verdicts) -> Result<(), Error> {
        let bytes = verdicts.bytes();
        if bytes.is_empty() {
            return Ok(());
        }
        let sent = self.send(bytes).map_err(|e| Error::call(format!("{WHAT}: verdicts"), e));
        verdicts.clear();
        sent
    }
}

const WHAT: &str = "netfilter queue";

fn hand_over(payload: &[u8], each: &mut dyn FnMut(Packet<'_>)) -> Received {
    match Packet::read(payload) {
        Some(packet) => {
            each(packet);
            Received::Message
        }
        None => Received::Refused,
    }
}

fn command(queue: u16, command: u8) -> Request {
    Request::new(CONFIGURE, wire::ACK, &general(queue)).with(COMMAND, &[command, 0, 0, 0])
}

/// `nfgenmsg`: no family, version 0, the queue.
pub(crate) fn general(queue: u16) -> [u8; 4] {
    let [high, low] = queue.to_be_bytes();
    [0, 0, high, low]
}
