//! The state for people and programs: one struct, two faces.

use crate::{
    Error, addresses, read_back,
    state::{Entry, Phase, Process, State},
    trust::{self, Shown, Trusting},
    way_in::Proof,
};
use bundle::LayerMode;
use serde::Serialize;
use std::{collections::BTreeMap, fmt};
use sys::clock::boot_ms;
use words::{Digest, Generation};

/// Journal lines shown.
const LINES: usize = 10;

/// The state of this machine.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// The confirmed change.
    pub confirmed: Option<Confirmed>,
    /// The one under way.
    pub pending: Option<Waiting>,
    /// Whom this machine believes; `None` where root's word is enough.
    pub trust: Option<Trusting>,
    /// The number the next bundle must have at least.
    pub next_generation: Generation,
    /// Where the kernel differs from what should be in force, in words.
    pub drift: Vec<String>,
    /// Whether it holds the addresses of a pair's active node; `None` where it is no node of a pair that is in force.
    pub active: Option<bool>,
    /// Latest lines of the journal.
    pub journal: Vec<Entry>,
}

/// The confirmed change.
#[derive(Debug, Clone, Serialize)]
pub struct Confirmed {
    /// Number.
    pub generation: Generation,
    /// Its digest: what the next bundle names as its parent.
    pub digest: Digest,
    /// Digest of what it makes the machine hold, whatever its number.
    pub policy: Digest,
    /// What its confirmation rested on, where it was not the probes alone.
    pub proof: Option<Proof>,
    /// Whose signatures it came with; none where it came without a trust.
    pub signed_by: Vec<Shown>,
    /// Mode of each layer.
    pub layers: BTreeMap<String, LayerMode>,
}

/// The change under way.
#[derive(Debug, Clone, Serialize)]
pub struct Waiting {
    /// Number.
    pub generation: Generation,
    /// Digest.
    pub digest: Digest,
    /// How far it is.
    pub phase: Phase,
    /// Seconds until it reverts.
    pub reverts_in: u64,
    /// The timer runs.
    pub timer: bool,
}

/// Looks at the state directory and the kernel. Changes nothing.
pub fn status(state: &State) -> Result<Status, Error> {
    let confirmed = state.confirmed_bundle()?;
    let pending = state.pending()?;
    let in_force = match &pending {
        Some(p) if p.phase == Phase::Waiting => state.pending_bundle()?,
        _ => confirmed.clone(),
    };
    let highest = state.highest()?.map(|(g, _)| g);
    let known = confirmed.as_ref().map(|c| c.draft().generation).max(highest).unwrap_or_default();
    let pair = in_force.as_ref().filter(|b| b.draft().elects());
    let active = pair.map(|b| addresses::any_there(b.draft())).transpose()?;
    let mut drift = in_force.map(|b| read_back::differences(b.draft())).transpose()?.unwrap_or_default();
    // Nothing is taken then; that must be seen, and must not hide the rest.
    let trust = trust::show(state).unwrap_or_else(|e| {
        drift.push(format!("whom this machine believes is not known, so it takes nothing: {}", e.chain()));
        None
    });
    Ok(Status {
        active,
        drift,
        trust,
        confirmed: confirmed.map(|c| Confirmed {
            generation: c.draft().generation,
            digest: c.digest(),
            // A note that cannot be read must not hide the state.
            proof: state.proof(c.digest()).ok().flatten(),
            signed_by: state.signers(c.digest()).unwrap_or_default(),
            policy: c.draft().policy(),
            layers: c.draft().layers.clone(),
        }),
        pending: match pending {
            None => None,
            Some(p) => Some(Waiting {
                generation: p.generation,
                digest: p.digest,
                phase: p.phase,
                reverts_in: p.deadline_ms.saturating_sub(boot_ms()) / 1000,
                timer: state.timer()?.is_some_and(Process::alive),
            }),
        },
        next_generation: known.next(),
        journal: state.journal(LINES),
    })
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.confirmed {
            Some(c) => {
                let proof = c.proof.as_ref().map(|p| format!(", {p}")).unwrap_or_default();
                let by = if c.signed_by.is_empty() { String::new() } else { format!(", signed by {}", trust::named(&c.signed_by)) };
                writeln!(f, "confirmed: generation {} ({:?}){by}{proof}", c.generation, c.digest)?;
            }
            None => writeln!(f, "confirmed: nothing yet")?,
        }
        if let Some(p) = &self.pending {
            let timer = if p.timer { "the timer runs" } else { "NO TIMER RUNS" };
            writeln!(f, "pending:   generation {} ({:?}), reverts in {} s, {timer}", p.generation, p.digest, p.reverts_in)?;
        }
        if let Some(active) = self.active {
            writeln!(f, "pair:      {}", if active { "holds the addresses" } else { "stands by" })?;
        }
        if let Some(trust) = &self.trust {
            writeln!(f, "{trust}")?;
        }
        for line in &self.drift {
            writeln!(f, "drift:     {line}")?;
        }
        for e in &self.journal {
            let step = e.step.map_or("", |s| s.word());
            let generation = e.generation.map(|g| g.to_string()).unwrap_or_default();
            writeln!(f, "journal:   {} {generation:>4} {step:<10} {}", e.at, e.what)?;
        }
        Ok(())
    }
}
