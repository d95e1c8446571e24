//! A site's packets on their way: sender's output, the zone, the edge, the receiver's input. In come a model and what each
//! machine's packet filter holds, out come the packets that may arrive anywhere.
//!
//! What is not known stays visible: an unmanaged machine filters nothing that can be relied on, somebody else's firewall
//! may pass anything, and `unread` rules make a "cannot" unproven.

mod answer;
mod deliver;
mod journey;
mod machine;
mod prover;

pub use answer::{Answer, Question, Sender};
pub(crate) use answer::{ports, sources};
pub use deliver::{Delivery, Via};
pub use journey::{Hop, Journey, Stop};
use machine::Rules;
pub use machine::{Machine, Maker, default_device};
pub use prover::{Prover, Stage};

use crate::{
    eval::{Past, touched},
    field::{Field, device},
    set::{Mark, Set},
};
use ruleset::form::Ruleset;
use site::model::{Host, Model};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};
use words::{HostName, ZoneName};

/// Devices by machine and zone, where they are known better than by the site file.
pub type Devices = BTreeMap<HostName, BTreeMap<ZoneName, String>>;

/// A site with its packet filters.
#[derive(Debug)]
pub struct Network<'a> {
    /// The site.
    pub model: &'a Model,
    machines: BTreeMap<HostName, Machine<'a>>,
    by_address: BTreeMap<IpAddr, HostName>,
    /// Machines that may route between zones although nobody asked them to, and how that is said.
    routers: BTreeMap<HostName, String>,
    prover: &'a mut Prover,
}

impl<'a> Network<'a> {
    /// The network of a site whose machines hold these rulesets. A machine without one filters nothing.
    pub fn new(prover: &'a mut Prover, model: &'a Model, rulesets: &'a BTreeMap<HostName, Ruleset>, devices: &Devices) -> Self {
        Self::with(prover, model, devices, |name| Rules::Known(rulesets.get(name)), |_| true)
    }
    /// The same with rulesets that are made when they are looked at, `known` ones apart. Managed machines are not asked yet
    /// whether they route unasked: [`Network::routes_unasked`] does that.
    pub(crate) fn made(
        prover: &'a mut Prover,
        model: &'a Model,
        known: &'a BTreeMap<HostName, Ruleset>,
        maker: &'a Maker<'a>,
        devices: &Devices,
    ) -> Self {
        let rules = |name: &HostName| known.get(name).map_or_else(|| Rules::Made(maker, Default::default()), |r| Rules::Known(Some(r)));
        Self::with(prover, model, devices, rules, |host| !host.managed)
    }
    fn with(
        prover: &'a mut Prover,
        model: &'a Model,
        devices: &Devices,
        rules: impl Fn(&HostName) -> Rules<'a>,
        looked_at: impl Fn(&Host) -> bool,
    ) -> Self {
        let mut machines = BTreeMap::new();
        let mut by_address = BTreeMap::new();
        for (name, host) in &model.hosts {
            let rules = if host.managed { rules(name) } else { Rules::Known(None) };
            let machine = Machine::new(model, host, rules, devices.get(name), prover);
            for a in &machine.place.own {
                // A virtual address sits on the first node that holds it.
                by_address.entry(*a).or_insert_with(|| name.clone());
            }
            machines.insert(name.clone(), machine);
        }
        let mut network = Self { model, machines, by_address, routers: BTreeMap::new(), prover };
        for (name, _) in model.hosts.iter().filter(|(_, host)| looked_at(host)) {
            network.look_for_a_router(name);
        }
        network
    }
    /// Whether one of these routes although nobody asked it to: then nothing holds that was proved without knowing it.
    pub(crate) fn routes_unasked(&mut self, hosts: &BTreeSet<HostName>) -> bool {
        hosts.iter().for_each(|h| self.look_for_a_router(h));
        hosts.iter().any(|h| self.routers.contains_key(h) && self.machines.get(h).is_some_and(|m| m.host.managed))
    }
    /// The present point, to come back to.
    pub(crate) fn mark(&self) -> Mark {
        self.prover.mark()
    }
    /// Gives back the rulesets that were made, and forgets what was evaluated since the mark.
    pub(crate) fn rewind(&mut self, mark: Mark) {
        self.machines.values_mut().for_each(Machine::forget);
        self.prover.rewind(mark);
    }
    /// Whether a machine that nobody asked to route passes something from one of its zones to another: an unmanaged one may, a
    /// managed one where its own rules let any packet through.
    fn look_for_a_router(&mut self, name: &HostName) {
        self.routers.remove(name);
        let Some(m) = self.machines.get(name).filter(|m| !m.host.edge && m.devices.len() > 1) else { return };
        if !m.host.managed {
            if m.forwards {
                self.routers.insert(name.clone(), format!("{name}, which is not managed and stands in both zones"));
            }
            return;
        }
        let all = self.prover.arriving(m);
        let passed = self.prover.through(m, Stage::Forward, Past::Any, all).passed;
        let between = m.devices.values().flat_map(|a| m.devices.values().filter(move |b| *b != a).map(move |b| (a, b)));
        let open = between.into_iter().any(|(a, b)| {
            let from = self.prover.store.at(passed, Field::In, device(a));
            !self.prover.store.at(from, Field::Out, device(b)).is_empty()
        });
        if open {
            self.routers.insert(name.clone(), format!("{name}, whose rules let it forward from one of its zones to another"));
        }
    }
    /// Puts another ruleset in place of a machine's. The other machines' digests are not taken again. Out come the packets to other
    /// machines whose fate may differ; `None` where that could be any.
    pub fn replace(&mut self, name: &HostName, rules: &'a Ruleset) -> Option<Set> {
        let m = self.machines.get_mut(name).filter(|m| m.host.managed)?;
        let touched = match m.rules().filter(|_| m.host.edge) {
            Some(old) => touched(&mut self.prover.store, &m.place, old, rules),
            None => None,
        };
        let old = m.id;
        m.change(rules, self.prover, touched.is_some());
        if let Some(touched) = &touched {
            self.prover.follows(m.id, old, touched);
        }
        self.look_for_a_router(name);
        touched.map(|t| t.packets)
    }
    /// Puts another model in place, in which every machine stands where it stood.
    pub(crate) fn follow(&mut self, model: &'a Model) {
        self.model = model;
        for (name, host) in &model.hosts {
            if let Some(m) = self.machines.get_mut(name) {
                m.host = host;
            }
        }
    }
    /// Wires of a machine to its guests, which are no zone's: where an engine sends on what it translates.
    pub fn guests(&mut self, name: &HostName, links: impl IntoIterator<Item = crate::place::Link>) {
        if let Some(m) = self.machines.get_mut(name) {
            m.place.links.extend(links);
            m.renumber(self.prover);
        }
    }
    /// The machines.
    pub fn machines(&self) -> &BTreeMap<HostName, Machine<'a>> {
        &self.machines
    }
    /// One machine.
    pub fn machine(&self, name: &HostName) -> Option<&Machine<'a>> {
        self.machines.get(name)
    }
    /// Who has an address; the first edge node for virtual ones.
    pub fn holder(&self, a: &IpAddr) -> Option<&HostName> {
        self.by_address.get(a).or_else(|| self.machines.values().find(|m| m.place.anywhere).map(|m| &m.host.name))
    }
    /// The store all sets of this network live in.
    pub fn store(&mut self) -> &mut crate::set::Store {
        &mut self.prover.store
    }
    /// Machines and prover side by side.
    pub(crate) fn parts(&mut self) -> (&BTreeMap<HostName, Machine<'a>>, &mut Prover) {
        (&self.machines, self.prover)
    }
    /// Edge nodes that forward, by name.
    pub fn edges(&self) -> Vec<&HostName> {
        self.model.edge.nodes.iter().filter(|n| self.machines.contains_key(*n)).collect()
    }
    /// Zones a machine stands in.
    pub fn zones_of(&self, name: &HostName) -> BTreeSet<ZoneName> {
        self.machines.get(name).map(|m| m.devices.keys().cloned().collect()).unwrap_or_default()
    }
}
