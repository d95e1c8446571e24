//! Keys from seeds, and a small draft. Secrets of tests alone: whoever reads this has them.
#![allow(dead_code, reason = "each test program uses a part of it")]

use bundle::{
    Artefact, Bundle, Draft, Expected, KeyId, Management, PublicKey, Signature,
    content::SCHEMA,
    key::Domain,
    signed::{Signatures, Signed},
    trust::{Role, Rule, SignedTrust, Trust, Trusted},
};
use ed25519_dalek::{Signer, SigningKey};
use std::collections::BTreeMap;
use words::{Digest, Generation, HostName, KeyName};

/// The secret key of this number.
pub fn secret(n: u8) -> SigningKey {
    SigningKey::from_bytes(&[n; 32])
}

/// Its public key, named after its number.
pub fn public(n: u8) -> PublicKey {
    PublicKey::new(secret(n).verifying_key().as_bytes(), KeyName::new(&format!("key{n}")).expect("a name")).expect("a key")
}

pub fn id(n: u8) -> KeyId {
    public(n).id()
}

pub fn signature(n: u8, domain: Domain, digest: &Digest) -> (KeyId, Signature) {
    (id(n), Signature(secret(n).sign(&domain.message(digest)).to_bytes()))
}

pub fn draft(machine: &str, generation: u64) -> Draft {
    Draft {
        schema: SCHEMA,
        machine: HostName::new(machine).expect("a name"),
        generation: Generation(generation),
        parent: None,
        site: Digest::of(b"site"),
        layers: BTreeMap::new(),
        artefacts: vec![Artefact::Nft { text: "table inet ravelin {\n}\n".into() }],
        expected: Expected::default(),
        management: Management { from: vec!["198.51.100.7/32".parse().expect("a network")], ports: vec![22] },
        break_glass: "table inet ravelin {\n}\n".into(),
        probes: vec![],
        seeds: vec![],
    }
}

pub fn sealed(machine: &str, generation: u64) -> Bundle {
    Bundle::seal(draft(machine, generation)).expect("seals")
}

pub fn signed(bundle: &Bundle, by: &[u8]) -> Signed {
    let all = by.iter().map(|n| signature(*n, Domain::Bundle, &bundle.digest()));
    Signed::new(bundle.clone(), Signatures::new(all).expect("1 to 8"))
}

pub fn trust(epoch: u64, rule: Rule, apply: &[u8], recovery: &[u8]) -> Trust {
    let of = |keys: &[u8], role| keys.iter().map(|n| Trusted { key: public(*n), role }).collect::<Vec<_>>();
    Trust::new("lab", epoch, rule, [of(apply, Role::Apply), of(recovery, Role::Recovery)].concat()).expect("a trust")
}

pub fn signed_trust(trust: &Trust, by: &[u8]) -> SignedTrust {
    let all = by.iter().map(|n| signature(*n, Domain::Trust, &trust.digest()));
    SignedTrust::new(trust.clone(), Signatures::new(all).expect("1 to 8"))
}
