//! Numbers and names out of SMB's little-endian messages. In comes what is left of a message, out come values or nothing where it ends.

/// Reads from the front.
#[derive(Clone, Copy)]
pub(super) struct Le<'a>(pub &'a [u8]);

impl<'a> Le<'a> {
    pub(super) fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (a, b) = self.0.split_at_checked(n)?;
        self.0 = b;
        Some(a)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.first_chunk().copied()
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[b]| b)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn guid(&mut self) -> Option<[u8; 16]> {
        self.array()
    }
}

/// A part of a message by its place and length.
pub(super) fn part(message: &[u8], from: usize, length: usize) -> Option<&[u8]> {
    message.get(from..from.checked_add(length)?)
}

/// UTF-16 as UTF-8; what is none is replaced.
pub(super) fn wide(bytes: &[u8]) -> String {
    let units = bytes.chunks_exact(2).map(|c| u16::from_le_bytes([c[0], c[1]]));
    char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).filter(|c| *c != '\0').collect()
}

/// A text that ends with a zero, and what stands behind it. `wide`: of UTF-16.
pub(super) fn ended(bytes: &[u8], is_wide: bool) -> (String, &[u8]) {
    if is_wide {
        let end = bytes.chunks_exact(2).position(|c| c == [0, 0]).unwrap_or(bytes.len() / 2) * 2;
        (wide(&bytes[..end]), bytes.get(end + 2..).unwrap_or_default())
    } else {
        let end = memchr::memchr(0, bytes).unwrap_or(bytes.len());
        (String::from_utf8_lossy(&bytes[..end]).into_owned(), bytes.get(end + 1..).unwrap_or_default())
    }
}

/// A GUID as it is written: its first three parts are numbers.
pub(super) fn guid(g: &[u8; 16]) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(36);
    for (i, at) in [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15].into_iter().enumerate() {
        let _ = write!(out, "{}{:02x}", if matches!(i, 4 | 6 | 8 | 10) { "-" } else { "" }, g[at]);
    }
    out
}

/// The name of an open file as the peer writes it: two numbers of eight bytes, each in parts of its own order.
pub(super) fn file_id(g: &[u8; 16]) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(36);
    for (i, at) in [3, 2, 1, 0, 5, 4, 7, 6, 9, 8, 11, 10, 15, 14, 13, 12].into_iter().enumerate() {
        let _ = write!(out, "{}{:02x}", if matches!(i, 4 | 6 | 8 | 10) { "-" } else { "" }, g[at]);
    }
    out
}

/// Seconds since 1970 of a time in tenths of microseconds since 1601; 0 where there is none.
pub(super) fn seconds(time: u64) -> u64 {
    (time / 10_000_000).saturating_sub(11_644_473_600)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_as_the_peer_does() {
        let g = [0x2a, 0, 0, 0, 8, 0, 0, 0, 9, 0, 0, 0, 8, 0, 0, 0];
        assert_eq!(file_id(&g), "0000002a-0008-0000-0009-000000000008");
        assert_eq!(guid(b"tG412\0\0\0\0\0\0\0\0\0\0\0"), "31344774-0032-0000-0000-000000000000");
        assert_eq!((wide(b"a\0b\0\0\0"), ended(b"a\0\0\0b\0", true)), ("ab".to_owned(), ("a".to_owned(), &b"b\0"[..])));
        assert_eq!((seconds(131_570_589_990_000_000), seconds(0)), (1_512_585_399, 0));
    }
}
