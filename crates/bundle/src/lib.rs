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
//! | [`trial`] | connections to try from a machine, and what became of them |
//! | [`seed`] | connections under way before the first apply, from what hosts report |
//! | [`trial`] | connections tried from a machine, and what became of them
//!
//! Pure. Never signs, sends, or looks at a machine.

pub mod address;
pub mod content;
pub mod file;
pub mod own;
pub mod pair;
pub mod seal;
pub mod seed;
pub mod trial;
pub mod ufw;
mod unit;

pub use address::{AddressError, OwnAddress};
pub use content::{Artefact, Draft, Expected, LayerMode, Management, Probe, Setting};
pub use file::{After, FileError, OwnFile, Place};
pub use own::{OwnError, TABLE_FAMILY, TABLE_NAME, only_own_table};
pub use seal::{Bundle, ReadError};
pub use seed::SeedFlow;
pub use trial::{Expect, Is, MOST_TRIALS, Trial, Tried};
pub use ufw::{PROFILE, UfwFile, UfwFiles, others, ufw_file};
