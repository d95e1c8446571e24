//! Signed bytes: signatures before what they are about. In come bytes, out come [`Signatures`] and the content, or a [`Signed`]
//! bundle; whether anybody believes them is [`crate::trust`]'s to say. Never: makes a signature.
//!
//! ```text
//! ravelin-signed 1
//! KEYID BASE64          one line each, 1 to 8 of them, sorted by id, no id twice
//!                       an empty line
//! ...                   the content's own bytes, to the end
//! ```

use crate::{
    Bundle, ReadError,
    key::{Domain, KeyId, PublicKey, Signature},
    narrower::Widens,
    trust::{Distrust, Trust},
};
use std::collections::BTreeMap;
use words::Digest;

/// First line.
const HEAD: &[u8] = b"ravelin-signed 1\n";

/// Most signatures under one content: more keys than a rule can ask for, few enough to check at once.
pub const MOST_SIGNATURES: usize = 8;

/// Longest line before the content, in bytes: an id, a space, 88 characters of Base64.
const LONGEST_LINE: usize = 128;

/// Why bytes are nothing signed.
#[derive(Debug, thiserror::Error)]
pub enum SignedError {
    /// Something else.
    #[error("not signed: it does not begin with `ravelin-signed 1`")]
    Head,
    /// The lines of signatures.
    #[error("the signatures are not in their form: one line `KEYID BASE64` each, sorted, no key twice, then an empty line")]
    Lines,
    /// None, or too many.
    #[error("{0} signatures: there are 1 to {MOST_SIGNATURES}")]
    Count(usize),
    /// The content.
    #[error("the signed bundle is not accepted")]
    Bundle(#[from] ReadError),
    /// The content.
    #[error("the signed trust is not accepted")]
    Trust(#[from] crate::trust::TrustError),
}

/// One to eight signatures, at most one by each key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signatures(BTreeMap<KeyId, Signature>);

impl Signatures {
    /// These; of two by one key the later stays.
    pub fn new(all: impl IntoIterator<Item = (KeyId, Signature)>) -> Result<Self, SignedError> {
        let all: BTreeMap<_, _> = all.into_iter().collect();
        if all.is_empty() || all.len() > MOST_SIGNATURES { Err(SignedError::Count(all.len())) } else { Ok(Self(all)) }
    }
    /// Whether bytes say of themselves that they are signed.
    pub fn are_before(bytes: &[u8]) -> bool {
        bytes.starts_with(HEAD)
    }
    /// The signatures, and the content behind them.
    pub fn read(bytes: &[u8]) -> Result<(Self, &[u8]), SignedError> {
        let mut rest = bytes.strip_prefix(HEAD).ok_or(SignedError::Head)?;
        let mut all: BTreeMap<KeyId, Signature> = BTreeMap::new();
        loop {
            let end = rest.iter().take(LONGEST_LINE).position(|&b| b == b'\n').ok_or(SignedError::Lines)?;
            let (line, more) = rest.split_at(end);
            rest = &more[1..];
            if line.is_empty() {
                break;
            }
            let line = std::str::from_utf8(line).map_err(|_| SignedError::Lines)?;
            let (id, signature) = line.split_once(' ').ok_or(SignedError::Lines)?;
            let id: KeyId = id.parse().map_err(|_| SignedError::Lines)?;
            // Sorted and single: one meaning has one spelling.
            if all.last_key_value().is_some_and(|(last, _)| *last >= id) {
                return Err(SignedError::Lines);
            }
            all.insert(id, signature.parse().map_err(|_| SignedError::Lines)?);
            if all.len() > MOST_SIGNATURES {
                return Err(SignedError::Count(all.len()));
            }
        }
        Self::new(all).map(|s| (s, rest))
    }
    /// The bytes that [`Signatures::read`] takes.
    pub fn before(&self, content: &[u8]) -> Vec<u8> {
        let lines: String = self.0.iter().map(|(id, s)| format!("{id} {s}\n")).collect();
        [HEAD, lines.as_bytes(), b"\n", content].concat()
    }
    /// All, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&KeyId, &Signature)> {
        self.0.iter()
    }
    /// The signature said to be by this key.
    pub fn by(&self, key: KeyId) -> Option<&Signature> {
        self.0.get(&key)
    }
    /// Which keys they are said to be by.
    pub fn keys(&self) -> Vec<KeyId> {
        self.0.keys().copied().collect()
    }
    /// Those of the known keys that have signed; an error where one is said to have and has not. Signatures of keys that are not
    /// known here count for nothing and do no harm: machines whose trust is older or newer than others' take the same bytes.
    pub fn made_by<'k>(
        &self,
        known: impl IntoIterator<Item = &'k PublicKey>,
        domain: Domain,
        digest: &Digest,
    ) -> Result<Vec<KeyId>, Distrust> {
        let mut out = Vec::new();
        for key in known {
            match self.by(key.id()) {
                None => {}
                Some(signature) if key.made(signature, domain, digest) => out.push(key.id()),
                Some(_) => return Err(Distrust::BadSignature { key: key.id(), name: key.name().clone() }),
            }
        }
        Ok(out)
    }
}

/// A bundle with signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    signatures: Signatures,
    bundle: Bundle,
}

impl Signed {
    /// A bundle with these signatures; nobody has checked them yet.
    pub fn new(bundle: Bundle, signatures: Signatures) -> Self {
        Self { signatures, bundle }
    }
    /// Reads signatures and bundle. The signatures are not checked: [`Signed::verify`].
    pub fn read(bytes: &[u8]) -> Result<Self, SignedError> {
        let (signatures, content) = Signatures::read(bytes)?;
        Ok(Self { signatures, bundle: Bundle::read(content)? })
    }
    /// The bytes that [`Signed::read`] takes.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.signatures.before(&self.bundle.to_bytes())
    }
    /// The bundle.
    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }
    /// Its signatures.
    pub fn signatures(&self) -> &Signatures {
        &self.signatures
    }
    /// Which of the machine's trusted keys stand behind it, where these are enough. Whether it is for this machine and newer than what
    /// is there is the applier's to say, which knows both.
    pub fn verify(&self, trust: &Trust, widens: &Widens) -> Result<Vec<KeyId>, Distrust> {
        trust.stands_behind(&self.signatures, &self.bundle.digest(), widens)
    }
}
