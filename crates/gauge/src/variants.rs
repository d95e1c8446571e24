//! What is compared. In come nothing but the two sizes, out come variants and the pairs whose ratio says something.

use crate::{
    Error,
    emitted::{self, Edge},
    lists,
    policy::Policy,
    race::{Ruleset, Variant},
};

/// The two sites that are compared.
const SMALL: usize = 10;
/// See [`SMALL`].
const LARGE: usize = 1_000;

/// Names of two variants: cost of the first over cost of the second.
pub type Pairs = Vec<(String, String)>;

fn variant(name: String, policy: &Policy, ruleset: Ruleset, refuses: bool) -> Variant {
    let slow = matches!(ruleset, Ruleset::Iptables(_)) && policy.lines.len() > SLOW;
    Variant { name, policy: policy.clone(), ruleset, refuses, slow }
}

/// Lines of a linear list from which a warming lap takes longer than it is worth.
const SLOW: usize = 2_000;

/// Ravelin next to what others do with the same policy. The first pair is the goal's.
pub fn rulesets() -> Result<(Vec<Variant>, Pairs), Error> {
    let edges = [emitted::edge(SMALL)?, emitted::edge(LARGE)?];
    let traffic = &edges[1].policy;
    let mut out = vec![
        variant("no ruleset".into(), traffic, Ruleset::None, false),
        variant("tracking only".into(), traffic, Ruleset::Nft(emitted::tracking()), false),
    ];
    for Edge { policy, .. } in &edges {
        let hosts = policy.hosts;
        let edge = &edges[usize::from(hosts != SMALL)];
        out.push(variant(format!("ravelin, {hosts} hosts"), policy, Ruleset::Nft(edge.script()), true));
        out.push(variant(format!("linear iptables, {hosts} hosts"), policy, Ruleset::Iptables(lists::linear(policy)), true));
        out.push(variant(format!("ufw, {hosts} hosts"), policy, Ruleset::Iptables(lists::ufw(policy)), true));
    }
    let pairs = [
        ("ravelin, 1000 hosts", "ravelin, 10 hosts"),
        ("ravelin, 1000 hosts", "tracking only"),
        ("linear iptables, 1000 hosts", "linear iptables, 10 hosts"),
        ("linear iptables, 1000 hosts", "ravelin, 1000 hosts"),
        ("ufw, 1000 hosts", "ravelin, 1000 hosts"),
        ("linear iptables, 10 hosts", "ravelin, 10 hosts"),
        ("ufw, 10 hosts", "ravelin, 10 hosts"),
    ];
    Ok((out, pairs.map(|(a, b)| (a.into(), b.into())).into()))
}

/// The emitted ruleset with parts left out; the first two show what the traffic alone costs.
pub fn shapes() -> Result<(Vec<Variant>, Pairs), Error> {
    let edges = [emitted::edge(SMALL)?, emitted::edge(LARGE)?];
    let mut out = Vec::new();
    let mut pairs = Vec::new();
    let mut add = |name: &str, change: &dyn Fn(Edge) -> Option<Edge>| {
        for edge in &edges {
            let (text, refuses) = match change(edge.clone()) {
                Some(changed) => (changed.script(), true),
                None => (emitted::tracking(), false),
            };
            out.push(variant(format!("{name}, {} hosts", edge.policy.hosts), &edge.policy, Ruleset::Nft(text), refuses));
        }
        pairs.push((format!("{name}, {LARGE} hosts"), format!("{name}, {SMALL} hosts")));
    };
    add("as emitted", &Some);
    add("tracking only", &|_| None);
    add("sized sets", &|e| Some(e.sized()));
    add("counters by flow", &|e| Some(e.counting_by_flow()));
    add("no ids", &|e| Some(e.without_ids()));
    add("counters by flow, no ids", &|e| Some(e.counting_by_flow().without_ids()));
    Ok((out, pairs))
}
