//! The key, and what it signs. Its bytes are wiped from memory when it is dropped.

use crate::Error;
use bundle::{
    Bundle, KeyId, PublicKey, Signature, Trust,
    key::Domain,
    signed::{Signatures, Signed, SignedError},
    trust::SignedTrust,
};
use ed25519_dalek::{Signer, SigningKey};
use std::fmt;
use words::{Digest, KeyName};
use zeroize::Zeroizing;

/// A passphrase; wiped from memory when it is dropped.
pub type Passphrase = Zeroizing<String>;

/// A secret key.
pub struct Secret(pub(crate) SigningKey);

impl Secret {
    /// A new one, from the kernel's random numbers.
    pub fn generate() -> Result<Self, Error> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut_slice()).map_err(|e| Error::Random(e.to_string()))?;
        Ok(Self(SigningKey::from_bytes(&seed)))
    }
    /// The public key under this name.
    pub fn public(&self, name: KeyName) -> Result<PublicKey, Error> {
        PublicKey::new(self.0.verifying_key().as_bytes(), name).map_err(Error::Public)
    }
    /// Which key.
    pub fn id(&self) -> KeyId {
        KeyId::of(self.0.verifying_key().as_bytes())
    }
    fn sign(&self, domain: Domain, digest: &Digest) -> (KeyId, Signature) {
        (self.id(), Signature(self.0.sign(&domain.message(digest)).to_bytes()))
    }
    /// Under a bundle.
    pub fn sign_bundle(&self, bundle: &Bundle) -> (KeyId, Signature) {
        self.sign(Domain::Bundle, &bundle.digest())
    }
    /// Under a new trust.
    pub fn sign_trust(&self, trust: &Trust) -> (KeyId, Signature) {
        self.sign(Domain::Trust, &trust.digest())
    }
    /// Under a record of the coordinator.
    pub fn sign_record(&self, bytes: &[u8]) -> (KeyId, Signature) {
        self.sign(Domain::Record, &Digest::of(bytes))
    }
}

/// Never the secret.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({})", self.id())
    }
}

/// A bundle signed by these keys, one to eight.
pub fn sign_bundle<'s>(bundle: Bundle, by: impl IntoIterator<Item = &'s Secret>) -> Result<Signed, SignedError> {
    let signatures = Signatures::new(by.into_iter().map(|s| s.sign_bundle(&bundle)))?;
    Ok(Signed::new(bundle, signatures))
}

/// A trust signed by these keys, one to eight.
pub fn sign_trust<'s>(trust: Trust, by: impl IntoIterator<Item = &'s Secret>) -> Result<SignedTrust, SignedError> {
    let signatures = Signatures::new(by.into_iter().map(|s| s.sign_trust(&trust)))?;
    Ok(SignedTrust::new(trust, signatures))
}
