//! `ravelin keys`: keys that sign what machines take, and whom machines believe. Secret keys stay in their files; what is written here
//! for machines is public. `docs/keys.md` tells when to do what.

mod new;
mod show;
mod sign;
mod trust;

use crate::{
    args::Global,
    exit::Exit,
    face::Face,
    input,
    trouble::{Trouble, chain},
};
use bundle::{
    KeyId, PublicKey, SignedTrust, Trust,
    signed::Signatures,
    trust::{Role, Rule},
};
use clap::{Args, Subcommand};
use serde::Serialize;
use std::{fmt::Write as _, path::Path};
use words::{Digest, KeyName};

/// Arguments of `keys`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Make a key pair: NAME.key, which stays with its owner, and NAME.pub
    New(new::Arguments),
    /// What a public key, a trust or a signed file says: names, ids, fingerprints, who signed
    Show(show::Arguments),
    /// The first trust of a site, for `ravelin-applier trust begin` on its machines
    Trust(trust::First),
    /// The next trust: keys come, keys go, signed by keys that count until then
    Rotate(trust::Rotate),
    /// The next trust without these keys
    Revoke(trust::Revoke),
    /// Add a signature to a bundle or a trust that somebody else has signed or written
    Sign(sign::Arguments),
}

/// Dispatches.
pub fn run(arguments: &Arguments, global: &Global) -> Result<Exit, Trouble> {
    match &arguments.what {
        What::New(a) => new::run(a, global),
        What::Show(a) => show::run(a, global),
        What::Trust(a) => trust::first(a, global),
        What::Rotate(a) => trust::rotate(a, global),
        What::Revoke(a) => trust::revoke(a, global),
        What::Sign(a) => sign::run(a, global),
    }
}

/// Largest public key file, in bytes.
const MAX_KEY_FILE: u64 = 4096;

/// A public key from its file.
fn public(path: &Path) -> Result<PublicKey, Trouble> {
    let text = input::text(path, MAX_KEY_FILE)?;
    text.trim_end().parse().map_err(|e| {
        let secret = text.contains("PRIVATE KEY");
        let help = if secret { "this is a secret key: name its public half, NAME.pub" } else { "`ravelin keys new NAME` writes NAME.pub" };
        Trouble::usage(format!("{}: {e}", path.display()), help)
    })
}

/// A trust from its file, signed or not.
fn read_trust(path: &Path) -> Result<Trust, Trouble> {
    input::bounded(path, bundle::trust::MAX_BYTES as u64)?;
    let bytes = std::fs::read(path).map_err(|e| Trouble::io(path, e))?;
    let read = if Signatures::are_before(&bytes) {
        SignedTrust::read(&bytes).map(|s| s.trust().clone()).map_err(|e| chain(&e))
    } else {
        Trust::read(&bytes).map_err(|e| chain(&e))
    };
    read.map_err(|e| {
        Trouble::usage(format!("{}: {e}", path.display()), "name the trust that is in force: `ravelin-applier trust show` on a machine")
    })
}

/// A key for people and programs.
#[derive(Serialize)]
struct Key {
    name: KeyName,
    id: KeyId,
    fingerprint: Digest,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<Role>,
}

impl Key {
    fn of(key: &PublicKey, role: Option<Role>) -> Self {
        Self { name: key.name().clone(), id: key.id(), fingerprint: key.fingerprint(), role }
    }
    fn line(&self) -> String {
        let role = self.role.map(|r| format!("{:<9}", r.to_string())).unwrap_or_default();
        format!("{role}{} {} SHA-256 {}\n", self.id, self.name, self.fingerprint)
    }
}

/// A trust for people and programs.
#[derive(Serialize)]
struct Shown {
    site: String,
    epoch: u64,
    rule: Rule,
    digest: Digest,
    keys: Vec<Key>,
    signed_by: Vec<KeyId>,
    /// Where it was written, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    /// What is left to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

impl Shown {
    fn of(trust: &Trust, signed_by: Vec<KeyId>) -> Self {
        Self {
            site: trust.site().to_owned(),
            epoch: trust.epoch(),
            rule: trust.rule(),
            digest: trust.digest(),
            keys: trust.keys().map(|t| Key::of(&t.key, Some(t.role))).collect(),
            signed_by,
            file: None,
            next: None,
        }
    }
}

impl Face for Shown {
    fn text(&self) -> String {
        let Self { site, epoch, rule, digest, .. } = self;
        let mut out = format!("trust of site {site}, epoch {epoch}, rule {rule}, SHA-256 {digest}\n");
        self.keys.iter().for_each(|k| out += &k.line());
        for id in &self.signed_by {
            let _ = writeln!(out, "signature said to be by {id}");
        }
        for line in self.file.iter().map(|f| format!("written to {f}")).chain(self.next.clone()) {
            out += &line;
            out.push('\n');
        }
        out
    }
}
