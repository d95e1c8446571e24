//! The header of TCP, read in place.

use crate::bytes::{u16_at, u32_at};

/// No more data.
pub const FIN: u8 = 0x01;
/// Opens a connection.
pub const SYN: u8 = 0x02;
/// Ends a connection.
pub const RST: u8 = 0x04;
/// Push.
pub const PSH: u8 = 0x08;
/// The acknowledgement counts.
pub const ACK: u8 = 0x10;
/// The urgent pointer counts.
pub const URG: u8 = 0x20;
/// Shortest header in bytes.
pub const MIN_HEADER: usize = 20;

/// A header with its options. What is not there reads as 0.
#[derive(Debug, Clone, Copy)]
pub struct Tcp<'a>(&'a [u8]);

/// Options that matter to streams.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options<'a> {
    /// Largest segment in bytes.
    pub mss: Option<u16>,
    /// Windows are shifted left by this.
    pub window_scale: Option<u8>,
    /// Selective acknowledgements may be used.
    pub sack_permitted: bool,
    /// Blocks of a selective acknowledgement, 8 bytes each.
    pub sack: &'a [u8],
    /// Timestamp and its echo.
    pub timestamp: Option<(u32, u32)>,
    /// Cookie of Fast Open; empty where one is asked for.
    pub fast_open: Option<&'a [u8]>,
    /// An option stands there twice.
    pub duplicate: bool,
    /// An option's length is wrong.
    pub invalid_length: bool,
}

impl<'a> Tcp<'a> {
    /// Over the bytes of a header.
    pub fn new(header: &'a [u8]) -> Self {
        Self(header)
    }
    /// Sequence number.
    pub fn seq(self) -> u32 {
        u32_at(self.0, 4).unwrap_or(0)
    }
    /// Acknowledgement number.
    pub fn ack(self) -> u32 {
        u32_at(self.0, 8).unwrap_or(0)
    }
    /// Flags, without the two of ECN's nonce.
    pub fn flags(self) -> u8 {
        self.0.get(13).copied().unwrap_or(0)
    }
    /// Whether all of these flags are set.
    pub fn has(self, flags: u8) -> bool {
        self.flags() & flags == flags
    }
    /// Window, not scaled.
    pub fn window(self) -> u16 {
        u16_at(self.0, 14).unwrap_or(0)
    }
    /// Urgent pointer.
    pub fn urgent(self) -> u16 {
        u16_at(self.0, 18).unwrap_or(0)
    }
    /// Options, read up to the first that makes no sense.
    pub fn options(self) -> Options<'a> {
        let mut out = Options::default();
        let mut rest = self.0.get(MIN_HEADER..).unwrap_or_default();
        loop {
            match *rest {
                [] | [0, ..] => return out,
                [1, ..] => rest = &rest[1..],
                [kind, length, ..] if usize::from(length) >= 2 && usize::from(length) <= rest.len() => {
                    let (option, behind) = rest.split_at(usize::from(length));
                    out.take(kind, &option[2..]);
                    rest = behind;
                }
                _ => {
                    out.invalid_length = true;
                    return out;
                }
            }
        }
    }
}

impl<'a> Options<'a> {
    fn take(&mut self, kind: u8, value: &'a [u8]) {
        let once = |there: bool, duplicate: &mut bool| {
            *duplicate |= there;
            !there
        };
        match (kind, value.len()) {
            (2, 2) if once(self.mss.is_some(), &mut self.duplicate) => self.mss = u16_at(value, 0),
            // A shift beyond 14 counts as 14 (RFC 7323, 2.3).
            (3, 1) if once(self.window_scale.is_some(), &mut self.duplicate) => self.window_scale = Some(value[0].min(14)),
            (4, 0) if once(self.sack_permitted, &mut self.duplicate) => self.sack_permitted = true,
            (5, 8 | 16 | 24 | 32) if once(!self.sack.is_empty(), &mut self.duplicate) => self.sack = value,
            (8, 8) if once(self.timestamp.is_some(), &mut self.duplicate) => self.timestamp = u32_at(value, 0).zip(u32_at(value, 4)),
            (34, 0 | 4..=16) if once(self.fast_open.is_some(), &mut self.duplicate) => self.fast_open = Some(value),
            // The experimental form (RFC 6994) with Fast Open's number.
            (254, 2 | 6..=18) if value[..2] == [0xf9, 0x89] && once(self.fast_open.is_some(), &mut self.duplicate) => {
                self.fast_open = Some(&value[2..]);
            }
            (2..=4 | 8, _) => self.invalid_length |= !matches!((kind, value.len()), (2, 2) | (3, 1) | (4, 0) | (8, 8)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read() {
        let mut header = vec![0; 20];
        header.extend([2, 4, 5, 180, 1, 3, 3, 15, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 34, 6, 1, 2, 3, 4]);
        let o = Tcp::new(&header).options();
        assert_eq!((o.mss, o.window_scale, o.sack_permitted, o.timestamp), (Some(1460), Some(14), true, Some((1, 2))));
        assert_eq!(o.fast_open, Some(&[1, 2, 3, 4][..]));
        assert!(!o.duplicate && !o.invalid_length);
        header.truncate(20);
        header.extend([2, 4, 0, 1, 2, 4, 0, 2, 8, 40]);
        let o = Tcp::new(&header).options();
        assert!(o.duplicate && o.invalid_length && o.mss == Some(1));
        assert!(Tcp::new(&[]).options() == Options::default() && Tcp::new(&[]).seq() == 0);
    }
}
