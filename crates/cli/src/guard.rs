//! What must hold before `apply` touches anything: the operator's own way in stays open, and what has ended opens nothing more.
//! In come the site, the plan and the machine as it is, out comes nothing or what stands against it. Never: changes anything.

use crate::{
    face::remark,
    paint, progress,
    proof::Here,
    session::{self, Session},
    trouble::Trouble,
    window,
};
use facts::Facts;
use plan::Plan;
use reach::{Network, Prover};
use site::model::{Mode, Model};
use std::{collections::BTreeSet, path::Path};
use words::{Diagnostic, HostName, SourceFile};

/// Changes that are told where an ended weakening stands against them; `ravelin plan --against` tells all.
const TOLD: usize = 8;

/// Refuses a plan under which whoever started this could not come in again, unless a reason is given, which is recorded.
pub fn way_in(here: &Here<'_>, model: &Model, plan: &Plan, facts: &Facts, because: Option<&str>, record: &Path) -> Result<(), Trouble> {
    let rulesets = here.composed(plan);
    let shut: Vec<(Session, String)> = progress::during("looking for your own way in", || {
        let mut prover = Prover::new();
        let network = Network::new(&mut prover, model, &rulesets, &here.devices.reported);
        let Some(machine) = network.machine(here.host) else { return Vec::new() };
        let all = session::of_operator(facts).into_iter();
        all.filter_map(|s| session::stopped(&s, machine, facts).map(|why| (s, why))).collect()
    });
    let Some((session, why)) = shut.first() else { return Ok(()) };
    let (from, port) = (session.from, session.port);
    let what = format!("you came in from {from} to port {port}, and the next connection like it would be stopped ({why})");
    if let Some(because) = because {
        remark(&format!("In spite of this: {what}"));
        return window::record(record, model, because, what);
    }
    let m = &model.management;
    let sources = m.zones.iter().map(ToString::to_string).chain(m.nets.iter().map(ToString::to_string));
    let sources: Vec<String> = sources.chain([ipnet::IpNet::from(from).to_string()]).map(|s| format!("\"{s}\"")).collect();
    let line = format!("management = {{ from = [{}], by = \"{}\" }}", sources.join(", "), m.by);
    Err(Trouble::usage(
        format!("{what}; nothing was changed"),
        format!(
            "at {}: {line}, where `{}` listens on port {port}; or say why it may be lost: --without-way-in \"...\" (recorded)",
            m.origin, m.by
        ),
    ))
}

/// Refuses what would make two masters of one machine, or none: UFW and a table of Ravelin's own that both judge what comes in,
/// or rules for a UFW that is not there.
pub fn one_master(host: &HostName, model: &Model, plan: &Plan, ufw: Option<&facts::Ufw>) -> Result<(), Trouble> {
    let Some(machine) = plan.machines.get(host).filter(|m| m.mode == Mode::Enforce) else { return Ok(()) };
    let active = ufw.is_some_and(facts::Ufw::active);
    match (machine.ufw.is_some(), active) {
        (true, false) => Err(Trouble::usage(
            format!("the site file says that UFW filters {host}, and UFW is not active here; nothing was changed"),
            "`ufw enable`, or write `firewall = \"nftables\"` for this host",
        )),
        (false, true) if model.hosts.get(host).is_some_and(|h| !h.edge) => Err(Trouble::usage(
            "UFW is active here, and the site file says `firewall = \"nftables\"`: two masters; nothing was changed",
            "`ufw disable`, or write `firewall = \"ufw\"` for this host",
        )),
        (true, true) if ufw.is_none_or(|u| u.user_rules.is_none()) => Err(Trouble::usage(
            "UFW's rules (/etc/ufw/user.rules) could not be read; nothing was changed",
            "run it as root: sudo ravelin apply",
        )),
        _ => Ok(()),
    }
}

/// The setting by which a plan refuses router advertisements.
const ADVERTISEMENTS: &str = "net/ipv6/conf/all/accept_ra";

/// Refuses a plan that takes no router advertisements on a machine whose IPv6 gateway came by one: every probe would go
/// through, and hours later, when the advertised route ends, the machine would lose IPv6.
pub fn gateway(host: &HostName, plan: &Plan, facts: &Facts) -> Result<(), Trouble> {
    let refuses = refuses_advertisements(host, plan);
    let learnt = facts.routes.iter().find(|r| r.advertised && r.to.prefix_len() == 0);
    let Some(route) = learnt.filter(|_| refuses) else { return Ok(()) };
    let (via, device) = (route.via.map(|a| a.to_string()).unwrap_or_default(), route.device.as_deref().unwrap_or_default());
    Err(Trouble::usage(
        format!("the IPv6 gateway {via} on {device} was learnt from a router advertisement, and this plan takes none; nothing was changed"),
        "write `advertised = true` on this machine's zone, or give the machine its IPv6 gateway as a route of its own",
    ))
}

/// Refuses a plan that takes no router advertisements on a machine whose address in the site file was made from one: it would
/// go when its lifetime ends. Other advertised addresses no flow uses.
pub fn address(host: &HostName, model: &Model, plan: &Plan, facts: &Facts) -> Result<(), Trouble> {
    let own: BTreeSet<_> = model.hosts.get(host).into_iter().flat_map(site::model::Host::addresses).collect();
    let made = facts.interfaces.iter().flat_map(|i| i.advertised.iter().map(move |a| (i, a.addr())));
    let mut made = made.filter(|(_, a)| own.contains(a) && refuses_advertisements(host, plan));
    let Some((interface, address)) = made.next() else { return Ok(()) };
    Err(Trouble::usage(
        format!(
            "the address {address} on {} was made from a router advertisement, and this plan takes none; nothing was changed",
            interface.name
        ),
        "write `advertised = true` on this machine's zone, or give the machine this address for good",
    ))
}

fn refuses_advertisements(host: &HostName, plan: &Plan) -> bool {
    plan.machines.get(host).is_some_and(|m| m.sysctls.iter().any(|s| s.key == ADVERTISEMENTS && s.value == "0"))
}

/// Refuses a plan that lets anything more through while a weakening has ended. What only narrows is never held up.
pub fn ended(here: &Here<'_>, model: &Model, plan: &Plan, told: &[Diagnostic], source: &SourceFile) -> Result<(), Trouble> {
    let ended: Vec<&Diagnostic> = told.iter().filter(|d| d.is_error() && d.code == site::code::WEAK003).collect();
    if ended.is_empty() || model.layers.network == Mode::Off {
        return Ok(());
    }
    let opened = here.opened(model, plan);
    if opened.is_empty() {
        remark("A weakening has ended; this change only narrows and goes on.");
        return Ok(());
    }
    let rows: BTreeSet<String> =
        opened.iter().flat_map(|c| c.rows.iter().map(move |r| format!("newly reachable ({} {}): {r}", c.host, c.place))).collect();
    ended.iter().for_each(|d| anstream::eprint!("{}", paint::diagnostic(d, source)));
    rows.iter().take(TOLD).for_each(|r| anstream::eprintln!("{r}"));
    Err(Trouble::usage(
        "a weakening of the site file has ended, and this change lets more through than is in force now; nothing was changed",
        "take the weakening out, or decide again and give it a new `until`; a change that only narrows is applied all the same",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model_of(zone: &str) -> Model {
        let text = format!(
            "[site]\nmanagement = {{ from = [\"198.51.100.7/32\"] }}\n[layers]\nnetwork = \"enforce\"\n[zones]\nlan = {{ \
             subnets = [\"10.0.9.0/24\", \"2001:db8:9::/64\"], gateway = [\"10.0.9.1\", \"2001:db8:9::1\"]{zone} }}\n[edge]\nkind = \
             \"external\"\n[hosts.node1]\naddress = [\"10.0.9.10\", \"2001:db8:9::10\"]\nruns = [\"lotus\"]\n"
        );
        let source = SourceFile::new("site.toml", text);
        let outcome = site::read(&source, "2026-11-22");
        let told = outcome.render(&source);
        outcome.model.unwrap_or_else(|| panic!("{told}"))
    }

    #[test]
    fn an_address_that_was_made_is_not_taken_away_unseen() {
        let host = HostName::new("node1").expect("name");
        let tried = |zone: &str, advertised: &[&str]| {
            let model = model_of(zone);
            let addresses = vec!["2001:db8:9::10/64".parse().expect("net")];
            let advertised = advertised.iter().map(|a| a.parse().expect("net")).collect();
            let interface = facts::Interface { name: "eth0".into(), addresses, advertised, ..facts::Interface::default() };
            let facts = Facts { interfaces: vec![interface], ..Facts::default() };
            address(&host, &model, &crate::planning::plan(&model), &facts)
        };
        assert!(tried("", &["2001:db8:9::10/64"]).is_err());
        assert!(tried("", &[]).is_ok(), "a written address stays");
        assert!(tried("", &["2001:db8:9::abcd/64"]).is_ok(), "no flow uses this one");
        assert!(tried(", advertised = true", &["2001:db8:9::10/64"]).is_ok(), "the site file says so");
    }

    #[test]
    fn a_gateway_that_was_learnt_is_not_taken_away_unseen() {
        let plan_of = |zone: &str| crate::planning::plan(&model_of(zone));
        let host = HostName::new("node1").expect("name");
        let facts = |advertised| {
            let route = facts::Route {
                to: "::/0".parse().expect("prefix"),
                via: "fe80::1".parse().ok(),
                device: Some("eth0".into()),
                source: None,
                metric: 1024,
                table: 254,
                kind: "unicast".into(),
                advertised,
            };
            Facts { routes: vec![route], ..Facts::default() }
        };
        assert!(gateway(&host, &plan_of(""), &facts(true)).is_err());
        assert!(gateway(&host, &plan_of(""), &facts(false)).is_ok(), "a written route stays");
        assert!(gateway(&host, &plan_of(", advertised = true"), &facts(true)).is_ok(), "the site file says so");
    }
}
