//! The kernel's older list of sockets, `/proc/net/tcp` and its like (`get_tcp4_sock` in net/ipv4/tcp_ipv4.c): for machines whose
//! kernel cannot answer `sock_diag`. It tells neither the device a socket is bound to nor whether it takes IPv6 alone: the wider reading
//! is taken.

use crate::Error;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use sys::diag::{Entry, TCP};

/// The sockets of one protocol and family; none where the kernel has no such family.
pub(crate) fn look(protocol: u8, v6: bool) -> Result<Vec<Entry>, Error> {
    let path = format!("/proc/net/{}{}", if protocol == TCP { "tcp" } else { "udp" }, if v6 { "6" } else { "" });
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(text.lines().skip(1).filter_map(|l| line(l, protocol, v6)).collect()),
        Err(e) if v6 && e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(source) => Err(Error::File { path, source }),
    }
}

/// One line; `None` where it is no socket's.
fn line(text: &str, protocol: u8, v6: bool) -> Option<Entry> {
    let columns: Vec<&str> = text.split_whitespace().collect();
    let [_, local, remote, state, _, _, _, uid, _, inode, ..] = columns.as_slice() else { return None };
    Some(Entry {
        protocol,
        state: u8::from_str_radix(state, 16).ok()?,
        local: end(local)?,
        remote: end(remote)?,
        v6,
        v6_only: v6.then_some(false),
        device: 0,
        uid: uid.parse().ok()?,
        inode: inode.parse().ok()?,
        cookie: 0,
    })
}

/// `ADDRESS:PORT` in hexadecimal: the address as words in the machine's own order of bytes, the port as a number.
fn end(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let bytes: Vec<u8> = (0..address.len() / 8)
        .map(|n| address.get(8 * n..8 * n + 8).and_then(|w| u32::from_str_radix(w, 16).ok()).map(u32::to_ne_bytes))
        .collect::<Option<Vec<_>>>()?
        .concat();
    let address = match bytes.len() {
        4 => IpAddr::from(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?)),
        16 => IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?)).to_canonical(),
        _ => return None,
    };
    Some(SocketAddr::new(address, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::{TcpListener, UdpSocket};
    use sys::diag::UDP;

    #[test]
    fn it_tells_what_sock_diag_tells() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listens");
        let six = TcpListener::bind("[::1]:0").ok();
        let udp = UdpSocket::bind("127.0.0.1:0").expect("binds");
        let mut ends = vec![(TCP, false, listener.local_addr()), (UDP, false, udp.local_addr())];
        ends.extend(six.as_ref().map(|s| (TCP, true, s.local_addr())));
        for (protocol, v6, at) in ends {
            let at = at.expect("address");
            let one = |list: Vec<Entry>| list.into_iter().find(|e| e.local == at).expect("listed");
            let (old, new) =
                (one(look(protocol, v6).expect("reads")), one(sys::diag::sockets(protocol, v6).expect("asks").expect("is there")));
            assert_eq!((old.state, old.remote, old.uid, old.inode), (new.state, new.remote, new.uid, new.inode));
        }
    }

    proptest! {
        #[test]
        fn any_line_is_read_or_refused(text in ".{0,200}", v6: bool) {
            let _ = line(&text, TCP, v6);
        }
    }
}
