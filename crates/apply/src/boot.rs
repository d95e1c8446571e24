//! After a power loss, and on the console. Loads the last confirmed generation; if it cannot, the management path alone.

use crate::{
    Error, addresses,
    daemons::Moment,
    glass, nft,
    revert::{self, namespace},
    settings,
    state::{self, Phase, State},
    ufw,
};
use bundle::{Artefact, Bundle, TABLE_FAMILY, TABLE_NAME};
use serde::Serialize;
use words::Generation;

/// What was loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loaded {
    /// Nothing was ever confirmed here: the machine is as it was before Ravelin.
    Nothing,
    /// The confirmed generation.
    Confirmed {
        /// Its number.
        generation: Generation,
        /// Settings that this kernel does not have.
        notes: Vec<String>,
    },
    /// The management path alone.
    ManagementPath {
        /// Why.
        why: String,
    },
}

/// Loads what is confirmed. A change that was under way when the power went is forgotten.
pub fn run(state: &State) -> Result<Loaded, Error> {
    let _lock = state.lock(crate::transaction::LOCK_PATIENCE)?;
    if let Ok(Some(pending)) = state.pending() {
        let same_boot = pending.boot_id == crate::timer::boot_id() && pending.namespace == namespace();
        if same_boot && pending.owner.is_some_and(state::Process::alive) {
            return Err(Error::StillPending(pending.generation));
        }
        let note = |what: String| state.note(Some(pending.generation), None, what);
        // What it changed in the kernel went with the power; files did not. Before a service starts, those of before are back.
        let cleared = if pending.touched && !revert::is_confirmed(state, &pending) {
            revert::of_earlier_boot(state, Moment::Boot)
        } else {
            Ok(Vec::new())
        };
        match cleared {
            Ok(notes) => {
                note("forgotten at boot: it was not confirmed".into());
                notes.into_iter().for_each(note);
                state.clear_pending()?;
            }
            // The filter comes first: it is kept as it is, and the next change or `revert` tries again.
            Err(e) => note(format!("its files could not be put back: {}", e.chain())),
        }
    } else {
        // A description that cannot be read means as little as none.
        state.clear_pending()?;
    }
    let why = match state.confirmed_bundle() {
        // Its management path is written after it and lies beside it: alone, it says that the bundle was there.
        Ok(None) if state.break_glass().is_some() => "the confirmed bundle is lost: its file is not there any more".to_owned(),
        Ok(None) => return Ok(Loaded::Nothing),
        Ok(Some(bundle)) => match load(&bundle) {
            Ok(mut notes) => {
                notes.extend(glass::follow(state, ""));
                let generation = bundle.draft().generation;
                state.note(Some(generation), None, "loaded at boot");
                return Ok(Loaded::Confirmed { generation, notes });
            }
            Err(e) => e.chain(),
        },
        Err(e) => e.chain(),
    };
    management_only(state)?;
    state.note(None, None, format!("management path alone: {why}"));
    Ok(Loaded::ManagementPath { why })
}

/// Puts on the addresses of what is in force: a change that waits, else the confirmed one.
pub fn addresses(state: &State) -> Result<Loaded, Error> {
    let _lock = state.lock(crate::transaction::LOCK_PATIENCE)?;
    let waits = state.pending()?.is_some_and(|p| p.phase == Phase::Waiting && p.boot_id == crate::timer::boot_id());
    let in_force = if waits { state.pending_bundle()? } else { state.confirmed_bundle()? };
    let Some(bundle) = in_force else { return Ok(Loaded::Nothing) };
    addresses::put_all(state, bundle.draft())?;
    Ok(Loaded::Confirmed { generation: bundle.draft().generation, notes: Vec::new() })
}

/// Loads a bundle's ruleset and settings as they are. Out come notes.
pub fn load(bundle: &Bundle) -> Result<Vec<String>, Error> {
    let mut notes = Vec::new();
    for artefact in &bundle.draft().artefacts {
        match artefact {
            Artefact::Nft { text } => nft::load(text)?,
            Artefact::Ufw { files } => ufw::load(files)?,
            Artefact::Sysctl { settings } => {
                let all = settings.iter().map(|(n, s)| (n.as_str(), s)).collect();
                // At boot a setting that fails must not keep the filter away.
                notes.extend(settings::set_all(&all).unwrap_or_else(|e| vec![e.chain()]));
            }
            // Files are on disk already: they went there before the bundle was confirmed.
            // Addresses come when their devices are there and whoever configures them is done: `addresses`.
            Artefact::File(_) | Artefact::Addresses { .. } => {}
        }
    }
    if bundle.draft().nft().is_none() {
        nft::load(&nft::replacing(""))?;
    }
    Ok(notes)
}

/// Leaves the management path and what is established, and drops the rest: the confirmed bundle's, the one of the change
/// under way, or, where neither is there, no way in at all but the console.
pub fn management_only(state: &State) -> Result<(), Error> {
    let mut failed = Vec::new();
    let pending = || state.pending_bundle().ok().flatten().map(|b| b.draft().break_glass.clone());
    for script in [state.break_glass(), pending(), Some(closed())].into_iter().flatten().filter(|s| !s.trim().is_empty()) {
        match nft::load(&script) {
            Ok(()) => {
                glass::follow(state, &script).into_iter().for_each(|n| state.note(None, None, n));
                return Ok(());
            }
            Err(e) => failed.push(e.chain()),
        }
    }
    Err(Error::Lost(failed))
}

/// What is left when no management path is known: what is established, loopback, the ICMP without which no address works.
/// RFC 4890 4.4.1 for v6; opened from this machine: everything, so that a person on the console can work.
fn closed() -> String {
    nft::replacing(&format!(
        "table {TABLE_FAMILY} {TABLE_NAME} {{
  chain input {{
    type filter hook input priority 0; policy drop;
    iifname \"lo\" accept
    ct state established,related accept
    icmp type {{ destination-unreachable, time-exceeded, parameter-problem }} accept
    icmpv6 type {{ destination-unreachable, packet-too-big, time-exceeded, parameter-problem, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert }} accept
    counter drop
  }}
  chain forward {{
    type filter hook forward priority 0; policy drop;
    ct state established,related accept
    counter drop
  }}
}}
"
    ))
}
