//! Which keys a machine believes. In come bytes, out comes a [`Trust`]: keys with their roles, how many must sign, and a number
//! that only goes up. A new one comes from the old one's keys ([`Trust::accepts`]). Never: reads a file, signs.
//!
//! ```text
//! ravelin-trust 1
//! site NAME
//! epoch NUMBER
//! rule one | two | two-to-widen
//! apply ravelin-key ed25519 BASE64 NAME       keys for bundles and for the next trust; sorted by id
//! recovery ravelin-key ed25519 BASE64 NAME    keys for the next trust alone, kept offline
//! ```

use crate::{
    key::{Domain, KeyError, KeyId, PublicKey},
    narrower::Widens,
    signed::{Signatures, SignedError},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};
use words::{Digest, KeyName};

/// First line.
const HEAD: &str = "ravelin-trust 1";

/// Largest trust that is read, in bytes: [`MOST_KEYS`] lines stay far below.
pub const MAX_BYTES: usize = 64 << 10;

/// Most keys: a large team with its tokens; all are tried in no time.
pub const MOST_KEYS: usize = 64;

/// Longest name of a site, in bytes.
const LONGEST_SITE: usize = 128;

/// How far the number may go up at once: a machine may have missed some, and a thief must not use up all numbers with one signature.
pub const LONGEST_STEP: u64 = 1000;

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Sign bundles, and with others of its kind the next trust.
    Apply,
    /// Sign the next trust, alone. No bundle: it can stay offline.
    Recovery,
}

impl Role {
    fn word(self) -> &'static str {
        match self {
            Self::Apply => "apply",
            Self::Recovery => "recovery",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// A key a machine believes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trusted {
    /// The key.
    pub key: PublicKey,
    /// What it may do.
    pub role: Role,
}

/// How many keys must sign.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// One key for everything.
    #[default]
    One,
    /// Two keys for everything.
    Two,
    /// One key for a bundle that can be seen to let through no more than the one before, two for all others and for the next trust.
    TwoToWiden,
}

impl Rule {
    /// All.
    pub const ALL: [Self; 3] = [Self::One, Self::Two, Self::TwoToWiden];
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::One => "one",
            Self::Two => "two",
            Self::TwoToWiden => "two-to-widen",
        }
    }
    /// Apply keys under the next trust.
    fn keys_for_trust(self) -> usize {
        if self == Self::One { 1 } else { 2 }
    }
}

words::by_word!(Rule, "rule");

/// Why keys are no trust, or bytes are none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// Something else.
    #[error("not a trust: it does not begin with `{HEAD}`")]
    Head,
    /// Too large.
    #[error("the trust has {0} bytes, at most {MAX_BYTES} are read")]
    TooLarge(usize),
    /// A line that is not understood.
    #[error("line {0} of the trust is not understood")]
    Line(usize),
    /// A key that is none.
    #[error("line {line} of the trust: {why}")]
    Key {
        /// Line, from 1.
        line: usize,
        /// Why.
        why: KeyError,
    },
    /// A name that is none.
    #[error("a site's name has 1 to {LONGEST_SITE} bytes, no line breaks, no space around it")]
    Site,
    /// Twice.
    #[error("key {0} stands in the trust twice")]
    Twice(KeyId),
    /// Twice.
    #[error("two keys of the trust are called `{0}`")]
    TwiceNamed(KeyName),
    /// Too many.
    #[error("{0} keys: at most {MOST_KEYS}")]
    TooMany(usize),
    /// Nobody could ever sign.
    #[error("rule `{rule}` needs {} or more apply keys, not {there}", .rule.keys_for_trust())]
    TooFew {
        /// The rule.
        rule: Rule,
        /// Apply keys.
        there: usize,
    },
    /// Numbers begin at 1.
    #[error("the trust's epoch is 0: the first one is 1")]
    Epoch,
    /// Not what this program would have written.
    #[error("the trust is not in canonical form")]
    NotCanonical,
}

/// Why nobody believes it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    /// Signed, but by nobody who is trusted here.
    #[error("signed by {}, which {} not trusted here; trusted are {}", listed(.signers), if .signers.len() == 1 { "is" } else { "are" }, listed(.trusted))]
    Stranger {
        /// Who signed.
        signers: Vec<KeyId>,
        /// Who would be believed.
        trusted: Vec<KeyId>,
    },
    /// Said to be by a trusted key and is not.
    #[error("the signature that is said to be by `{name}` ({key}) is not: the content was changed, or it is of something else")]
    BadSignature {
        /// The key.
        key: KeyId,
        /// Its name.
        name: KeyName,
    },
    /// A recovery key under a bundle.
    #[error("signed by a recovery key alone: those sign a new trust, never a bundle")]
    RecoveryOnly,
    /// Two are needed.
    #[error("signed by {} alone, and here two keys must sign{why}", listed(.signers))]
    NotEnough {
        /// Who signed.
        signers: Vec<KeyId>,
        /// Why two.
        why: String,
    },
    /// Older.
    #[error("the trust has epoch {offered}, here epoch {here} is in force: only a higher one is taken")]
    Epoch {
        /// Offered.
        offered: u64,
        /// In force.
        here: u64,
    },
    /// Too far.
    #[error("the trust has epoch {offered}, here epoch {here} is in force: at most {LONGEST_STEP} more at once")]
    Leap {
        /// Offered.
        offered: u64,
        /// In force.
        here: u64,
    },
    /// For others.
    #[error("the trust is for site `{offered}`, this machine belongs to `{here}`")]
    OtherSite {
        /// Offered.
        offered: String,
        /// Here.
        here: String,
    },
    /// Apply keys decide nothing about recovery keys.
    #[error("the trust changes recovery keys, and no recovery key has signed it")]
    Recovery,
}

fn listed(keys: &[KeyId]) -> String {
    keys.iter().map(KeyId::to_string).collect::<Vec<_>>().join(", ")
}

/// Which keys a machine believes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    site: String,
    epoch: u64,
    rule: Rule,
    keys: BTreeMap<KeyId, Trusted>,
}

impl Trust {
    /// The trust of a site. Refuses one by which nobody could ever sign, and keys that stand in it twice.
    pub fn new(site: &str, epoch: u64, rule: Rule, all: impl IntoIterator<Item = Trusted>) -> Result<Self, TrustError> {
        if site.is_empty() || site.len() > LONGEST_SITE || site.trim() != site || site.chars().any(char::is_control) {
            return Err(TrustError::Site);
        }
        if epoch == 0 {
            return Err(TrustError::Epoch);
        }
        let mut keys: BTreeMap<KeyId, Trusted> = BTreeMap::new();
        for trusted in all {
            let id = trusted.key.id();
            if keys.values().any(|t| t.key.name() == trusted.key.name()) {
                return Err(if keys.contains_key(&id) {
                    TrustError::Twice(id)
                } else {
                    TrustError::TwiceNamed(trusted.key.name().clone())
                });
            }
            if keys.insert(id, trusted).is_some() {
                return Err(TrustError::Twice(id));
            }
        }
        if keys.len() > MOST_KEYS {
            return Err(TrustError::TooMany(keys.len()));
        }
        let there = keys.values().filter(|t| t.role == Role::Apply).count();
        if there < rule.keys_for_trust() {
            return Err(TrustError::TooFew { rule, there });
        }
        Ok(Self { site: site.to_owned(), epoch, rule, keys })
    }
    /// Reads a trust.
    pub fn read(bytes: &[u8]) -> Result<Self, TrustError> {
        if bytes.len() > MAX_BYTES {
            return Err(TrustError::TooLarge(bytes.len()));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| TrustError::Head)?;
        let mut lines = text.lines().zip(1..);
        let mut next = |word: &str, number: usize| {
            let line = lines.next().map(|(l, _)| l);
            line.and_then(|l| l.strip_prefix(word)?.strip_prefix(' ')).map(str::to_owned).ok_or(TrustError::Line(number))
        };
        let (magic, version) = HEAD.split_once(' ').unwrap_or_default();
        if next(magic, 1).ok().as_deref() != Some(version) {
            return Err(TrustError::Head);
        }
        let site = next("site", 2)?;
        let epoch = next("epoch", 3)?.parse().map_err(|_| TrustError::Line(3))?;
        let rule = next("rule", 4)?.parse().map_err(|_| TrustError::Line(4))?;
        let mut keys = Vec::new();
        for (line, number) in lines {
            let (word, key) = line.split_once(' ').ok_or(TrustError::Line(number))?;
            let role = [Role::Apply, Role::Recovery].into_iter().find(|r| r.word() == word).ok_or(TrustError::Line(number))?;
            keys.push(Trusted { key: key.parse().map_err(|why| TrustError::Key { line: number, why })?, role });
            if keys.len() > MOST_KEYS {
                return Err(TrustError::TooMany(keys.len()));
            }
        }
        let read = Self::new(&site, epoch, rule, keys)?;
        if read.to_bytes() == bytes { Ok(read) } else { Err(TrustError::NotCanonical) }
    }
    /// The bytes that [`Trust::read`] takes; text, a line for each key.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = format!("{HEAD}\nsite {}\nepoch {}\nrule {}\n", self.site, self.epoch, self.rule);
        self.keys.values().for_each(|t| out += &format!("{} {}\n", t.role, t.key));
        out.into_bytes()
    }
    /// What signatures under it are about.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.to_bytes())
    }
    /// Whose machines it is for.
    pub fn site(&self) -> &str {
        &self.site
    }
    /// Its number.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }
    /// How many keys must sign.
    pub fn rule(&self) -> Rule {
        self.rule
    }
    /// All keys, by id.
    pub fn keys(&self) -> impl Iterator<Item = &Trusted> {
        self.keys.values()
    }
    /// The key of this id.
    pub fn key(&self, id: KeyId) -> Option<&Trusted> {
        self.keys.get(&id)
    }
    /// The keys of a role, by id.
    pub fn of(&self, role: Role) -> impl Iterator<Item = &PublicKey> {
        self.keys.values().filter(move |t| t.role == role).map(|t| &t.key)
    }
    fn ids(&self, role: Role) -> Vec<KeyId> {
        self.of(role).map(PublicKey::id).collect()
    }

    /// Which apply keys stand behind the bundle of this digest, where they are enough.
    pub fn stands_behind(&self, signatures: &Signatures, digest: &Digest, widens: &Widens) -> Result<Vec<KeyId>, Distrust> {
        let signers = signatures.made_by(self.of(Role::Apply), Domain::Bundle, digest)?;
        if signers.is_empty() {
            let recovery = self.of(Role::Recovery).any(|k| signatures.by(k.id()).is_some());
            let stranger = || Distrust::Stranger { signers: signatures.keys(), trusted: self.ids(Role::Apply) };
            return Err(if recovery { Distrust::RecoveryOnly } else { stranger() });
        }
        let why = match (self.rule, widens) {
            (Rule::One, _) | (Rule::TwoToWiden, Widens::No) => return Ok(signers),
            (Rule::Two, _) => String::new(),
            (Rule::TwoToWiden, Widens::Perhaps(why)) => format!(": it may let through more than what is confirmed ({why})"),
        };
        if signers.len() >= 2 { Ok(signers) } else { Err(Distrust::NotEnough { signers, why }) }
    }

    /// The keys that have signed the next trust, where it may follow this one: for the same site, with a higher epoch, signed by apply
    /// keys (as many as the rule asks) or by one recovery key. Recovery keys come and go by a recovery key's signature alone, where there
    /// is one: a thief of apply keys must not be able to take the way back from the owner.
    pub fn accepts(&self, next: &SignedTrust) -> Result<Vec<KeyId>, Distrust> {
        let SignedTrust { signatures, trust } = next;
        let (offered, here) = (trust.epoch, self.epoch);
        if trust.site != self.site {
            return Err(Distrust::OtherSite { offered: trust.site.clone(), here: self.site.clone() });
        }
        if offered <= here {
            return Err(Distrust::Epoch { offered, here });
        }
        if offered - here > LONGEST_STEP {
            return Err(Distrust::Leap { offered, here });
        }
        let digest = trust.digest();
        let recovery = signatures.made_by(self.of(Role::Recovery), Domain::Trust, &digest)?;
        let apply = signatures.made_by(self.of(Role::Apply), Domain::Trust, &digest)?;
        if !recovery.is_empty() {
            return Ok([recovery, apply].concat());
        }
        if apply.is_empty() {
            return Err(Distrust::Stranger { signers: signatures.keys(), trusted: self.keys.keys().copied().collect() });
        }
        if apply.len() < self.rule.keys_for_trust() {
            return Err(Distrust::NotEnough { signers: apply, why: " a new trust, or a recovery key".to_owned() });
        }
        let before = self.ids(Role::Recovery);
        if !before.is_empty() && before != trust.ids(Role::Recovery) {
            return Err(Distrust::Recovery);
        }
        Ok(apply)
    }
}

/// A trust with signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedTrust {
    signatures: Signatures,
    trust: Trust,
}

impl SignedTrust {
    /// A trust with these signatures; nobody has checked them yet.
    pub fn new(trust: Trust, signatures: Signatures) -> Self {
        Self { signatures, trust }
    }
    /// Reads signatures and trust. The signatures are not checked: [`Trust::accepts`].
    pub fn read(bytes: &[u8]) -> Result<Self, SignedError> {
        let (signatures, content) = Signatures::read(bytes)?;
        Ok(Self { signatures, trust: Trust::read(content)? })
    }
    /// The bytes that [`SignedTrust::read`] takes.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.signatures.before(&self.trust.to_bytes())
    }
    /// The trust.
    pub fn trust(&self) -> &Trust {
        &self.trust
    }
    /// Its signatures.
    pub fn signatures(&self) -> &Signatures {
        &self.signatures
    }
}
