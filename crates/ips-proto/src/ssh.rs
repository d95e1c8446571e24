//! SSH: banners and the key exchange's first message of either side, in the clear; what follows is opaque. One transaction per conversation.
//! It keeps a banner and one message of each side.

use crate::{
    json,
    open::one,
    transaction::{Input, Parser, Piece, Step, Toward, Transaction},
};
use ips_rules::{buffer::Buffer, header::App};
use md5::{Digest as _, Md5};

/// Bytes of a banner (RFC 4253, 4.2).
const BANNER: usize = 255;
/// Bytes before the server's banner that are passed over.
const BEFORE: usize = 8192;
/// Bytes of a packet before encryption (RFC 4253, 6.1), with room.
const PACKET: usize = 64 << 10;
/// Messages: lists of what a side offers, and that keys are in use from now on.
const KEXINIT: u8 = 20;
const NEWKEYS: u8 = 21;

/// What a side says in the clear.
#[derive(Debug, Default)]
struct Side {
    held: Vec<u8>,
    passed: usize,
    banner: bool,
    protocol: Vec<u8>,
    software: Vec<u8>,
    hassh: Option<(String, Vec<u8>)>,
    /// Bytes of the packet at hand that are passed over.
    skip: usize,
    keys: bool,
    over: bool,
}

/// A conversation.
pub struct Ssh {
    sides: [Side; 2],
    events: Vec<&'static str>,
    present: bool,
}

impl Default for Ssh {
    fn default() -> Self {
        Self { sides: Default::default(), events: Vec::new(), present: true }
    }
}

impl Side {
    /// Takes bytes; events it brings, or that this is no SSH.
    fn push(&mut self, mut bytes: &[u8], server: bool, events: &mut Vec<&'static str>) -> bool {
        while !bytes.is_empty() && !self.keys {
            let pass = self.skip.min(bytes.len());
            self.skip -= pass;
            bytes = &bytes[pass..];
            if bytes.is_empty() {
                return true;
            }
            if !self.banner {
                let end = memchr::memchr(b'\n', bytes);
                let part = &bytes[..end.map_or(bytes.len(), |n| n + 1)];
                bytes = &bytes[part.len()..];
                let room = (BANNER + 2).saturating_sub(self.held.len());
                if part.len() > room && !events.contains(&"ssh.long_banner") {
                    events.push("ssh.long_banner");
                }
                self.held.extend_from_slice(&part[..part.len().min(room)]);
                self.passed += part.len();
                if end.is_some() {
                    let line = std::mem::take(&mut self.held);
                    self.read_banner(line.trim_ascii_end());
                }
                if !self.banner && (self.passed > BEFORE || (end.is_some() && !server)) {
                    events.push("ssh.invalid_banner");
                    return false;
                }
                continue;
            }
            let want = match self.held.first_chunk::<4>() {
                Some(n) => 4 + usize::try_from(u32::from_be_bytes(*n)).unwrap_or(usize::MAX),
                None => 6,
            };
            if self.held.len() >= 4 && want > 4 + PACKET {
                events.push("ssh.long_kex_record");
                return false;
            }
            // Length, padding and kind tell whether the rest is of use.
            let next = if self.held.len() < 6 { 6 } else { want };
            let n = next.saturating_sub(self.held.len()).min(bytes.len());
            self.held.extend_from_slice(&bytes[..n]);
            bytes = &bytes[n..];
            if self.held.len() < 6 {
                return true;
            }
            let want = self.held.first_chunk::<4>().map_or(0, |n| 4 + usize::try_from(u32::from_be_bytes(*n)).unwrap_or(usize::MAX));
            if want < 6 {
                events.push("ssh.invalid_record");
                return false;
            }
            if self.held[5] != KEXINIT {
                self.keys = self.held[5] == NEWKEYS;
                self.skip = want - 6;
                self.held.clear();
            } else if self.held.len() == want {
                let packet = std::mem::take(&mut self.held);
                if self.hassh.is_none() {
                    self.hassh = hassh(&packet[6..], server);
                }
            }
        }
        true
    }

    fn read_banner(&mut self, line: &[u8]) {
        let Some(rest) = line.strip_prefix(b"SSH-") else { return };
        let Some(n) = rest.iter().position(|b| *b == b'-') else { return };
        self.protocol = rest[..n].to_vec();
        let software = &rest[n + 1..];
        self.software = software[..software.iter().position(|b| *b == b' ').unwrap_or(software.len())].to_vec();
        self.banner = true;
    }
}

/// The fingerprint of what a side offers: key exchanges, ciphers, codes and compressions of its direction.
fn hassh(message: &[u8], server: bool) -> Option<(String, Vec<u8>)> {
    let mut rest = message.get(16..)?;
    let mut lists: Vec<&[u8]> = Vec::with_capacity(10);
    for _ in 0..10 {
        let (n, tail) = rest.split_first_chunk::<4>()?;
        let (list, tail) = tail.split_at_checked(usize::try_from(u32::from_be_bytes(*n)).ok()?)?;
        lists.push(list);
        rest = tail;
    }
    let own = usize::from(server);
    let text = [lists[0], lists[2 + own], lists[4 + own], lists[6 + own]].join(&b';');
    Some((json::hex(&Md5::digest(&text), 0), text))
}

impl Parser for Ssh {
    fn feed(&mut self, toward: Toward, input: Input<'_>) -> Step {
        let side = &mut self.sides[toward.index()];
        match input {
            Input::Bytes(bytes) => {
                if !side.push(bytes, toward == Toward::Client, &mut self.events) {
                    self.sides.iter_mut().for_each(|s| s.over = true);
                    return Step::Failed;
                }
            }
            Input::Gap(_) | Input::End => side.over = true,
        }
        if self.sides.iter().all(|s| s.keys) { Step::Opaque } else { Step::Going }
    }

    one!(present);
}

impl Transaction for Ssh {
    fn app(&self) -> App {
        App::Ssh
    }

    fn id(&self) -> u64 {
        0
    }

    fn done(&self, toward: Toward) -> bool {
        let s = &self.sides[toward.index()];
        s.keys || s.over
    }

    fn ready(&self, buffer: Buffer, toward: Toward) -> bool {
        let s = &self.sides[toward.index()];
        let known = match buffer {
            Buffer::SshProto | Buffer::SshSoftware => s.banner,
            _ => s.hassh.is_some(),
        };
        known || self.done(toward)
    }

    fn piece<'a>(&'a self, buffer: Buffer, toward: Toward, index: usize, _scratch: &'a mut Vec<u8>) -> Option<Piece<'a>> {
        let s = &self.sides[toward.index()];
        let server = toward == Toward::Client;
        let bytes: &[u8] = match (buffer, server) {
            _ if index > 0 || !s.banner => return None,
            (Buffer::SshProto, _) => &s.protocol,
            (Buffer::SshSoftware, _) => &s.software,
            (Buffer::SshHassh, false) | (Buffer::SshHasshServer, true) => s.hassh.as_ref()?.0.as_bytes(),
            (Buffer::SshHasshString, false) | (Buffer::SshHasshServerString, true) => &s.hassh.as_ref()?.1,
            _ => return None,
        };
        Some(Piece { bytes, offset: 0, last: true })
    }

    fn events(&self) -> &[&'static str] {
        &self.events
    }

    fn describe(&self, out: &mut Vec<u8>) {
        json::object(out, |j| {
            for (name, s) in ["client", "server"].into_iter().zip(&self.sides) {
                if s.banner {
                    j.object(name, |j| {
                        j.text("proto_version", &s.protocol).text("software_version", &s.software);
                        if let Some((hash, text)) = &s.hassh {
                            j.object("hassh", |j| {
                                j.text("hash", hash).text("string", text);
                            });
                        }
                    });
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
        let n = u32::try_from(body.len() + 2).unwrap();
        [&n.to_be_bytes()[..], &[0, kind], body].concat()
    }

    fn stream(who: &str) -> Vec<u8> {
        let mut lists = vec![0; 16];
        for i in 0..10 {
            let list = format!("{who}{i},x");
            lists.extend(u32::try_from(list.len()).unwrap().to_be_bytes());
            lists.extend_from_slice(list.as_bytes());
        }
        lists.extend_from_slice(&[0; 5]);
        let banner = format!("SSH-2.0-{who}_1.2 comment\r\n");
        [banner.as_bytes(), &packet(KEXINIT, &lists), &packet(30, &[1; 40]), &packet(NEWKEYS, &[]), &[0xee; 50]].concat()
    }

    fn event(p: &Ssh) -> serde_json::Value {
        let mut out = Vec::new();
        p.describe(&mut out);
        serde_json::from_slice(&out).unwrap()
    }

    fn talk(cut: usize) -> (Ssh, Step) {
        let mut p = Ssh::default();
        let mut last = Step::Going;
        let server = [b"welcome\r\n", &stream("srv")[..]].concat();
        for (side, bytes) in [(Toward::Client, server), (Toward::Server, stream("cli"))] {
            for part in bytes.chunks(cut) {
                last = p.feed(side, Input::Bytes(part));
            }
        }
        (p, last)
    }

    #[test]
    fn banners_and_offers() {
        let (p, last) = talk(10_000);
        assert_eq!(last, Step::Opaque);
        let e = event(&p);
        assert_eq!(e["client"]["proto_version"], "2.0");
        assert_eq!(e["server"]["software_version"], "srv_1.2");
        assert_eq!(e["client"]["hassh"]["string"], "cli0,x;cli2,x;cli4,x;cli6,x");
        assert_eq!(e["server"]["hassh"]["string"], "srv0,x;srv3,x;srv5,x;srv7,x");
    }

    #[test]
    fn what_is_no_banner_fails() {
        let mut p = Ssh::default();
        assert_eq!(p.feed(Toward::Server, Input::Bytes(b"SSH-\r\n")), Step::Failed);
        assert_eq!(p.events(), ["ssh.invalid_banner"]);
        let mut p = Ssh::default();
        assert_eq!(p.feed(Toward::Server, Input::Bytes(b"SSH-2.0-x\r\n\xff\xff\xff\xff\0\x14z")), Step::Failed);
    }

    proptest! {
        #[test]
        fn cuts_change_nothing(cut in 1usize..60) {
            prop_assert_eq!(event(&talk(10_000).0), event(&talk(cut).0));
            prop_assert_eq!(talk(cut).1, Step::Opaque);
        }

        #[test]
        fn anything_goes(bytes in proptest::collection::vec(any::<u8>(), 0..100), cut in 1usize..20) {
            let mut p = Ssh::default();
            p.feed(Toward::Server, Input::Bytes(b"SSH-2.0-x\n"));
            for part in bytes.chunks(cut) {
                if p.feed(Toward::Server, Input::Bytes(part)) == Step::Failed { break; }
            }
            event(&p);
        }
    }
}
