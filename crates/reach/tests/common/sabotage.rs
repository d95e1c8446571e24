//! Rulesets broken by hand, for the invariants that no site file can break. The lab's tests use the same ones.

use ruleset::form::{Base, Chain, Key, Op, Policy, Rule, Ruleset, Statement, Value, Verdict};
use std::collections::BTreeMap;
use words::HostName;

fn host(name: &str) -> HostName {
    HostName::new(name).expect("host")
}

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
pub fn sabotage(code: &str, rulesets: &mut BTreeMap<HostName, Ruleset>) {
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
