//! Digests of files as they come. In come the bytes in order, out come the digests once all of them were there.

use md5::Digest as _;

/// Which digests are made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Which {
    /// MD5.
    pub md5: bool,
    /// SHA-1.
    pub sha1: bool,
    /// SHA-256.
    pub sha256: bool,
}

impl Which {
    /// Whether any is.
    pub fn any(self) -> bool {
        self.md5 || self.sha1 || self.sha256
    }

    /// Those of both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { md5: self.md5 || other.md5, sha1: self.sha1 || other.sha1, sha256: self.sha256 || other.sha256 }
    }
}

/// The digests of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Digests {
    /// MD5.
    pub md5: Option<[u8; 16]>,
    /// SHA-1.
    pub sha1: Option<[u8; 20]>,
    /// SHA-256.
    pub sha256: Option<[u8; 32]>,
}

/// Digests that are being made.
#[derive(Debug, Clone, Default)]
pub(crate) struct Running {
    md5: Option<md5::Md5>,
    sha1: Option<sha1::Sha1>,
    sha256: Option<sha2::Sha256>,
}

impl Running {
    pub(crate) fn new(which: Which) -> Self {
        Self { md5: which.md5.then(md5::Md5::new), sha1: which.sha1.then(sha1::Sha1::new), sha256: which.sha256.then(sha2::Sha256::new) }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if let Some(d) = &mut self.md5 {
            d.update(bytes);
        }
        if let Some(d) = &mut self.sha1 {
            d.update(bytes);
        }
        if let Some(d) = &mut self.sha256 {
            d.update(bytes);
        }
    }

    pub(crate) fn end(self) -> Digests {
        Digests {
            md5: self.md5.map(|d| d.finalize().into()),
            sha1: self.sha1.map(|d| d.finalize().into()),
            sha256: self.sha256.map(|d| d.finalize().into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_asked_for_are_made_whatever_the_cuts() {
        let mut r = Running::new(Which { md5: true, sha1: false, sha256: true });
        r.push(b"a");
        r.push(b"bc");
        let d = r.end();
        assert_eq!(d.md5.map(|b| b[0]), Some(0x90));
        assert_eq!((d.sha256.map(|b| b[0]), d.sha1), (Some(0xba), None));
    }
}
