//! Tiers: in comes a model, out comes which requirement holds on this site, which does not, and why. The edge's kind and the
//! layers' modes decide; what this version does not do yet says so.

use crate::{EdgeKind, Mode, Model};
use serde::Serialize;
use words::HostName;

/// How a requirement stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stand {
    /// In force once applied.
    Enforced,
    /// Measured, nothing is cut.
    Observed,
    /// Somebody else enforces it; checked with packets.
    Verified,
    /// In part; the reason says which.
    Partly,
    /// Found and reported by `audit`, not enforced.
    Reported,
    /// Not on this site.
    No,
    /// Not in this version.
    Later,
}

impl std::fmt::Display for Stand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Stand::Enforced => "enforced",
            Stand::Observed => "observed",
            Stand::Verified => "verified, not enforced",
            Stand::Partly => "partly",
            Stand::Reported => "reported",
            Stand::No => "no",
            Stand::Later => "not in this version",
        })
    }
}

/// Id of the requirement that a kernel without SELinux cannot hold.
pub const SELINUX: &str = "S2";

/// One requirement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Stable id, e.g. `N2`.
    pub id: &'static str,
    /// What is asked for.
    pub asks: &'static str,
    /// How it stands.
    pub stand: Stand,
    /// Why, in a sentence.
    pub why: String,
}

/// Every requirement on this site, in the order of the requirements.
pub fn tier(model: &Model) -> Vec<Row> {
    let row = |id, asks, (stand, why): (Stand, String)| Row { id, asks, stand, why };
    let later = |why: &str| (Stand::Later, why.to_owned());
    vec![
        row("N1", "a redundant firewall", redundant(model)),
        row("N2", "incoming traffic is filtered", incoming(model)),
        row("N3", "traffic between VLANs is filtered", between(model)),
        row(
            "N4",
            "an application-aware firewall",
            later("flows carry the application they are meant for, but packets are not identified by it"),
        ),
        row("N5", "intrusion prevention at the perimeter", later("there is no inspection engine")),
        row("N6", "bandwidth is not limited by inspection", later("nothing is inspected, so nothing is slowed")),
        row("S1", "a firewall on every host", hosts(model)),
        row(SELINUX, "SELinux isolates processes and users", isolated(model)),
        row("S3", "nothing runs as root", accounts(model, "each service has a unit with a sandbox and an account that is not root")),
        row("S4", "the service account cannot become root", closed()),
        row(
            "S5",
            "Lotus runs under an account of its own",
            accounts(model, "the account is the services' alone, and nobody logs in as it"),
        ),
        row(
            "U1",
            "a change never costs power",
            (
                Stand::Partly,
                match &model.deadlines {
                    Some(_) => "a change goes back by itself; what interrupts a service waits for a window between two proofs".to_owned(),
                    None => "a change goes back by itself; proving deadlines are not asked for: name chain nodes in [deadlines]".to_owned(),
                },
            ),
        ),
        row("U2", "wallets and customers' data are out of reach", wallets(model)),
        row("U3", "access to customers' data is not lost", kept(model)),
    ]
}

fn by_mode(model: &Model, done: &str) -> (Stand, String) {
    match model.layers.network {
        Mode::Enforce => (Stand::Enforced, done.to_owned()),
        Mode::Observe => (Stand::Observed, "layers.network is `observe`: what would be cut is counted and named".to_owned()),
        Mode::Off => (Stand::No, "layers.network is `off`".to_owned()),
    }
}

fn redundant(model: &Model) -> (Stand, String) {
    match (model.edge.kind, model.edge.nodes.len()) {
        (EdgeKind::Ravelin, 2) => {
            (Stand::Partly, "both nodes hold the same policy; election and shared connection state are not set up yet".into())
        }
        (EdgeKind::Ravelin, _) => (Stand::No, "the edge has one node: add a second and `sync`".into()),
        (EdgeKind::External, _) => (Stand::No, "the firewall is somebody else's: whether it is redundant cannot be seen from here".into()),
        (EdgeKind::None, _) => (Stand::No, "there is no firewall in front: no address can move between nodes".into()),
    }
}

fn incoming(model: &Model) -> (Stand, String) {
    match model.edge.kind {
        EdgeKind::Ravelin => by_mode(model, "the edge lets in what is published and nothing else, IPv4 and IPv6 alike"),
        EdgeKind::External => (Stand::Verified, "the flow list goes to the firewall, `verify` probes it from outside".into()),
        EdgeKind::None => beside_unmanaged(model, by_mode(model, "each host's own filter is the perimeter")),
    }
}

fn between(model: &Model) -> (Stand, String) {
    let zones = model.zones.values().filter(|z| !z.name.is_internet()).count();
    if zones < 2 {
        return (Stand::No, "the site has fewer than two zones: there is nothing between".into());
    }
    match model.edge.kind {
        EdgeKind::Ravelin => by_mode(model, "every ordered pair of zones is denied but for derived flows; sources are held to their zone"),
        EdgeKind::External => (Stand::Verified, "the flow list goes to the firewall, `verify` probes it from each zone".into()),
        EdgeKind::None => beside_unmanaged(model, by_mode(model, "nothing stands between the zones but each host's own filter")),
    }
}

fn hosts(model: &Model) -> (Stand, String) {
    beside_unmanaged(model, by_mode(model, "every host's own filter holds its flows, both directions"))
}

fn isolated(model: &Model) -> (Stand, String) {
    let domains = "each service has a domain of its own";
    beside_unmanaged(
        model,
        match model.layers.selinux {
            Mode::Enforce => (Stand::Enforced, format!("{domains}, on a machine that `ravelin selinux` has led to `enforce`")),
            Mode::Observe => (Stand::Observed, format!("layers.selinux is `observe`: {domains}, which reports and refuses nothing")),
            Mode::Off => (Stand::No, "layers.selinux is `off`".to_owned()),
        },
    )
}

fn accounts(model: &Model, done: &str) -> (Stand, String) {
    match model.layers.system {
        Mode::Enforce => {
            let moved = "what runs otherwise already is found by `audit` and moved by `ravelin adopt`";
            beside_unmanaged(model, (Stand::Enforced, format!("{done}; {moved}")))
        }
        Mode::Observe => {
            (Stand::Observed, "layers.system is `observe`: accounts, units and sandboxes are shown, none is put in place".into())
        }
        Mode::Off => (Stand::Reported, "layers.system is `off`: `audit` finds what runs as root or under a shared account".into()),
    }
}

fn closed() -> (Stand, String) {
    let why = "`breach` computes every way from a service's account to root, `harden` closes those that need no decision, `audit` reports the rest";
    (Stand::Reported, why.into())
}

fn kept(model: &Model) -> (Stand, String) {
    match model.backups.len() {
        0 => (Stand::No, "no [[backup]] is declared: whether there is one is not known".into()),
        n => (
            Stand::Reported,
            format!("{n} backups are declared; `ravelin backup check` reads them as a restore would, `audit` says which is old or open"),
        ),
    }
}

/// Most hosts named in a reason: the rest are counted.
const NAMED: usize = 4;

/// Hosts as a reason names them.
#[must_use]
pub fn named(hosts: &[&HostName]) -> String {
    let mut names: Vec<String> = hosts.iter().take(NAMED).map(ToString::to_string).collect();
    if hosts.len() > NAMED {
        names.push(format!("{} more", hosts.len() - NAMED));
    }
    names.join(", ")
}

/// Hosts nobody filters turn "enforced" into "partly".
fn beside_unmanaged(model: &Model, (stand, why): (Stand, String)) -> (Stand, String) {
    let open: Vec<&HostName> = model.hosts.values().filter(|h| !h.managed).map(|h| &h.name).collect();
    if open.is_empty() || stand != Stand::Enforced {
        return (stand, why);
    }
    (Stand::Partly, format!("{why}; not on {}, which nobody manages", named(&open)))
}

fn wallets(model: &Model) -> (Stand, String) {
    match model.layers.network {
        Mode::Enforce => {
            (Stand::Partly, "no packet from outside reaches a wallet or an API; files and accounts are reported by `audit`".into())
        }
        _ => (Stand::No, "the network layer is not in force".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use words::SourceFile;

    fn stand(text: &str, id: &str) -> (Stand, String) {
        let source = SourceFile::new("site.toml", text);
        let out = crate::read(&source, "2026-11-22");
        let model = out.model.as_ref().unwrap_or_else(|| panic!("{}", out.render(&source)));
        let row = tier(model).into_iter().find(|r| r.id == id).expect("row");
        (row.stand, row.why)
    }

    #[test]
    fn an_enforcing_pair_holds_the_network_rows() {
        let text = include_str!("../../../examples/small/site.toml");
        assert_eq!(stand(text, "N2").0, Stand::Enforced);
        assert_eq!(stand(text, "N3").0, Stand::Enforced);
        // The management controllers have no filter of ours.
        assert_eq!(stand(text, "S1").0, Stand::Partly);
        assert!(stand(text, "S1").1.contains("bmc1"));
    }

    #[test]
    fn without_an_edge_the_hosts_are_the_perimeter() {
        let text = include_str!("../../../examples/single-host/site.toml");
        assert_eq!(stand(text, "N2").0, Stand::Enforced);
        assert_eq!(stand(text, "N1").0, Stand::No);
        assert_eq!(stand(text, "N3").0, Stand::No);
        assert_eq!(stand(&text.replace("\"enforce\"", "\"observe\""), "N2").0, Stand::Observed);
        assert_eq!(stand(&text.replace("\"enforce\"", "\"off\""), "S1").0, Stand::No);
    }

    #[test]
    fn the_rows_of_accounts_and_backups_follow_the_site_file() {
        let text = include_str!("../../../examples/single-host/site.toml");
        assert_eq!(stand(text, "U3").0, Stand::No);
        let with = |mode: &str| text.replace("[layers]", &format!("[layers]\nsystem = \"{mode}\""));
        for id in ["S3", "S5"] {
            assert_eq!(stand(&with("off"), id).0, Stand::Reported);
            assert_eq!(stand(&with("observe"), id).0, Stand::Observed);
            assert_eq!(stand(&with("enforce"), id).0, Stand::Enforced);
        }
    }

    #[test]
    fn the_selinux_row_follows_its_layer() {
        let text = include_str!("../../../examples/single-host/site.toml");
        let with = |mode: &str| text.replace("[layers]", &format!("[layers]\nselinux = \"{mode}\""));
        assert_eq!(stand(&with("off"), SELINUX), (Stand::No, "layers.selinux is `off`".to_owned()));
        assert_eq!(stand(&with("observe"), SELINUX).0, Stand::Observed);
        assert_eq!(stand(&with("enforce"), SELINUX).0, Stand::Enforced);
    }

    #[test]
    fn somebody_elses_firewall_is_verified_not_enforced() {
        let text = "[site]\nmanagement = { from = [\"a\"] }\n[zones]\na = { subnets = [\"10.0.1.0/24\"] }\nb = { subnets = [\"10.0.2.0/24\"] }\n[edge]\nkind = \"external\"\n[hosts.x]\naddress = \"10.0.1.5\"\nruns = [\"lotus\"]\n";
        assert_eq!(stand(text, "N2").0, Stand::Verified);
        assert_eq!(stand(text, "N3").0, Stand::Verified);
    }
}
