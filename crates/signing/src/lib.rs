//! Secret keys of operators. In comes a file or the kernel's random numbers, out comes a [`Secret`] that signs bundles, trusts and
//! records. Never: prints a secret, writes one that others may read, links into the privileged applier.
//!
//! | module | holds |
//! |---|---|
//! | [`secret`] | the key, and what it signs |
//! | [`store`] | its file: PKCS#8 in PEM, mode 0600, with or without a passphrase |

pub mod secret;
pub mod store;

pub use secret::{Passphrase, Secret};
pub use store::{Error, passphrase_in};
