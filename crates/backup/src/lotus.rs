//! The form of `lotus backup` (lotus, lib/backupds): a CBOR pair of an endless list of key and value pairs and the SHA-256 of
//! that list, then a log of later entries. In comes a stream, out comes how many entries it holds and whether it is whole.
//! Values are counted and forgotten; of keys only whether one was met is told.

use crate::Error;
use sha2::{Digest, Sha256};
use std::io::{ErrorKind, Read};

/// Longest key that is kept to be compared; datastore keys are paths.
const LONGEST_KEY: u64 = 4096;
/// Bytes that are read at once.
const CHUNK: usize = 64 << 10;

/// What a whole backup holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Held {
    /// Entries of the list.
    pub entries: u64,
    /// Entries of the log behind it.
    pub logged: u64,
    /// The key that was asked about is among them.
    pub met: bool,
}

/// A stream with the digest of what was read since it began.
struct Reader<R> {
    from: R,
    digest: Sha256,
}

impl<R: Read> Reader<R> {
    fn byte(&mut self) -> Result<Option<u8>, Error> {
        let mut one = [0];
        loop {
            match self.from.read(&mut one) {
                Ok(0) => return Ok(None),
                Ok(_) => {
                    self.digest.update(one);
                    return Ok(Some(one[0]));
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e.into()),
            }
        }
    }
    fn must(&mut self) -> Result<u8, Error> {
        self.byte()?.ok_or_else(|| broken("it ends in the middle"))
    }
    /// A CBOR head: major type and number.
    fn head(&mut self) -> Result<(u8, u64), Error> {
        let first = self.must()?;
        let length = match first & 0x1f {
            n @ 0..=23 => return Ok((first >> 5, u64::from(n))),
            24 => 1,
            25 => 2,
            26 => 4,
            27 => 8,
            _ => return Err(broken("a number that is none")),
        };
        let mut number = 0u64;
        for _ in 0..length {
            number = number << 8 | u64::from(self.must()?);
        }
        Ok((first >> 5, number))
    }
    /// A byte string; its beginning is kept as far as `keep` says.
    fn bytes(&mut self, keep: u64) -> Result<Vec<u8>, Error> {
        let (kind, length) = self.head()?;
        if kind != 2 {
            return Err(broken("something else where a byte string should be"));
        }
        let mut out = Vec::new();
        let mut left = length;
        let mut chunk = vec![0u8; CHUNK.min(usize::try_from(length).unwrap_or(CHUNK)).max(1)];
        while left > 0 {
            let most = chunk.len().min(usize::try_from(left).unwrap_or(chunk.len()));
            let part = chunk.get_mut(..most).unwrap_or_default();
            let n = match self.from.read(part) {
                Ok(0) => return Err(broken("it ends in the middle")),
                Ok(n) => n,
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) => return Err(e.into()),
            };
            let got = part.get(..n).unwrap_or_default();
            self.digest.update(got);
            let room = usize::try_from(keep.saturating_sub(out.len() as u64)).unwrap_or(0);
            out.extend_from_slice(got.get(..n.min(room)).unwrap_or_default());
            left -= n as u64;
        }
        Ok(out)
    }
}

fn broken(why: &str) -> Error {
    Error::Broken(why.to_owned())
}

/// Reads a backup to its end. `wanted` is a key whose presence is told.
pub fn read(from: impl Read, wanted: &str) -> Result<Held, Error> {
    let mut r = Reader { from, digest: Sha256::new() };
    let mut held = Held::default();
    if r.must()? != 0x82 {
        return Err(broken("it does not begin like a backup of lotus"));
    }
    r.digest = Sha256::new();
    if r.must()? != 0x9f {
        return Err(broken("it does not begin like a backup of lotus"));
    }
    loop {
        match r.must()? {
            0xff => break,
            0x82 => {
                let key = r.bytes(LONGEST_KEY)?;
                r.bytes(0)?;
                held.entries += 1;
                held.met |= key == wanted.as_bytes();
            }
            _ => return Err(broken("something else where an entry should be")),
        }
    }
    let sum = std::mem::take(&mut r.digest).finalize();
    if r.bytes(64)? != sum.as_slice() {
        return Err(broken("its checksum is another one than it says"));
    }
    // The log: triples of key, value and time.
    while let Some(first) = r.byte()? {
        if first != 0x83 {
            return Err(broken("something else where an entry of the log should be"));
        }
        let key = r.bytes(LONGEST_KEY)?;
        r.bytes(0)?;
        if r.head()?.0 > 1 {
            return Err(broken("an entry of the log without a time"));
        }
        held.logged += 1;
        held.met |= key == wanted.as_bytes();
    }
    Ok(held)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    fn string(out: &mut Vec<u8>, bytes: &[u8]) {
        match u8::try_from(bytes.len()) {
            Ok(n @ 0..=23) => out.push(0x40 | n),
            Ok(n) => out.extend([0x58, n]),
            Err(_) => {
                out.push(0x5a);
                out.extend(u32::try_from(bytes.len()).expect("short").to_be_bytes());
            }
        }
        out.extend(bytes);
    }

    /// A backup as lotus writes it.
    pub(crate) fn written(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut list = vec![0x9f];
        for (key, value) in entries {
            list.push(0x82);
            string(&mut list, key.as_bytes());
            string(&mut list, value);
        }
        list.push(0xff);
        let sum = Sha256::digest(&list);
        let mut out = vec![0x82];
        out.extend(&list);
        string(&mut out, &sum);
        out
    }

    #[test]
    fn a_whole_backup_is_read_and_a_damaged_one_is_not() {
        let large = vec![7u8; 200_000];
        let good = written(&[("/miner-address", b"\x00\x01"), ("/sectors/1", &large)]);
        assert_eq!(read(&good[..], "/miner-address").expect("whole"), Held { entries: 2, logged: 0, met: true });
        let mut logged = good.clone();
        logged.extend([0x83]);
        string(&mut logged, b"/sectors/2");
        string(&mut logged, b"x");
        logged.extend([0x1a, 0x65, 0, 0, 0]);
        assert_eq!(read(&logged[..], "/none").expect("with its log"), Held { entries: 2, logged: 1, met: false });
        let mut flipped = good.clone();
        flipped[1000] ^= 1;
        let why = |bytes: &[u8]| read(bytes, "").expect_err("broken").to_string();
        assert!(why(&flipped).contains("checksum"), "{}", why(&flipped));
        assert!(why(&good[..good.len() - 1]).contains("ends in the middle"));
        assert!(why(&logged[..logged.len() - 3]).contains("ends in the middle"));
        assert!(why(b"tar").contains("does not begin"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..200), begin in any::<bool>()) {
            let bytes = if begin { [&[0x82, 0x9f][..], &bytes].concat() } else { bytes };
            let _ = read(&bytes[..], "x");
        }
    }
}
