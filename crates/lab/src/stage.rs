//! A site on the stage: model, plan and lab together, and the machines' rulesets put in place by the real applier.
//!
//! In comes a model; out comes a lab whose machines hold what the plan says. Two ways of loading: the applier, as on a real
//! machine (transaction, read-back, revert timer); or the bare script, for tests of rulesets that build hundreds of labs.
//! Never: edits what the plan says.

use crate::{
    build::{Lab, Neighbours},
    error::LabError,
    topology::{self, topology},
};
use bundle::{Bundle, Draft, SeedFlow};
use emit::bundle::Link;
use plan::{Devices, MachinePlan, Options, Plan, Role, TABLE};
use ruleset::form::TableFamily;
use serde_json::Value;
use site::model::{Mode, Model};
use std::{
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};
use words::{Digest, Family, Generation, HostName};

/// Where machines keep their state inside a lab: on the lab's own `/run`, gone with it.
pub const STATE: &str = "/run/ravelin-lab";
/// Appliers that run at once.
const APPLIERS: usize = 4;
/// The applier's file name, beside this program's own.
pub const APPLIER: &str = "ravelin-applier";

/// Model, plan and lab.
#[derive(Debug)]
pub struct Stage {
    /// The site.
    pub model: Model,
    /// What its machines must hold.
    pub plan: Plan,
    /// The namespaces.
    pub lab: Lab,
    applier: PathBuf,
}

/// What the applier said.
#[derive(Debug, Clone)]
pub struct Said {
    /// It ended with 0.
    pub done: bool,
    /// Its JSON, or null.
    pub json: Value,
    /// Its standard error.
    pub error: String,
}

impl Stage {
    /// Plans and builds; loads nothing.
    pub fn build(model: Model, options: Options, neighbours: Neighbours) -> Result<Self, LabError> {
        let devices = Devices::default();
        let plan = plan::plan(&model, &devices, options);
        let lab = Lab::build(topology(&model, &devices), neighbours)?;
        Ok(Self { model, plan, lab, applier: beside_this_program(APPLIER) })
    }

    /// Plans the whole site and builds a part of it: the edge, and the machines `keep` names. Only those stay in the plan.
    pub fn build_part(model: Model, options: Options, neighbours: Neighbours, keep: impl Fn(&str) -> bool) -> Result<Self, LabError> {
        let devices = Devices::default();
        let mut plan = plan::plan(&model, &devices, options);
        let lab = Lab::build(topology(&model, &devices).cut(keep), neighbours)?;
        plan.machines.retain(|host, _| lab.topology.nodes.contains_key(host.as_str()));
        Ok(Self { model, plan, lab, applier: beside_this_program(APPLIER) })
    }

    /// The same for a lab that stands already.
    pub fn open(model: Model, options: Options, neighbours: Neighbours, active: Option<String>) -> Result<Self, LabError> {
        let devices = Devices::default();
        let plan = plan::plan(&model, &devices, options);
        let topology = topology(&model, &devices);
        let active = active.or_else(|| topology.edges.first().cloned());
        let lab = Lab::open(topology, neighbours, active)?;
        Ok(Self { model, plan, lab, applier: beside_this_program(APPLIER) })
    }

    /// Loads every machine's script as it is, with its settings and addresses. While a site observes, its virtual addresses are the
    /// ones that were there before.
    pub fn load_all(&self) -> Result<(), LabError> {
        self.each_machine(|machine| {
            self.load(machine.host.as_str(), &script(machine))?;
            if !machine.wanted_addresses().is_empty() {
                let lines = emit::address::file(machine.wanted_addresses());
                self.lab.space(machine.host.as_str())?.program("ip", &["-batch", "-"], Some(&lines))?;
            }
            self.load_ufw(machine)?;
            let space = self.lab.space(machine.host.as_str())?;
            for s in &machine.sysctls {
                let value = s.value.as_str();
                // Settings that a network namespace does not have (tracking table size) are the machine's, not the lab's.
                let _ = space.run(|| Ok(fs::write(Path::new("/proc/sys").join(&s.key), value)));
            }
            Ok(())
        })?;
        self.elect()?;
        // Of an edge that enforces nothing is added that the plan forgot.
        let planned = |m: &MachinePlan| m.role == Role::Edge && (m.mode == Mode::Enforce || !m.wanted_addresses().is_empty());
        if self.plan.machines.values().any(planned) { self.ask_for_translated() } else { self.lab.by_hand() }
    }

    /// The active node of a pair gets what its election would give it: no daemon runs here.
    fn elect(&self) -> Result<(), LabError> {
        let active = self.lab.active.as_deref().and_then(|a| self.plan.machines.values().find(|m| m.host.as_str() == a));
        let Some(machine) = active.filter(|m| !m.elected_addresses().is_empty()) else { return Ok(()) };
        let lines = emit::address::file(machine.elected_addresses());
        self.lab.space(machine.host.as_str())?.program("ip", &["-batch", "-"], Some(&lines)).map(drop)
    }

    /// Everybody outside asks for the addresses that nobody but the edge can answer for: no filter is met by who finds no neighbour,
    /// and in a volley the packets that wait for an answer would be too many.
    fn ask_for_translated(&self) -> Result<(), LabError> {
        let outside = self.lab.topology.nodes.values().filter(|n| n.role == topology::Role::Outside);
        let outside: Vec<&str> = outside.map(|n| n.name.as_str()).collect();
        for v in self.lab.topology.virtuals.iter().filter(|v| v.translated) {
            let IpAddr::V4(address) = v.address else { continue };
            for node in &outside {
                if self.lab.answers(node, address)?.is_none() {
                    return Err(LabError::Other(format!("nobody answers {node} for {address}: no machine holds it")));
                }
            }
        }
        Ok(())
    }

    /// Loads one script.
    pub fn load(&self, node: &str, script: &str) -> Result<(), LabError> {
        self.lab.space(node)?.program("nft", &["-f", "-"], Some(script)).map(drop)
    }

    /// UFW's chains with Ravelin's rules in them, as UFW would load them: UFW itself has no place in a namespace without files of its own.
    fn load_ufw(&self, machine: &MachinePlan) -> Result<(), LabError> {
        let Some(ufw) = &machine.ufw else { return Ok(()) };
        for (family, program) in [(Family::V4, "iptables-restore"), (Family::V6, "ip6tables-restore")] {
            self.lab.space(machine.host.as_str())?.program(program, &[], Some(&emit::ufw::whole(ufw, family)))?;
        }
        Ok(())
    }

    /// Applies every machine's bundle by the applier and confirms it; returns how many machines hold it. `seeds` are
    /// connections that cross the edge already.
    pub fn apply_all(&self, generation: Generation, seeds: &[SeedFlow]) -> Result<usize, LabError> {
        self.each_machine(|machine| {
            let crossing = if machine.role == Role::Edge { seeds } else { &[] };
            let draft = self.draft(machine, generation, None, crossing);
            let said = self.apply(machine.host.as_str(), draft, None)?;
            if said.done {
                return Ok(());
            }
            Err(LabError::Other(format!("the applier on {} says: {} {}", machine.host, said.error, said.json)))
        })?;
        self.elect()?;
        Ok(self.plan.machines.len())
    }

    /// The draft of a machine's bundle.
    pub fn draft(&self, machine: &MachinePlan, generation: Generation, parent: Option<Digest>, seeds: &[SeedFlow]) -> Draft {
        let glass = plan::break_glass(&self.model, &Devices::default(), &machine.host).unwrap_or_default();
        let link = Link { generation, parent, seeds: seeds.to_vec(), ufw: None };
        emit::bundle::draft(&self.model, machine, &glass, self.plan.digest, link)
    }

    /// Runs the applier in a node. `confirm_within` leaves the change to be confirmed; otherwise it confirms by itself.
    pub fn apply(&self, node: &str, draft: Draft, confirm_within: Option<Duration>) -> Result<Said, LabError> {
        let bytes = Bundle::seal(draft).map_err(|e| LabError::Other(format!("the bundle of {node}: {e}")))?.to_bytes();
        let dir = PathBuf::from(STATE);
        fs::create_dir_all(&dir).map_err(LabError::io(format!("create {}", dir.display())))?;
        let file = dir.join(format!("{node}.bundle"));
        fs::write(&file, bytes).map_err(LabError::io(format!("write {}", file.display())))?;
        let file = file.display().to_string();
        let seconds = confirm_within.unwrap_or_default().as_secs().to_string();
        let mut args = vec!["apply", &file, "--machine", node, "--tracking-period", "0"];
        match confirm_within {
            Some(_) => args.extend(["--confirm-within", &seconds]),
            None => args.push("--auto-confirm"),
        }
        self.applier(node, &args)
    }

    /// Any verb of the applier in a node.
    pub fn applier(&self, node: &str, args: &[&str]) -> Result<Said, LabError> {
        let state = format!("{STATE}/{node}");
        let program = self.applier.display().to_string();
        let mut all = vec!["--state", state.as_str(), "--json"];
        all.extend(args);
        let output = self.lab.space(node)?.attempt(&program, &all, None)?;
        Ok(Said {
            done: output.status.success(),
            json: serde_json::from_slice(&output.stdout).unwrap_or(Value::Null),
            error: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        })
    }

    fn each_machine(&self, f: impl Fn(&MachinePlan) -> Result<(), LabError> + Sync) -> Result<(), LabError> {
        let todo = Mutex::new(self.plan.machines.values());
        std::thread::scope(|s| {
            let work = || {
                loop {
                    let next = todo.lock().unwrap_or_else(PoisonError::into_inner).next();
                    match next {
                        Some(machine) => f(machine)?,
                        None => return Ok(()),
                    }
                }
            };
            let workers: Vec<_> = (0..APPLIERS).map(|_| s.spawn(work)).collect();
            workers.into_iter().try_for_each(|w| w.join().unwrap_or_else(|_| Err(LabError::Other("an applier's thread panicked".into()))))
        })
    }

    /// The plan of a machine.
    pub fn machine(&self, host: &HostName) -> Option<&MachinePlan> {
        self.plan.machines.get(host)
    }
}

/// The script that gives a machine its table.
pub fn script(machine: &MachinePlan) -> String {
    emit::nft::script(&machine.ruleset, TableFamily::Inet, TABLE)
}

/// The applier of this build.
pub fn applier_beside() -> PathBuf {
    beside_this_program(APPLIER)
}

/// A program of the same build: beside this one, or one directory up where this one is a test.
fn beside_this_program(name: &str) -> PathBuf {
    let exe = std::env::current_exe().unwrap_or_default();
    exe.ancestors().skip(1).take(2).map(|d| d.join(name)).find(|p| p.exists()).unwrap_or_else(|| name.into())
}
