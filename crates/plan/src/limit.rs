//! Rate and connection limits for what the public may use, keyed per v4 address and v6 /64 (who has one address of a /64
//! has all of them). What the site file gives a limit refuses more; everything else counts, for `learn` to propose one.
//! In come a chain's grants, out come its meters. Never: limits management, or drops while observing.

use crate::build::{Build, address_type, addresses, digit, is, short};
use crate::grant::{Grant, interval, ports, proto, public};
use ruleset::{DynKey, Key, Rule, Set, Statement, Value, Verdict};
use site::model::{Flow, Limit, Model, Party};
use words::Family;

/// What is counted as much where the site file says nothing. A libp2p peer opens a few connections; a scanner hundreds.
pub const COUNT_ABOVE: Limit = Limit { new: 50, held: 200 };
/// Seconds' worth of new connections that a source may open at once: a peer that restarts comes back with all of them.
pub const BURST_SECONDS: u64 = 2;
/// Sources remembered at once: 65,535 entries are about 16 MB.
pub const SOURCES: u32 = 65_535;
/// Seconds a quiet source is remembered.
pub const FORGET_AFTER: u64 = 60;
/// The network part of a v6 address.
const SLASH_64: u128 = !0 << 64;

/// The meters of a chain, if the public may use anything through it.
pub(crate) fn meters(b: &mut Build<'_>, chain: &str, grants: &[Grant<'_>]) -> Vec<Rule> {
    let mut out = Vec::new();
    for family in Family::ALL {
        let of_public: Vec<&Grant<'_>> = grants.iter().filter(|g| g.family == family && g.from_public).collect();
        if of_public.iter().any(|g| limit_of(b.model, g.flow).is_none()) {
            out.extend(pair(b, chain, family, Vec::new(), COUNT_ABOVE, false));
        }
        for g in of_public {
            if let Some(limit) = limit_of(b.model, g.flow) {
                let (_, dst) = addresses(family);
                let listener = vec![
                    is(dst, g.dst.iter().map(interval)),
                    is(Key::L4Proto, [Value::one(proto(g.flow.target.proto, family))]),
                    is(Key::Dport, ports(&g.flow.target.ports)),
                ];
                out.extend(pair(b, &format!("{chain}/{}", g.flow.id.0), family, listener, limit, true));
            }
        }
    }
    out
}

/// The limit of the publication a flow comes from.
pub(crate) fn limit_of(model: &Model, flow: &Flow) -> Option<Limit> {
    let (_, endpoint, instance) = flow.service.as_ref()?;
    let of = |p: &&site::model::Publish| {
        flow.to == Party::Host(p.host.clone())
            && (&p.endpoint, &p.instance) == (endpoint, instance)
            && flow.target.ports.contains(p.host_port)
            && p.proto.contains(&flow.target.proto)
    };
    model.publishes.iter().find(of)?.limit
}

/// The two meters, for openings and for what is held, of packets from the public that also fit `listener`.
fn pair(b: &mut Build<'_>, name: &str, family: Family, listener: Vec<Statement>, limit: Limit, refuses: bool) -> Vec<Rule> {
    let d = digit(family);
    let source = addresses(family).0;
    let key = DynKey { key: source.clone(), mask: (family == Family::V6).then_some(SLASH_64) };
    let mut from_public = listener;
    from_public.push(Statement::Lookup { keys: vec![source], set: public(b, family), negated: false });
    let (rate, burst) = (u64::from(limit.new), u64::from(limit.new) * BURST_SECONDS);
    let over = Statement::Limit { rate, per: "second".to_owned(), burst, over: true, bytes: false };
    let held = Statement::ConnLimit { count: limit.held, over: true };
    let verb = if refuses { "refuses" } else { "counts" };
    let opened = format!("{verb} sources that open more than {} connections per second", limit.new);
    let holding = format!("{verb} sources that hold more than {} connections", limit.held);
    let mut out = Vec::new();
    for (word, per_source, timeout, what) in [("rate", over, Some(FORGET_AFTER), opened), ("held", held, None, holding)] {
        let set = format!("{word}/{name}/{d}");
        b.set(&set, Set { types: vec![address_type(family)], dynamic: true, timeout, size: Some(SOURCES), ..Set::default() });
        let op = if timeout.is_some() { "update" } else { "add" };
        let meter = Statement::Dynamic { op: op.to_owned(), keys: vec![key.clone()], set: set.clone(), statements: vec![per_source] };
        let mut statements = from_public.clone();
        statements.push(meter);
        if refuses {
            // A chain of its own: asking the meter twice would count twice.
            let chain = format!("over/{set}");
            let refusal = b.exceed(&set, &what, WHY);
            b.chain(chain.clone(), refusal);
            statements.push(Statement::Verdict(Verdict::Jump(chain)));
        } else {
            statements.push(Statement::Counter);
        }
        let id = short(&set);
        out.push(b.builtin(&id, &what, WHY, statements));
    }
    out
}

const WHY: &str = "one source must not use up what many share";
