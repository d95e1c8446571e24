//! NET003: a market host, which strangers talk to, reaches the API of a wallet, a chain node or a miner only where a flow
//! names that host. What a whole zone may reach does not count as declared for the market host in it.

use super::Cx;
use crate::policy::{flow_set, sources_of};
use catalog::{Class, Role};
use site::model::Party;
use words::HostName;

const HELP: &str = "name the machine that needs it (`from = \"HOST\"`) instead of its whole zone, or drop the line";

pub(super) fn check(cx: &mut Cx<'_, '_>) {
    let has = |cx: &Cx<'_, '_>, h: &HostName, wanted: fn(Role) -> bool| {
        cx.net.machine(h).is_some_and(|m| m.host.instances.iter().any(|i| wanted(i.service.role)))
    };
    let hosts = cx.hosts();
    let markets: Vec<_> = hosts.iter().filter(|h| has(cx, h, |r| r == Role::Market)).cloned().collect();
    let keepers: Vec<_> =
        hosts.iter().filter(|h| has(cx, h, |r| matches!(r, Role::Wallet | Role::ChainNode | Role::Miner))).cloned().collect();
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
        for from in markets.iter().filter(|m| **m != to) {
            let own: Vec<_> =
                cx.net.machine(from).map(|m| m.place.own.iter().map(|a| ipnet::IpNet::from(*a)).collect()).unwrap_or_default();
            let mine = sources_of(cx.net.store(), &own);
            let there = Party::Host(to.clone());
            let declared: Vec<_> = cx.flows_from.get(from).into_iter().flatten().copied().filter(|f| f.to == there).collect();
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
