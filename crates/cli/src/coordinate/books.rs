//! The ledger of a site and the operator's keys. In come a site's name and key files, out come a ledger that is held and keys that sign.

use crate::{
    trouble::{Trouble, chain},
    window,
};
use bundle::{
    Signature, SignedTrust, Trust,
    key::{Domain, KeyId},
};
use clap::Args;
use rollout::ledger::{Check, Context, Ledger, LedgerError, Sign};
use signing::Secret;
use std::{
    path::{Path, PathBuf},
    rc::Rc,
};
use words::Digest;

/// Largest trust file in bytes, signatures included.
const MAX_TRUST: u64 = 1 << 20;

/// Arguments about the ledger.
#[derive(Debug, Args)]
pub struct BookArguments {
    /// Directory of the ledger [default: below the account's state directory]
    #[arg(long, value_name = "DIR")]
    ledger: Option<PathBuf>,
}

impl BookArguments {
    /// Where it lies.
    pub fn directory(&self, site: &str) -> PathBuf {
        self.ledger.clone().unwrap_or_else(|| window::default_path(site).with_file_name(format!("{site}.rollouts")))
    }
}

/// Who works here, as `user@host`.
pub fn whoami() -> String {
    let uid = rustix::process::getuid().as_raw();
    let name = std::fs::read_to_string("/etc/passwd").ok().and_then(|text| {
        let line = text.lines().find(|l| l.split(':').nth(2) == Some(uid.to_string().as_str()))?;
        line.split(':').next().map(str::to_owned)
    });
    // Behind sudo the account that was logged in is who did it.
    let name = std::env::var("SUDO_USER").ok().filter(|n| !n.is_empty()).or(name).unwrap_or_else(|| uid.to_string());
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{name}@{}", host.trim())
}

struct Signs(Rc<[Secret]>);

impl Sign for Signs {
    fn sign(&self, bytes: &[u8]) -> (String, String) {
        match self.0.first() {
            Some(secret) => {
                let (id, signature) = secret.sign_record(bytes);
                (id.to_string(), signature.to_string())
            }
            None => (String::new(), String::new()),
        }
    }
}

/// Opens the ledger; lines are signed where a key is given.
pub fn open(directory: &Path, context: Context, keys: &Rc<[Secret]>) -> Result<Ledger, Trouble> {
    let sign = (!keys.is_empty()).then(|| Box::new(Signs(Rc::clone(keys))) as Box<dyn Sign>);
    Ledger::open(directory, context, sign).map_err(trouble)
}

/// What is said of a ledger that does not open.
pub fn trouble(e: LedgerError) -> Trouble {
    let help = match &e {
        LedgerError::Busy(_) => "wait for it to end; `ravelin history` shows what it does",
        LedgerError::Faulty(_) => {
            "`ravelin history --verify` names every line; keep the directory for who looks into it, and begin a new one with --ledger"
        }
        LedgerError::File { .. } => "check the path and its rights",
    };
    Trouble::usage(chain(&e), help)
}

/// Keys that a trust names, for looking at signatures.
pub struct Known(Trust);

impl Known {
    /// From a trust file, signed or not.
    pub fn read(path: &Path) -> Result<Self, Trouble> {
        crate::input::bounded(path, MAX_TRUST)?;
        let bytes = std::fs::read(path).map_err(|e| Trouble::io(path, e))?;
        let plain = || {
            Trust::read(&bytes)
                .map_err(|e| Trouble::usage(format!("{}: {}", path.display(), chain(&e)), "name a trust file (`ravelin keys trust`)"))
        };
        Ok(Self(SignedTrust::read(&bytes).map(|t| t.trust().clone()).or_else(|_| plain())?))
    }
    /// The name of a key.
    pub fn name(&self, key: &str) -> Option<String> {
        let id: KeyId = key.parse().ok()?;
        self.0.key(id).map(|t| t.key.name().to_string())
    }
}

impl Check for Known {
    fn check(&self, key: &str, signature: &str, bytes: &[u8]) -> Option<String> {
        let unknown = || Some(format!("key {key}, which signed it, is not in the trust"));
        let Some(trusted) = key.parse().ok().and_then(|id: KeyId| self.0.key(id)) else { return unknown() };
        let made = signature.parse().is_ok_and(|s: Signature| trusted.key.made(&s, Domain::Record, &Digest::of(bytes)));
        (!made).then(|| format!("its signature is not one of key {key} ({})", trusted.key.name()))
    }
}
