//! The symbolic evaluation against the concrete one: random small rulesets, every packet of a sample.

use proptest::prelude::*;
use reach::{Eval, Field, Link, Packet, Past, Place, Store, field, field::FIELDS, trace};
use ruleset::form::*;
use std::collections::BTreeMap;
use words::Family;

const A: u128 = 0x0a00_0000;

fn place() -> Place {
    let net = |s: &str| s.parse().expect("prefix");
    Place {
        anywhere: false,
        own: ["10.0.0.1", "10.0.1.1"].iter().map(|a| a.parse().expect("address")).collect(),
        links: vec![
            Link { device: "a0".into(), nets: vec![net("10.0.0.0/24"), net("fd00::/64")], default: false },
            Link { device: "b0".into(), nets: vec![net("10.0.1.0/24")], default: false },
            Link { device: "wan".into(), nets: vec![], default: true },
        ],
    }
}

fn addresses() -> impl Strategy<Value = Value> {
    prop_oneof![
        (0u128..4).prop_map(|n| Value::one(A + n)),
        (0u128..3, 0u128..3).prop_map(|(a, n)| Value::Range(A + a, A + a + n)),
        Just(Value::Range(A + 256, A + 511))
    ]
}

fn ports() -> impl Strategy<Value = Value> {
    prop_oneof![(78u128..82).prop_map(Value::one), Just(Value::Range(80, 90))]
}

fn op_of_masks() -> impl Strategy<Value = Op> {
    prop_oneof![Just(Op::In), Just(Op::NotIn)]
}

fn a_match() -> impl Strategy<Value = Statement> {
    let op = prop_oneof![3 => Just(Op::In), 1 => Just(Op::NotIn)];
    let two = |v: BoxedStrategy<Value>| prop::collection::vec(v, 1..3);
    let device = prop_oneof![Just(Value::Name("a0".into())), Just(Value::Name("b0".into())), Just(Value::NamePrefix("w".into()))];
    let states = prop_oneof![Just(1u128), Just(2), Just(4), Just(8), Just(10)];
    let keyed = prop_oneof![
        (Just(Key::Ip4Saddr), two(addresses().boxed())),
        (Just(Key::Ip4Daddr), two(addresses().boxed())),
        (Just(Key::Dport), two(ports().boxed())),
        (Just(Key::L4Proto), two(prop_oneof![Just(1u128), Just(6), Just(17)].prop_map(Value::one).boxed())),
        (Just(Key::Iifname), two(device.boxed())),
        (Just(Key::CtState), two(states.prop_map(Value::one).boxed())),
        (Just(Key::NfProto), two(prop_oneof![Just(2u128), Just(10)].prop_map(Value::one).boxed())),
        (Just(Key::FibDaddrType), two((1u128..4).prop_map(Value::one).boxed())),
        (Just(Key::FibReversePath), two((0u128..2).prop_map(Value::one).boxed())),
        (Just(Key::CtStatus), two(prop_oneof![Just(32u128), Just(36)].prop_map(Value::one).boxed())),
        (Just(Key::CtOrigDport), two(ports().boxed())),
        (Just(Key::Icmp6Type), two((127u128..129).prop_map(Value::one).boxed())),
        (Just(Key::Other("meta day".into())), two(Just(Value::one(1u128)).boxed())),
        // 64 is what a packet begins with here.
        (Just(Key::HopLimit), two(prop_oneof![Just(1u128), Just(64)].prop_map(Value::one).boxed())),
        (Just(Key::Fragment), two(Just(Value::one(0u128)).boxed())),
    ];
    prop_oneof![
        6 => (keyed, op.clone()).prop_map(|((key, values), op)| Statement::Match { key, mask: None, op, values }),
        1 => (0u128..4, op, prop_oneof![Just(Key::Mark), Just(Key::CtMark)]).prop_map(|(v, op, key)| Statement::Match { key, mask: Some(3), op, values: vec![Value::one(v)] }),
        1 => (op_of_masks(), prop_oneof![Just(32u128), Just(36), Just(33)], prop_oneof![Just(0u128), Just(32), Just(4)])
            .prop_map(|(op, mask, v)| Statement::Match { key: Key::CtStatus, mask: Some(mask), op, values: vec![Value::one(v)] }),
        1 => (0u128..3).prop_map(|v| Statement::Match { key: Key::TcpFlags, mask: Some(0b10010), op: Op::In, values: vec![Value::one(v * 2)] }),
    ]
}

fn statement() -> impl Strategy<Value = Statement> {
    prop_oneof![
        8 => a_match(),
        3 => any::<bool>().prop_map(|negated| Statement::Lookup { keys: vec![Key::Ip4Saddr, Key::Ip4Daddr, Key::L4Proto, Key::Dport], set: "s".into(), negated }),
        1 => Just(Statement::Lookup { keys: vec![Key::Ip4Saddr], set: "dyn".into(), negated: false }),
        1 => (0u32..4, prop_oneof![Just(None), Just(Some(1u32))], prop_oneof![Just(Key::Mark), Just(Key::CtMark)])
            .prop_map(|(v, mask, key)| Statement::SetMark { key, mask, value: Some(v & mask.unwrap_or(u32::MAX)) }),
        1 => (1u32..3).prop_map(|v| Statement::SetMark { key: Key::HopLimit, mask: None, value: Some(v) }),
        1 => Just(Statement::Counter),
        1 => any::<bool>().prop_map(|over| Statement::Limit { rate: 1, per: "second".into(), burst: 1, over, bytes: false }),
        1 => Just(Statement::Unknown { text: "xt foo".into() }),
    ]
}

fn end() -> impl Strategy<Value = Option<Statement>> {
    prop_oneof![
        1 => Just(None),
        3 => Just(Some(Statement::Verdict(Verdict::Accept))),
        3 => Just(Some(Statement::Verdict(Verdict::Drop))),
        1 => Just(Some(Statement::Verdict(Verdict::Return))),
        2 => prop_oneof![Just("c1"), Just("c2")].prop_map(|c| Some(Statement::Verdict(Verdict::Jump(c.into())))),
        1 => Just(Some(Statement::Verdict(Verdict::Goto("c2".into())))),
        1 => Just(Some(Statement::VerdictMap { keys: vec![Key::Iifname], map: MapRef::Named("v".into()) })),
    ]
}

fn rule(jumps: bool) -> impl Strategy<Value = Rule> {
    (prop::collection::vec(statement(), 0..3), end()).prop_map(move |(mut statements, end)| {
        let end = match end {
            Some(Statement::Verdict(Verdict::Jump(_) | Verdict::Goto(_)) | Statement::VerdictMap { .. }) if !jumps => {
                Some(Statement::Verdict(Verdict::Accept))
            }
            end => end,
        };
        statements.extend(end);
        Rule { statements, ..Rule::default() }
    })
}

fn nat_rule() -> impl Strategy<Value = Rule> {
    (prop::collection::vec(a_match(), 0..2), 0u128..3, prop_oneof![Just(None), Just(Some((80u16, 80u16)))], any::<bool>()).prop_map(
        |(mut statements, to, port, map)| {
            let address = if map {
                NatTarget::Map { keys: vec![Key::Ip4Daddr, Key::Dport], map: MapRef::Named("n".into()) }
            } else {
                NatTarget::Addr(A + 256 + to, A + 256 + to)
            };
            statements.push(Statement::Nat(Nat { kind: NatKind::Dnat, family: Some(Family::V4), address, port, flags: vec![] }));
            Rule { statements, ..Rule::default() }
        },
    )
}

fn set(types: usize, elements: Vec<Element>, dynamic: bool) -> Set {
    Set { types: vec!["x".into(); types], interval: true, dynamic, elements, ..Set::default() }
}

fn element(key: Vec<Value>, data: Option<Data>) -> Element {
    Element { key, data, id: None, timeout: None, counted: None }
}

fn table(number: i32) -> impl Strategy<Value = Table> {
    let family = prop_oneof![Just(TableFamily::Inet), Just(TableFamily::Ip)];
    let policy = || prop_oneof![Just(Policy::Accept), Just(Policy::Drop)];
    let rules = |jumps| prop::collection::vec(rule(jumps), 0..4);
    let tuples = prop::collection::vec((addresses(), addresses(), prop_oneof![Just(6u128), Just(17)], ports()), 0..5);
    let verdicts = (0usize..4, 0usize..4);
    let order = prop_oneof![Just(-300), Just(-150), Just(0)];
    (family, rules(true), rules(false), rules(false), prop::collection::vec(nat_rule(), 0..3), (policy(), order), tuples, verdicts)
        .prop_map(move |(family, base, c1, c2, nat, (policy, priority), tuples, (v1, v2))| {
            let verdict = |i: usize| [Verdict::Accept, Verdict::Drop, Verdict::Continue, Verdict::Jump("c1".into())][i].clone();
            let based = |kind, priority, policy| Some(Base { kind, hook: Hook::Prerouting, priority, policy, devices: vec![] });
            let mut sets = BTreeMap::new();
            sets.insert(
                "s".into(),
                set(4, tuples.into_iter().map(|(a, b, p, d)| element(vec![a, b, Value::one(p), d], None)).collect(), false),
            );
            sets.insert("dyn".into(), set(1, vec![element(vec![Value::one(A + 1)], None)], true));
            let v = [("a0", v1), ("b0", v2)].map(|(d, v)| element(vec![Value::Name(d.into())], Some(Data::Verdict(verdict(v)))));
            sets.insert("v".into(), Set { map: Some(vec!["verdict".into()]), ..set(1, v.to_vec(), false) });
            let n = [(0, 79, 9, 90), (1, 80, 8, 80)]
                .map(|(a, p, b, q)| element(vec![Value::one(A + a), Value::one(p as u128)], Some(Data::Numbers(vec![A + 256 + b, q]))));
            sets.insert("n".into(), Set { map: Some(vec!["ipv4_addr".into(), "inet_service".into()]), ..set(2, n.to_vec(), false) });
            let chain = |name: &str, base, rules| Chain { name: name.into(), base, rules };
            let name = format!("t{number}");
            let chains = vec![
                chain("base", based(ChainKind::Filter, priority + number, policy), base),
                chain("nat", based(ChainKind::Nat, -100, Policy::Accept), nat),
                chain("c1", None, c1),
                chain("c2", None, c2),
            ];
            Table { family, name, writer: Writer::Nft, chains, sets }
        })
}

fn rulesets() -> impl Strategy<Value = Ruleset> {
    (table(0), table(1)).prop_map(|(a, b)| Ruleset { tables: vec![a, b], unread: vec![] })
}

fn packets() -> Vec<Packet> {
    let mut out = Vec::new();
    for d in ["a0", "b0", "wan"] {
        for (proto, dport) in [(6, 79), (6, 80), (17, 85), (1, 0)] {
            for src in [0, 2, 300] {
                for dst in [0, 1, 257] {
                    for st in [0, 1, 3] {
                        let p = Packet::opening(Family::V4).with(Field::Src4, A + src).with(Field::Dst4, A + dst);
                        out.push(
                            p.with(Field::Proto, proto).with(Field::Dport, dport).with(Field::State, st).with(Field::In, field::device(d)),
                        );
                    }
                }
            }
        }
        let v6 = Packet::opening(Family::V6).with(Field::Dst6, 1).with(Field::Src6, 5);
        out.push(v6.with(Field::Proto, 58).with(Field::In, field::device(d)));
        out.push(v6.with(Field::Dport, 80).with(Field::In, field::device(d)));
    }
    out
}

fn singleton(s: &mut Store, p: &Packet) -> reach::Set {
    let cells: Vec<(u128, u128)> = Field::ALL.iter().map(|f| (p.get(*f), p.get(*f))).collect();
    assert_eq!(cells.len(), FIELDS);
    s.row(&Field::ALL, &cells)
}

/// Sets a field that no kind of this packet has to a fixed value: the concrete walk does not know it is open.
fn same(a: &Packet, b: &Packet) -> bool {
    let orig = [Field::OrigDst4, Field::OrigDport];
    Field::ALL
        .iter()
        .all(|f| a.get(*f) == b.get(*f) || (orig.contains(f) && b.get(Field::Dnat) == 0) || matches!(f, Field::Mark | Field::CtMark))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn all_packets_at_once_and_one_by_one_agree(rules in rulesets(), quiet in any::<bool>()) {
        let past = if quiet { Past::Quiet } else { Past::Any };
        let place = place();
        let mut store = Store::new();
        let all: Vec<reach::Set> = packets().iter().map(|p| singleton(&mut store, p)).collect();
        let start = store.any(all.clone());
        // What is not understood may set marks: the sets then hold every mark, the walk only its own.
        let text = format!("{rules:?}");
        let exact = !(text.contains("Unknown") && text.contains("Mark"));
        let whole = Eval::new(&mut store, &rules, &place, past).hook(Hook::Prerouting, start);
        for (p, one) in packets().iter().zip(all) {
            let mut outcomes = Vec::new();
            let complete = trace::every(&rules, &place, past, Hook::Prerouting, *p, |t| { outcomes.push(t); false });
            let (pass, drop) = (outcomes.iter().any(|t| t.passed), outcomes.iter().any(|t| !t.passed));
            let single = Eval::new(&mut store, &rules, &place, past).hook(Hook::Prerouting, one);
            if complete && exact {
                prop_assert_eq!(!single.passed.is_empty(), pass, "passed {:?}", p);
                prop_assert_eq!(!single.dropped.is_empty(), drop, "dropped {:?}", p);
                // Precision: whatever is said to pass is an outcome of the walk.
                let w = store.pick(single.passed, &outcomes.iter().find(|t| t.passed).map_or(*p, |t| t.packet));
                if let Some(w) = w {
                    prop_assert!(outcomes.iter().any(|t| t.passed && same(&t.packet, &w)), "{:?} gives {:?}", p, w);
                }
            }
            for t in &outcomes {
                let (one, all) = if t.passed { (single.passed, whole.passed) } else { (single.dropped, whole.dropped) };
                prop_assert!(!t.passed || store.contains(one, &t.packet), "alone: {:?} became {:?}: {:?}", p, t.packet, t.steps);
                prop_assert!(!t.passed || store.contains(all, &t.packet), "whole: {:?} became {:?}: {:?}", p, t.packet, t.steps);
            }
        }
        prop_assert!(whole.passed.is_empty() || store.pick(whole.passed, &Packet::opening(Family::V4)).is_some());
    }
}

/// The same ruleset without what changes packets.
fn only_judging(mut rules: Ruleset) -> Ruleset {
    let changes = |s: &Statement| match s {
        Statement::Nat(_) | Statement::SetMark { .. } | Statement::Notrack | Statement::Unknown { .. } => true,
        Statement::Match { key: Key::Mark | Key::CtMark, mask, .. } => mask.is_some(),
        _ => false,
    };
    for rule in rules.tables.iter_mut().flat_map(|t| &mut t.chains).flat_map(|c| &mut c.rules) {
        rule.statements.retain(|s| !changes(s));
    }
    rules
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_filter_from_its_end_and_from_its_beginning_agree(rules in rulesets(), quiet in any::<bool>()) {
        let rules = only_judging(rules);
        let past = if quiet { Past::Quiet } else { Past::Any };
        let place = place();
        let mut store = Store::new();
        let forward = Eval::new(&mut store, &rules, &place, past).hooks(&[Hook::Prerouting], reach::Set::FULL);
        let backward = Eval::new(&mut store, &rules, &place, past).filter(&[Hook::Prerouting]);
        prop_assert_eq!(forward.passed, backward.may);
        let must = store.not(forward.dropped);
        prop_assert_eq!(must, backward.must);
        prop_assert!(store.within(backward.must, backward.may));
    }
}
