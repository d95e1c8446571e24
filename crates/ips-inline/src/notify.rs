//! What systemd is told (`sd_notify(3)`): that the queues are bound, that packets do not wait. In come words, out goes a datagram to the socket
//! that systemd named, nothing where it named none.

use std::os::{
    linux::net::SocketAddrExt,
    unix::net::{SocketAddr, UnixDatagram},
};

fn send(words: &str) {
    let Some(name) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let bytes = std::os::unix::ffi::OsStrExt::as_bytes(name.as_os_str());
    let address = match bytes.strip_prefix(b"@") {
        Some(hidden) => SocketAddr::from_abstract_name(hidden),
        None => SocketAddr::from_pathname(&name),
    };
    // Nobody there is nobody's fault.
    if let (Ok(address), Ok(socket)) = (address, UnixDatagram::unbound()) {
        let _ = socket.send_to_addr(words.as_bytes(), &address);
    }
}

/// The queues are bound, rules are in force.
pub fn ready(status: &str) {
    send(&format!("READY=1\nSTATUS={status}\n"));
}

/// Packets do not wait.
pub fn alive() {
    send("WATCHDOG=1\n");
}
