//! What one machine must hold, as canonical bytes. In comes a [`Draft`], out comes a [`Bundle`]: bytes with a digest,
//! that the applier checks before it believes a word.
//!
//! | module | holds |
//! |---|---|
//! | [`content`] | the draft: artefacts, expected read-back, management path, probes |
//! | [`seal`] | canonical bytes, digest, reading back |
//! | [`file`] | the check that a file is one of ours, in one of our places
//! | `unit` | the check that no unit of a bundle runs anything as root
//! | [`pair`] | the check that a pair's daemons start nothing, and their units
//! | [`own`] | the check that an nft script touches our own table and no other |
//! | [`ufw`] | Ravelin's part of UFW's files |
//! | [`address`] | the check that an address is one a gateway or a published service can have |
//! | [`key`] | public keys, ids, signatures, what a signature is about |
//! | [`signed`] | signatures before what they are about |
//! | [`trust`] | which keys a machine believes, and which trust may follow |
//! | [`narrower`] | whether a bundle lets through no more than the one before, by form alone |
//! | [`seed`] | connections under way before the first apply, from what hosts report |
//! | [`trial`] | connections tried from a machine, and what became of them |
//!
//! Pure. Checks signatures and never makes one. Never sends, or looks at a machine.

pub mod address;
pub mod content;
pub mod file;
pub mod key;
pub mod narrower;
pub mod own;
pub mod pair;
pub mod seal;
pub mod seed;
pub mod signed;
pub mod trial;
pub mod trust;
pub mod ufw;
mod unit;

pub use address::{AddressError, OwnAddress};
pub use content::{Artefact, Draft, Expected, LayerMode, Management, Probe, Setting};
pub use file::{After, FileError, OwnFile, Place};
pub use key::{KeyId, PublicKey, Signature};
pub use narrower::Widens;
pub use own::{OwnError, TABLE_FAMILY, TABLE_NAME, only_own_table, only_table};
pub use seal::{Bundle, ReadError};
pub use seed::SeedFlow;
pub use signed::Signed;
pub use trial::{Expect, Is, MOST_TRIALS, Trial, Tried};
pub use trust::{SignedTrust, Trust};
pub use ufw::{PROFILE, UfwFile, UfwFiles, others, ufw_file};
