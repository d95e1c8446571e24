//! Commanding a container engine through its socket, as whoever holds it may: an order, whose body lies in a file.

use super::{Verb, first};
use crate::act::other;
use std::{
    fs,
    io::{self, Read as _, Write as _},
    os::unix::net::UnixStream,
};

pub const VERBS: [Verb; 1] = [("engine", engine)];

/// Bytes of an answer: its first line is wanted, and a few words of why not.
const ANSWER: u64 = 4096;

/// `engine=SOCKET,PATH,FILE`: posts the file, or nothing.
fn engine(arguments: &[&str]) -> io::Result<()> {
    let path = arguments.get(1).copied().unwrap_or_default();
    let body = arguments.get(2).map(fs::read_to_string).transpose()?.unwrap_or_default();
    let mut socket = UnixStream::connect(first(arguments))?;
    let length = body.len();
    write!(socket, "POST {path} HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")?;
    let mut answer = String::new();
    socket.take(ANSWER).read_to_string(&mut answer)?;
    let code = answer.split(' ').nth(1).unwrap_or_default();
    if code.starts_with('2') { Ok(()) } else { Err(other(answer.replace(['\r', '\n'], " "))) }
}
