//! Plans, seals and proves for the machines that answer. In come the site, the site before it and what machines hold, out come bundles,
//! waves, connections to try and what was proved, or every reason why not. Proved is: every invariant over the rules that will be in force,
//! and that no mixture of old and new machines, whichever they are, lets through what neither plan does. Never: changes anything.

use super::{
    reported::{self, Reported},
    way::Way,
};
use crate::{face::remark, guard, keys, planning, progress, proof, window};
use bundle::{Bundle, LayerMode};
use emit::bundle::Link;
use plan::{Devices, Plan};
use reach::{
    Network, Prover,
    mixture::{self, Mixture, State},
    probes,
};
use rollout::{Agreed, Bundles, Class, Planned, Prove, Target, ask::Status, order};
use ruleset::Ruleset;
use signing::Secret;
use site::model::{Mode, Model};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    rc::Rc,
};
use words::{HostName, SourceFile};

/// Witnesses that are told.
const TOLD: usize = 5;

/// Plans for one rollout.
pub struct Planner<'a> {
    /// The site.
    pub model: &'a Model,
    /// Its file.
    pub source: &'a SourceFile,
    /// The site as it was rolled out last, where the ledger knows.
    pub before: Option<Model>,
    /// The way to the machines.
    pub way: &'a Way,
    /// Keys that sign.
    pub keys: Rc<[Secret]>,
    /// Why it goes to `enforce` without a clean window.
    pub because: Option<String>,
    /// Why it goes on although mixtures are not proved.
    pub mixtures_because: Option<String>,
    /// The ledger of `learn`.
    pub record: PathBuf,
}

impl Prove for Planner<'_> {
    fn prove(
        &mut self,
        statuses: &BTreeMap<HostName, Status>,
        skipped: &BTreeMap<HostName, String>,
    ) -> Result<(Agreed, Bundles), Vec<String>> {
        let machines: Vec<&HostName> = statuses.keys().collect();
        let found = progress::during("asking the machines what they are", || reported::ask(self.way, &machines))?;
        let devices = reported::devices(self.model, &found, self.way.is_lab());
        let plan = planning::plan_with(self.model, &devices);
        let mut sides = self.sides(&plan, &found, skipped);
        let mut troubles: Vec<String> = plan.notes.iter().filter(|d| d.is_error()).map(|d| d.message.clone()).collect();
        troubles.extend(self.guards(&plan, &found));
        troubles.extend(self.enforcing(statuses).err());
        troubles.extend(self.signatures(statuses));
        troubles.extend(self.violations(&plan, &devices, &found));
        if !troubles.is_empty() {
            return Err(troubles);
        }
        let mut agreed = Agreed::default();
        let mut bundles = Bundles::new();
        for (machine, status) in statuses {
            let (bundle, told) = self.seal(machine, status, &plan, &devices, found.get(machine))?;
            agreed.notes.extend(told);
            let held = status.confirmed.as_ref();
            let unchanged = held.is_some_and(|h| h.policy == bundle.draft().policy()) && status.drift.is_empty();
            let (digest, generation) = (bundle.digest(), bundle.draft().generation);
            agreed.targets.insert(machine.clone(), Target { digest, generation, before: held.map(|h| h.digest), unchanged });
            if !unchanged {
                bundles.insert(machine.clone(), self.signed(bundle)?);
            }
        }
        let changed: BTreeSet<HostName> = agreed.targets.iter().filter(|(_, t)| !t.unchanged).map(|(m, _)| m.clone()).collect();
        if changed.is_empty() {
            return Ok((agreed, bundles));
        }
        let active = statuses.iter().find(|(m, s)| s.active == Some(true) && self.model.edge.nodes.contains(m)).map(|(m, _)| m);
        agreed.waves = order::waves(self.model, &changed, active);
        if self.way.is_lab() && agreed.waves.iter().any(|w| w.drained.is_some()) {
            agreed.waves.iter_mut().for_each(|w| w.drained = None);
            agreed.notes.push("no election runs in a lab that stands: nobody hands over (`ravelin pair drill` does)".into());
        }
        sides.same(&agreed.targets);
        let (old, new) = (sides.then(self, &devices), sides.now(self.model, &devices));
        let mixture = progress::during("proving every mixture of old and new", || mixture::mixture(old, new));
        let all: Vec<Vec<HostName>> = agreed.waves.iter().map(|w| w.machines.clone()).collect();
        let absent = plan.machines.keys().filter(|m| !statuses.contains_key(*m)).count();
        agreed.proved = self.judge(&mixture, &all, absent)?;
        agreed.probes = progress::during("choosing connections to try", || self.probes(old, new, statuses));
        let counted: usize = agreed.probes.values().map(Vec::len).sum();
        agreed.proved.push(format!("{counted} connections along proved flows are tried, from {} machines", agreed.probes.len()));
        agreed.notes.push("nothing here interrupts a service: units and files are put in place and none is restarted, so no proving deadline is waited for".into());
        Ok((agreed, bundles))
    }
}

/// Rules of the plan, each machine's together with what others have put there.
fn in_force(plan: &Plan, found: &BTreeMap<HostName, Reported>) -> BTreeMap<HostName, Ruleset> {
    let mut out = proof::rulesets(plan);
    for (machine, reported) in found {
        if let Some(own) = out.get_mut(machine) {
            proof::compose(own, &reported.live, reported.facts.ufw.as_ref(), plan.machines.get(machine));
        }
    }
    out
}

/// What every machine filters before and after.
struct Sides {
    before: BTreeMap<HostName, Ruleset>,
    after: BTreeMap<HostName, Ruleset>,
}

impl Sides {
    /// A machine that holds its part to the letter of the plan filters the same before and after, however its kernel spells it.
    fn same(&mut self, targets: &BTreeMap<HostName, Target>) {
        for machine in targets.iter().filter(|(_, t)| t.unchanged).map(|(m, _)| m) {
            if let Some(rules) = self.after.get(machine) {
                self.before.insert(machine.clone(), rules.clone());
            }
        }
    }
    fn then<'a>(&'a self, planner: &'a Planner<'_>, devices: &'a Devices) -> State<'a> {
        State { model: planner.before.as_ref().unwrap_or(planner.model), rulesets: &self.before, devices: &devices.reported }
    }
    fn now<'a>(&'a self, model: &'a Model, devices: &'a Devices) -> State<'a> {
        State { model, rulesets: &self.after, devices: &devices.reported }
    }
}

impl Planner<'_> {
    /// What machines hold now is what their kernels say; of one that does not answer, what was rolled out last.
    fn sides(&self, plan: &Plan, found: &BTreeMap<HostName, Reported>, skipped: &BTreeMap<HostName, String>) -> Sides {
        let mut after = in_force(plan, found);
        let mut before: BTreeMap<HostName, Ruleset> = found.iter().map(|(m, r)| (m.clone(), r.live.clone())).collect();
        let last = self.before.as_ref().map(planning::plan);
        // A machine that has no part in this stays as it is: afterwards it holds what it held.
        let others: Vec<HostName> = after.keys().filter(|m| !found.contains_key(*m)).cloned().collect();
        for machine in others {
            if let Some(held) = last.as_ref().and_then(|p| p.machines.get(&machine)) {
                before.insert(machine.clone(), held.ruleset.clone());
                after.insert(machine, held.ruleset.clone());
                continue;
            }
            after.remove(&machine);
            if skipped.contains_key(&machine) {
                remark(&format!(
                    "{machine} does not answer and was never rolled out to: what it filters is not known, and nothing is taken for granted"
                ));
            }
        }
        Sides { before, after }
    }

    fn guards(&self, plan: &Plan, found: &BTreeMap<HostName, Reported>) -> Vec<String> {
        let mut out = Vec::new();
        for (machine, reported) in found.iter().filter(|_| !self.way.is_lab()) {
            let all = [
                guard::one_master(machine, self.model, plan, reported.facts.ufw.as_ref()),
                guard::gateway(machine, plan, &reported.facts),
                guard::address(machine, self.model, plan, &reported.facts),
            ];
            out.extend(all.into_iter().filter_map(Result::err).map(|t| format!("{machine}: {t}")));
        }
        out
    }

    /// Machines that would not take what these keys sign.
    fn signatures(&self, statuses: &BTreeMap<HostName, Status>) -> Vec<String> {
        let trust = |s: &Status| s.trust.clone().and_then(|t| serde_json::from_value(t).ok());
        let all = statuses.iter().filter_map(|(m, s)| {
            let refused = keys::would_count(trust(s).as_ref(), &self.keys, false).err()?;
            Some(format!("{m}: {refused}"))
        });
        all.collect()
    }

    /// Going to `enforce` wants a clean window of `learn`, or a reason.
    fn enforcing(&self, statuses: &BTreeMap<HostName, Status>) -> Result<(), String> {
        let in_force = |s: &Status| s.confirmed.as_ref().is_some_and(|c| c.layers.get("network") == Some(&LayerMode::Enforce));
        if self.way.is_lab() || self.model.layers.network != Mode::Enforce || statuses.values().all(in_force) {
            return Ok(());
        }
        window::judge(&self.record, self.model, self.because.as_deref()).map_err(|t| t.to_string())
    }

    /// Invariants over the very rules that will be in force, in observe mode as they would be.
    fn violations(&self, plan: &Plan, devices: &Devices, found: &BTreeMap<HostName, Reported>) -> Vec<String> {
        if self.model.layers.network == Mode::Off {
            return Vec::new();
        }
        let model = proof::enforced(self.model);
        let enforced = (self.model.layers.network != Mode::Enforce).then(|| planning::plan_with(&model, devices));
        let plan = enforced.as_ref().unwrap_or(plan);
        let rulesets = in_force(plan, found);
        let all = progress::during("proving", || {
            let mut prover = Prover::new();
            reach::check(&mut Network::new(&mut prover, &model, &rulesets, &devices.reported))
        });
        all.iter().map(|v| v.diagnostic(self.source)).filter(|d| d.is_error()).map(|d| format!("{}: {}", d.code, d.message)).collect()
    }

    fn seal(
        &self,
        machine: &HostName,
        status: &Status,
        plan: &Plan,
        devices: &Devices,
        reported: Option<&Reported>,
    ) -> Result<(Bundle, Vec<String>), Vec<String>> {
        let parent = status.confirmed.as_ref().map(|c| c.digest);
        let ufw = reported.and_then(|r| r.facts.ufw.clone());
        let link = Link { generation: status.next_generation, parent, seeds: Vec::new(), ufw };
        let (mut files, mut told) = (Vec::new(), Vec::new());
        // Machines of a lab share one file system: nothing is put into it.
        if let (false, Some(planned), Some(r)) = (self.way.is_lab(), plan.machines.get(machine), reported) {
            (files, told) = planning::reported_files(planned, &r.facts, status.active.is_some());
        }
        let site = planning::site_digest(self.source);
        let bundle = planning::seal(self.model, plan, devices, machine, site, link, files).map_err(|t| vec![t.to_string()])?;
        Ok((bundle, told.into_iter().map(|t| format!("{machine}: {t}")).collect()))
    }

    fn signed(&self, bundle: Bundle) -> Result<Vec<u8>, Vec<String>> {
        if self.keys.is_empty() {
            return Ok(bundle.to_bytes());
        }
        signing::secret::sign_bundle(bundle, &*self.keys).map(|s| s.to_bytes()).map_err(|e| vec![format!("a bundle cannot be signed: {e}")])
    }

    /// What mixtures come to, for the ledger; why not, where they are not proved and nobody answers for that.
    fn judge(&self, mixture: &Mixture, waves: &[Vec<HostName>], absent: usize) -> Result<Vec<String>, Vec<String>> {
        let machines = mixture.changed.len();
        let mut out = vec![match absent {
            0 => "every invariant holds over the rules that will be in force".to_owned(),
            n => format!(
                "every invariant holds over the rules of the whole plan; {n} machines have no part in this and do not hold theirs by it"
            ),
        }];
        out.extend(
            mixture.cut.iter().filter(|c| c.on_the_way(waves)).take(TOLD).map(|c| format!("on the way a flow is cut for a while: {c}")),
        );
        if mixture.is_proved() {
            out.push(format!("no mixture of old and new over {machines} machines that change lets through what neither does"));
            return Ok(out);
        }
        let mut why: Vec<String> = mixture.wider.iter().take(TOLD).map(|w| format!("a mixture is wider than both plans: {w}")).collect();
        why.extend(mixture.unproven.iter().take(TOLD).map(|u| format!("mixtures are not proved: {u}")));
        if let Some(because) = &self.mixtures_because {
            why.iter().for_each(|w| remark(&format!("In spite of this: {w}")));
            out.extend(why);
            out.push(format!("because: {because}"));
            return Ok(out);
        }
        if !mixture.wider.is_empty() {
            why.push("a rollout that closes first and opens afterwards meets none: take out what is new, roll out, put it in, roll out again; or say why: --mixtures-because \"...\" (recorded)".into());
        } else {
            why.push("or say why it may go on: --mixtures-because \"...\" (recorded)".into());
        }
        Err(why)
    }

    fn probes(&self, old: State<'_>, new: State<'_>, statuses: &BTreeMap<HostName, Status>) -> BTreeMap<HostName, Vec<Planned>> {
        let class = |k: probes::Kind| match k {
            probes::Kind::Kept => Class::Kept,
            probes::Kind::New => Class::New,
            probes::Kind::Gone => Class::Gone,
        };
        let planned = |p: probes::Probes| {
            let one = |a: probes::Aimed| {
                let passes = self.model.edge.nodes.iter().cloned().chain([a.to]).collect();
                Planned { trial: a.trial, class: class(a.kind), passes }
            };
            p.trials.into_iter().map(one).collect::<Vec<_>>()
        };
        // While the layer observes, what is new is open before and what is gone stays open: neither says anything. Nor where a machine on the
        // way stays as it is.
        let enforces = self.model.layers.network == Mode::Enforce;
        let says = |p: &Planned| p.class == Class::Kept || enforces && p.passes.iter().all(|m| statuses.contains_key(m));
        let all = probes::probes(old, new).into_iter().filter(|(m, _)| statuses.contains_key(m));
        all.map(|(m, p)| (m, planned(p).into_iter().filter(says).collect::<Vec<_>>())).filter(|(_, p)| !p.is_empty()).collect()
    }
}
