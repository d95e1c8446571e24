//! One machine as the proof sees it: its place, its devices by zone, its rules, and how it is told apart from what it was.

use super::Prover;
use crate::place::{Link, Place};
use ipnet::IpNet;
use ruleset::form::{Key, Ruleset, Statement};
use site::model::{Host, Model};
use std::{
    cell::OnceCell,
    collections::{BTreeMap, BTreeSet},
};
use words::{HostName, ZoneName};

/// Longest device name in bytes: the kernel's IFNAMSIZ is 16 with the terminating zero.
const MAX_DEVICE: usize = 15;

/// One machine.
#[derive(Debug)]
pub struct Machine<'a> {
    /// Its entry in the model.
    pub host: &'a Host,
    /// Addresses, devices, routes.
    pub place: Place,
    /// Device by zone.
    pub devices: BTreeMap<ZoneName, String>,
    rules: Rules<'a>,
    /// Forwards packets between its devices.
    pub forwards: bool,
    judges_only: OnceCell<bool>,
    /// Same number, same rules and place: what was evaluated before holds.
    pub(super) id: u32,
}

/// Where a machine's ruleset comes from.
#[derive(Debug)]
pub(super) enum Rules<'a> {
    /// It is there, or it is known that there is none.
    Known(Option<&'a Ruleset>),
    /// It is made when it is first looked at.
    Made(&'a Maker<'a>, OnceCell<Option<Ruleset>>),
}

/// Makes the ruleset of a machine.
pub struct Maker<'a>(pub &'a (dyn Fn(&HostName) -> Option<Ruleset> + Sync));

impl std::fmt::Debug for Maker<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Maker")
    }
}

/// Software that turns forwarding on. Managed machines are judged by their rules, whatever runs there.
const FORWARDERS: [&str; 11] =
    ["docker", "podman", "containerd", "kubernetes", "k3s", "lxc", "lxd", "incus", "libvirt", "nomad", "tailscale"];

impl<'a> Machine<'a> {
    pub(super) fn new(
        model: &Model,
        host: &'a Host,
        rules: Rules<'a>,
        known: Option<&BTreeMap<ZoneName, String>>,
        prover: &mut Prover,
    ) -> Self {
        let devices = devices(model, host, known);
        let place = place(model, host, &devices);
        let forwards =
            host.edge || !host.managed && host.interfaces.len() > 1 || host.coexist.iter().any(|c| FORWARDERS.contains(&c.as_str()));
        let id = prover.id(&rules, &place);
        Self { host, place, devices, judges_only: OnceCell::new(), rules, forwards, id }
    }
    /// A machine whose rules are there, apart from any network.
    pub(crate) fn alone(
        model: &Model,
        host: &'a Host,
        rules: Option<&'a Ruleset>,
        known: Option<&BTreeMap<ZoneName, String>>,
        prover: &mut Prover,
    ) -> Self {
        Self::new(model, host, Rules::Known(rules), known, prover)
    }
    /// Other rules on the same place; `told_apart` where what differs is known.
    pub(super) fn change(&mut self, rules: &'a Ruleset, prover: &mut Prover, told_apart: bool) {
        self.rules = Rules::Known(Some(rules));
        self.judges_only = OnceCell::new();
        self.id = if told_apart { prover.new_id() } else { prover.id(&self.rules, &self.place) };
    }
    /// Its place has changed.
    pub(super) fn renumber(&mut self, prover: &mut Prover) {
        self.id = prover.id(&self.rules, &self.place);
    }
    /// Gives back a ruleset that was made.
    pub(super) fn forget(&mut self) {
        if let Rules::Made(_, made) = &mut self.rules {
            made.take();
        }
    }
    /// What it filters; `None` where that is not known.
    pub fn rules(&self) -> Option<&Ruleset> {
        match &self.rules {
            Rules::Known(rules) => *rules,
            Rules::Made(maker, made) => made.get_or_init(|| (maker.0)(&self.host.name)).as_ref(),
        }
    }
    /// Its rules only judge: nothing translates, marks, is unknown or asks for some bits of a mark, so one evaluation over
    /// everything serves every set.
    pub(super) fn judges_only(&self) -> bool {
        *self.judges_only.get_or_init(|| judges_only(self.rules()))
    }
    /// The zone behind a device.
    pub fn zone(&self, device: &str) -> Option<&ZoneName> {
        self.devices.iter().find(|(_, d)| *d == device).map(|(z, _)| z)
    }
}

fn judges_only(rules: Option<&Ruleset>) -> bool {
    let changes = |s: &Statement| match s {
        Statement::Nat(_) | Statement::SetMark { .. } | Statement::Notrack | Statement::Unknown { .. } => true,
        // Such a match is exact only over the marks that occur.
        Statement::Match { key: Key::Mark | Key::CtMark, mask, .. } => mask.is_some(),
        _ => false,
    };
    !rules.iter().flat_map(|r| &r.tables).flat_map(|t| &t.chains).flat_map(|c| &c.rules).flat_map(|r| &r.statements).any(changes)
}

/// A zone's device where nobody says otherwise: the zone's name, cut to what the kernel takes.
pub fn default_device(zone: &ZoneName) -> String {
    zone.as_str().chars().take(MAX_DEVICE).collect()
}

fn devices(model: &Model, host: &Host, known: Option<&BTreeMap<ZoneName, String>>) -> BTreeMap<ZoneName, String> {
    let mut zones: BTreeSet<&ZoneName> = host.interfaces.iter().map(|i| &i.zone).collect();
    if host.edge {
        zones.extend(model.edge.vip.keys());
        zones.extend(model.zones.keys().filter(|z| z.is_internet()));
    }
    if zones.is_empty() {
        zones.insert(&host.default_zone);
    }
    zones
        .into_iter()
        .map(|z| {
            let device = host.interface(z).and_then(|i| i.device.clone()).or_else(|| known.and_then(|k| k.get(z)).cloned());
            (z.clone(), device.unwrap_or_else(|| default_device(z)))
        })
        .collect()
}

fn place(model: &Model, host: &Host, devices: &BTreeMap<ZoneName, String>) -> Place {
    let mut own: BTreeSet<_> = host.addresses().collect();
    if host.edge {
        own.extend(model.edge.vip.values().flatten().copied());
        own.extend(site::translated(model).into_keys());
    }
    let links = devices
        .iter()
        .map(|(zone, device)| {
            let mut nets: Vec<IpNet> = host.interface(zone).map(|i| i.addresses.iter().map(IpNet::trunc).collect()).unwrap_or_default();
            if host.edge {
                nets.extend(model.zones.get(zone).map(|z| z.subnets.clone()).unwrap_or_default());
            }
            nets.sort();
            nets.dedup();
            // A default route stands in no list of prefixes.
            nets.retain(|n| n.prefix_len() > 0);
            Link { device: device.clone(), nets, default: *zone == host.default_zone }
        })
        .collect();
    let anywhere = own.is_empty() || host.interfaces.iter().flat_map(|i| &i.addresses).any(|n| n.prefix_len() == 0);
    if anywhere {
        own.clear();
    }
    Place { own, links, anywhere }
}
