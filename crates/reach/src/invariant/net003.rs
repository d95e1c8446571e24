//! NET003: a market host, which strangers talk to, reaches the API of a wallet, a chain node or a miner only where a flow
//! names that host. What a whole zone may reach does not count as declared for the market host in it.

use super::Cx;
use crate::{
    policy::{flow_set, sources_of},
    set::Set,
};
use catalog::{Class, Role};
use site::model::Party;
use std::collections::{BTreeMap, BTreeSet};
use words::{HostName, ZoneName};

const HELP: &str = "name the machine that needs it (`from = \"HOST\"`) instead of its whole zone, or drop the line";

pub(super) fn check(cx: &mut Cx<'_, '_>) {
    let has = |cx: &Cx<'_, '_>, h: &HostName, wanted: fn(Role) -> bool| {
        cx.net.machine(h).is_some_and(|m| m.host.instances.iter().any(|i| wanted(i.service.role)))
    };
    let hosts: Vec<HostName> = cx.net.machines().keys().cloned().collect();
    let markets: Vec<_> = hosts.iter().filter(|h| has(cx, h, |r| r == Role::Market)).cloned().collect();
    let keepers: Vec<_> = hosts
        .iter()
        .filter(|h| cx.concerns(h) && has(cx, h, |r| matches!(r, Role::Wallet | Role::ChainNode | Role::Miner)))
        .cloned()
        .collect();
    let senders = Senders::new(cx, &markets);
    for to in keepers {
        let guarded = |r| matches!(r, Role::Wallet | Role::ChainNode | Role::Miner);
        let names: Vec<_> = cx
            .net
            .machine(&to)
            .map(|m| {
                m.host
                    .instances
                    .iter()
                    .filter(|i| guarded(i.service.role))
                    .flat_map(|i| &i.listens)
                    .filter(|l| l.class == Class::Api)
                    .cloned()
                    .collect()
            })
            .unwrap_or_default();
        let ports = cx.endpoints(&to, |l| names.iter().any(|n| n.endpoint == l.endpoint && n.ports == l.ports));
        if !senders.may_reach(cx, &to, ports) {
            continue;
        }
        for from in markets.iter().filter(|m| **m != to) {
            let own: Vec<_> =
                cx.net.machine(from).map(|m| m.place.own.iter().map(|a| ipnet::IpNet::from(*a)).collect()).unwrap_or_default();
            let mine = sources_of(cx.net.store(), &own);
            let here = Party::Host(from.clone());
            let declared: Vec<_> = cx.flows.to.get(&to).into_iter().flatten().copied().filter(|f| f.from == here).collect();
            let mut forbidden = cx.net.store().and(ports, mine);
            for f in declared {
                let one = flow_set(cx.net.store(), f);
                forbidden = cx.net.store().minus(forbidden, one);
            }
            for z in cx.net.zones_of(from) {
                if let Some((via, hit)) = cx.exposed(&z, &to, forbidden).into_iter().next() {
                    let host = cx.net.machine(&to).map(|m| m.host);
                    let message = |p: &crate::Packet| {
                        let name = super::endpoint(host, p).unwrap_or_else(|| "a port".into());
                        format!("market host {from} reaches `{name}` on {to}, which no flow declares for it")
                    };
                    cx.delivered(&z, &to, &via, hit, message, HELP);
                }
            }
        }
    }
}

/// All market hosts at once: most keepers are shown out of their reach in one look, instead of one look for each pair.
struct Senders<'c> {
    each: BTreeMap<&'c HostName, Set>,
    all: Set,
    zones: BTreeSet<ZoneName>,
    /// No two have an address in common, so that what is declared for one excuses no other.
    apart: bool,
}

impl<'c> Senders<'c> {
    fn new(cx: &mut Cx<'_, '_>, markets: &'c [HostName]) -> Self {
        let (mut each, mut zones, mut addresses, mut apart) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new(), true);
        for h in markets {
            let own: Vec<_> = cx.net.machine(h).map(|m| m.place.own.iter().copied().collect()).unwrap_or_default();
            apart &= own.iter().all(|a| addresses.insert(*a));
            let nets: Vec<_> = own.into_iter().map(ipnet::IpNet::from).collect();
            each.insert(h, sources_of(cx.net.store(), &nets));
            zones.extend(cx.net.zones_of(h));
        }
        let all = cx.net.store().any(each.values().copied().collect::<Vec<_>>());
        Self { each, all, zones, apart }
    }

    /// Whether any of them may reach these ports without a flow that names it; `true` where only a closer look can tell.
    fn may_reach(&self, cx: &mut Cx<'_, '_>, to: &HostName, ports: Set) -> bool {
        if !self.apart {
            return true;
        }
        let named = cx.flows.to.get(to).into_iter().flatten().copied();
        let named: Vec<_> = named.filter_map(|f| if let Party::Host(h) = &f.from { Some((f, *self.each.get(h)?)) } else { None }).collect();
        let mut declared = Vec::new();
        for (flow, from) in named {
            let set = flow_set(cx.net.store(), flow);
            declared.push(cx.net.store().and(set, from));
        }
        let store = cx.net.store();
        let declared = store.any(declared);
        let others = store.minus(self.all, self.each.get(to).copied().unwrap_or(Set::EMPTY));
        let wanted = store.and(ports, others);
        let forbidden = store.minus(wanted, declared);
        self.zones.iter().any(|z| !cx.exposed(z, to, forbidden).is_empty())
    }
}
