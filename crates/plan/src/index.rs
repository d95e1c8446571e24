//! What every machine's plan asks of the whole model, asked once. In comes a model, out come each host's flows and the
//! public address space. Without it a plan of a thousand machines walks all flows a thousand times. Never: decides.

use ipnet::IpNet;
use site::model::{Flow, FlowKind, Host, Model, Party};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use words::{Family, HostName};

/// Answers about one model.
pub(crate) struct Index<'a> {
    pub model: &'a Model,
    /// Places in the model's flows, ascending: flows from or to this host by name.
    by_host: BTreeMap<&'a HostName, Vec<usize>>,
    /// Flows of a whole zone, on either side, by the prefixes the zone has in them: they are everybody's who stands there.
    of_zones: HashMap<IpNet, Vec<usize>>,
    /// Lengths of those prefixes.
    lengths: BTreeSet<(Family, u8)>,
    /// The public prefixes as sets: aggregated once, not for every machine.
    public_sets: BTreeMap<Family, ruleset::Set>,
    /// Machines the management path names, and the prefixes it leads to.
    managed: (BTreeSet<&'a HostName>, BTreeSet<IpNet>),
}

impl<'a> Index<'a> {
    pub fn new(model: &'a Model) -> Self {
        let mut by_host: BTreeMap<&HostName, Vec<usize>> = BTreeMap::new();
        let mut of_zones: HashMap<IpNet, Vec<usize>> = HashMap::new();
        let mut public: BTreeMap<Family, BTreeSet<&'a [IpNet]>> = BTreeMap::new();
        for (place, flow) in model.flows.iter().enumerate() {
            let parties = [&flow.from, &flow.to];
            for leg in &flow.legs {
                for (party, nets) in [(&flow.from, &leg.src), (&flow.to, &leg.dst)] {
                    if matches!(party, Party::Zone(_)) {
                        nets.iter().for_each(|n| of_zones.entry(n.trunc()).or_default().push(place));
                    }
                }
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
        let nets = management().flat_map(|f| &f.legs).flat_map(|l| l.dst.iter()).map(IpNet::trunc).collect();
        let flat =
            |lists: BTreeSet<&[IpNet]>| lists.into_iter().flatten().copied().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>();
        let public_sets = public.into_iter().map(|(family, lists)| (family, crate::build::prefix_set(family, &flat(lists)))).collect();
        let lengths = of_zones.keys().map(|n| (Family::of(&n.addr()), n.prefix_len())).collect();
        Self { model, by_host, of_zones, lengths, public_sets, managed: (named, nets) }
    }

    /// The flows a host may have a part in, in the model's order: its own and those of whole zones it has an address in.
    pub fn flows_of(&self, host: &Host) -> Vec<&'a Flow> {
        let mut places = self.by_host.get(&host.name).cloned().unwrap_or_default();
        for address in host.addresses() {
            for (family, length) in &self.lengths {
                let around = (*family == Family::of(&address)).then(|| IpNet::new(address, *length).ok()).flatten();
                places.extend(around.and_then(|n| self.of_zones.get(&n.trunc())).into_iter().flatten());
            }
        }
        places.sort_unstable();
        places.dedup();
        places.into_iter().filter_map(|p| self.model.flows.get(p)).collect()
    }

    /// Whether some management flow leads to the host.
    pub fn managed(&self, host: &Host) -> bool {
        let (named, nets) = &self.managed;
        // Every prefix that could contain an address, from the longest.
        let mut around = host.addresses().flat_map(|a| std::iter::successors(Some(IpNet::from(a)), IpNet::supernet));
        named.contains(&host.name) || around.any(|n| nets.contains(&n))
    }

    /// Every public prefix of a family, as the model sees it.
    pub fn public_set(&self, family: Family) -> ruleset::Set {
        self.public_sets.get(&family).cloned().unwrap_or_else(|| crate::build::prefix_set(family, &[]))
    }
}
