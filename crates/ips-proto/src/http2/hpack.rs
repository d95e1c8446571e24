//! Compressed headers (RFC 7541): a block in, names and values out. One decoder per direction, as its table grows with what was said. Output
//! of a block is bounded, whatever it refers to.

use std::{collections::VecDeque, sync::LazyLock};

/// Bytes a table may hold at most, whatever a settings frame allows: larger ones are not met.
const TABLE: usize = 64 << 10;
/// The size a table begins with (RFC 9113, 6.5.2).
const DEFAULT: usize = 4096;
/// Bytes of names and values out of one block; servers refuse more than a fraction.
pub(super) const BLOCK: usize = 64 << 10;
/// What an entry costs beside its bytes (RFC 7541, 4.1).
const ENTRY: usize = 32;

/// What a block says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Field {
    /// Name and value.
    Header(Vec<u8>, Vec<u8>),
    /// The table has a new size.
    Size(u64),
}

/// Names and values known from the beginning (RFC 7541, appendix A).
#[rustfmt::skip]
const STATIC: [(&str, &str); 61] = [
    (":authority", ""), (":method", "GET"), (":method", "POST"), (":path", "/"), (":path", "/index.html"), (":scheme", "http"),
    (":scheme", "https"), (":status", "200"), (":status", "204"), (":status", "206"), (":status", "304"), (":status", "400"),
    (":status", "404"), (":status", "500"), ("accept-charset", ""), ("accept-encoding", "gzip, deflate"), ("accept-language", ""),
    ("accept-ranges", ""), ("accept", ""), ("access-control-allow-origin", ""), ("age", ""), ("allow", ""), ("authorization", ""),
    ("cache-control", ""), ("content-disposition", ""), ("content-encoding", ""), ("content-language", ""), ("content-length", ""),
    ("content-location", ""), ("content-range", ""), ("content-type", ""), ("cookie", ""), ("date", ""), ("etag", ""), ("expect", ""),
    ("expires", ""), ("from", ""), ("host", ""), ("if-match", ""), ("if-modified-since", ""), ("if-none-match", ""), ("if-range", ""),
    ("if-unmodified-since", ""), ("last-modified", ""), ("link", ""), ("location", ""), ("max-forwards", ""), ("proxy-authenticate", ""),
    ("proxy-authorization", ""), ("range", ""), ("referer", ""), ("refresh", ""), ("retry-after", ""), ("server", ""), ("set-cookie", ""),
    ("strict-transport-security", ""), ("transfer-encoding", ""), ("user-agent", ""), ("vary", ""), ("via", ""), ("www-authenticate", ""),
];

/// Letters by the length of their code; among those of one length codes rise with the letter (RFC 7541, appendix B is such a code).
#[rustfmt::skip]
const LENGTHS: [(u8, &[u16]); 21] = [
    (5, &[48, 49, 50, 97, 99, 101, 105, 111, 115, 116]),
    (6, &[32, 37, 45, 46, 47, 51, 52, 53, 54, 55, 56, 57, 61, 65, 95, 98, 100, 102, 103, 104, 108, 109, 110, 112, 114, 117]),
    (7, &[58, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 80, 81, 82, 83, 84, 85, 86, 87, 89, 106, 107, 113, 118, 119, 120, 121, 122]),
    (8, &[38, 42, 44, 59, 88, 90]),
    (10, &[33, 34, 40, 41, 63]),
    (11, &[39, 43, 124]),
    (12, &[35, 62]),
    (13, &[0, 36, 64, 91, 93, 126]),
    (14, &[94, 125]),
    (15, &[60, 96, 123]),
    (19, &[92, 195, 208]),
    (20, &[128, 130, 131, 162, 184, 194, 224, 226]),
    (21, &[153, 161, 167, 172, 176, 177, 179, 209, 216, 217, 227, 229, 230]),
    (22, &[129, 132, 133, 134, 136, 146, 154, 156, 160, 163, 164, 169, 170, 173, 178, 181, 185, 186, 187, 189, 190, 196, 198, 228, 232, 233]),
    (23, &[1, 135, 137, 138, 139, 140, 141, 143, 147, 149, 150, 151, 152, 155, 157, 158, 165, 166, 168, 174, 175, 180, 182, 183, 188, 191, 197,
        231, 239]),
    (24, &[9, 142, 144, 145, 148, 159, 171, 206, 215, 225, 236, 237]),
    (25, &[199, 207, 234, 235]),
    (26, &[192, 193, 200, 201, 202, 205, 210, 213, 218, 219, 238, 240, 242, 243, 255]),
    (27, &[203, 204, 211, 212, 214, 221, 222, 223, 241, 244, 245, 246, 247, 248, 250, 251, 252, 253, 254]),
    (28, &[2, 3, 4, 5, 6, 7, 8, 11, 12, 14, 15, 16, 17, 18, 19, 20, 21, 23, 24, 25, 26, 27, 28, 29, 30, 31, 127, 220, 249]),
    (30, &[10, 13, 22, 256]),
];

/// First code of each length, with its letters.
static CODES: LazyLock<Vec<(u8, u32, &'static [u16])>> = LazyLock::new(|| {
    let (mut code, mut last) = (0u32, 0u8);
    LENGTHS
        .iter()
        .map(|(length, letters)| {
            code <<= length - last;
            last = *length;
            let first = code;
            code += u32::try_from(letters.len()).unwrap_or(0);
            (*length, first, *letters)
        })
        .collect()
});

/// Letters of a coded text, appended as far as `room` allows; none where it is malformed.
fn letters(coded: &[u8], out: &mut Vec<u8>, room: usize) -> Option<()> {
    let from = out.len();
    let (mut code, mut length) = (0u32, 0u8);
    for bit in coded.iter().flat_map(|b| (0..8).rev().map(move |i| b >> i & 1)) {
        code = code << 1 | u32::from(bit);
        length += 1;
        if length > 30 {
            return None;
        }
        // A handful of lengths; the short ones, which are most, come first.
        let Some((_, first, letters)) = CODES.iter().take_while(|c| c.0 <= length).find(|c| c.0 == length) else { continue };
        let Some(letter) = code.checked_sub(*first).and_then(|i| letters.get(i as usize)) else { continue };
        if out.len() - from >= room {
            return None;
        }
        // The letter behind the last is the end of all, which a text must not hold.
        out.push(u8::try_from(*letter).ok()?);
        (code, length) = (0, 0);
    }
    // What fills the last byte is the beginning of the end's code: ones.
    (length < 8 && code == (1 << length) - 1).then_some(())
}

/// A decoder of one direction.
pub(super) struct Decoder {
    table: VecDeque<(Vec<u8>, Vec<u8>)>,
    size: usize,
    limit: usize,
}

impl Default for Decoder {
    fn default() -> Self {
        Self { table: VecDeque::new(), size: 0, limit: DEFAULT }
    }
}

struct Reader<'a> {
    rest: &'a [u8],
    room: usize,
}

impl Reader<'_> {
    /// A number whose first bits stand in the first byte's last `bits` (RFC 7541, 5.1).
    fn number(&mut self, bits: u8) -> Option<usize> {
        let (first, mut rest) = self.rest.split_first()?;
        let most = (1usize << bits) - 1;
        let mut n = usize::from(*first) & most;
        if n == most {
            for shift in (0..28).step_by(7) {
                let (b, tail) = rest.split_first()?;
                rest = tail;
                n += usize::from(b & 0x7f) << shift;
                if b & 0x80 == 0 {
                    self.rest = rest;
                    return Some(n);
                }
            }
            return None;
        }
        self.rest = rest;
        Some(n)
    }

    fn text(&mut self) -> Option<Vec<u8>> {
        let coded = self.rest.first()? & 0x80 != 0;
        let n = self.number(7)?;
        let (text, rest) = self.rest.split_at_checked(n)?;
        self.rest = rest;
        let mut out = Vec::new();
        if coded {
            letters(text, &mut out, self.room)?;
        } else {
            out.extend_from_slice(text);
        }
        self.spend(out.len())?;
        Some(out)
    }

    fn spend(&mut self, n: usize) -> Option<()> {
        self.room = self.room.checked_sub(n)?;
        Some(())
    }
}

impl Decoder {
    fn entry(&self, index: usize) -> Option<(&[u8], &[u8])> {
        match index.checked_sub(1)? {
            i if i < STATIC.len() => Some((STATIC[i].0.as_bytes(), STATIC[i].1.as_bytes())),
            i => self.table.get(i - STATIC.len()).map(|(n, v)| (&n[..], &v[..])),
        }
    }

    fn shrink(&mut self) {
        while self.size > self.limit {
            let Some((n, v)) = self.table.pop_back() else { break };
            self.size -= n.len() + v.len() + ENTRY;
        }
    }

    fn insert(&mut self, name: &[u8], value: &[u8]) {
        self.size += name.len() + value.len() + ENTRY;
        self.table.push_front((name.to_vec(), value.to_vec()));
        self.shrink();
    }

    /// Reads a block. False where it is malformed or too large: the table is no longer the sender's then.
    pub(super) fn block(&mut self, block: &[u8], out: &mut Vec<Field>) -> bool {
        let mut r = Reader { rest: block, room: BLOCK };
        while !r.rest.is_empty() {
            if self.field(&mut r, out).is_none() {
                return false;
            }
        }
        true
    }

    fn field(&mut self, r: &mut Reader<'_>, out: &mut Vec<Field>) -> Option<()> {
        let first = *r.rest.first()?;
        if first & 0x80 != 0 {
            let index = r.number(7)?;
            let (n, v) = self.entry(index)?;
            r.spend(n.len() + v.len() + 1)?;
            out.push(Field::Header(n.to_vec(), v.to_vec()));
        } else if first & 0xe0 == 0x20 {
            let size = r.number(5)?;
            self.limit = size.min(TABLE);
            self.shrink();
            out.push(Field::Size(size as u64));
        } else {
            let kept = first & 0x40 != 0;
            let index = r.number(if kept { 6 } else { 4 })?;
            let name = if index == 0 { r.text()? } else { self.entry(index)?.0.to_vec() };
            if index != 0 {
                r.spend(name.len())?;
            }
            let value = r.text()?;
            if kept {
                self.insert(&name, &value);
            }
            out.push(Field::Header(name, value));
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header(n: &str, v: &str) -> Field {
        Field::Header(n.into(), v.into())
    }

    #[test]
    fn the_code_is_whole() {
        let sum: f64 = LENGTHS.iter().map(|(n, l)| l.len() as f64 / f64::from(1u32 << n)).sum();
        assert!((sum - 1.0).abs() < 1e-12, "{sum}");
        let mut all: Vec<u16> = LENGTHS.iter().flat_map(|(_, l)| l.iter().copied()).collect();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..=256));
    }

    /// RFC 7541, C.4: three requests with coded texts on one connection.
    #[test]
    fn the_examples_of_the_rfc() {
        let mut d = Decoder::default();
        let mut read = |bytes: &[u8]| {
            let mut out = Vec::new();
            assert!(d.block(bytes, &mut out));
            out
        };
        let first = [0x82, 0x86, 0x84, 0x41, 0x8c, 0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff];
        let common = [header(":method", "GET"), header(":scheme", "http"), header(":path", "/"), header(":authority", "www.example.com")];
        assert_eq!(read(&first), common);
        let second = [0x82, 0x86, 0x84, 0xbe, 0x58, 0x86, 0xa8, 0xeb, 0x10, 0x64, 0x9c, 0xbf];
        assert_eq!(read(&second), [&common[..], &[header("cache-control", "no-cache")]].concat());
        let third = [
            0x82, 0x87, 0x85, 0xbf, 0x40, 0x88, 0x25, 0xa8, 0x49, 0xe9, 0x5b, 0xa9, 0x7d, 0x7f, 0x89, 0x25, 0xa8, 0x49, 0xe9, 0x5b, 0xb8,
            0xe8, 0xb4, 0xbf,
        ];
        assert_eq!(read(&third)[4], header("custom-key", "custom-value"));
    }

    #[test]
    fn a_bomb_stays_small() {
        // One large entry, and references to it, a byte each.
        let mut block = vec![0x40, 1, b'a', 0x7f, 0x80 | 0x01, 0x1f];
        block.extend([b'x'; 4000]);
        let mut plain = vec![0x40, 1, b'a', 0x7f, 0xa1, 0x1e];
        plain.extend([b'x'; 4000]);
        plain.extend([0xbe; 10_000]);
        for b in [block, plain] {
            let mut out = Vec::new();
            Decoder::default().block(&b, &mut out);
            let made: usize = out.iter().map(|f| if let Field::Header(n, v) = f { n.len() + v.len() } else { 0 }).sum();
            assert!(made <= BLOCK);
        }
    }

    proptest! {
        #[test]
        fn anything_goes(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let mut d = Decoder::default();
            let mut out = Vec::new();
            d.block(&bytes, &mut out);
            prop_assert!(d.size <= d.limit);
        }
    }
}
