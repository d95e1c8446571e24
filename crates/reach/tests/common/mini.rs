//! A small site with one edge node, three zones and a published service, and rulesets changed at random: what mixtures of two plans are
//! tried on.

use ruleset::form::{Chain, Data, Key, Op, Rule, Ruleset, Statement, Value, Verdict};
use std::collections::BTreeMap;
use words::HostName;

/// Ports that random rules speak of; no service uses them.
pub const PORTS: [u16; 3] = [7001, 7002, 7003];

/// The site's text; `pair` for two edge nodes.
pub fn site(pair: bool) -> String {
    let (nodes, second, sync) = if pair {
        (
            "\"fw-a\", \"fw-b\"",
            "fw-b = { address = { internet = [\"203.0.113.3\"], dmz = [\"10.1.0.3\"], chain = [\"10.1.1.3\"], ops = [\"10.1.2.3\"] } }\n",
            "sync = { subnet = \"10.255.0.0/30\" }\n",
        )
    } else {
        ("\"fw-a\"", "", "")
    };
    format!(
        r#"[site]
name = "mini"
miners = ["f01000"]
management = {{ from = ["ops"], by = "ssh" }}

[layers]
network = "enforce"

[zones]
dmz = {{ vlan = 10, subnets = ["10.1.0.0/24"] }}
chain = {{ vlan = 11, subnets = ["10.1.1.0/24"] }}
ops = {{ vlan = 12, subnets = ["10.1.2.0/24"] }}

[edge]
kind = "ravelin"
nodes = [{nodes}]
public = ["203.0.113.0/28"]
vip = {{ internet = ["203.0.113.1"], dmz = ["10.1.0.1"], chain = ["10.1.1.1"], ops = ["10.1.2.1"] }}
{sync}
[hosts]
fw-a = {{ address = {{ internet = ["203.0.113.2"], dmz = ["10.1.0.2"], chain = ["10.1.1.2"], ops = ["10.1.2.2"] }} }}
{second}h0 = {{ zone = "chain", address = ["10.1.1.10"], runs = ["lotus"] }}
h1 = {{ zone = "chain", address = ["10.1.1.11"], runs = ["lotus-miner"] }}
h2 = {{ zone = "dmz", address = ["10.1.0.12"], runs = ["node-exporter"] }}
h3 = {{ zone = "ops", address = ["10.1.2.13"], runs = ["prometheus"] }}

[[publish]]
service = "lotus.libp2p"
on = "h0"
at = "203.0.113.4"
port = 20001
"#
    )
}

/// SplitMix64: the same everywhere.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % u64::try_from(n.max(1)).unwrap_or(1)).unwrap_or(0)
    }
    pub fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

/// A rule that lets a port pass, or refuses it, whatever stands behind it.
pub fn rule(port: u16, verdict: Verdict) -> Rule {
    let one = |key, n: u128| Statement::Match { key, mask: None, op: Op::In, values: vec![Value::one(n)] };
    Rule {
        id: Some("by-hand".into()),
        statements: vec![one(Key::L4Proto, 6), one(Key::Dport, port.into()), Statement::Verdict(verdict)],
        ..Rule::default()
    }
}

pub fn chain<'a>(r: &'a mut Ruleset, name: &str) -> &'a mut Chain {
    r.tables[0].chains.iter_mut().find(|c| c.name == name).unwrap_or_else(|| panic!("no chain {name}"))
}

/// Puts a rule at the head of one of a machine's chains.
pub fn first(rulesets: &mut BTreeMap<HostName, Ruleset>, host: &str, name: &str, rule: Rule) {
    let r = rulesets.get_mut(&HostName::new(host).expect("host")).expect("ruleset");
    chain(r, name).rules.insert(0, rule);
}

/// Lets every published service arrive at this port of its machine.
pub fn republish(rulesets: &mut BTreeMap<HostName, Ruleset>, edge: &str, port: u16) {
    let r = rulesets.get_mut(&HostName::new(edge).expect("host")).expect("ruleset");
    for e in r.tables[0].sets.get_mut("publish/4").expect("published").elements.iter_mut() {
        if let Some(Data::Numbers(to)) = &mut e.data {
            to[1] = port.into();
        }
    }
}

/// Ways of the site, from chain to chain: a host's output, an edge node's forwarding, a host's input.
const WAYS: [[Option<(&str, &str)>; 3]; 6] = [
    [Some(("h3", "output")), Some(("fw", "fwd/ops/chain")), Some(("h1", "input"))],
    [Some(("h3", "output")), Some(("fw", "fwd/ops/dmz")), Some(("h2", "input"))],
    [Some(("h0", "output")), None, Some(("h1", "input"))],
    [Some(("h1", "output")), Some(("fw", "fwd/chain/internet")), None],
    [None, Some(("fw", "fwd/internet/chain")), Some(("h0", "input"))],
    [Some(("h2", "output")), Some(("fw", "fwd/dmz/chain")), Some(("h0", "input"))],
];

/// Opens some ways at random, each place of them in one of both plans, in both or in none; publishes other ports; closes some.
pub fn shuffle(dice: &mut Dice, mut plans: [&mut BTreeMap<HostName, Ruleset>; 2], edges: &[&str]) {
    for _ in 0..2 + dice.below(3) {
        let port = *dice.pick(&PORTS);
        for (machine, chain) in dice.pick(&WAYS).iter().flatten() {
            let machine = if *machine == "fw" { dice.pick::<&str>(edges) } else { machine };
            for plan in &mut plans {
                if dice.below(2) == 0 {
                    let verdict = if dice.below(5) > 0 { Verdict::Accept } else { Verdict::Drop };
                    first(plan, machine, chain, rule(port, verdict));
                }
            }
        }
        if dice.below(3) == 0 {
            republish(plans[dice.below(2)], dice.pick::<&str>(edges), port);
        }
    }
}
