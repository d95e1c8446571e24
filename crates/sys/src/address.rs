//! Addresses of this network namespace's devices through `rtnetlink` (`include/uapi/linux/if_addr.h`): listed, put on, taken
//! off. Never chooses which.

use crate::{
    Error,
    netlink::{Family, Netlink},
    wire::{self, Request, attribute},
};
use rustix::net::{AddressFamily, SocketFlags, SocketType, netdevice, socket_with};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const NEW: u16 = 20;
const DELETE: u16 = 21;
const GET: u16 = 22;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
/// Bytes of `ifaddrmsg`.
const GENERAL: usize = 8;

/// The other end of a point-to-point link; on others the same as [`LOCAL`], and in IPv6 the only one.
const ADDRESS: u16 = 1;
const LOCAL: u16 = 2;
const CACHE_INFO: u16 = 6;
const FLAGS: u16 = 8;
/// Another machine of the link has it: it is there and of no use.
const DUPLICATE: u32 = 0x08;
/// Seconds that mean for ever.
const FOR_EVER: u32 = u32::MAX;

/// ENODEV: there is no such device.
pub const NO_DEVICE: i32 = 19;

/// An address on a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Index of the device.
    pub device: u32,
    /// The address.
    pub address: IpAddr,
    /// Length of the prefix that is on the link with it.
    pub prefix: u8,
    /// Another machine of the link has it.
    pub duplicate: bool,
}

/// Index of a device, `None` where there is none of this name.
pub fn device(name: &str) -> Result<Option<u32>, Error> {
    let call = |e: rustix::io::Errno| Error::call(format!("device {name}"), e);
    let fd = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None).map_err(call)?;
    match netdevice::name_to_index(&fd, name) {
        Ok(index) => Ok(Some(index)),
        Err(e) if e.raw_os_error() == NO_DEVICE => Ok(None),
        Err(e) => Err(call(e)),
    }
}

/// A handle on the addresses of this thread's network namespace.
#[derive(Debug)]
pub struct Addresses(Netlink);

impl Addresses {
    /// Opens it.
    pub fn open() -> Result<Self, Error> {
        Netlink::open(Family::Route).map(Self)
    }

    /// All addresses of both families.
    pub fn list(&mut self) -> Result<Vec<Entry>, Error> {
        let mut out = Vec::new();
        for family in [AF_INET, AF_INET6] {
            let request = Request::new(GET, wire::DUMP, &general(family, 0, 0));
            self.0.dump(&request, |payload| out.extend(read(payload)))?;
        }
        Ok(out)
    }

    /// Puts one on. `false` where it is there already. `source`: connections of the machine's own may begin at it (IPv6 alone
    /// knows the difference: otherwise the address is deprecated from the start, RFC 6724 rule 3).
    pub fn add(&mut self, entry: Entry, source: bool) -> Result<bool, Error> {
        let mut request = describe(NEW, wire::CREATE | wire::EXCLUSIVE | wire::ACK, entry);
        if entry.address.is_ipv6() && !source {
            // `ifa_cacheinfo`: preferred, valid, and two stamps that the kernel fills in.
            let lifetimes = [0u32, FOR_EVER, 0, 0].map(u32::to_ne_bytes).concat();
            request = request.with(CACHE_INFO, &lifetimes);
        }
        match self.0.execute(request) {
            Ok(()) => Ok(true),
            // EEXIST.
            Err(e) if e.errno() == Some(17) => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Takes one off. `false` where it is gone already.
    pub fn delete(&mut self, entry: Entry) -> Result<bool, Error> {
        match self.0.execute(describe(DELETE, wire::ACK, entry)) {
            Ok(()) => Ok(true),
            // EADDRNOTAVAIL: somebody was faster. ENODEV: with its device.
            Err(e) if matches!(e.errno(), Some(99 | NO_DEVICE)) => Ok(false),
            Err(e) => Err(e),
        }
    }
}

/// `ifaddrmsg`: family, prefix length, flags, scope (the whole world), device.
fn general(family: u8, prefix: u8, device: u32) -> Vec<u8> {
    let mut out = vec![family, prefix, 0, 0];
    out.extend_from_slice(&device.to_ne_bytes());
    out
}

fn describe(kind: u16, flags: u16, entry: Entry) -> Request {
    let (family, bytes) = match entry.address {
        IpAddr::V4(a) => (AF_INET, a.octets().to_vec()),
        IpAddr::V6(a) => (AF_INET6, a.octets().to_vec()),
    };
    Request::new(kind, flags, &general(family, entry.prefix, entry.device)).with(LOCAL, &bytes).with(ADDRESS, &bytes)
}

/// One answer; `None` where it is cut short or of another family.
pub fn read(payload: &[u8]) -> Option<Entry> {
    let (fixed, rest) = (payload.get(..GENERAL)?, payload.get(GENERAL..)?);
    let bytes = attribute(rest, LOCAL).or_else(|| attribute(rest, ADDRESS))?;
    let address = match fixed[0] {
        AF_INET => Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into(),
        AF_INET6 => Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into(),
        _ => return None,
    };
    // The byte in the head holds the first eight flags alone.
    let flags = attribute(rest, FLAGS).and_then(|f| wire::u32_at(f, 0)).unwrap_or_else(|| u32::from(fixed[2]));
    Some(Entry { device: wire::u32_at(fixed, 4)?, address, prefix: fixed[1], duplicate: flags & DUPLICATE != 0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn loopback_is_seen() {
        let lo = device("lo").expect("asks").expect("there");
        assert_eq!(device("no-such-device").expect("asks"), None);
        let all = Addresses::open().expect("opens").list().expect("lists");
        let is = |e: &Entry| e.device == lo && e.address == IpAddr::from(Ipv4Addr::LOCALHOST) && e.prefix == 8;
        assert!(all.iter().any(is), "{all:?}");
    }

    #[test]
    fn what_is_asked_for_is_what_is_read() {
        for address in ["203.0.113.5", "2001:db8::5"] {
            let entry = Entry { device: 3, address: address.parse().expect("address"), prefix: 24, duplicate: false };
            let bytes = describe(NEW, 0, entry).finish(1);
            assert_eq!(read(&bytes[wire::HEADER..]), Some(entry));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            let _ = read(&bytes);
        }
    }
}
