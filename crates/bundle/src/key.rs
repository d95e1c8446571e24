//! Public keys and signatures. In come bytes and text of others, out come keys that are safe to check with, and whether a signature
//! is one. Ed25519 (RFC 8032) and nothing else: there is no algorithm to negotiate. Never: holds a secret, signs.

use base64ct::{Base64, Encoding};
use ed25519_dalek::VerifyingKey;
use std::{fmt, str::FromStr};
use words::{Digest, KeyName};

/// First word of a public key's text.
const MAGIC: &str = "ravelin-key";

/// The one algorithm.
const ALGORITHM: &str = "ed25519";

/// Hexadecimal digits of a key's id: 64 bits of SHA-256. An id only finds the key in a list of trusted ones, where no two are alike;
/// what is checked with is the whole key.
const ID_DIGITS: usize = 16;

/// What a signature is about. Each domain's first bytes end in a zero and none is another's beginning, so that no signature of one
/// can be taken for one of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Domain {
    /// A bundle; signed is [`crate::Bundle::digest`], which covers machine, generation and parent.
    Bundle,
    /// A new list of trusted keys; signed is the digest of [`crate::Trust::to_bytes`].
    Trust,
    /// A line of the coordinator's record; signed is the digest of its bytes.
    Record,
}

impl Domain {
    /// All.
    pub const ALL: [Self; 3] = [Self::Bundle, Self::Trust, Self::Record];
    /// The bytes a signature is made over: the domain, then the 32 bytes of the digest.
    pub fn message(self, digest: &Digest) -> Vec<u8> {
        let domain: &[u8] = match self {
            Self::Bundle => b"ravelin bundle v1\0",
            Self::Trust => b"ravelin trust v1\0",
            Self::Record => b"ravelin record v1\0",
        };
        [domain, digest.as_bytes()].concat()
    }
}

/// Which key: the first 16 hexadecimal digits of the SHA-256 of its 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; ID_DIGITS / 2]);

impl KeyId {
    /// The id of a public key's 32 bytes.
    pub fn of(key: &[u8; 32]) -> Self {
        let mut id = [0; ID_DIGITS / 2];
        id.iter_mut().zip(Digest::of(key).as_bytes()).for_each(|(to, from)| *to = *from);
        Self(id)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for KeyId {
    type Err = KeyError;
    /// Small letters only: one key has one spelling.
    fn from_str(text: &str) -> Result<Self, KeyError> {
        let bad = || KeyError::Id(text.chars().take(2 * ID_DIGITS).collect());
        if text.len() != ID_DIGITS || !text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
            return Err(bad());
        }
        let mut id = [0; ID_DIGITS / 2];
        for (i, byte) in id.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).map_err(|_| bad())?;
        }
        Ok(Self(id))
    }
}

impl serde::Serialize for KeyId {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for KeyId {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A public key with its name. Its text is one line: `ravelin-key ed25519 BASE64 NAME`.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    key: VerifyingKey,
    name: KeyName,
}

/// Why text is no public key, or bytes no signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Something else.
    #[error("not a public key: it reads `{MAGIC} {ALGORITHM} BASE64 NAME`, in one line")]
    Form,
    /// Not 32 bytes that are a point of the curve, or a point that anybody can sign for.
    #[error("the public key of `{0}` is none: its bytes are no point that a key pair has")]
    Point(KeyName),
    /// Not a name.
    #[error("the key's name: {0}")]
    Name(#[from] words::NameError),
    /// Not an id.
    #[error("`{0}` is not a key's id: {ID_DIGITS} hexadecimal digits in small letters")]
    Id(String),
    /// Not a signature.
    #[error("a signature is 64 bytes in Base64")]
    Signature,
}

impl PublicKey {
    /// From its 32 bytes. Refuses points of small order, for which everybody can make signatures.
    pub fn new(bytes: &[u8; 32], name: KeyName) -> Result<Self, KeyError> {
        match VerifyingKey::from_bytes(bytes) {
            Ok(key) if !key.is_weak() => Ok(Self { key, name }),
            _ => Err(KeyError::Point(name)),
        }
    }
    /// Which key.
    pub fn id(&self) -> KeyId {
        KeyId::of(self.key.as_bytes())
    }
    /// Whose it is, as its owner says.
    pub fn name(&self) -> &KeyName {
        &self.name
    }
    /// SHA-256 of its 32 bytes: what two people compare over the telephone.
    pub fn fingerprint(&self) -> Digest {
        Digest::of(self.key.as_bytes())
    }
    /// Whether this key made the signature. Strict (RFC 8032, and no points of small order): what one verifier takes all take.
    pub fn made(&self, signature: &Signature, domain: Domain, digest: &Digest) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        self.key.verify_strict(&domain.message(digest), &signature).is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{MAGIC} {ALGORITHM} {} {}", Base64::encode_string(self.key.as_bytes()), self.name)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.id())
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<Self, KeyError> {
        let mut words = text.split(' ');
        let (Some(MAGIC), Some(ALGORITHM), Some(key), Some(name), None) =
            (words.next(), words.next(), words.next(), words.next(), words.next())
        else {
            return Err(KeyError::Form);
        };
        Self::new(&decoded(key).ok_or(KeyError::Form)?, KeyName::new(name)?)
    }
}

/// A signature: 64 bytes, written in Base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature(pub [u8; 64]);

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Base64::encode_string(&self.0))
    }
}

impl FromStr for Signature {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<Self, KeyError> {
        decoded(text).map(Self).ok_or(KeyError::Signature)
    }
}

/// Base64 of exactly so many bytes, in its one spelling.
fn decoded<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let read = Base64::decode(text, &mut bytes).ok()?;
    (read.len() == N && Base64::encode_string(&bytes) == text).then_some(bytes)
}
