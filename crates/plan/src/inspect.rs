//! Which packets an edge node's engine is to judge. In comes an edge node of the model, out come a table of its own beside `inet ravelin`, and what
//! the engine is told of each policy (`docs/connection-mark.md`). Pure. Never: opens anything, since the zone matrix judges what comes out of it;
//! lets a rule drop what leaves the site or stays within it; makes the management path wait for the engine.

use crate::Devices;
use ipnet::IpNet;
use ruleset::{
    Base, Chain, ChainKind, Data, Element, Hook, Key, MapRef, Op, Policy, Rule, Set, Statement, Table, TableFamily, Value, Verdict, Writer,
};
use serde::Serialize;
use site::model::{FlowKind, Host, Leg, Mode, Model};
use std::collections::BTreeMap;
use words::{
    Family, ProtoPorts, ZoneName,
    mark::{Mark, OPEN, OURS, STATE, State, WANTED},
};

/// The table's name, in family `inet`.
pub const TABLE: &str = "ravelin-ips";
/// The chain that is empty, unless the kill switch stands in it.
pub const SWITCH: &str = "switch";
/// Before packets are queued (-150, `mangle`).
const WANT: i32 = -160;
/// Behind it, before the zone matrix (0).
const JUDGED: i32 = -140;
/// Connection states as nft numbers them.
const INVALID: u128 = 1;
const NEW: u128 = 8;
const TCP: u128 = 6;
/// Most pairs of zones: what the mark holds. Zones have VLAN numbers and are few.
const MOST: usize = 255;

/// What an edge node's engine judges.
#[derive(Debug, Clone, Serialize)]
pub struct Inspection {
    /// The table.
    pub table: Table,
    /// By the number in the mark, from 1.
    pub policies: BTreeMap<u8, Judging>,
    /// Rule files, as the site names them.
    pub rules: Vec<String>,
}

/// What an ordered pair of zones is judged by: connections that the first opens to the second, both directions of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Judging {
    /// Who opens.
    pub from: ZoneName,
    /// To whom.
    pub to: ZoneName,
    /// Rules may drop.
    pub enforce: bool,
    /// Packets go on while nobody judges them.
    pub open: bool,
    /// How long flows are looked at.
    pub extent: String,
}

/// What this host's engine judges; `None` where it is no edge node, nothing is to be inspected, or the layer is off.
pub fn inspection(model: &Model, host: &Host, devices: &Devices) -> Option<Inspection> {
    let wanted = model.edge.ips.as_ref().filter(|_| host.edge && model.layers.ips != Mode::Off)?;
    let enforced = model.layers.ips == Mode::Enforce;
    let zones: Vec<(ZoneName, String)> =
        devices.of(model, host).into_iter().filter(|(z, _)| model.zones.get(z).is_none_or(|zone| zone.routed || z.is_internet())).collect();
    let mut policies = BTreeMap::new();
    let mut chains = Vec::new();
    let mut pairs = Vec::new();
    for (from, in_by) in &zones {
        for (to, out_by) in zones.iter().filter(|(to, _)| wanted.zones.contains(from) || wanted.zones.contains(to)) {
            if from == to || policies.len() >= MOST {
                continue;
            }
            // What comes from outside may be dropped; nothing internal and nothing that leaves is.
            let enforce = enforced && from.is_internet();
            // Where nothing may be dropped, an engine that is down drops nothing either.
            let open = wanted.open || !enforce;
            let Ok(number) = u8::try_from(policies.len() + 1) else { continue };
            let judging = Judging { from: from.clone(), to: to.clone(), enforce, open, extent: wanted.extent.clone() };
            let name = format!("pair/{from}/{to}");
            chains.push(pair(model, name.clone(), number, &judging));
            policies.insert(number, judging);
            pairs.push(Element {
                key: vec![Value::Name(in_by.clone()), Value::Name(out_by.clone())],
                data: Some(Data::Verdict(Verdict::Goto(name))),
                id: None,
                timeout: None,
                counted: None,
            });
        }
    }
    pairs.sort_by(|a, b| a.key.cmp(&b.key));
    let map = Set { types: vec!["ifname".to_owned(); 2], map: Some(vec!["verdict".to_owned()]), elements: pairs, ..Set::default() };
    let mut all = vec![Chain { name: SWITCH.to_owned(), base: None, rules: Vec::new() }];
    all.extend(chains);
    all.push(base("want", WANT, want()));
    all.push(base("judged", JUDGED, judged()));
    let table = Table {
        family: TableFamily::Inet,
        name: TABLE.to_owned(),
        writer: Writer::Nft,
        chains: all,
        sets: BTreeMap::from([("pairs".to_owned(), map)]),
    };
    Some(Inspection { table, policies, rules: wanted.rules.clone() })
}

fn base(name: &str, priority: i32, rules: Vec<Rule>) -> Chain {
    let base = Base { kind: ChainKind::Filter, hook: Hook::Forward, priority, policy: Policy::Accept, devices: Vec::new() };
    Chain { name: name.to_owned(), base: Some(base), rules }
}

fn rule(id: &str, statements: Vec<Statement>) -> Rule {
    Rule { id: Some(id.to_owned()), statements, ..Rule::default() }
}

fn masked(key: Key, mask: u32, op: Op, bits: u32) -> Statement {
    Statement::Match { key, mask: Some(mask.into()), op, values: vec![Value::one(bits)] }
}

fn is(key: Key, values: Vec<Value>) -> Statement {
    Statement::Match { key, mask: None, op: Op::In, values }
}

fn set(key: Key, mask: u32, bits: u32) -> Statement {
    Statement::SetMark { key, mask: Some(mask), value: Some(bits) }
}

/// How what was refused is answered: the sender learns that it was, and at once.
fn refuse(id: &str, when: &Statement) -> [Rule; 2] {
    let reject = |how: &str| Statement::Verdict(Verdict::Reject(how.to_owned()));
    [
        rule(id, vec![when.clone(), is(Key::L4Proto, vec![Value::one(TCP)]), Statement::Counter, reject("tcp reset")]),
        rule(id, vec![when.clone(), Statement::Counter, reject("icmpx admin-prohibited")]),
    ]
}

/// A mark proves nothing before it was written here.
fn want() -> Vec<Rule> {
    let by = |direction: u8, keys: [Key; 2]| {
        let map = MapRef::Named("pairs".to_owned());
        rule("ips/pairs", vec![is(Key::CtDirection, vec![Value::one(direction)]), Statement::VerdictMap { keys: keys.to_vec(), map }])
    };
    let accept = || Statement::Verdict(Verdict::Accept);
    let mut rules = vec![
        rule("ips/clear", vec![set(Key::Mark, OURS, 0)]),
        rule("ips/switch", vec![Statement::Verdict(Verdict::Jump(SWITCH.to_owned()))]),
        // The zone matrix refuses it.
        rule("ips/invalid", vec![is(Key::CtState, vec![Value::one(INVALID)]), accept()]),
        rule("ips/bypassed", vec![masked(Key::CtMark, STATE, Op::In, State::Bypassed.bits()), Statement::Counter, accept()]),
    ];
    rules.extend(refuse("ips/refused", &masked(Key::CtMark, STATE, Op::In, State::Refused.bits())));
    rules.push(by(0, [Key::Iifname, Key::Oifname]));
    // A reply is judged by who opened the connection.
    rules.push(by(1, [Key::Oifname, Key::Iifname]));
    rules
}

fn judged() -> Vec<Rule> {
    let unjudged = |open: u32| masked(Key::Mark, WANTED | OPEN, Op::In, WANTED | open);
    let mut rules = vec![
        rule("ips/unjudged/closed", vec![unjudged(0), Statement::Counter, Statement::Verdict(Verdict::Drop)]),
        rule("ips/unjudged/open", vec![unjudged(OPEN), Statement::Counter, Statement::Verdict(Verdict::Accept)]),
    ];
    for state in [State::Inspecting, State::Bypassed, State::Refused, State::Suspect] {
        let statements = vec![
            masked(Key::Mark, STATE, Op::In, state.bits()),
            masked(Key::CtMark, STATE, Op::NotIn, state.bits()),
            set(Key::CtMark, STATE, state.bits()),
        ];
        rules.push(rule(&format!("ips/keep/{}", state.name()), statements));
    }
    rules.extend(refuse("ips/refuse", &masked(Key::Mark, STATE, Op::In, State::Refused.bits())));
    rules
}

/// The chain of a pair: management leaves at once, everything else is wanted.
fn pair(model: &Model, name: String, number: u8, judging: &Judging) -> Chain {
    let mut rules = Vec::new();
    for flow in model.flows.iter().filter(|f| f.kind == FlowKind::Management && !model.edge.has_end_of(f)) {
        for leg in flow.legs.iter().filter(|l| l.from_zone == judging.from && l.to_zone == judging.to) {
            rules.extend(management(leg, &flow.target));
        }
    }
    let mut mark = Mark::of_policy(number);
    (mark.wanted, mark.open) = (true, judging.open);
    let kept = Mark::of_policy(number).bits();
    rules.push(rule("ips/policy", vec![is(Key::CtState, vec![Value::one(NEW)]), set(Key::CtMark, words::mark::POLICY, kept)]));
    rules.push(rule("ips/want", vec![Statement::Counter, set(Key::Mark, OURS, mark.bits())]));
    for state in [State::Inspecting, State::Suspect] {
        let statements = vec![masked(Key::CtMark, STATE, Op::In, state.bits()), set(Key::Mark, STATE, state.bits())];
        rules.push(rule(&format!("ips/carry/{}", state.name()), statements));
    }
    Chain { name, base: None, rules }
}

/// The path that is never cut does not wait for the engine: it is left to the kernel from its first packet on.
fn management(leg: &Leg, target: &ProtoPorts) -> Option<Rule> {
    let (src, dst) = match leg.family {
        Family::V4 => (Key::Ip4Saddr, Key::Ip4Daddr),
        Family::V6 => (Key::Ip6Saddr, Key::Ip6Daddr),
    };
    let within = |key: Key, nets: &[IpNet]| is(key, nets.iter().map(crate::grant::interval).collect());
    let ports: Vec<Value> = crate::grant::ports(&target.ports).collect();
    let mut statements = vec![within(src, &leg.src), within(dst, &leg.dst)];
    statements.push(is(Key::L4Proto, vec![Value::one(crate::grant::proto(target.proto, leg.family))]));
    if target.proto.has_ports() {
        statements.push(is(Key::Dport, ports));
    }
    statements.extend([set(Key::CtMark, STATE, State::Bypassed.bits()), Statement::Counter, Statement::Verdict(Verdict::Accept)]);
    (!leg.src.is_empty() && !leg.dst.is_empty()).then(|| rule("ips/management", statements))
}
