//! Ports and peers. Who connects is greeted with the endpoint's name, so that a peer is known to be the one that was meant. In
//! comes a profile, out come lines.

use super::Stage;
use crate::act::{other, tell};
use std::{
    io::{self, Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    thread,
    time::{Duration, Instant},
};
use stub::{Profile, profile::Port};

const GROUP: &str = "sockets";
/// A service that was started before its peers waits for them this long.
const PATIENCE: Duration = Duration::from_secs(90);
/// Between two tries.
const AGAIN: Duration = Duration::from_millis(300);
/// How long a peer that took the connection may take to greet.
const GREETING: Duration = Duration::from_secs(20);
/// Longer than any greeting.
const LINE: usize = 128;

pub fn listen(profile: &Profile, stage: &mut Stage) {
    for l in &profile.listens {
        let address = if l.loopback { Ipv4Addr::LOCALHOST } else { Ipv4Addr::UNSPECIFIED };
        let at = SocketAddr::from((address, l.at.port));
        let name = format!("{}.{}", profile.service, l.endpoint);
        if l.at.udp {
            let socket = tell(GROUP, format!("listen on {}/udp: {}", l.at.port, l.endpoint), UdpSocket::bind(at));
            stage.held.extend(socket.map(|s| Box::new(s) as Box<dyn std::any::Any>));
            continue;
        }
        let listener = TcpListener::bind(at);
        if let Some(listener) = tell(GROUP, format!("listen on {}/tcp: {}", l.at.port, l.endpoint), listener) {
            if let Ok(greeter) = listener.try_clone() {
                thread::spawn(move || greet(&greeter, &name));
            }
            stage.listeners.push(listener);
        }
    }
}

fn greet(listener: &TcpListener, name: &str) {
    for stream in listener.incoming() {
        let _ = stream.and_then(|mut s| s.write_all(format!("{name}\n").as_bytes()));
    }
}

pub fn dial(profile: &Profile, stage: &mut Stage) {
    for p in &profile.peers {
        let what = format!("reach {} at {}:{}", p.name, p.address, p.at.port);
        let result =
            if p.at.udp { send(p.address, p.at.port) } else { meet(p.address, p.at.port, &p.name).map(|s| stage.held.push(Box::new(s))) };
        tell(GROUP, what, result);
    }
    for port in &profile.outside {
        tell(GROUP, format!("dial outside on {}/{}", port.port, if port.udp { "udp" } else { "tcp" }), leave(port));
    }
}

fn send(address: IpAddr, port: u16) -> io::Result<()> {
    UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?.send_to(b"x", (address, port)).map(drop)
}

/// Connects until the peer is up, and reads whom it has met.
fn meet(address: IpAddr, port: u16, name: &str) -> io::Result<TcpStream> {
    let begun = Instant::now();
    let mut stream = loop {
        match TcpStream::connect((address, port)) {
            Err(e) if e.kind() == io::ErrorKind::ConnectionRefused && begun.elapsed() < PATIENCE => thread::sleep(AGAIN),
            result => break result?,
        }
    };
    stream.set_read_timeout(Some(GREETING))?;
    let mut line = [0; LINE];
    let length = stream.read(&mut line)?;
    let met = String::from_utf8_lossy(&line[..length]).trim().to_owned();
    if met == name { Ok(stream) } else { Err(other(format!("met `{met}`"))) }
}

/// The machine has no way out: a refusal by the other end is one that left this process.
fn leave(port: &Port) -> io::Result<()> {
    if port.udp {
        return send(Ipv4Addr::LOCALHOST.into(), port.port);
    }
    match TcpStream::connect((Ipv4Addr::LOCALHOST, port.port)) {
        Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        result => result.map(drop),
    }
}
