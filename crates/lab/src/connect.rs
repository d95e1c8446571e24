//! Real connections: what an honest program would do, as proof of a positive.
//!
//! In come a node, a source and a destination; out comes who answered. Never: calls a timeout proof of a denial.

use crate::{error::LabError, listen::BANNER, space::Space};
use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
    net::{AddressFamily, RecvFlags, SendFlags, SocketAddrAny, SocketFlags, SocketType, bind, connect, recv, send, socket_with, sockopt},
    time::Timespec,
};
use serde::Serialize;
use std::{
    net::{IpAddr, SocketAddr},
    os::fd::OwnedFd,
    time::{Duration, Instant},
};
use words::Proto;

/// How long an answer may take; a lab's round trip is well below a millisecond, a busy machine's scheduler is not.
pub const ANSWER_WITHIN: Duration = Duration::from_millis(1500);

/// What came of a try to connect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "result")]
pub enum Answer {
    /// A listener of the lab answered and said who it is.
    From {
        /// Node.
        node: String,
        /// Port on that node.
        port: u16,
    },
    /// The sender's own kernel said no at once.
    Refused {
        /// Errno in words.
        why: String,
    },
    /// Somebody reset it or an ICMP error came.
    Rejected {
        /// Errno in words.
        why: String,
    },
    /// Nothing came back in time.
    Silence,
}

impl Answer {
    /// The node that answered.
    pub fn node(&self) -> Option<&str> {
        match self {
            Answer::From { node, .. } => Some(node),
            _ => None,
        }
    }
}

/// A connection that is held open, to see whether it outlives what is done meanwhile.
#[derive(Debug)]
pub struct Held {
    socket: OwnedFd,
    /// Who answered when it was opened.
    pub peer: String,
}

impl Held {
    /// Sends a byte and waits for its echo.
    pub fn alive(&self) -> bool {
        send(&self.socket, b"!", SendFlags::NOSIGNAL).is_ok() && receive(&self.socket, ANSWER_WITHIN).is_ok_and(|b| !b.is_empty())
    }
}

impl Held {
    /// Sends one byte and waits for nothing.
    pub(crate) fn beat(&self) {
        // What is not sent is not answered: the hole says so.
        let _ = send(&self.socket, b".", SendFlags::NOSIGNAL);
    }

    /// From now on every byte over TCP leaves by itself, not with the next one.
    pub(crate) fn at_once(&self) {
        // Over UDP there is nothing to set.
        let _ = sockopt::set_tcp_nodelay(&self.socket, true);
    }

    /// Whether something has arrived; takes it.
    pub(crate) fn heard(&self) -> bool {
        let mut buffer = [0u8; 256];
        recv(&self.socket, &mut buffer, RecvFlags::DONTWAIT).is_ok_and(|(n, _)| n > 0)
    }
}

/// What became of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Its other end answers.
    Answers,
    /// It was reset, or an error came.
    Reset,
    /// Nothing came.
    Silent,
}

/// Asks all connections at once, and gives each its answer in the same order.
pub fn ask_all<'h>(held: impl Iterator<Item = &'h Held> + Clone, within: Duration) -> Vec<Fate> {
    let sent: Vec<bool> = held.clone().map(|h| send(&h.socket, b"!", SendFlags::NOSIGNAL).is_ok()).collect();
    let end = Instant::now() + within;
    let one = |(h, sent): (&Held, bool)| {
        if !sent {
            return Fate::Reset;
        }
        match receive(&h.socket, end.saturating_duration_since(Instant::now())) {
            Ok(bytes) if !bytes.is_empty() => Fate::Answers,
            Err(Answer::Silence) => Fate::Silent,
            _ => Fate::Reset,
        }
    };
    held.zip(sent).map(one).collect()
}

/// Connects over TCP or UDP and keeps the connection.
pub fn keep(space: &Space, src: Option<IpAddr>, dst: SocketAddr, proto: Proto) -> Result<Result<Held, Answer>, LabError> {
    Ok(match open(space, src, dst, proto)? {
        Ok((socket, Answer::From { node, .. })) => Ok(Held { socket, peer: node }),
        Ok((_, answer)) | Err(answer) => Err(answer),
    })
}

/// Connects from a node and reads the banner. `src` binds the source; otherwise the kernel chooses.
pub fn ask(space: &Space, src: Option<IpAddr>, dst: SocketAddr, proto: Proto) -> Result<Answer, LabError> {
    Ok(match open(space, src, dst, proto)? {
        Ok((_, answer)) | Err(answer) => answer,
    })
}

/// Connects over TCP and keeps the connection.
pub fn hold(space: &Space, src: Option<IpAddr>, dst: SocketAddr) -> Result<Result<Held, Answer>, LabError> {
    keep(space, src, dst, Proto::Tcp)
}

type Opened = Result<(OwnedFd, Answer), Answer>;

fn open(space: &Space, src: Option<IpAddr>, dst: SocketAddr, proto: Proto) -> Result<Opened, LabError> {
    let kind = match proto {
        Proto::Tcp => SocketType::STREAM,
        Proto::Udp => SocketType::DGRAM,
        other => return Err(LabError::Packet(format!("no connections over {other}"))),
    };
    let family = if dst.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = space.run(|| {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(family, kind, flags, None).map_err(LabError::os("open a socket"))?;
        if let Some(src) = src {
            bind(&socket, &SocketAddr::new(src, 0)).map_err(LabError::os(format!("bind to {src} in {}", space.name())))?;
        }
        Ok(socket)
    })?;
    match connect(&socket, &SocketAddrAny::from(dst)) {
        Ok(()) | Err(Errno::INPROGRESS) => {}
        Err(e) => return Ok(Err(Answer::Refused { why: e.to_string() })),
    }
    if proto == Proto::Udp {
        if let Err(e) = send(&socket, b"?", SendFlags::NOSIGNAL) {
            return Ok(Err(Answer::Refused { why: e.to_string() }));
        }
    } else if let Err(answer) = connected(&socket)? {
        return Ok(Err(answer));
    }
    let banner = match receive(&socket, ANSWER_WITHIN) {
        Ok(bytes) => bytes,
        Err(answer) => return Ok(Err(answer)),
    };
    Ok(match read_banner(&banner) {
        Some(answer) => Ok((socket, answer)),
        None => Err(Answer::Rejected { why: "closed without a banner".into() }),
    })
}

fn connected(socket: &OwnedFd) -> Result<Result<(), Answer>, LabError> {
    if !ready(socket, PollFlags::OUT, ANSWER_WITHIN) {
        return Ok(Err(Answer::Silence));
    }
    let state = sockopt::socket_error(socket).map_err(LabError::os("ask a socket for its error"))?;
    Ok(match state {
        Ok(()) => Ok(()),
        Err(Errno::PERM) => Err(Answer::Refused { why: Errno::PERM.to_string() }),
        Err(e) => Err(Answer::Rejected { why: e.to_string() }),
    })
}

fn receive(socket: &OwnedFd, within: Duration) -> Result<Vec<u8>, Answer> {
    if !ready(socket, PollFlags::IN, within) {
        return Err(Answer::Silence);
    }
    let mut buffer = [0u8; 256];
    match recv(socket, &mut buffer, RecvFlags::empty()) {
        Ok((n, _)) => Ok(buffer.get(..n).unwrap_or_default().to_vec()),
        Err(e) => Err(Answer::Rejected { why: e.to_string() }),
    }
}

fn ready(socket: &OwnedFd, what: PollFlags, within: Duration) -> bool {
    let end = Instant::now() + within;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let timeout = Timespec { tv_sec: i64::try_from(left.as_secs()).unwrap_or(0), tv_nsec: i64::from(left.subsec_nanos()) };
        match poll(&mut [PollFd::new(socket, what)], Some(&timeout)) {
            Ok(n) => return n > 0,
            Err(Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}

/// `RAVELIN-LAB node port`.
fn read_banner(bytes: &[u8]) -> Option<Answer> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut words = text.strip_prefix(BANNER)?.split_whitespace();
    let (node, port) = (words.next()?, words.next()?);
    Some(Answer::From { node: node.to_owned(), port: port.parse().ok()? })
}
