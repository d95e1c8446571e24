//! Walks the steps. In come a state directory and a bundle, out comes what became of it. Whatever fails, and whenever,
//! ends in the last known good state: an error reverts here, a death is noticed by the timer, a power loss by boot.

use crate::{
    Error, Step, addresses, came_by, daemons, files,
    flows::{self, Seeded},
    glass,
    inject::Injection,
    nft, pair, probe, read_back,
    revert::{self, Restored, namespace},
    settings,
    snapshot::{self, Snapshot},
    state::{Pending, Phase, Process, State},
    timer,
    trust::{self, Believed, Offered},
    ufw, way_in,
};
use bundle::{After, Bundle, Draft, SeedFlow, pair::Daemon};
use serde::Serialize;
use std::{collections::BTreeSet, path::PathBuf, time::Duration};
use sys::{clock::boot_ms, lock::Lock};
use words::{Digest, Generation, HostName};

/// How long another apply is waited for.
pub const LOCK_PATIENCE: Duration = Duration::from_secs(2);

/// How far a generation may be from the highest one known here: a thief of a key must not use up all numbers with one bundle.
pub const LONGEST_LEAP: u64 = 1 << 32;

/// How to apply.
#[derive(Debug, Clone)]
pub struct Options {
    /// This machine's name, where it is known; a bundle for another one is refused.
    pub machine: Option<HostName>,
    /// Confirm here after the probes, without waiting for somebody outside.
    pub auto_confirm: bool,
    /// Reverts unless confirmed within.
    pub confirm_within: Duration,
    /// How long a forwarding node only listens before its first ruleset.
    pub tracking_period: Duration,
    /// Connections through this machine besides those the bundle lists.
    pub seeds: Vec<SeedFlow>,
    /// Fails on purpose.
    pub inject: Option<Injection>,
    /// This program, for the timer.
    pub program: PathBuf,
}

/// What became of it.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// The bundle.
    pub digest: Digest,
    /// Its number.
    pub generation: Generation,
    /// Whether it waits or is confirmed.
    pub result: Applied,
    /// Connections put into the tracking table, on the first apply.
    pub seeded: Option<Seeded>,
    /// Settings that this kernel does not have and need not.
    pub notes: Vec<String>,
}

/// Whether it waits or is confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Applied {
    /// It was there already, to the letter of the bundle.
    Unchanged,
    /// In force; reverts unless it is confirmed.
    Waiting,
    /// In force for good.
    Confirmed,
}

/// A change that failed, and what was put back.
#[derive(Debug, thiserror::Error)]
#[error("step {step} failed")]
pub struct Failed {
    /// Which step.
    pub step: Step,
    /// Why.
    #[source]
    pub error: Error,
    /// What was put back; an error where nothing could be.
    pub restored: Result<Restored, Error>,
}

struct Walk<'a> {
    state: &'a State,
    offered: &'a Offered,
    bundle: &'a Bundle,
    options: &'a Options,
    lock: Option<Lock>,
    snapshot: Snapshot,
    silent_before: BTreeSet<String>,
    pending: Option<Pending>,
    told: BTreeSet<After>,
    signed_by: Vec<trust::Shown>,
    epoch: Option<u64>,
    outcome: Outcome,
}

/// Applies a bundle, where it may be applied here.
pub fn apply(state: &State, offered: &Offered, options: &Options) -> Result<Outcome, Box<Failed>> {
    let bundle = offered.bundle();
    let outcome = Outcome {
        digest: bundle.digest(),
        generation: bundle.draft().generation,
        result: Applied::Waiting,
        seeded: None,
        notes: Vec::new(),
    };
    let mut walk = Walk {
        state,
        offered,
        bundle,
        options,
        lock: None,
        snapshot: Snapshot::default(),
        silent_before: BTreeSet::new(),
        pending: None,
        told: BTreeSet::new(),
        signed_by: Vec::new(),
        epoch: None,
        outcome,
    };
    for step in Step::ALL {
        match walk.advance(step) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => return Err(Box::new(walk.fail(step, error))),
        }
    }
    Ok(walk.outcome)
}

/// Confirms the change that waits, where the way in is proven. `digest` names it, where the caller knows it; `console` is the reason
/// for confirming over no connection. A refusal leaves the change waiting and its timer running.
pub fn confirm(state: &State, digest: Option<Digest>, console: Option<&str>, inject: Option<Injection>) -> Result<Outcome, Box<Failed>> {
    let failed = |step, error| Box::new(Failed { step, error, restored: Ok(Restored::Nothing) });
    let _lock = state.lock(LOCK_PATIENCE).map_err(|e| failed(Step::Lock, e))?;
    let (pending, bundle) = match waiting(state, digest) {
        // The timer is about to, or is gone: either way the old state comes back now.
        Err(error @ Error::TooLate) => {
            let restored = revert::now(state, &error.chain());
            return Err(Box::new(Failed { step: Step::Verify, error, restored }));
        }
        other => other.map_err(|e| failed(Step::Verify, e))?,
    };
    trust::still_believed(state, &pending).map_err(|error| {
        state.note(Some(pending.generation), Some(Step::Verify), error.chain());
        Box::new(Failed { step: Step::Verify, error, restored: Ok(Restored::Waits) })
    })?;
    let proof = came_by::own().and_then(|came| way_in::judge(pending.present.as_ref(), &came, console)).map_err(|error| {
        state.note(Some(pending.generation), Some(Step::Verify), error.chain());
        Box::new(Failed { step: Step::Verify, error, restored: Ok(Restored::Waits) })
    })?;
    // If this process dies half-way the timer sees it and need not wait for the deadline.
    let working = Pending { phase: Phase::Running, owner: Process::own(), ..pending.clone() };
    state.set_pending(&working).map_err(|e| failed(Step::Verify, e))?;
    let outcome =
        Outcome { digest: pending.digest, generation: pending.generation, result: Applied::Confirmed, seeded: None, notes: Vec::new() };
    for step in [Step::Persist, Step::Confirm, Step::Disarm] {
        let noted = if step == Step::Confirm { state.prove(pending.digest, &proof) } else { Ok(()) };
        let done = noted.and_then(|()| finish(state, &bundle, step)).and_then(|()| inject.map_or(Ok(()), |i| i.fire(step)));
        if let Err(error) = done {
            // Past the rename this only removes traces; before it, the old state comes back.
            let restored = revert::now(state, &error.chain());
            return Err(Box::new(Failed { step, error, restored }));
        }
    }
    state.note(Some(pending.generation), None, format!("confirmed {proof}"));
    Ok(outcome)
}

fn waiting(state: &State, digest: Option<Digest>) -> Result<(Pending, Bundle), Error> {
    let pending = state.pending()?.ok_or(Error::NothingPending)?;
    if let Some(offered) = digest.filter(|d| *d != pending.digest) {
        return Err(Error::OtherPending { offered, pending: pending.digest });
    }
    if pending.phase != Phase::Waiting {
        return Err(Error::StillPending(pending.generation));
    }
    if pending.namespace.is_some() && pending.namespace != namespace() {
        return Err(Error::OtherNamespace);
    }
    if pending.boot_id != timer::boot_id() || boot_ms() >= pending.deadline_ms {
        return Err(Error::TooLate);
    }
    let bundle = state.pending_bundle()?.ok_or(Error::NothingPending)?;
    Ok((pending, bundle))
}

fn finish(state: &State, bundle: &Bundle, step: Step) -> Result<(), Error> {
    match step {
        Step::Persist => state.persist(bundle)?,
        Step::Confirm => {
            let by = state.pending()?.map(|p| p.signed_by).unwrap_or_default();
            state.set_signers(bundle.digest(), &by)?;
            state.confirm(bundle)?;
        }
        _ => state.clear_pending()?,
    }
    state.note(Some(bundle.draft().generation), Some(step), "done");
    Ok(())
}

impl Walk<'_> {
    /// One step, and the failure asked for after it. `false` ends the walk: there is no more to do now.
    fn advance(&mut self, step: Step) -> Result<bool, Error> {
        let more = self.take(step)?;
        if let Some(injection) = self.options.inject {
            injection.fire(step)?;
        }
        Ok(more)
    }

    fn take(&mut self, step: Step) -> Result<bool, Error> {
        let draft = self.bundle.draft();
        match step {
            Step::Lock => self.lock = Some(self.state.lock(LOCK_PATIENCE)?),
            Step::Verify => return self.verify(),
            Step::Snapshot => {
                self.snapshot = snapshot::before(draft, self.state.confirmed_bundle()?.as_ref())?;
                self.snapshot.addresses = addresses::held(self.state)?;
                self.silent_before = probe::failures(&draft.probes).into_keys().collect();
            }
            Step::Stage => self.stage()?,
            Step::Check => {
                draft.ufw().map_or(Ok(()), ufw::check)?;
                nft::check(&script(draft))?;
                addresses::check(draft)?;
                pair::check(self.state, draft)?;
            }
            Step::ArmRevert => timer::arm(self.state, &self.options.program, self.bundle.digest())?,
            Step::Track => {
                self.touch()?;
                if self.is_first() {
                    nft::load(&flows::tracking_script())?;
                }
            }
            Step::SeedFlows if self.is_first() => self.seed()?,
            Step::SeedFlows => {}
            Step::Settings => self.outcome.notes = settings::set_all(&draft.settings())?,
            Step::Addresses => {
                // What an election holds goes with its daemon: what is put on before would go as well.
                if !draft.elects() && self.state.confirmed_bundle()?.is_some_and(|b| b.draft().elects()) {
                    self.outcome.notes.extend(daemons::end(Daemon::Keepalived));
                }
                addresses::put_all(self.state, draft)?;
            }
            // UFW first: where it takes over from our own table, it filters before that goes.
            Step::Commit => {
                draft.ufw().map_or(Ok(()), ufw::load)?;
                nft::load(&script(draft))?;
                self.outcome.notes.extend(glass::follow(self.state, ""));
            }
            Step::Files => self.told = files::put(draft, &self.snapshot.files)?,
            Step::Activate => {
                self.outcome.notes.extend(daemons::taken_over(&self.snapshot.daemons, &self.snapshot.files));
                self.outcome.notes.extend(files::tell(&self.told)?);
            }
            Step::ReadBack => match read_back::differences(draft)? {
                none if none.is_empty() => {}
                differences => return Err(Error::ReadBack(differences)),
            },
            Step::Probe => {
                self.probe()?;
                if !self.options.auto_confirm {
                    self.wait()?;
                    self.state.note(Some(draft.generation), Some(step), "done, waits to be confirmed");
                    return Ok(false);
                }
            }
            Step::Persist | Step::Confirm | Step::Disarm => {
                finish(self.state, self.bundle, step)?;
                self.outcome.result = Applied::Confirmed;
                return Ok(true);
            }
        }
        self.state.note(Some(draft.generation), Some(step), "done");
        Ok(true)
    }

    fn verify(&mut self) -> Result<bool, Error> {
        let draft = self.bundle.draft();
        // First of all: what nobody stands behind moves nothing, not even what a dead process left.
        let believed = trust::believed(self.state, self.offered, self.options)?;
        if let Some(here) = self.options.machine.as_ref().filter(|m| **m != draft.machine) {
            return Err(Error::OtherMachine { bundle: draft.machine.clone(), here: here.clone() });
        }
        if let Some(pending) = self.state.pending()? {
            let in_time = pending.boot_id == timer::boot_id() && boot_ms() < pending.deadline_ms;
            let waits = pending.phase == Phase::Waiting && in_time;
            if waits || pending.phase == Phase::Running && pending.owner.is_some_and(Process::alive) {
                return Err(Error::StillPending(pending.generation));
            }
            // We hold the lock, so nobody works on it: what a dead process or a dead timer left goes before anything new.
            revert::now(self.state, "left behind by a process that is gone")?;
        }
        let confirmed = self.state.confirmed_bundle()?;
        if confirmed.as_ref().is_some_and(|c| c.digest() == self.bundle.digest()) && read_back::differences(draft)?.is_empty() {
            self.outcome.result = Applied::Unchanged;
            return Ok(false);
        }
        if self.state.given_up()? == Some(self.bundle.digest()) {
            return Err(Error::GivenUp { generation: draft.generation });
        }
        follows(draft, self.bundle.digest(), confirmed.as_ref(), self.state.highest()?)?;
        self.state.note(Some(draft.generation), Some(Step::Verify), believed.to_string());
        if let Believed::By { keys, epoch } = believed {
            (self.signed_by, self.epoch) = (keys, Some(epoch));
        }
        Ok(true)
    }

    fn stage(&mut self) -> Result<(), Error> {
        let within = u64::try_from(self.options.confirm_within.as_millis()).unwrap_or(u64::MAX);
        let pending = Pending {
            digest: self.bundle.digest(),
            generation: self.bundle.draft().generation,
            phase: Phase::Running,
            touched: false,
            deadline_ms: boot_ms().saturating_add(within),
            boot_id: timer::boot_id(),
            namespace: namespace(),
            owner: Process::own(),
            present: None,
            signed_by: std::mem::take(&mut self.signed_by),
            epoch: self.epoch,
        };
        self.state.stage(self.bundle, &self.snapshot, &pending)?;
        self.pending = Some(pending);
        Ok(())
    }

    /// Says on disk that the machine is about to be changed, before it is.
    fn touch(&mut self) -> Result<(), Error> {
        self.rewrite(|p| p.touched = true)
    }

    fn wait(&mut self) -> Result<(), Error> {
        // After the commit, not before: what came in while it went on may have been let in by the old rules.
        let present = came_by::present()?;
        self.rewrite(|p| (p.phase, p.present) = (Phase::Waiting, Some(present)))
    }

    fn rewrite(&mut self, change: impl FnOnce(&mut Pending)) -> Result<(), Error> {
        let Some(pending) = &mut self.pending else { return Err(Error::NothingPending) };
        change(pending);
        self.state.set_pending(pending)
    }

    /// What answered before must answer now. What was silent before proves nothing: it is only noted.
    fn probe(&mut self) -> Result<(), Error> {
        let (known, new): (Vec<_>, Vec<_>) =
            probe::failures(&self.bundle.draft().probes).into_iter().partition(|(id, _)| self.silent_before.contains(id));
        self.outcome.notes.extend(known.into_iter().map(|(_, why)| format!("silent before and after: {why}")));
        if new.is_empty() { Ok(()) } else { Err(Error::Probe(new.into_iter().map(|(_, why)| why).collect())) }
    }

    /// No table of ours was there: whatever is under way is unknown to connection tracking.
    fn is_first(&self) -> bool {
        self.snapshot.table.is_none() && self.bundle.draft().nft().is_some()
    }

    fn seed(&mut self) -> Result<(), Error> {
        let listed = [self.bundle.draft().seeds.as_slice(), &self.options.seeds].concat();
        // Twice: what opened between the first list and the beginning of tracking is in the second.
        let first = flows::seed(&listed)?;
        if forwards() {
            std::thread::sleep(self.options.tracking_period);
        }
        let second = flows::seed(&listed)?;
        self.outcome.seeded = Some(Seeded { inserted: first.inserted + second.inserted, ..second });
        Ok(())
    }

    fn fail(&mut self, step: Step, error: Error) -> Failed {
        self.state.note(Some(self.bundle.draft().generation), Some(step), format!("failed: {}", error.chain()));
        // Without the lock, or before anything is staged by us, what is pending is somebody else's.
        let ours = self.lock.is_some() && self.pending.is_some();
        let restored = if ours { revert::now(self.state, &error.chain()) } else { Ok(Restored::Untouched) };
        Failed { step, error, restored }
    }
}

/// The script of the network layer; where the layer is off, the one that takes our table away.
fn script(draft: &Draft) -> String {
    draft.nft().map_or_else(|| nft::replacing(""), str::to_owned)
}

/// Whether this machine passes packets on, in either family.
fn forwards() -> bool {
    ["net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"].iter().any(|n| settings::get(n).is_some_and(|v| v != "0"))
}

/// Whether the bundle may come after what is confirmed and what was tried.
pub fn follows(draft: &Draft, digest: Digest, confirmed: Option<&Bundle>, highest: Option<(Generation, Digest)>) -> Result<(), Error> {
    let offered = draft.generation;
    if let Some(c) = confirmed.filter(|c| offered <= c.draft().generation) {
        // The same bundle again over a drifted table is a repair, not a step back.
        if c.digest() != digest {
            return Err(Error::Stale { offered, confirmed: c.draft().generation });
        }
        return Ok(());
    }
    if let Some((highest, _)) = highest.filter(|&(h, tried)| offered < h || (offered == h && tried != digest)) {
        return Err(Error::Older { offered, highest });
    }
    let known = confirmed.map(|c| c.draft().generation).max(highest.map(|(g, _)| g)).unwrap_or_default();
    if offered.0.saturating_sub(known.0) > LONGEST_LEAP {
        return Err(Error::Leap { offered, known });
    }
    let is = confirmed.map(Bundle::digest);
    if draft.parent != is {
        let name = |d: Option<Digest>| d.map_or_else(|| "nothing".to_owned(), |d| d.short());
        return Err(Error::OtherParent { said: name(draft.parent), is: name(is) });
    }
    Ok(())
}
