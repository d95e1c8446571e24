//! Whom this machine believes. In come bytes somebody hands in, out comes whether they may be applied here, or a new trust. Where the
//! state directory has a trust, nothing unsigned is taken; there is no switch for that. Never: makes a signature, falls back to
//! believing everybody where the trust cannot be read.

use crate::{
    Error, came_by,
    state::{DEFAULT, State},
    transaction::{LOCK_PATIENCE, Options},
    way_in::{self, Proof},
};
use bundle::{
    Bundle, KeyId, Signed, SignedTrust, Trust, narrower,
    signed::Signatures,
    trust::{Role, Rule},
};
use serde::{Deserialize, Serialize};
use std::{fmt, path::Path};
use words::{Digest, HostName, KeyName};

/// A bundle as it was handed in.
#[derive(Debug, Clone)]
pub enum Offered {
    /// Nobody stands behind it.
    Plain(Bundle),
    /// Somebody says to.
    Signed(Signed),
}

impl Offered {
    /// Reads either form. Nothing is believed yet.
    pub fn read(bytes: &[u8]) -> Result<Self, Error> {
        if Signatures::are_before(bytes) { Ok(Self::Signed(Signed::read(bytes)?)) } else { Ok(Self::Plain(Bundle::read(bytes)?)) }
    }
    /// What would be applied.
    pub fn bundle(&self) -> &Bundle {
        match self {
            Self::Plain(bundle) => bundle,
            Self::Signed(signed) => signed.bundle(),
        }
    }
}

/// Who stands behind a bundle that is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Believed {
    /// This machine has no trust: root's word is enough.
    NoTrust,
    /// These keys, enough of them.
    By(Vec<Shown>),
}

impl fmt::Display for Believed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTrust => f.write_str("done, nobody's signature is asked for"),
            Self::By(keys) => write!(f, "done, signed by {}", named(keys)),
        }
    }
}

/// Keys in words.
pub fn named(keys: &[Shown]) -> String {
    keys.iter().map(|k| format!("{} ({})", k.name, k.id)).collect::<Vec<_>>().join(" and ")
}

/// Whether this bundle may be applied here, by its signatures and by what the machine is called. Looks at the state directory alone.
pub fn believed(state: &State, offered: &Offered, options: &Options) -> Result<Believed, Error> {
    let Some((trust, here)) = state.trust()? else { return Ok(Believed::NoTrust) };
    let Offered::Signed(signed) = offered else { return Err(Error::Unsigned) };
    let draft = signed.bundle().draft();
    if draft.machine != here {
        return Err(Error::OtherMachine { bundle: draft.machine.clone(), here });
    }
    // What it is held against is what somebody confirmed here, never what the sender says was there.
    let widens = narrower::widens(state.confirmed_bundle()?.as_ref().map(Bundle::draft), draft);
    let by = signed.verify(&trust, &widens)?;
    if !options.seeds.is_empty() {
        return Err(Error::UnsignedFlows);
    }
    Ok(Believed::By(by.into_iter().filter_map(|id| trust.key(id)).map(Shown::of).collect()))
}

/// A key for people and programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// Its id.
    pub id: KeyId,
    /// Whose it is.
    pub name: KeyName,
    /// What it may do.
    pub role: Role,
    /// SHA-256 of the public key.
    pub fingerprint: Digest,
}

impl Shown {
    fn of(trusted: &bundle::trust::Trusted) -> Self {
        let key = &trusted.key;
        Self { id: key.id(), name: key.name().clone(), role: trusted.role, fingerprint: key.fingerprint() }
    }
}

/// The trust of a machine for people and programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Trusting {
    /// Whose machines.
    pub site: String,
    /// What this machine is called; bundles for others are refused.
    pub machine: HostName,
    /// Its number.
    pub epoch: u64,
    /// How many must sign.
    pub rule: Rule,
    /// Digest of all of it but the machine: equal on all machines of a site.
    pub digest: Digest,
    /// The keys.
    pub keys: Vec<Shown>,
}

impl Trusting {
    fn of(trust: &Trust, machine: HostName) -> Self {
        Self {
            site: trust.site().to_owned(),
            machine,
            epoch: trust.epoch(),
            rule: trust.rule(),
            digest: trust.digest(),
            keys: trust.keys().map(Shown::of).collect(),
        }
    }
}

impl fmt::Display for Trusting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { site, machine, epoch, rule, digest, keys } = self;
        write!(f, "trust:     site {site}, machine {machine}, epoch {epoch}, rule {rule} ({digest:?})")?;
        for k in keys {
            write!(f, "\nkey:       {:<8} {} {} {}", k.role, k.id, k.name, k.fingerprint)?;
        }
        Ok(())
    }
}

/// What is in force; `None` where this machine believes everybody who is root.
pub fn show(state: &State) -> Result<Option<Trusting>, Error> {
    Ok(state.trust()?.map(|(trust, machine)| Trusting::of(&trust, machine)))
}

/// The first trust, at install: from root's own hands, since nothing is there yet that could check it. Takes a signed one as well (a
/// machine that comes later gets the trust of that day) without looking at its signatures.
pub fn begin(state: &State, bytes: &[u8], machine: &HostName) -> Result<Trusting, Error> {
    let trust = if Signatures::are_before(bytes) {
        SignedTrust::read(bytes)?.trust().clone()
    } else {
        Trust::read(bytes).map_err(bundle::signed::SignedError::Trust)?
    };
    let _lock = state.lock(LOCK_PATIENCE)?;
    if let Some((there, _)) = state.trust()? {
        return Err(Error::TrustExists { epoch: there.epoch() });
    }
    if let Some(confirmed) = state.confirmed_bundle()?.filter(|c| c.draft().machine != *machine) {
        return Err(Error::OtherMachine { bundle: confirmed.draft().machine.clone(), here: machine.clone() });
    }
    state.begin_trust(&trust, machine)?;
    let now = Trusting::of(&trust, machine.clone());
    state.note(None, None, format!("trust begun: {}", brief(&now)));
    Ok(now)
}

/// The next trust, signed by keys of the one in force. A refusal is journaled.
pub fn change(state: &State, bytes: &[u8]) -> Result<Trusting, Error> {
    let next = SignedTrust::read(bytes)?;
    let _lock = state.lock(LOCK_PATIENCE)?;
    let (old, machine) = state.trust()?.ok_or(Error::NoTrust)?;
    let by = old.accepts(&next).map_err(|why| {
        state.note(None, None, format!("trust refused: {why}"));
        Error::Distrust(why)
    })?;
    state.set_trust(next.trust())?;
    let now = Trusting::of(next.trust(), machine);
    let by: Vec<String> = by.into_iter().filter_map(|id| old.key(id)).map(|t| t.key.name().to_string()).collect();
    state.note(None, None, format!("trust changed by {}: {}", by.join(" and "), brief(&now)));
    Ok(now)
}

/// Believes everybody who is root again: the way out where all keys are lost. On the console alone, with a reason; journaled either way.
pub fn forget(state: &State, reason: Option<&str>) -> Result<(), Error> {
    let _lock = state.lock(LOCK_PATIENCE)?;
    // One that does not read goes as well: this is the way out of that, too.
    let was = match state.trust() {
        Ok(None) => return Err(Error::NoTrust),
        Ok(Some((old, _))) => format!("epoch {}", old.epoch()),
        Err(damaged) => damaged.chain(),
    };
    let proof = came_by::own().and_then(|came| match way_in::judge(None, &came, reason) {
        Ok(Proof::Console { reason }) => Ok(reason),
        // A connection, old or new, is no console; nor is a login that has lost its connection.
        Ok(Proof::NewConnection { .. }) | Err(Error::OldConnection { .. } | Error::UnknownConnection { .. } | Error::NotConsole) => {
            Err(Error::ForgetNotConsole)
        }
        Err(Error::ConsoleReason) => Err(Error::ForgetReason),
        Err(other) => Err(other),
    });
    let reason = proof.inspect_err(|e| state.note(None, None, format!("trust not forgotten: {}", e.chain())))?;
    state.forget_trust()?;
    state.note(None, None, format!("trust forgotten, was: {was}; from the console: {reason:?}"));
    Ok(())
}

fn brief(t: &Trusting) -> String {
    let keys: Vec<String> = t.keys.iter().map(|k| format!("{} {} ({})", k.role, k.name, k.id)).collect();
    format!("site {}, machine {}, epoch {}, rule {}: {}", t.site, t.machine, t.epoch, t.rule, keys.join(", "))
}

/// Refuses to work with another state directory where the machine's own has a trust: whoever may start this program as root, and
/// nothing else, would go around the trust with a directory of their own. In a network namespace that is not the machine's there is
/// nothing to go around.
pub fn not_around(path: &Path) -> Result<(), Error> {
    let real = |p: &Path| std::fs::canonicalize(p).ok();
    let own = Path::new(DEFAULT);
    let guarded = own.join(crate::state::TRUST).exists() && sys::netns::is_machines_own() != Some(false);
    if guarded && real(path) != real(own) {
        return Err(Error::OtherState { path: path.to_owned() });
    }
    Ok(())
}
