//! Sockets of this network namespace through `sock_diag` (`include/uapi/linux/inet_diag.h`). Out comes one entry per
//! TCP or UDP socket, v4 and v6. Never looks at processes.

use crate::{
    Error,
    netlink::{Family, Netlink},
    wire::{self, Request},
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// One socket as the kernel describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// 6 is TCP, 17 is UDP.
    pub protocol: u8,
    /// TCP state number; 7 (close) for unconnected UDP sockets.
    pub state: u8,
    /// Local end, mapped v4 addresses as v4.
    pub local: SocketAddr,
    /// Other end; port 0 where there is none.
    pub remote: SocketAddr,
    /// Created for v6 (a mapped address still counts as v6 here).
    pub v6: bool,
    /// Takes v6 only, where the kernel says so.
    pub v6_only: Option<bool>,
    /// Device it is bound to; 0 is none.
    pub device: u32,
    /// Owner.
    pub uid: u32,
    /// Inode; 0 where no process holds it.
    pub inode: u32,
    /// The kernel's cookie: no two sockets of one boot have the same.
    pub cookie: u64,
}

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const ENOENT: i32 = 2;
/// TCP's protocol number.
pub const TCP: u8 = 6;
/// UDP's protocol number.
pub const UDP: u8 = 17;
/// Bytes of `inet_diag_msg`.
const MESSAGE: usize = 72;
const INET_DIAG_SKV6ONLY: u16 = 11;

/// The sockets of one protocol and family; `None` where the kernel has no list of them: no such family, or its diag module is not
/// there and may not be loaded.
pub fn sockets(protocol: u8, v6: bool) -> Result<Option<Vec<Entry>>, Error> {
    match list(protocol, v6) {
        Ok(all) => Ok(Some(all)),
        Err(e) if e.errno() == Some(ENOENT) => Ok(None),
        Err(e) => Err(e),
    }
}

/// All TCP sockets. An error where the kernel cannot list them: an empty list would say that there are none.
pub fn tcp() -> Result<Vec<Entry>, Error> {
    Ok([list(TCP, false)?, list(TCP, true)?].concat())
}

fn list(protocol: u8, v6: bool) -> Result<Vec<Entry>, Error> {
    let family = if v6 { AF_INET6 } else { AF_INET };
    let mut out = Vec::new();
    Netlink::open(Family::SockDiag)?.dump(&request(family, protocol), |payload| out.extend(read(protocol, payload)))?;
    Ok(out)
}

/// `inet_diag_req_v2`: family, protocol, extensions, pad, states (all), socket id (any).
fn request(family: u8, protocol: u8) -> Request {
    let mut fixed = vec![family, protocol, 0, 0];
    fixed.extend_from_slice(&u32::MAX.to_ne_bytes());
    fixed.resize(56, 0);
    Request::new(SOCK_DIAG_BY_FAMILY, wire::DUMP, &fixed)
}

/// Name of a device of this network namespace.
pub fn device_name(index: u32) -> Option<String> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, netdevice, socket_with};
    let index = std::num::NonZeroU32::new(index)?.get();
    let fd = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None).ok()?;
    netdevice::index_to_name(&fd, index).ok()
}

/// One answer; `None` where it is cut short or of another family.
pub fn read(protocol: u8, payload: &[u8]) -> Option<Entry> {
    let fixed = payload.get(..MESSAGE)?;
    let (family, state) = (fixed[0], fixed[1]);
    let (sport, dport) = (wire::be16(&fixed[4..6])?, wire::be16(&fixed[6..8])?);
    let (local, remote) = (address(family, &fixed[8..24])?, address(family, &fixed[24..40])?);
    let v6_only = wire::attribute(&payload[MESSAGE..], INET_DIAG_SKV6ONLY).and_then(|v| v.first()).map(|&b| b != 0);
    Some(Entry {
        protocol,
        state,
        local: SocketAddr::new(local, sport),
        remote: SocketAddr::new(remote, dport),
        v6: family == AF_INET6,
        v6_only,
        device: wire::u32_at(fixed, 40)?,
        uid: wire::u32_at(fixed, 64)?,
        inode: wire::u32_at(fixed, 68)?,
        cookie: u64::from(wire::u32_at(fixed, 44)?) | u64::from(wire::u32_at(fixed, 48)?) << 32,
    })
}

fn address(family: u8, bytes: &[u8]) -> Option<IpAddr> {
    match family {
        AF_INET => Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes.get(..4)?).ok()?).into()),
        AF_INET6 => Some(IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(bytes.get(..16)?).ok()?)).to_canonical()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::{TcpListener, TcpStream, UdpSocket};

    #[test]
    fn own_sockets_are_seen() {
        let listener = TcpListener::bind("[::1]:0").or_else(|_| TcpListener::bind("127.0.0.1:0")).expect("listens");
        let at = listener.local_addr().expect("address");
        let client = TcpStream::connect(at).expect("connects");
        let udp = UdpSocket::bind("127.0.0.1:0").expect("binds");
        let list = |protocol, v6| sockets(protocol, v6).expect("lists").unwrap_or_default();
        let all = [list(TCP, false), list(TCP, true), list(UDP, false)].concat();
        let find = |protocol, local| all.iter().filter(move |e| e.protocol == protocol && e.local == local).collect::<Vec<_>>();
        assert!(find(TCP, at).iter().any(|e| e.state == 10), "the listener");
        assert!(find(TCP, at).iter().any(|e| e.state == 1 && e.remote == client.local_addr().expect("address")));
        let [seen] = find(UDP, udp.local_addr().expect("address"))[..] else { panic!("the UDP socket") };
        assert!(seen.inode > 0 && seen.remote.port() == 0);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            let _ = read(TCP, &bytes);
        }
    }
}
