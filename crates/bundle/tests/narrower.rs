//! What is called narrower, and that nothing else is: every way to change a draft by one step, and random sets.

mod common;

use bundle::{Artefact, Draft, LayerMode, Probe, Widens, narrower, narrower::narrower as is_narrower};
use common::draft as plain;
use proptest::prelude::*;
use ruleset::{
    Base, Chain, ChainKind, Element, Hook, Key, Op, Policy, Rule, Ruleset, Set, Statement, Table, TableFamily, Value, Verdict, Writer,
};
use std::collections::{BTreeMap, BTreeSet};
use words::{Digest, Generation, Proto};

fn rule(statements: Vec<Statement>) -> Rule {
    Rule { id: None, statements, text: None, counted: None }
}

fn asks(set: &str, negated: bool, verdict: Verdict) -> Rule {
    let lookup = Statement::Lookup { keys: vec![Key::Ip4Saddr, Key::Dport], set: set.into(), negated };
    rule(vec![lookup, Statement::Counter, Statement::Verdict(verdict)])
}

fn set(elements: &BTreeSet<u8>) -> Set {
    let one = |n: &u8| Element {
        key: vec![Value::one(0xc000_0200u32 + u32::from(*n)), Value::one(22u16)],
        data: None,
        id: None,
        timeout: None,
        counted: None,
    };
    Set { types: vec!["ipv4_addr".into(), "inet_service".into()], elements: elements.iter().map(one).collect(), ..Set::default() }
}

/// The elements' lines as the emitter writes them.
fn script(sets: &[(&str, &BTreeSet<u8>)]) -> String {
    let mut out = "table inet ravelin {}\ndelete table inet ravelin\ntable inet ravelin {\n".to_owned();
    for (name, all) in sets {
        out += &format!("\tset {name} {{\n\t\ttype ipv4_addr . inet_service\n");
        if !all.is_empty() {
            out += "\t\telements = {\n";
            all.iter().for_each(|n| out += &format!("\t\t\t192.0.2.{n} . 22,\n"));
            out += "\t\t}\n";
        }
        out += "\t}\n";
    }
    out + "\tchain input {\n\t\ttype filter hook input priority 0; policy drop;\n\t\tip saddr . tcp dport @a counter accept\n\t}\n}\n"
}

fn with(rules: Vec<Rule>, sets: &[(&str, &BTreeSet<u8>)]) -> Draft {
    let base = Base { kind: ChainKind::Filter, hook: Hook::Input, priority: 0, policy: Policy::Drop, devices: vec![] };
    let table = Table {
        family: TableFamily::Inet,
        name: "ravelin".into(),
        writer: Writer::Nft,
        chains: vec![Chain { name: "input".into(), base: Some(base), rules }],
        sets: sets.iter().map(|(name, all)| ((*name).to_owned(), set(all))).collect(),
    };
    let mut draft = plain("here", 1);
    draft.expected.ruleset = Some(Ruleset { tables: vec![table], unread: vec![] });
    draft.artefacts = vec![Artefact::Nft { text: script(sets) }];
    draft
}

fn accepting(a: &BTreeSet<u8>) -> Draft {
    with(vec![asks("a", false, Verdict::Accept)], &[("a", a)])
}

fn table(draft: &mut Draft) -> &mut Table {
    &mut draft.expected.ruleset.as_mut().expect("a ruleset").tables[0]
}

fn some(all: &[u8]) -> BTreeSet<u8> {
    all.iter().copied().collect()
}

#[test]
fn fewer_accepted_addresses_are_narrower() {
    let old = accepting(&some(&[1, 2, 3]));
    for fewer in [&[1u8, 3][..], &[2], &[]] {
        let mut new = accepting(&some(fewer));
        new.generation = Generation(2);
        new.parent = Some(Digest::of(b"old"));
        new.site = Digest::of(b"another text");
        assert!(is_narrower(&old, &new), "{fewer:?}: {:?}", narrower::widens(Some(&old), &new));
        assert!(!is_narrower(&new, &old), "and the way back is not");
    }
    assert!(is_narrower(&old, &old));
    assert!(matches!(narrower::widens(None, &old), Widens::Perhaps(_)));
}

type Change = Box<dyn Fn(&mut Draft)>;

#[test]
fn whatever_else_changes_is_not() {
    let old = accepting(&some(&[1, 2]));
    let changes: Vec<(&str, Change)> = vec![
        ("machine", Box::new(|d| d.machine = words::HostName::new("there").expect("a name"))),
        ("schema", Box::new(|d| d.schema += 1)),
        ("layer", Box::new(|d| d.layers.extend([("network".into(), LayerMode::Observe)]))),
        ("management", Box::new(|d| d.management.ports.push(23))),
        ("less management", Box::new(|d| d.management.ports.clear())),
        ("break-glass", Box::new(|d| d.break_glass.push('\n'))),
        ("probe", Box::new(|d| d.probes.push(Probe { id: "f0".into(), proto: Proto::Tcp, to: "192.0.2.1".parse().expect("v4"), port: 1 }))),
        ("setting", Box::new(|d| d.artefacts.push(Artefact::Sysctl { settings: BTreeMap::new() }))),
        ("no script", Box::new(|d| d.artefacts.clear())),
        ("no ruleset", Box::new(|d| d.expected.ruleset = None)),
        ("rule gone", Box::new(|d| table(d).chains[0].rules.clear())),
        ("rule added", Box::new(|d| table(d).chains[0].rules.push(rule(vec![Statement::Verdict(Verdict::Drop)])))),
        ("verdict", Box::new(|d| table(d).chains[0].rules[0] = asks("a", false, Verdict::Drop))),
        ("policy", Box::new(|d| table(d).chains[0].base.as_mut().expect("a base").policy = Policy::Accept)),
        ("priority", Box::new(|d| table(d).chains[0].base.as_mut().expect("a base").priority = -1)),
        ("chain gone", Box::new(|d| table(d).chains.clear())),
        ("set gone", Box::new(|d| table(d).sets.clear())),
        ("set added", Box::new(|d| table(d).sets.extend([("b".into(), set(&some(&[])))]))),
        ("flags", Box::new(|d| table(d).sets.get_mut("a").expect("a set").dynamic = true)),
        ("id", Box::new(|d| table(d).sets.get_mut("a").expect("a set").elements[0].id = Some("f1".into()))),
        ("element", Box::new(|d| *table(d).sets.get_mut("a").expect("a set") = set(&some(&[1, 3])))),
        ("table", Box::new(|d| table(d).name = "other".into())),
        ("unread", Box::new(|d| d.expected.ruleset.as_mut().expect("a ruleset").unread.push("x".into()))),
    ];
    for (what, change) in changes {
        let mut new = old.clone();
        change(&mut new);
        assert!(!is_narrower(&old, &new), "{what}");
    }
}

#[test]
fn the_script_that_is_loaded_counts() {
    let old = accepting(&some(&[1, 2]));
    let Artefact::Nft { text } = old.artefacts[0].clone() else { unreachable!() };
    let lines: Vec<&str> = text.lines().collect();
    let element = lines.iter().position(|l| l.starts_with("\t\t\t")).expect("an element");
    // Any one line gone, doubled or put elsewhere, but elements that are gone.
    for (at, line) in lines.iter().enumerate() {
        let mut fewer = lines.clone();
        fewer.remove(at);
        let mut new = old.clone();
        new.artefacts = vec![Artefact::Nft { text: fewer.join("\n") + "\n" }];
        assert_eq!(is_narrower(&old, &new), line.starts_with("\t\t\t"), "without {line}");
    }
    for more in ["\t\t\t192.0.2.9 . 22,", "\t\t\t192.0.2.1 . 22, 192.0.2.9 . 22,", "\t\t}; elements = { 192.0.2.9 . 22 }", "\t\t\t# x,"] {
        let mut longer = lines.clone();
        longer.insert(element, more);
        let mut new = old.clone();
        new.artefacts = vec![Artefact::Nft { text: longer.join("\n") + "\n" }];
        assert!(!is_narrower(&old, &new), "with {more}");
    }
    let mut opened = old.clone();
    opened.artefacts = vec![Artefact::Nft { text: text.replace("accept", "continue") }];
    assert!(!is_narrower(&old, &opened));
}

#[test]
fn a_set_that_does_more_than_accept_stays() {
    let (all, fewer) = (some(&[1, 2]), some(&[1]));
    let limit = |over, verdict| {
        rule(vec![Statement::Limit { rate: 1, per: "second".into(), burst: 5, over, bytes: false }, Statement::Verdict(verdict)])
    };
    let mark = rule(vec![Statement::SetMark { key: Key::CtMark, mask: None, value: Some(1) }]);
    let accept = || asks("a", false, Verdict::Accept);
    let harmless = [
        vec![accept(), limit(true, Verdict::Drop)],
        vec![accept(), limit(false, Verdict::Accept)],
        vec![accept(), rule(vec![Statement::Counter, Statement::Verdict(Verdict::Drop)])],
        vec![asks("b", true, Verdict::Drop), accept()],
    ];
    let harmful = [
        vec![asks("a", true, Verdict::Drop)],
        vec![asks("a", false, Verdict::Drop)],
        vec![asks("a", true, Verdict::Accept)],
        vec![accept(), asks("a", false, Verdict::Drop)],
        vec![asks("a", false, Verdict::Jump("other".into()))],
        vec![accept(), mark.clone()],
        vec![mark, accept()],
        vec![accept(), rule(vec![Statement::Notrack])],
        vec![accept(), rule(vec![Statement::Unknown { text: "x".into() }])],
        // Who is accepted no more spends what kept others from being dropped, or lets others through.
        vec![accept(), limit(false, Verdict::Drop)],
        vec![accept(), limit(true, Verdict::Accept)],
        vec![],
    ];
    let judged = |rules: &[Rule]| {
        let b = some(&[7]);
        is_narrower(&with(rules.to_vec(), &[("a", &all), ("b", &b)]), &with(rules.to_vec(), &[("a", &fewer), ("b", &b)]))
    };
    for rules in harmless {
        assert!(judged(&rules), "{rules:?}");
    }
    for rules in harmful {
        assert!(!judged(&rules), "{rules:?}");
    }
    // No translation is missed by what is accepted there: in a nat chain accepting is doing nothing.
    let nat = |a| {
        let mut d = accepting(a);
        table(&mut d).chains[0].base.as_mut().expect("a base").kind = ChainKind::Nat;
        d
    };
    assert!(!is_narrower(&nat(&all), &nat(&fewer)));
    // A chain that is called from a harmful one is harmful.
    let called = |a: &BTreeSet<u8>, also: Vec<Rule>| {
        let mut d = with([vec![rule(vec![Statement::Verdict(Verdict::Jump("inner".into()))])], also].concat(), &[("a", a)]);
        table(&mut d).chains.push(Chain { name: "inner".into(), base: None, rules: vec![asks("a", false, Verdict::Accept)] });
        d
    };
    assert!(is_narrower(&called(&all, vec![]), &called(&fewer, vec![])));
    let spoiled = || vec![rule(vec![Statement::Notrack])];
    assert!(!is_narrower(&called(&all, spoiled()), &called(&fewer, spoiled())));
}

/// What becomes of a packet from this address to port 22: the last word of the chain, by walking it.
fn accepted(draft: &Draft, from: u8) -> bool {
    let table = &draft.expected.ruleset.as_ref().expect("a ruleset").tables[0];
    for r in &table.chains[0].rules {
        let matches = |s: &Statement| match s {
            Statement::Lookup { set, negated, .. } => {
                let key = vec![Value::one(0xc000_0200u32 + u32::from(from)), Value::one(22u16)];
                table.sets[set].elements.iter().any(|e| e.key == key) != *negated
            }
            Statement::Match { values, .. } => values.contains(&Value::one(0xc000_0200u32 + u32::from(from))),
            _ => true,
        };
        if r.statements.iter().all(matches) {
            match r.statements.last() {
                Some(Statement::Verdict(Verdict::Accept)) => return true,
                Some(Statement::Verdict(_)) => return false,
                _ => {}
            }
        }
    }
    false
}

fn rules() -> impl Strategy<Value = Vec<Rule>> {
    let one = prop_oneof![
        (prop_oneof![Just("a"), Just("b")], any::<bool>(), any::<bool>()).prop_map(|(set, negated, accept)| asks(
            set,
            negated,
            if accept { Verdict::Accept } else { Verdict::Drop }
        )),
        (0u8..6, any::<bool>()).prop_map(|(n, accept)| {
            let from =
                Statement::Match { key: Key::Ip4Saddr, mask: None, op: Op::In, values: vec![Value::one(0xc000_0200u32 + u32::from(n))] };
            rule(vec![from, Statement::Verdict(if accept { Verdict::Accept } else { Verdict::Drop })])
        }),
    ];
    proptest::collection::vec(one, 0..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    /// Against a walk over every packet there is: what is called narrower lets through no packet that was not let through.
    #[test]
    fn narrower_lets_through_no_more(
        rules in rules(),
        a in proptest::collection::btree_set(0u8..6, 0..6), b in proptest::collection::btree_set(0u8..6, 0..6),
        gone_a in proptest::collection::btree_set(0u8..6, 0..3), gone_b in proptest::collection::btree_set(0u8..6, 0..2),
        new_a in proptest::option::weighted(0.2, 0u8..6),
    ) {
        let old = with(rules.clone(), &[("a", &a), ("b", &b)]);
        let left: BTreeSet<u8> = a.difference(&gone_a).copied().chain(new_a).collect();
        let new = with(rules, &[("a", &left), ("b", &b.difference(&gone_b).copied().collect())]);
        if is_narrower(&old, &new) {
            for from in 0..6 {
                prop_assert!(!accepted(&new, from) || accepted(&old, from), "192.0.2.{} gets in", from);
            }
        }
    }
}
