//! A rule in words: who with whom, what must be true, where it is looked for, what happens then. In comes a rule, out come
//! lines. Never: leaves a condition out.

use crate::{
    buffer::{Over, Side},
    header::{Action, Direction},
    num::Number,
    pattern,
    rule::{Check, Content, Effect, Group, LimitKind, Rule, State, Test, Value},
};
use serde::Serialize;

/// The rule in words, a line each.
pub fn lines(rule: &Rule) -> Vec<String> {
    let mut out = vec![format!("rule {} revision {}: {}", rule.meta.sid, rule.meta.rev, rule.meta.msg), action(rule)];
    out.push(ends(rule));
    out.extend(rule.checks.iter().map(|c| format!("needs {}", check(c))));
    for (i, group) in rule.groups.iter().enumerate() {
        out.push(format!("in {}:", place(group)));
        for (j, test) in group.tests.iter().enumerate() {
            let first = rule.prefilter.as_ref().filter(|p| (p.group, p.test) == (i, j));
            let mark = first.map_or("", |p| if p.chosen { " (the prefilter, chosen by the rule)" } else { " (the prefilter)" });
            out.push(format!("  {}{mark}", condition(test)));
        }
    }
    out.push(match &rule.prefilter {
        Some(p) => format!(
            "looked for first: \"{}\"{} in {}",
            pattern::text(&p.bytes),
            if p.nocase { ", case ignored," } else { "" },
            rule.groups.get(p.group).map_or("", |g| g.buffer.row().name)
        ),
        None => "nothing is looked for first: held against all traffic that its header and flow allow".to_owned(),
    });
    if let Some(l) = rule.limit {
        let what = match l.kind {
            LimitKind::Limit => "told at most".to_owned(),
            LimitKind::Threshold => "told every".to_owned(),
            LimitKind::Both => "told once in the time, from".to_owned(),
            LimitKind::Backoff(f) => format!("told growing apart by {f}, from"),
            LimitKind::Filter => "matches only beyond".to_owned(),
        };
        out.push(format!("{what} {} in {} seconds, counted by {}", l.count, l.seconds, plain(&l.track)));
    }
    out.extend(rule.effects.iter().map(|e| format!("then {}", effect(e))));
    out
}

fn action(rule: &Rule) -> String {
    let what = match rule.header.action {
        Action::Alert => "tells",
        Action::Drop => "drops the packet and tells",
        Action::Pass => "lets the packet pass",
        Action::RejectSource => "drops the packet, answers its source, and tells",
        Action::RejectDestination => "drops the packet, answers its destination, and tells",
        Action::RejectBoth => "drops the packet, answers both ends, and tells",
        Action::Config => "changes how the flow is treated",
    };
    let class = rule.meta.class.as_ref().map(|c| format!(", class {c}")).unwrap_or_default();
    format!("{what}; priority {}{class}", rule.meta.priority)
}

fn ends(rule: &Rule) -> String {
    let h = &rule.header;
    let addresses = |a: &crate::group::Addresses| {
        if a.is_any() {
            "any address".to_owned()
        } else {
            format!("{} ranges of IPv4 and {} of IPv6", a.v4.parts().len(), a.v6.parts().len())
        }
    };
    let ports = |p: &crate::group::Ports| match p.parts() {
        _ if p.is_all() => "any port".to_owned(),
        parts => format!(
            "port {}",
            parts.iter().map(|(a, b)| if a == b { a.to_string() } else { format!("{a}-{b}") }).collect::<Vec<_>>().join(", ")
        ),
    };
    let way = match h.direction {
        Direction::To => "to",
        Direction::Either => "to or from",
        Direction::Transaction => "both ways in one transaction with",
    };
    format!(
        "{} from {} at {} {way} {} at {}",
        plain(&h.protocol),
        addresses(&h.source),
        ports(&h.source_ports),
        addresses(&h.destination),
        ports(&h.destination_ports)
    )
}

fn place(group: &Group) -> String {
    let row = group.buffer.row();
    let side = match row.side {
        Side::Client => ", sent by the client",
        Side::Server => ", sent by the server",
        Side::Both => "",
    };
    let over = match row.over {
        Over::Apps(apps) => format!(" (from {})", apps.iter().map(plain).collect::<Vec<_>>().join(", ")),
        _ => String::new(),
    };
    let through = match group.transforms.as_slice() {
        [] => String::new(),
        some => format!(", after {}", some.iter().map(plain).collect::<Vec<_>>().join(", ")),
    };
    format!("{}{over}{side}{through}", row.name)
}

fn value(v: &Value) -> String {
    match v {
        Value::Number(n) => n.to_string(),
        Value::Variable { variable } => format!("variable {variable}"),
    }
}

fn number(n: Number) -> String {
    match n {
        Number::Is(v) => format!("is {v}"),
        Number::Not(v) => format!("is not {v}"),
        Number::Below(v) => format!("is below {v}"),
        Number::AtMost(v) => format!("is at most {v}"),
        Number::Above(v) => format!("is above {v}"),
        Number::AtLeast(v) => format!("is at least {v}"),
        Number::Between(a, b) => format!("is above {a} and below {b}"),
        Number::NotBetween(a, b) => format!("is not above {a} and below {b}"),
        Number::Mask { mask, value, negated } => format!("has {}the bits {value:#x} of {mask:#x}", if negated { "not " } else { "" }),
    }
}

fn content(c: &Content) -> String {
    let mut out = format!("{}\"{}\"", if c.negated { "not " } else { "" }, pattern::text(&c.bytes));
    let mut add = |yes: bool, text: &str| out += if yes { text } else { "" };
    add(c.nocase, ", case ignored");
    add(c.startswith, ", at the beginning");
    add(c.endswith, ", at the end");
    add(c.rawbytes, ", before decoding");
    for (v, text) in [
        (&c.offset, "from byte"),
        (&c.depth, "within the first bytes:"),
        (&c.distance, "after the last match by at least"),
        (&c.within, "ending after the last match by at most"),
    ] {
        out += &v.as_ref().map(|v| format!(", {text} {}", value(v))).unwrap_or_default();
    }
    out
}

fn condition(t: &Test) -> String {
    match t {
        Test::Content(c) => content(c),
        Test::Pcre(p) => format!(
            "{}the expression /{}/{}{}",
            if p.negated { "not " } else { "" },
            p.expression,
            p.flags,
            if p.relative { ", after the last match" } else { "" }
        ),
        Test::Size(n) => format!("its length {}", number(*n)),
        Test::DataAt { bytes, relative, negated, .. } => format!(
            "{} {} bytes{}",
            match (relative, negated) {
                (true, false) => "at least",
                (true, true) => "fewer than",
                (false, false) => "more than",
                (false, true) => "at most",
            },
            value(bytes),
            if *relative { " after the last match" } else { "" }
        ),
        Test::Absent { or_else } => if *or_else { "it is absent, or:" } else { "it is absent" }.to_owned(),
        other => plain(other),
    }
}

fn check(c: &Check) -> String {
    match c {
        Check::Flow(f) => {
            let mut parts = Vec::new();
            parts.extend(f.side.map(|s| if s == Side::Server { "packets to the client" } else { "packets to the server" }));
            parts.extend(f.state.map(|s| match s {
                State::Established => "an established flow",
                State::NotEstablished => "a flow not yet established",
                State::Stateless => "a flow in any state",
            }));
            parts.extend(f.stream.map(|s| if s { "bytes of the stream only" } else { "packets only" }));
            parts.extend(f.fragment.map(|s| if s { "reassembled fragments" } else { "no fragments" }));
            parts.join(", ")
        }
        Check::Quantity(q, n) => format!("that {} {}", plain(q), number(*n)),
        Check::Bits { any, negated } => {
            let names = any.iter().map(|b| format!("`{}` of {}", b.name, plain(&b.scope))).collect::<Vec<_>>().join(" or ");
            let all = if *negated && any.len() > 1 { " (one of them at least)" } else { "" };
            format!("{names} {}{all}", if *negated { "not set" } else { "set" })
        }
        other => plain(other),
    }
}

fn effect(e: &Effect) -> String {
    match e {
        Effect::Set(b, _) => format!("sets `{}` of {}", b.name, plain(&b.scope)),
        Effect::Unset(b) => format!("unsets `{}` of {}", b.name, plain(&b.scope)),
        Effect::Toggle(b) => format!("toggles `{}` of {}", b.name, plain(&b.scope)),
        Effect::NoAlert => "tells nothing".to_owned(),
        other => plain(other),
    }
}

/// A small value as its JSON says it, without the punctuation.
fn plain<T: Serialize>(value: &T) -> String {
    let json = serde_json::to_string(value).unwrap_or_default();
    json.chars().filter(|c| !matches!(c, '"' | '{' | '}')).collect::<String>().replace(':', " ").replace(',', ", ")
}
