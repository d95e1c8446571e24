//! Transforms: what is done to a buffer's bytes before rules look at them. Bytes in, bytes out; never longer than the input but for
//! `dotprefix`, which puts one byte before it.

use crate::{base64, regex::Expression};
use ips_rules::condition::Transform;
use md5::Digest;

/// A transform, ready to run.
#[derive(Debug)]
pub(crate) enum Step {
    Lower,
    Upper,
    DotPrefix,
    StripBlanks,
    PressBlanks,
    StripPseudo,
    HeaderLower,
    Md5,
    Sha1,
    Sha256,
    UrlDecode,
    Domain,
    Tld,
    Xor(Vec<u8>),
    Pcre(Expression),
    Base64 { bytes: Option<usize>, offset: usize, skip: bool },
    Slice { offset: i64, bytes: Option<i64>, truncate: bool },
}

impl Step {
    pub fn of(t: &Transform) -> Self {
        match t {
            Transform::ToLowercase => Self::Lower,
            Transform::ToUppercase => Self::Upper,
            Transform::Dotprefix => Self::DotPrefix,
            Transform::StripWhitespace => Self::StripBlanks,
            Transform::CompressWhitespace => Self::PressBlanks,
            Transform::StripPseudoHeaders => Self::StripPseudo,
            Transform::HeaderLowercase => Self::HeaderLower,
            Transform::ToMd5 => Self::Md5,
            Transform::ToSha1 => Self::Sha1,
            Transform::ToSha256 => Self::Sha256,
            Transform::UrlDecode => Self::UrlDecode,
            Transform::Domain => Self::Domain,
            Transform::Tld => Self::Tld,
            Transform::Xor(key) => Self::Xor(key.clone()),
            Transform::Pcre(e) => Self::Pcre(Expression::new(e, "")),
            Transform::FromBase64 { bytes, offset, strict } => {
                Self::Base64 { bytes: bytes.map(|n| n as usize), offset: *offset as usize, skip: !strict }
            }
            Transform::Subslice { offset, bytes, truncate } => {
                Self::Slice { offset: i64::from(*offset), bytes: bytes.map(i64::from), truncate: *truncate }
            }
        }
    }

    /// Whether it looks at all of the buffer: it can be made only once there is all of it.
    pub fn needs_all(&self) -> bool {
        matches!(self, Self::Md5 | Self::Sha1 | Self::Sha256 | Self::Domain | Self::Tld | Self::Slice { .. })
    }

    /// Changes `bytes`; `spare` is for what cannot be done in place.
    pub fn run(&self, bytes: &mut Vec<u8>, spare: &mut Vec<u8>) {
        let blank = |b: &u8| b.is_ascii_whitespace() || *b == 0x0b;
        match self {
            Self::Lower => bytes.make_ascii_lowercase(),
            Self::Upper => bytes.make_ascii_uppercase(),
            Self::DotPrefix => {
                if !bytes.is_empty() {
                    bytes.insert(0, b'.');
                }
            }
            Self::StripBlanks => bytes.retain(|b| !blank(b)),
            Self::PressBlanks => {
                let mut before = false;
                bytes.retain(|b| {
                    let now = blank(b);
                    let keep = !(now && before);
                    before = now;
                    keep
                });
            }
            Self::StripPseudo => {
                spare.clear();
                for line in bytes.split_inclusive(|b| *b == b'\n').filter(|l| !l.starts_with(b":")) {
                    spare.extend_from_slice(line);
                }
                std::mem::swap(bytes, spare);
            }
            Self::HeaderLower => {
                let mut name = true;
                for b in bytes.iter_mut() {
                    match *b {
                        b':' => name = false,
                        b'\n' => name = true,
                        _ if name => b.make_ascii_lowercase(),
                        _ => {}
                    }
                }
            }
            Self::Md5 => digest::<md5::Md5>(bytes),
            Self::Sha1 => digest::<sha1::Sha1>(bytes),
            Self::Sha256 => digest::<sha2::Sha256>(bytes),
            Self::UrlDecode => url_decode(bytes, spare),
            Self::Domain => {
                let from = labels(bytes, 2);
                bytes.drain(..from);
            }
            Self::Tld => {
                let from = labels(bytes, 1);
                bytes.drain(..from);
            }
            Self::Xor(key) => bytes.iter_mut().zip(key.iter().cycle()).for_each(|(b, k)| *b ^= k),
            Self::Pcre(e) => match e.group(bytes) {
                Some((from, to)) if from <= to && to <= bytes.len() => {
                    bytes.truncate(to);
                    bytes.drain(..from);
                }
                // What does not match stays as it is.
                _ => {}
            },
            Self::Base64 { bytes: most, offset, skip } => {
                spare.clear();
                let from = bytes.get(*offset..).unwrap_or_default();
                base64::decode(&from[..most.unwrap_or(from.len()).min(from.len())], *skip, spare);
                // What decodes to nothing stays as it is.
                if !spare.is_empty() {
                    std::mem::swap(bytes, spare);
                }
            }
            Self::Slice { offset, bytes: count, truncate } => slice(bytes, *offset, *count, *truncate),
        }
    }
}

fn digest<D: Digest>(bytes: &mut Vec<u8>) {
    let d = D::digest(&*bytes);
    bytes.clear();
    bytes.extend_from_slice(&d);
}

fn url_decode(bytes: &mut Vec<u8>, spare: &mut Vec<u8>) {
    spare.clear();
    let hex = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let mut at = 0;
    while at < bytes.len() {
        let pair = (bytes.get(at + 1).copied().and_then(hex), bytes.get(at + 2).copied().and_then(hex));
        match (bytes[at], pair) {
            (b'%', (Some(high), Some(low))) => {
                spare.push(high << 4 | low);
                at += 2;
            }
            (b'+', _) => spare.push(b' '),
            (b, _) => spare.push(b),
        }
        at += 1;
    }
    std::mem::swap(bytes, spare);
}

/// Where the last so many labels of a name begin. Without the public list of suffixes: see `docs/known-issues.md`.
fn labels(name: &[u8], count: usize) -> usize {
    let mut dots = name.iter().enumerate().rev().filter(|(_, b)| **b == b'.').map(|(i, _)| i + 1);
    dots.nth(count - 1).unwrap_or(0)
}

/// Counted from the end where negative.
fn slice(bytes: &mut Vec<u8>, offset: i64, count: Option<i64>, truncate: bool) {
    let length = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
    let from = if offset < 0 { length + offset } else { offset };
    let to = match count {
        None => length,
        Some(n) if n < 0 => length + n,
        Some(n) => from + n,
    };
    let (from, to) = if truncate { (from.max(0), to.min(length)) } else { (from, to) };
    match (usize::try_from(from), usize::try_from(to)) {
        (Ok(f), Ok(t)) if f < t && t <= bytes.len() => {
            bytes.truncate(t);
            bytes.drain(..f);
        }
        _ => bytes.clear(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(t: Transform, bytes: &[u8]) -> Vec<u8> {
        let (mut b, mut spare) = (bytes.to_vec(), Vec::new());
        Step::of(&t).run(&mut b, &mut spare);
        b
    }

    #[test]
    fn each_does_what_its_name_says() {
        assert_eq!(run(Transform::ToLowercase, b"aBc"), b"abc");
        assert_eq!(run(Transform::ToUppercase, b"aBc"), b"ABC");
        assert_eq!(run(Transform::Dotprefix, b"a.b"), b".a.b");
        assert_eq!(run(Transform::StripWhitespace, b" a \r\n b\t"), b"ab");
        assert_eq!(run(Transform::CompressWhitespace, b" a \r\n b\t"), b" a b\t");
        assert_eq!(run(Transform::StripPseudoHeaders, b":method: GET\r\na: b\r\n"), b"a: b\r\n");
        assert_eq!(run(Transform::HeaderLowercase, b"Ab: Cd\r\nEF: g\r\n"), b"ab: Cd\r\nef: g\r\n");
        assert_eq!(run(Transform::ToMd5, b"")[..4], [0xd4, 0x1d, 0x8c, 0xd9]);
        assert_eq!(run(Transform::ToSha1, b"")[..4], [0xda, 0x39, 0xa3, 0xee]);
        assert_eq!(run(Transform::ToSha256, b"")[..4], [0xe3, 0xb0, 0xc4, 0x42]);
        assert_eq!(run(Transform::UrlDecode, b"a%20b+c%zz%4"), b"a b c%zz%4");
        assert_eq!(run(Transform::Domain, b"www.example.com"), b"example.com");
        assert_eq!(run(Transform::Tld, b"www.example.com"), b"com");
        assert_eq!(run(Transform::Tld, b"com"), b"com");
        assert_eq!(run(Transform::Xor(vec![1, 2]), &[0, 0, 0]), [1, 2, 1]);
        assert_eq!(run(Transform::Pcre("a(.)c".to_owned()), b"xabcx"), b"b");
        assert_eq!(run(Transform::Pcre("a(.)c".to_owned()), b"zzz"), b"zzz");
        assert_eq!(run(Transform::FromBase64 { bytes: None, offset: 1, strict: true }, b"xaGk="), b"hi");
        assert_eq!(run(Transform::Subslice { offset: 1, bytes: Some(2), truncate: false }, b"abcd"), b"bc");
        assert_eq!(run(Transform::Subslice { offset: -2, bytes: None, truncate: false }, b"abcd"), b"cd");
        assert_eq!(run(Transform::Subslice { offset: 2, bytes: Some(9), truncate: false }, b"abcd"), b"");
        assert_eq!(run(Transform::Subslice { offset: 2, bytes: Some(9), truncate: true }, b"abcd"), b"cd");
    }
}
