//! Keys of Initial packets: they follow from what is written on the packet (RFC 9001, 5.2), so that everybody on the path can open them. A
//! packet in, its number's length and what it carries out.

use ring::{
    aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey, quic},
    hkdf,
};

/// Length of a derived secret.
struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// What a version derives from.
pub(super) struct Version {
    salt: [u8; 20],
    prefix: &'static str,
    /// Bits of the first byte that tell an Initial packet.
    pub(super) initial: u8,
    /// And a Retry.
    pub(super) retry: u8,
}

const V1: [u8; 20] =
    [0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a];
const V2: [u8; 20] =
    [0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9, 0xbd, 0x2e, 0xd9];
const DRAFT_29: [u8; 20] =
    [0xaf, 0xbf, 0xec, 0x28, 0x99, 0x93, 0xd2, 0x4c, 0x9e, 0x97, 0x86, 0xf1, 0x9c, 0x61, 0x11, 0xe0, 0x43, 0x90, 0xa8, 0x99];
const DRAFT_23: [u8; 20] =
    [0xc3, 0xee, 0xf7, 0x12, 0xc7, 0x2e, 0xbb, 0x5a, 0x11, 0xa7, 0xd2, 0x43, 0x2b, 0xb4, 0x63, 0x65, 0xbe, 0xf9, 0xf5, 0x02];

impl Version {
    /// Of a version's number; none of those that derive otherwise.
    pub(super) fn of(number: u32) -> Option<Self> {
        let like_v1 = |salt| Self { salt, prefix: "quic", initial: 0, retry: 3 };
        Some(match number {
            1 => like_v1(V1),
            // RFC 9369, 3.
            0x6b33_43cf => Self { salt: V2, prefix: "quicv2", initial: 1, retry: 0 },
            0xff00_001d..=0xff00_0020 => like_v1(DRAFT_29),
            0xff00_0021..=0xff00_0022 => like_v1(V1),
            0xff00_0017..=0xff00_001c => like_v1(DRAFT_23),
            _ => return None,
        })
    }
}

/// Keys of one direction.
pub(super) struct Keys {
    open: LessSafeKey,
    iv: [u8; 12],
    header: quic::HeaderProtectionKey,
}

fn expand(secret: &hkdf::Prk, label: &str, out: &mut [u8]) -> Option<()> {
    let length = u16::try_from(out.len()).ok()?.to_be_bytes();
    let full = format!("tls13 {label}");
    let count = [u8::try_from(full.len()).ok()?];
    let info: [&[u8]; 4] = [&length, &count, full.as_bytes(), &[0]];
    secret.expand(&info, Length(out.len())).ok()?.fill(out).ok()
}

impl Keys {
    /// Of a side of a conversation that began with this connection id.
    pub(super) fn derive(version: &Version, id: &[u8], server: bool) -> Option<Self> {
        let initial = hkdf::Salt::new(hkdf::HKDF_SHA256, &version.salt).extract(id);
        let mut secret = [0; 32];
        expand(&initial, if server { "server in" } else { "client in" }, &mut secret)?;
        let secret = hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, &secret);
        let (mut key, mut iv, mut hp) = ([0; 16], [0; 12], [0; 16]);
        expand(&secret, &format!("{} key", version.prefix), &mut key)?;
        expand(&secret, &format!("{} iv", version.prefix), &mut iv)?;
        expand(&secret, &format!("{} hp", version.prefix), &mut hp)?;
        Some(Self {
            open: LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).ok()?),
            iv,
            header: quic::HeaderProtectionKey::new(&quic::AES_128, &hp).ok()?,
        })
    }

    fn nonce(&self, number: u32) -> Nonce {
        let mut iv = self.iv;
        for (a, b) in iv[8..].iter_mut().zip(number.to_be_bytes()) {
            *a ^= b;
        }
        Nonce::assume_unique_for_key(iv)
    }

    /// Opens a packet whose number begins at `at`. Its number is taken as written: the first packets have small ones.
    pub(super) fn open(&self, packet: &[u8], at: usize) -> Option<Vec<u8>> {
        let sample = packet.get(at + 4..at + 20)?;
        let mask = self.header.new_mask(sample).ok()?;
        let first = packet[0] ^ (mask[0] & 15);
        let length = usize::from(first & 3) + 1;
        let mut header = packet.get(..at + length)?.to_vec();
        header[0] = first;
        let mut number = 0;
        for (b, m) in header[at..].iter_mut().zip(&mask[1..]) {
            *b ^= m;
            number = number << 8 | u32::from(*b);
        }
        let mut data = packet[at + length..].to_vec();
        let n = self.open.open_in_place(self.nonce(number), Aad::from(&header), &mut data).ok()?.len();
        data.truncate(n);
        Some(data)
    }

    /// Closes a packet: the other way round, for tests.
    #[cfg(test)]
    pub(super) fn close(&self, header: &[u8], at: usize, number: u32, data: &[u8]) -> Vec<u8> {
        let mut body = data.to_vec();
        self.open.seal_in_place_append_tag(self.nonce(number), Aad::from(header), &mut body).unwrap();
        let mut packet = [header, &body].concat();
        let mask = self.header.new_mask(&packet[at + 4..at + 20]).unwrap();
        packet[0] ^= mask[0] & 15;
        let length = header.len() - at;
        for (b, m) in packet[at..at + length].iter_mut().zip(&mask[1..]) {
            *b ^= m;
        }
        packet
    }
}
