//! What UFW does not judge. Ports an engine publishes are translated before UFW's input chains and forwarded by the engine's own
//! rules before UFW's forwarding chains: a table of Ravelin's own, which no engine touches and no restart of one empties, asks
//! them at the forwarding hook by the address and port they were opened to. In comes a host, out come the chains. Never: judges
//! what comes to the machine itself or leaves it.

use crate::build::{Build, NF_V4, NF_V6, addresses, digit, is, one_of};
use crate::container::{engine, inner};
use crate::essential;
use crate::grant::{Grant, interval, ports, proto, public};
use crate::host::{Side, grants};
use ruleset::{ChainKind, Hook, Key, Op, Policy, Rule, Statement, Value, Verdict};
use words::Family;

/// Connection status bit: its destination was translated.
const DNAT: u128 = 32;

/// The chains at the forwarding hook and, where an engine runs, after its source translation.
pub(crate) fn chains(b: &mut Build<'_>) {
    let mut rules = Vec::new();
    if engine(b.host) {
        rules.push(essential::established(b, "forward"));
        rules.extend(essential::related(b, "forward"));
        let accept = || vec![Statement::Verdict(Verdict::Accept)];
        // Nothing is forwarded through `lo`, the first of them.
        for s in inner(&Key::Iifname).into_iter().skip(1) {
            let (what, why) = ("leaves what containers open to the engine and to `engine-out`", "it is judged where it leaves");
            rules.push(b.builtin("inner/forward", what, why, [s, accept()].concat()));
        }
        for management in [true, false] {
            for g in grants(b, Side::In, management) {
                rules.extend(published(b, &g));
            }
        }
        let (what, why) = ("refuses ports an engine publishes and no flow allows", "engines publish past UFW");
        rules.extend(b.refuse("deny/published", what, why, vec![translated()]));
        crate::container::egress(b);
    }
    let why = "this machine is no router, and containers are reached by published ports";
    rules.extend(b.refuse("deny/forward", "refuses to forward", why, Vec::new()));
    b.base("forward", ChainKind::Filter, Hook::Forward, 0, Policy::Drop, rules);
}

fn translated() -> Statement {
    Statement::Match { key: Key::CtStatus, mask: Some(DNAT), op: Op::NotIn, values: vec![Value::one(0u8)] }
}

/// Lets pass what a flow allows to a port of this machine, wherever the engine sent it on.
fn published(b: &mut Build<'_>, g: &Grant<'_>) -> Option<Rule> {
    let target = &g.flow.target;
    if !target.proto.has_ports() {
        return None;
    }
    let (src, _) = addresses(g.family);
    let mut when = vec![one_of(Key::NfProto, &[if g.family == Family::V4 { NF_V4 } else { NF_V6 }]), translated()];
    when.push(match g.from_public {
        true => Statement::Lookup { keys: vec![src], set: public(b, g.family), negated: false },
        false => is(src, g.src.iter().map(interval)),
    });
    if g.family == Family::V4 {
        when.push(is(Key::CtOrigIp4Daddr, g.dst.iter().map(interval)));
    }
    when.push(one_of(Key::L4Proto, &[proto(target.proto, g.family).into()]));
    when.push(is(Key::CtOrigDport, ports(&target.ports)));
    when.extend([Statement::Counter, Statement::Verdict(Verdict::Accept)]);
    let id = g.flow.id.0.clone();
    let what = format!("lets {} open {} on {}, published by an engine (IPv{})", g.flow.from, g.flow.to, target, digit(g.family));
    b.explain(&id, || (what, g.flow.why.clone(), g.flow.origins.clone()));
    Some(Rule { id: Some(id), statements: when, ..Rule::default() })
}
