//! Each invariant with a site, or rulesets, that break it: the message and its witness, exactly.
//!
//! `append.toml` is put behind `examples/small`; where the site file alone cannot break the invariant, the rulesets are
//! broken here as somebody with root on the machine would. `UPDATE_EXPECT=1` writes the expected text anew.

mod common;

use common::{Planned, host};
use reach::Prover;
use ruleset::form::{Base, Chain, Key, Op, Policy, Rule, Ruleset, Statement, Value, Verdict};
use std::{collections::BTreeMap, path::Path};
use words::HostName;

fn chain<'a>(rulesets: &'a mut BTreeMap<HostName, Ruleset>, h: &str, name: &str) -> &'a mut Chain {
    let table = &mut rulesets.get_mut(&host(h)).expect("host").tables[0];
    table.chains.iter_mut().find(|c| c.name == name).expect("chain")
}

fn rule(id: &str, statements: Vec<Statement>) -> Rule {
    Rule { id: Some(id.into()), statements, ..Rule::default() }
}

fn port(proto: u128, port: u128) -> Vec<Statement> {
    let one = |key, n| Statement::Match { key, mask: None, op: Op::In, values: vec![Value::one(n)] };
    vec![one(Key::L4Proto, proto), one(Key::Dport, port)]
}

fn accept(mut s: Vec<Statement>) -> Vec<Statement> {
    s.push(Statement::Verdict(Verdict::Accept));
    s
}

/// Breaks an invariant that no site file can break.
fn sabotage(code: &str, rulesets: &mut BTreeMap<HostName, Ruleset>) {
    match code {
        "NET004" => {
            // Anti-spoofing gone, and a rule that looks at the destination alone.
            for fw in ["fw-a", "fw-b"] {
                let table = &mut rulesets.get_mut(&host(fw)).expect("host").tables[0];
                for c in &mut table.chains {
                    if matches!(&c.base, Some(Base { hook: ruleset::form::Hook::Prerouting, kind: ruleset::form::ChainKind::Filter, .. })) {
                        c.rules.clear();
                        if let Some(b) = &mut c.base {
                            b.policy = Policy::Accept;
                        }
                    }
                }
                chain(rulesets, fw, "fwd/dmz/chain").rules.insert(0, rule("hack", accept(port(6, 1234))));
            }
        }
        "NET006" => {
            let limit = Statement::Limit { rate: 10, per: "second".into(), burst: 5, over: true, bytes: false };
            let mut s = port(6, 22);
            s.extend([limit, Statement::Verdict(Verdict::Drop)]);
            chain(rulesets, "db1", "input").rules.insert(0, rule("ssh-limit", s));
        }
        "NET007" => chain(rulesets, "fw-b", "fwd/ops/dmz").rules.insert(0, rule("by-hand", accept(port(6, 8080)))),
        "NET008" => {
            let v6 = Statement::Match { key: Key::NfProto, mask: None, op: Op::In, values: vec![Value::one(10u128)] };
            let mut s = vec![v6];
            s.extend(accept(port(6, 2049)));
            chain(rulesets, "nas1", "input").rules.insert(0, rule("by-hand", s));
        }
        "NET009" => {
            let table = &mut rulesets.get_mut(&host("daemon1")).expect("host").tables[0];
            for s in table.sets.values_mut() {
                s.elements.retain(|e| e.key.last() != Some(&Value::one(1234u128)));
            }
        }
        "NET011" => chain(rulesets, "mon1", "input").rules.insert(0, rule("by-hand", accept(port(6, 9090)))),
        "NET012" => rulesets.get_mut(&host("db1")).expect("host").unread.push("an XDP program on device data".into()),
        _ => {}
    }
}

fn case(code: &str) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/invariants").join(code);
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/small/site.toml");
    let text = std::fs::read_to_string(base).expect("example") + &std::fs::read_to_string(dir.join("append.toml")).expect("case");
    let mut site = Planned::read("site.toml", &text);
    sabotage(code, &mut site.rulesets);
    let mut prover = Prover::new();
    let mut net = site.network(&mut prover);
    let found: Vec<_> = reach::check(&mut net).into_iter().filter(|v| v.code.0 == code).collect();
    assert!(!found.is_empty(), "{code} is not found");
    let text = found.iter().map(|v| v.diagnostic(&site.source).render(&site.source)).collect::<Vec<_>>().join("\n");
    let expected = dir.join("expected.txt");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&expected, &text).expect("write");
    }
    assert_eq!(text, std::fs::read_to_string(expected).expect("expected"));
}

macro_rules! cases {
    ($($name:ident $code:literal),* $(,)?) => {$(
        #[test]
        fn $name() {
            case($code);
        }
    )*};
}

cases! {
    net001 "NET001", net002 "NET002", net003 "NET003", net004 "NET004", net005 "NET005", net006 "NET006",
    net007 "NET007", net008 "NET008", net009 "NET009", net010 "NET010", net011 "NET011", net012 "NET012",
}

#[test]
fn every_invariant_has_a_case_and_a_page() {
    for i in reach::invariant::ALL {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert!(root.join("tests/invariants").join(i.code.0).join("expected.txt").exists(), "{} has no case", i.code);
        let page = root.join("../../docs/invariants").join(format!("{}.md", i.code.0));
        let text = std::fs::read_to_string(&page).unwrap_or_else(|e| panic!("{}: {e}", page.display()));
        assert!(text.contains(i.title), "{} does not say `{}`", page.display(), i.title);
        assert!(text.contains("## Bad") && text.contains("## Good"), "{} lacks an example", page.display());
    }
}
