//! Reaching further: raw and packet sockets, the machine's addresses, other ports, other services.

use super::{Verb, first, number};
use crate::kernel;
use std::{
    io,
    net::{TcpListener, TcpStream, UdpSocket},
};

pub const VERBS: [Verb; 6] = [
    ("raw", |_| kernel::socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP).map(drop)),
    ("packet", |_| kernel::socket(libc::AF_PACKET, libc::SOCK_RAW, 0x300).map(drop)),
    ("address", |_| kernel::add_address()),
    ("listen", |a| TcpListener::bind(("0.0.0.0", number::<u16>(first(a))?)).map(drop)),
    ("udp", |a| UdpSocket::bind(("0.0.0.0", number::<u16>(first(a))?)).map(drop)),
    ("connect", connect),
];

fn connect(arguments: &[&str]) -> io::Result<()> {
    match TcpStream::connect(first(arguments)) {
        Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        result => result.map(drop),
    }
}
