//! Numbers in bytes, for `byte_test` and its kin. In comes where and how a number is written, out come its value and how many bytes it
//! took, or nothing where it is not there.

use ips_rules::condition::Encoding;

/// Longest number in text that is read: 64 bits in octal, and a sign.
const MAX_TEXT: usize = 23;

/// How numbers are written, without what depends on the packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    Big,
    Little,
    Text(u32),
}

impl Written {
    /// `little`: what the header of DCERPC says.
    pub fn of(encoding: Encoding, little: bool) -> Self {
        match encoding {
            Encoding::Big => Self::Big,
            Encoding::Little => Self::Little,
            Encoding::Dce if little => Self::Little,
            Encoding::Dce => Self::Big,
            Encoding::Octal => Self::Text(8),
            Encoding::Decimal => Self::Text(10),
            Encoding::Hexadecimal => Self::Text(16),
        }
    }
}

/// Reads a number of `length` bytes at the front of `bytes`.
pub(crate) fn number(bytes: &[u8], length: usize, written: Written) -> Option<(u64, usize)> {
    let field = bytes.get(..length)?;
    match written {
        Written::Text(base) => text(field, base),
        // The peer takes no bytes for the number 0.
        _ if length == 0 => Some((0, 0)),
        _ if length > 8 => None,
        Written::Big => Some((field.iter().fold(0, |n, b| n << 8 | u64::from(*b)), length)),
        Written::Little => Some((field.iter().rev().fold(0, |n, b| n << 8 | u64::from(*b)), length)),
    }
}

/// As C's `strtoull` reads it: blanks, a sign, digits as far as they go; nothing where there is no digit or too many.
fn text(field: &[u8], base: u32) -> Option<(u64, usize)> {
    let field = &field[..field.len().min(MAX_TEXT)];
    let blanks = field.iter().take_while(|b| matches!(b, b' ' | b'\t'..=b'\r')).count();
    let mut at = blanks;
    let negative = field.get(at) == Some(&b'-');
    if matches!(field.get(at), Some(b'-' | b'+')) {
        at += 1;
    }
    let digit = |b: &u8| char::from(*b).to_digit(base).map(u64::from);
    if base == 16
        && field.get(at) == Some(&b'0')
        && matches!(field.get(at + 1), Some(b'x' | b'X'))
        && field.get(at + 2).and_then(digit).is_some()
    {
        at += 2;
    }
    let from = at;
    let mut value = 0u64;
    while let Some(d) = field.get(at).and_then(digit) {
        value = value.checked_mul(u64::from(base))?.checked_add(d)?;
        at += 1;
    }
    if at == from {
        return None;
    }
    Some((if negative { value.wrapping_neg() } else { value }, at))
}

/// Keeps the bits of a mask, shifted down to its lowest.
pub(crate) fn masked(value: u64, mask: Option<u32>) -> u64 {
    match mask {
        Some(m) => (value & u64::from(m)) >> m.trailing_zeros().min(31),
        None => value,
    }
}

/// Rounds up to a multiple.
pub(crate) fn rounded(value: u64, to: u64) -> u64 {
    match value % to {
        0 => value,
        over => value.wrapping_add(to - over),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read() {
        let big = |b: &[u8], n| number(b, n, Written::Big);
        assert_eq!(big(&[1, 2, 3], 2), Some((0x102, 2)));
        assert_eq!((big(&[1], 2), big(&[1], 0), big(&[1; 9], 9)), (None, Some((0, 0)), None));
        assert_eq!(number(&[1, 2, 3], 3, Written::Little), Some((0x30201, 3)));
        assert_eq!(number(b" 12x", 4, Written::Text(10)), Some((12, 3)));
        assert_eq!(number(b"xx12", 4, Written::Text(10)), None);
        assert_eq!(number(b"0x1f", 4, Written::Text(16)), Some((31, 4)));
        assert_eq!(number(b"0xzz", 4, Written::Text(16)), Some((0, 1)));
        assert_eq!(number(b"-1", 2, Written::Text(10)), Some((u64::MAX, 2)));
        assert_eq!(number(b"99999999999999999999999", 23, Written::Text(10)), None);
        assert_eq!((masked(0x0ff0, Some(0xf0)), masked(8, None), rounded(5, 4), rounded(8, 4)), (15, 8, 8, 8));
    }
}
