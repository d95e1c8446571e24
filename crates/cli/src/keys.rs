//! Secret keys from arguments. In come paths, out come keys to sign with; a passphrase is asked for on the terminal, or read from a file.
//! Never: shows or keeps a secret.

use crate::{
    applier::Trust,
    trouble::{Trouble, chain},
};
use clap::Args;
use signing::{Passphrase, Secret};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// Keys to sign with.
#[derive(Debug, Args)]
pub struct Signers {
    /// Sign with this secret key; once more for a second one
    #[arg(long = "key", value_name = "FILE")]
    pub keys: Vec<PathBuf>,
    /// The passphrase of those keys that have one, in a file of mode 0600 [default: asked for on the terminal]
    #[arg(long, value_name = "FILE", requires = "keys")]
    pub passphrase_file: Option<PathBuf>,
}

impl Signers {
    /// The keys, each once.
    pub fn read(&self) -> Result<Vec<Secret>, Trouble> {
        let mut all: BTreeMap<bundle::KeyId, (Secret, &Path)> = BTreeMap::new();
        for path in &self.keys {
            let secret = Secret::read(path, || self.passphrase(path)).map_err(trouble)?;
            if let Some((_, before)) = all.get(&secret.id()) {
                return Err(Trouble::usage(
                    format!("{} and {} are the same key, and two signatures by one key are one", before.display(), path.display()),
                    "name the second person's key",
                ));
            }
            all.insert(secret.id(), (secret, path));
        }
        Ok(all.into_values().map(|(secret, _)| secret).collect())
    }

    fn passphrase(&self, key: &Path) -> Result<Option<Passphrase>, signing::Error> {
        match &self.passphrase_file {
            Some(file) => signing::passphrase_in(file).map(Some),
            None => Ok(ask(&format!("Passphrase of {}: ", key.display()))),
        }
    }
}

/// Asks on the terminal; `None` where there is none.
pub fn ask(prompt: &str) -> Option<Passphrase> {
    rpassword::prompt_password(prompt).ok().map(Passphrase::new)
}

/// What is wrong with a key, with the way out.
pub fn trouble(e: signing::Error) -> Trouble {
    Trouble::usage(chain(&e), e.help())
}

/// Refuses what the machine would refuse, before anything is asked: no key, none that counts there, too few where no other person signs.
pub fn would_count(trust: Option<&Trust>, by: &[Secret], others_sign: bool) -> Result<(), Trouble> {
    let Some(trust) = trust else { return Ok(()) };
    let named: Vec<String> = trust.keys.iter().filter(|k| k.role == "apply").map(|k| format!("{} ({})", k.name, k.id)).collect();
    let named = named.join(", ");
    let counting = by.iter().filter(|s| trust.keys.iter().any(|k| k.role == "apply" && k.id == s.id())).count();
    let epoch = trust.epoch;
    match (by.len(), counting) {
        (0, _) => Err(Trouble::usage(
            format!("this machine takes only signed bundles (trust of epoch {epoch})"),
            format!("ravelin apply --key FILE; keys that count here: {named}"),
        )),
        (_, 0) => Err(Trouble::usage(
            format!("none of the keys given counts on this machine (trust of epoch {epoch})"),
            format!("keys that count here: {named}; another one comes in by `ravelin keys rotate`"),
        )),
        (_, 1) if trust.rule == "two" && !others_sign => Err(Trouble::usage(
            "two keys must sign for this machine",
            format!("--key FILE --key FILE, or --sign-to FILE for the second person; keys that count here: {named}"),
        )),
        _ => Ok(()),
    }
}
