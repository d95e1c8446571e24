//! Random small rulesets through the real nft: written as the emitter writes them, loaded into a kernel's namespace, listed,
//! read again. What the proof makes of the two must be the same, packet for packet: then neither writing, nor nft, nor
//! reading changed what is meant. `PROPTEST_CASES` runs more.

use proptest::{prelude::*, sample, test_runner::RngSeed};
use reach::{Eval, Field, Link, Past, Place, Store};
use ruleset::form::*;
use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    process::{Command, Stdio},
};
use words::Family;

/// 10.0.0.0.
const A4: u128 = 0x0a00_0000;
/// 2001:db8::.
const A6: u128 = 0x2001_0db8 << 96;
/// Rulesets per run unless the environment says otherwise: each costs a namespace and two runs of nft.
const CASES: u32 = 96;

fn place() -> Place {
    let net = |s: &str| s.parse().expect("prefix");
    Place {
        anywhere: false,
        own: ["10.0.0.1", "10.0.1.1", "2001:db8::1"].iter().map(|a| a.parse().expect("address")).collect(),
        links: vec![
            Link { device: "a0".into(), nets: vec![net("10.0.0.0/24"), net("2001:db8::/64")], default: false },
            Link { device: "b0".into(), nets: vec![net("10.0.1.0/24")], default: false },
            Link { device: "wan".into(), nets: vec![], default: true },
        ],
    }
}

/// Some of a pool whose values do not overlap: nft refuses overlapping intervals in one set.
fn some(pool: Vec<Value>) -> BoxedStrategy<Vec<Value>> {
    let most = pool.len().min(3);
    sample::subsequence(pool, 1..=most).boxed()
}

fn range(first: u128, last: u128) -> Value {
    Value::Range(first, last)
}

fn four() -> Vec<Value> {
    vec![range(A4, A4), range(A4 + 1, A4 + 1), range(A4 + 2, A4 + 5), range(A4 + 8, A4 + 15), range(A4 + 256, A4 + 511)]
}

fn six() -> Vec<Value> {
    vec![range(A6 + 1, A6 + 1), range(A6 + 2, A6 + 5), range(A6 + (1 << 64), A6 + (2 << 64) - 1)]
}

fn ports() -> Vec<Value> {
    vec![range(22, 22), range(53, 53), range(80, 90), range(443, 443), range(1024, 65535)]
}

fn ones(numbers: &[u128]) -> Vec<Value> {
    numbers.iter().map(|n| Value::one(*n)).collect()
}

/// A match of one key, or none of its values.
fn keyed(key: Key, pool: Vec<Value>) -> BoxedStrategy<Statement> {
    let op = prop_oneof![3 => Just(Op::In), 1 => Just(Op::NotIn)];
    (some(pool), op).prop_map(move |(values, op)| Statement::Match { key: key.clone(), mask: None, op, values }).boxed()
}

fn masked(key: Key, mask: u128, value: u128, op: Op) -> Statement {
    Statement::Match { key, mask: Some(mask), op, values: vec![Value::one(value)] }
}

fn only(key: Key, number: u128) -> Statement {
    Statement::Match { key, mask: None, op: Op::In, values: vec![Value::one(number)] }
}

/// What a rule is about: nft refuses rules whose matches contradict each other's protocol.
#[derive(Debug, Clone, Copy, PartialEq)]
struct About {
    family: Option<Family>,
    proto: Option<u128>,
}

fn about() -> impl Strategy<Value = About> {
    let family = prop_oneof![2 => Just(Some(Family::V4)), 2 => Just(Some(Family::V6)), 1 => Just(None)];
    (family, sample::select(vec![None, Some(6u128), Some(17), Some(1)])).prop_map(|(family, proto)| {
        let proto = match (proto, family) {
            (Some(1), Some(Family::V6)) => Some(58),
            (Some(1), None) => None,
            (proto, _) => proto,
        };
        About { family, proto }
    })
}

/// Matches that any rule may have.
fn general() -> Vec<BoxedStrategy<Statement>> {
    let op = || prop_oneof![Just(Op::In), Just(Op::NotIn)];
    let mark = || prop_oneof![Just(Key::Mark), Just(Key::CtMark)];
    vec![
        keyed(Key::Iifname, ["a0", "b0", "wan"].map(|n| Value::Name(n.into())).to_vec()),
        Just(Statement::Match { key: Key::Iifname, mask: None, op: Op::In, values: vec![Value::NamePrefix("w".into())] }).boxed(),
        keyed(Key::CtState, ones(&[1, 2, 4, 8])),
        (mark(), 0u128..4, op()).prop_map(|(k, v, op)| masked(k, 3, v, op)).boxed(),
        keyed(Key::Mark, ones(&[0, 1, 7])),
        keyed(Key::FibDaddrType, ones(&[1, 2, 3])),
        (0u128..2).prop_map(|n| only(Key::FibReversePath, n)).boxed(),
        op().prop_map(|op| masked(Key::CtStatus, 32, 32, op)).boxed(),
        Just(Statement::Lookup { keys: vec![Key::Iifname], set: "near".into(), negated: false }).boxed(),
    ]
}

fn matches(about: About) -> BoxedStrategy<Statement> {
    let mut all = general();
    match about.family {
        Some(Family::V4) => {
            all.extend([keyed(Key::Ip4Saddr, four()), keyed(Key::Ip4Daddr, four()), keyed(Key::HopLimit, ones(&[1, 64, 255]))]);
            let keys = vec![Key::Ip4Saddr, Key::Ip4Daddr, Key::L4Proto, Key::Dport];
            let four = move |negated| Statement::Lookup { keys: keys.clone(), set: "four".into(), negated };
            // Ports of ICMP are nonsense that nft lists as something else.
            if about.proto != Some(1) {
                all.push(any::<bool>().prop_map(four).boxed());
            }
            all.push(Just(Statement::Lookup { keys: vec![Key::Ip4Saddr], set: "dyn".into(), negated: false }).boxed());
            all.push(Just(meter()).boxed());
        }
        Some(Family::V6) => {
            all.extend([keyed(Key::Ip6Saddr, six()), keyed(Key::Ip6Daddr, six()), keyed(Key::HopLimit, ones(&[1, 255]))]);
            let six = |negated| Statement::Lookup { keys: vec![Key::Ip6Saddr, Key::Dport], set: "six".into(), negated };
            if about.proto != Some(58) {
                all.push(any::<bool>().prop_map(six).boxed());
            }
        }
        None if about.proto.is_none() => {
            all.push(Just(Statement::Match { key: Key::L4Proto, mask: None, op: Op::In, values: ones(&[6, 17]) }).boxed());
        }
        None => {}
    }
    match about.proto {
        Some(6) => {
            all.extend([keyed(Key::Sport, ports()), keyed(Key::Dport, ports())]);
            all.push(sample::select(vec![0u128, 2, 16, 18]).prop_map(|v| masked(Key::TcpFlags, 18, v, Op::In)).boxed());
        }
        Some(17) => all.extend([keyed(Key::Sport, ports()), keyed(Key::Dport, ports())]),
        Some(1) => all.extend([keyed(Key::IcmpType, ones(&[0, 3, 8])), keyed(Key::IcmpCode, ones(&[0, 1, 4]))]),
        Some(58) => all.push(keyed(Key::Icmp6Type, ones(&[1, 128, 129, 135]))),
        _ => {}
    }
    prop::strategy::Union::new(all).boxed()
}

/// What over-eager sources meet.
fn meter() -> Statement {
    let limit = Statement::Limit { rate: 5, per: "second".into(), burst: 7, over: true, bytes: false };
    Statement::Dynamic {
        op: "update".into(),
        keys: vec![DynKey { key: Key::Ip4Saddr, mask: None }],
        set: "dyn".into(),
        statements: vec![limit],
    }
}

/// Statements that neither match nor end.
fn deed() -> impl Strategy<Value = Statement> {
    let limit = |over| Statement::Limit { rate: 10, per: "minute".into(), burst: 5, over, bytes: false };
    let mark = prop_oneof![Just(Key::Mark), Just(Key::CtMark)];
    prop_oneof![
        Just(Statement::Counter),
        any::<bool>().prop_map(limit),
        (mark, 0u32..4, prop_oneof![Just(None), Just(Some(1u32)), Just(Some(2))]).prop_map(|(key, v, mask)| Statement::SetMark {
            key,
            mask,
            value: Some(v & mask.unwrap_or(u32::MAX))
        }),
        Just(Statement::Log { prefix: Some("seen ".into()), group: Some(7), snaplen: Some(64) }),
    ]
}

fn inline() -> Statement {
    let element =
        |port: u128, v| Element { key: vec![Value::one(port)], data: Some(Data::Verdict(v)), id: None, timeout: None, counted: None };
    let elements = vec![element(22, Verdict::Accept), element(53, Verdict::Jump("c2".into())), element(443, Verdict::Drop)];
    Statement::VerdictMap { keys: vec![Key::Dport], map: MapRef::Inline(elements) }
}

fn end(jumps: bool) -> BoxedStrategy<Option<Statement>> {
    let verdict = |v| Some(Statement::Verdict(v));
    let plain = prop_oneof![
        1 => Just(None),
        3 => Just(verdict(Verdict::Accept)),
        3 => Just(verdict(Verdict::Drop)),
        1 => Just(verdict(Verdict::Return)),
        1 => Just(verdict(Verdict::Reject("icmpx admin-prohibited".into()))),
    ];
    let devices = Statement::VerdictMap { keys: vec![Key::Iifname], map: MapRef::Named("by_device".into()) };
    let jump = prop_oneof![
        sample::select(vec!["c1", "c2"]).prop_map(move |c| verdict(Verdict::Jump(c.into()))),
        Just(verdict(Verdict::Goto("c2".into()))),
        Just(Some(devices)),
    ];
    if jumps { prop_oneof![3 => plain, 2 => jump].boxed() } else { plain.boxed() }
}

fn rule(jumps: bool, rejects: bool) -> impl Strategy<Value = Rule> {
    about().prop_flat_map(move |about| {
        let many = prop::collection::vec(matches(about), 0..3);
        let by_port = prop::bool::weighted(if jumps && matches!(about.proto, Some(6 | 17)) { 0.2 } else { 0.0 });
        (many, prop::option::weighted(0.3, deed()), end(jumps), by_port).prop_map(move |(many, deed, end, by_port)| {
            // Family and protocol first: what follows means nothing in another one's header.
            let mut statements = Vec::new();
            statements.extend(about.family.map(|f| only(Key::NfProto, if f == Family::V4 { 2 } else { 10 })));
            statements.extend(about.proto.map(|p| only(Key::L4Proto, p)));
            statements.extend(many);
            statements.extend(deed);
            match end {
                _ if by_port => statements.push(inline()),
                // Not every hook can refuse.
                Some(Statement::Verdict(Verdict::Reject(_))) if !rejects => statements.push(Statement::Verdict(Verdict::Drop)),
                end => statements.extend(end),
            }
            Rule { statements, ..Rule::default() }
        })
    })
}

fn nat_rule() -> impl Strategy<Value = Rule> {
    let port = prop_oneof![Just(None), Just(Some((80u16, 80u16)))];
    (some(ports()), 0u128..3, port, any::<bool>()).prop_map(|(dports, to, port, map)| {
        let mut statements = vec![
            only(Key::NfProto, 2),
            only(Key::L4Proto, 6),
            Statement::Match { key: Key::Dport, mask: None, op: Op::In, values: dports },
        ];
        let address = if map {
            NatTarget::Map { keys: vec![Key::Ip4Daddr, Key::Dport], map: MapRef::Named("publish".into()) }
        } else {
            NatTarget::Addr(A4 + 256 + to, A4 + 256 + to)
        };
        let port = port.filter(|_| !map);
        statements.push(Statement::Nat(Nat { kind: NatKind::Dnat, family: Some(Family::V4), address, port, flags: vec![] }));
        Rule { statements, ..Rule::default() }
    })
}

fn set(types: &[&str], elements: Vec<Element>, interval: bool) -> Set {
    Set { types: types.iter().map(ToString::to_string).collect(), interval, elements, ..Set::default() }
}

fn element(key: Vec<Value>, data: Option<Data>) -> Element {
    Element { key, data, id: None, timeout: None, counted: None }
}

fn sets() -> impl Strategy<Value = BTreeMap<String, Set>> {
    let tuple4 = (sample::select(four()), sample::select(four()), sample::select(ones(&[6, 17])), sample::select(ports()));
    let tuple6 = (sample::select(six()), sample::select(ports()));
    let verdict =
        || sample::select(vec![Verdict::Accept, Verdict::Drop, Verdict::Continue, Verdict::Jump("c1".into()), Verdict::Goto("c2".into())]);
    let tuples4 = prop::collection::btree_set(tuple4, 0..6);
    let tuples6 = prop::collection::btree_set(tuple6, 0..4);
    (tuples4, tuples6, verdict(), verdict()).prop_map(|(tuples4, tuples6, a, b)| {
        let name = |n: &str| Value::Name(n.into());
        let of4: BTreeSet<_> = tuples4.into_iter().map(|(a, b, p, d)| vec![a, b, p, d]).collect();
        let four = of4.into_iter().map(|key| element(key, None)).collect();
        let six = tuples6.into_iter().map(|(a, d)| element(vec![a, d], None)).collect();
        let by_device = [("a0", a), ("b0", b)].map(|(d, v)| element(vec![name(d)], Some(Data::Verdict(v))));
        let publish = [(1, 80, 9, 90), (2, 443, 8, 80)]
            .map(|(a, p, b, q)| element(vec![Value::one(A4 + a), Value::one(p as u128)], Some(Data::Numbers(vec![A4 + 256 + b, q]))));
        let map = |names: &[&str]| Some(names.iter().map(ToString::to_string).collect());
        BTreeMap::from([
            ("four".into(), set(&["ipv4_addr", "ipv4_addr", "inet_proto", "inet_service"], four, true)),
            ("six".into(), set(&["ipv6_addr", "inet_service"], six, true)),
            ("near".into(), set(&["ifname"], vec![element(vec![name("a0")], None), element(vec![name("wan")], None)], false)),
            ("by_device".into(), Set { map: map(&["verdict"]), ..set(&["ifname"], by_device.to_vec(), false) }),
            (
                "publish".into(),
                Set { map: map(&["ipv4_addr", "inet_service"]), ..set(&["ipv4_addr", "inet_service"], publish.to_vec(), false) },
            ),
            ("dyn".into(), Set { dynamic: true, timeout: Some(60), size: Some(1024), ..set(&["ipv4_addr"], vec![], false) }),
        ])
    })
}

fn table(number: i32, hook: Hook) -> impl Strategy<Value = Table> {
    let policy = prop_oneof![Just(Policy::Accept), Just(Policy::Drop)];
    let rejects = hook != Hook::Prerouting;
    let rules = move |jumps| prop::collection::vec(rule(jumps, rejects), 0..5);
    let nat = prop::collection::vec(nat_rule(), 0..3);
    let priority = sample::select(vec![-300, -150, 0, 10]);
    (sets(), rules(true), rules(false), rules(false), nat, policy, priority).prop_map(move |(sets, base, c1, c2, nat, policy, priority)| {
        let based = |kind, hook, priority, policy| Some(Base { kind, hook, priority, policy, devices: vec![] });
        let chain = |name: &str, base, rules| Chain { name: name.into(), base, rules };
        let chains = vec![
            chain("c1", None, c1),
            chain("c2", None, c2),
            chain("base", based(ChainKind::Filter, hook, priority + number, policy), base),
            chain("nat", based(ChainKind::Nat, Hook::Prerouting, -100, Policy::Accept), nat),
        ];
        Table { family: TableFamily::Inet, name: format!("t{number}"), writer: Writer::Nft, chains, sets }
    })
}

fn rulesets() -> impl Strategy<Value = (Hook, Ruleset)> {
    sample::select(vec![Hook::Prerouting, Hook::Input, Hook::Forward])
        .prop_flat_map(|hook| (Just(hook), table(0, hook), table(1, hook)))
        .prop_map(|(hook, a, b)| (hook, Ruleset { tables: vec![a, b], unread: vec![] }))
}

/// Through a kernel: loaded in a network namespace of its own, listed, gone.
fn through_nft(script: &str) -> Result<String, String> {
    let mut child = Command::new("unshare")
        .args(["-Urn", "sh", "-c", "nft -f - && nft -j list ruleset"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| format!("unshare: {e}"))?;
    child.stdin.take().expect("piped").write_all(script.as_bytes()).map_err(|e| e.to_string())?;
    let out = child.wait_with_output().map_err(|e| e.to_string())?;
    if out.status.success() {
        Ok(String::from_utf8_lossy(&out.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&out.stderr).into_owned())
    }
}

/// Packets nothing was done to. Without ICMP in IPv6 and ICMPv6 in IPv4, which no stack answers: nft lists `meta nfproto
/// ipv4 meta l4proto icmp` without its first half, so a listing does not tell whether the family was asked for.
fn start(store: &mut Store) -> reach::Set {
    let fresh = store.value(Field::Dnat, 0);
    let odd = store.rows(&[Field::Family, Field::Proto], &[vec![(0, 0), (58, 58)], vec![(1, 1), (1, 1)]]);
    store.minus(fresh, odd)
}

/// A packet on which two sets differ, for the message.
fn differing(store: &mut Store, a: reach::Set, b: reach::Set) -> Option<reach::Packet> {
    let (more, less) = (store.minus(a, b), store.minus(b, a));
    let either = store.or(more, less);
    store.pick(either, &reach::Packet::opening(Family::V4))
}

/// The same rulesets in every run; more of them, and then others too, by the environment.
fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|c| c.parse().ok()).unwrap_or(CASES);
    ProptestConfig { cases, max_shrink_iters: 300, rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn what_nft_gives_back_means_what_was_written((hook, rules) in rulesets()) {
        let script: String = rules.tables.iter().map(emit::nft::definition).collect();
        let json = through_nft(&script).map_err(|e| TestCaseError::fail(format!("{e}\n{script}")))?;
        let live = ruleset::nft::read(&json).map_err(|e| TestCaseError::fail(format!("{e}\n{script}")))?;
        prop_assert_eq!(live.unread.len(), 0, "{:?}", live.unread);
        let place = place();
        for past in [Past::Any, Past::Quiet] {
            for hook in [Hook::Prerouting, hook] {
                let mut store = Store::new();
                let start = start(&mut store);
                let written = Eval::new(&mut store, &rules, &place, past).hook(hook, start);
                let given = Eval::new(&mut store, &live, &place, past).hook(hook, start);
                for (what, a, b) in [("passed", written.passed, given.passed), ("dropped", written.dropped, given.dropped)] {
                    let w = differing(&mut store, a, b);
                    prop_assert!(w.is_none(), "{what} at {hook:?}, {past:?}: {w:?}\n{script}\n{live:#?}");
                }
            }
        }
    }
}

/// The same comparison sees a single changed value: it can fail.
#[test]
fn a_changed_port_is_seen() {
    let rules = |port: u128| {
        let statements = vec![only(Key::L4Proto, 6), only(Key::Dport, port), Statement::Verdict(Verdict::Accept)];
        let base = Base { kind: ChainKind::Filter, hook: Hook::Input, priority: 0, policy: Policy::Drop, devices: vec![] };
        let chain = Chain { name: "base".into(), base: Some(base), rules: vec![Rule { statements, ..Rule::default() }] };
        let table = Table { family: TableFamily::Inet, name: "t".into(), writer: Writer::Nft, chains: vec![chain], sets: BTreeMap::new() };
        Ruleset { tables: vec![table], unread: vec![] }
    };
    let json = through_nft(&emit::nft::definition(&rules(22).tables[0])).expect("loaded");
    let live = ruleset::nft::read(&json).expect("read");
    let (mut store, place) = (Store::new(), place());
    let mut passed = |r: &Ruleset| Eval::new(&mut store, r, &place, Past::Any).hook(Hook::Input, reach::Set::FULL).passed;
    let (live, same, other) = (passed(&live), passed(&rules(22)), passed(&rules(23)));
    assert_eq!(live, same);
    assert_ne!(live, other);
}
