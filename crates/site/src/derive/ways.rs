//! Ways: in come two parties, out come the concrete addresses on each way between them: one leg per family and zone pair.
//! Who shares a zone talks there directly; everybody else through the edge, from default zone to default zone.

use crate::{EdgeKind, Host, Leg, Model, Party, special};
use ipnet::IpNet;
use std::{cell::RefCell, collections::BTreeMap, rc::Rc, sync::Arc};
use words::{Family, ZoneName};

/// Addresses and zones of a site, ready to be asked often.
pub(crate) struct Ways<'m> {
    model: &'m Model,
    /// Shared: about a hundred prefixes that stand in every egress.
    public: [Arc<[IpNet]>; 2],
    /// Where parties stand: each has tens of flows.
    known: RefCell<BTreeMap<Party, Rc<[Spot]>>>,
    /// What the site calls its own.
    own: Vec<IpNet>,
}

/// A party's place in one zone.
struct Spot {
    zone: ZoneName,
    nets: [Arc<[IpNet]>; 2],
    /// Routed flows begin and end here.
    default: bool,
}

fn slot(family: Family) -> usize {
    match family {
        Family::V4 => 0,
        Family::V6 => 1,
    }
}

fn by_family(nets: impl IntoIterator<Item = IpNet>) -> [Arc<[IpNet]>; 2] {
    let (v4, v6): (Vec<IpNet>, Vec<IpNet>) = nets.into_iter().partition(|n| n.addr().is_ipv4());
    [v4, v6].map(|nets| if nets.len() < 2 { nets.into() } else { IpNet::aggregate(&nets).into() })
}

/// The prefixes of a list that are wanted: the list itself where all are.
fn those(nets: &Arc<[IpNet]>, wanted: impl Fn(&IpNet) -> bool) -> Arc<[IpNet]> {
    if nets.iter().all(&wanted) { nets.clone() } else { nets.iter().filter(|n| wanted(n)).copied().collect() }
}

/// What a site calls its own: never a public peer.
pub(crate) fn own(model: &Model) -> Vec<IpNet> {
    let zones = model.zones.values().flat_map(|z| z.subnets.iter().copied());
    let hosts = model.hosts.values().flat_map(|h| h.addresses()).map(IpNet::from);
    let all: Vec<IpNet> = zones.chain(model.edge.public.iter().copied()).chain(model.edge.sync).chain(hosts).collect();
    let mut out: Vec<IpNet> = by_family(all).iter().flat_map(|n| n.iter().copied()).collect();
    out.sort_unstable();
    out
}

impl<'m> Ways<'m> {
    pub fn new(model: &'m Model) -> Self {
        let own = own(model);
        Self { model, public: Family::ALL.map(|f| special::public(f, &own).into()), known: RefCell::default(), own }
    }

    /// Whether translated or routed packets of this source can leave for the Internet.
    fn leaves(&self, net: &IpNet) -> bool {
        net.addr().is_ipv4() || special::is_public(&net.addr()) || net.prefix_len() == 0
    }

    /// Whether packets from the Internet can arrive at this address without translation.
    fn arrives(&self, net: &IpNet) -> bool {
        self.model.edge.kind != EdgeKind::Ravelin || special::is_public(&net.addr())
    }

    fn host_spots(&self, host: &Host) -> Vec<Spot> {
        let spot = |i: &crate::Interface| {
            let nets = if i.addresses.is_empty() && !host.edge {
                Family::ALL.map(|f| [special::everything(f)].into())
            } else {
                by_family(i.addresses.iter().map(|a| IpNet::from(a.addr())))
            };
            Spot { default: i.zone == host.default_zone, zone: i.zone.clone(), nets }
        };
        host.interfaces.iter().map(spot).collect()
    }

    fn spots(&self, party: &Party) -> Rc<[Spot]> {
        if let Some(known) = self.known.borrow().get(party) {
            return known.clone();
        }
        let spots: Rc<[Spot]> = self.look(party).into();
        self.known.borrow_mut().insert(party.clone(), spots.clone());
        spots
    }

    fn look(&self, party: &Party) -> Vec<Spot> {
        let internet = || Spot { zone: ZoneName::internet(), nets: self.public.clone(), default: true };
        match party {
            Party::Host(name) => self.model.hosts.get(name).map(|h| self.host_spots(h)).unwrap_or_default(),
            Party::Zone(name) if name.is_internet() => {
                vec![Spot { zone: name.clone(), nets: Family::ALL.map(|f| [special::everything(f)].into()), default: true }]
            }
            Party::Zone(name) => {
                let subnets = self.model.zones.get(name).map(|z| z.subnets.clone()).unwrap_or_default();
                vec![Spot { zone: name.clone(), nets: by_family(subnets), default: true }]
            }
            Party::Outside(_, nets) => {
                let mut zones: BTreeMap<ZoneName, Vec<IpNet>> = BTreeMap::new();
                for net in nets {
                    let home = self.model.zones.values().find(|z| z.subnets.iter().any(|s| s.contains(net)));
                    match home {
                        Some(zone) => zones.entry(zone.name.clone()).or_default().push(*net),
                        // A wide prefix never makes the site's own, or private addresses, come from outside.
                        None => zones.entry(ZoneName::internet()).or_default().extend(special::outside(
                            net,
                            &self.public[slot(Family::of(&net.addr()))],
                            &self.own,
                        )),
                    }
                }
                zones.into_iter().map(|(zone, nets)| Spot { zone, nets: by_family(nets), default: true }).collect()
            }
            Party::Public => vec![internet()],
        }
    }

    /// Every leg between two parties; empty where there is no way.
    pub fn legs(&self, from: &Party, to: &Party) -> Vec<Leg> {
        let (a, b) = (self.spots(from), self.spots(to));
        let mut out = Vec::new();
        for (x, y) in a.iter().flat_map(|x| b.iter().map(move |y| (x, y))).filter(|(x, y)| x.zone == y.zone) {
            self.pair(&mut out, x, y);
        }
        if out.is_empty() {
            for (x, y) in a.iter().flat_map(|x| b.iter().map(move |y| (x, y))) {
                if x.default && y.default && x.zone != y.zone && self.routed(&x.zone) && self.routed(&y.zone) {
                    self.pair(&mut out, x, y);
                }
            }
        }
        out
    }

    fn pair(&self, out: &mut Vec<Leg>, from: &Spot, to: &Spot) {
        for family in Family::ALL {
            let (out_of, into) = (from.zone != to.zone && to.zone.is_internet(), from.zone != to.zone && from.zone.is_internet());
            let src = those(&from.nets[slot(family)], |n| !out_of || self.leaves(n));
            if src.is_empty() {
                continue;
            }
            let dst = those(&to.nets[slot(family)], |n| !into || self.arrives(n));
            if !dst.is_empty() {
                out.push(Leg { family, from_zone: from.zone.clone(), to_zone: to.zone.clone(), src, dst });
            }
        }
    }

    fn routed(&self, zone: &ZoneName) -> bool {
        self.model.zones.get(zone).is_some_and(|z| z.routed)
    }

    /// The legs of a publication: from every public address to the given addresses of a host.
    pub fn published(&self, host: &Host, dst: &[IpNet]) -> Vec<Leg> {
        let mut out = Vec::new();
        for family in Family::ALL {
            let mut zones: BTreeMap<ZoneName, Vec<IpNet>> = BTreeMap::new();
            for net in dst.iter().filter(|n| Family::of(&n.addr()) == family) {
                let at = host.interfaces.iter().find(|i| i.addresses.iter().any(|a| a.addr() == net.addr()));
                zones.entry(at.map_or_else(|| host.default_zone.clone(), |i| i.zone.clone())).or_default().push(*net);
            }
            for (to_zone, nets) in zones {
                let (from_zone, src) = (ZoneName::internet(), self.public[slot(family)].clone());
                out.push(Leg { family, from_zone, to_zone, src, dst: IpNet::aggregate(&nets).into() });
            }
        }
        out
    }
}
