//! What every machine's plan asks of the whole model, asked once. In comes a model, out come each host's flows and the
//! public address space. Without it a plan of a thousand machines walks all flows a thousand times. Never: decides.

use ipnet::IpNet;
use site::model::{Flow, FlowKind, Host, Model, Party};
use std::collections::{BTreeMap, BTreeSet};
use words::{Family, HostName};

/// Answers about one model.
pub(crate) struct Index<'a> {
    pub model: &'a Model,
    /// Places in the model's flows, ascending: flows from or to this host by name.
    by_host: BTreeMap<&'a HostName, Vec<usize>>,
    /// Flows of a whole zone, on either side: they may be anybody's.
    of_zones: Vec<usize>,
    public: BTreeMap<Family, Vec<IpNet>>,
    /// Machines the management path names, and the prefixes it leads to.
    managed: (BTreeSet<&'a HostName>, BTreeSet<IpNet>),
}

impl<'a> Index<'a> {
    pub fn new(model: &'a Model) -> Self {
        let mut by_host: BTreeMap<&HostName, Vec<usize>> = BTreeMap::new();
        let mut of_zones = Vec::new();
        let mut public: BTreeMap<Family, BTreeSet<&'a [IpNet]>> = BTreeMap::new();
        for (place, flow) in model.flows.iter().enumerate() {
            let parties = [&flow.from, &flow.to];
            if parties.iter().any(|p| matches!(p, Party::Zone(_))) {
                of_zones.push(place);
            }
            let hosts: BTreeSet<&HostName> = parties.iter().filter_map(|p| if let Party::Host(h) = p { Some(h) } else { None }).collect();
            for host in hosts {
                by_host.entry(host).or_default().push(place);
            }
            for leg in &flow.legs {
                // The same prefixes stand in every such flow: kept as whole lists, so that each is looked at once.
                match (&flow.from, &flow.to) {
                    (Party::Public, _) => public.entry(leg.family).or_default().insert(&leg.src),
                    (_, Party::Public) => public.entry(leg.family).or_default().insert(&leg.dst),
                    _ => continue,
                };
            }
        }
        let management = || model.flows.iter().filter(|f| f.kind == FlowKind::Management);
        let named = management().filter_map(|f| if let Party::Host(h) = &f.to { Some(h) } else { None }).collect();
        let nets = management().flat_map(|f| &f.legs).flat_map(|l| &l.dst).map(IpNet::trunc).collect();
        let flat = |lists: BTreeSet<&[IpNet]>| lists.into_iter().flatten().copied().collect::<BTreeSet<_>>().into_iter().collect();
        let public = public.into_iter().map(|(family, lists)| (family, flat(lists))).collect();
        Self { model, by_host, of_zones, public, managed: (named, nets) }
    }

    /// The flows a host may have a part in, in the model's order: its own and those of whole zones.
    pub fn flows_of(&self, host: &HostName) -> impl Iterator<Item = &'a Flow> + use<'a> {
        let own = self.by_host.get(host).map(Vec::as_slice).unwrap_or_default();
        let places: BTreeSet<usize> = own.iter().chain(&self.of_zones).copied().collect();
        let flows = &self.model.flows;
        places.into_iter().filter_map(|p| flows.get(p))
    }

    /// Whether some management flow leads to the host.
    pub fn managed(&self, host: &Host) -> bool {
        let (named, nets) = &self.managed;
        // Every prefix that could contain an address, from the longest.
        let mut around = host.addresses().flat_map(|a| std::iter::successors(Some(IpNet::from(a)), IpNet::supernet));
        named.contains(&host.name) || around.any(|n| nets.contains(&n))
    }

    /// Every public prefix of a family, as the model sees it; sorted.
    pub fn public(&self, family: Family) -> &[IpNet] {
        self.public.get(&family).map(Vec::as_slice).unwrap_or_default()
    }
}
