//! Checks over a whole rule, once all its options are read: what can never match, what speaks against itself, what costs.

use crate::{
    buffer::{Buffer, Side},
    build::Build,
    fault::{self, Fault},
    header::Direction,
    limits::DEFAULT_PRIORITY,
    rule::{Bit, Check, Content, Effect, Group, Prefilter, Quantity, Rule, State, Test, Transform, Value},
};

/// Length of an MD5 digest in hex, which is what JA3 is.
const MD5_HEX: usize = 32;

/// Adds what is wrong.
pub(crate) fn verify(b: &mut Build<'_>, prefilter: Option<&Prefilter>) {
    let mut faults = Vec::new();
    if b.meta.sid == 0 && !b.saw("sid") {
        faults.push(Fault::new(fault::FORM, "the rule has no number", "write `sid:NUMBER;`, a number no other rule has"));
    }
    if !b.saw("priority") {
        let class = b.meta.class.as_ref().and_then(|c| b.tables.classes.as_ref()?.get(c));
        b.meta.priority = class.map_or(DEFAULT_PRIORITY, |c| c.priority);
    }
    sides(b, &mut faults);
    for group in &b.groups {
        for test in &group.tests {
            if let Test::Content(c) = test {
                faults.extend(content(group, c).err());
            }
        }
        let absent = group.tests.iter().any(|t| matches!(t, Test::Absent { or_else: false }));
        if absent && group.tests.len() > 1 {
            let help = "write `absent:or_else;`, or leave the other conditions out";
            faults.push(Fault::never(format!("{} is to be absent, and more is asked of it", group.buffer.row().name), help));
        }
        faults.extend(size(group, Rule::size(group).and_then(crate::num::Number::largest), "bsize").err());
    }
    for (quantity, buffer, name) in [
        (Quantity::PayloadSize, Buffer::Payload, "dsize"),
        (Quantity::HttpUriLength, Buffer::HttpUri, "urilen"),
        (Quantity::HttpRawUriLength, Buffer::HttpUriRaw, "urilen"),
    ] {
        let most = b.checks.iter().filter_map(|c| match c {
            Check::Quantity(q, n) if *q == quantity => n.largest(),
            _ => None,
        });
        let most = most.min();
        for group in b.groups.iter().filter(|g| g.buffer == buffer && g.transforms.is_empty()) {
            faults.extend(size(group, most, name).err());
        }
    }
    bits(b, &mut faults);
    cost(b, prefilter, &mut faults);
    b.faults.append(&mut faults);
}

fn sides(b: &Build<'_>, faults: &mut Vec<Fault>) {
    let transaction = b.header.as_ref().is_some_and(|h| h.direction == Direction::Transaction);
    let of = |side: Side| b.groups.iter().find(|g| g.buffer.row().side == side).map(|g| g.buffer.row().name);
    let flow = b.checks.iter().find_map(|c| match c {
        Check::Flow(f) => f.side,
        _ => None,
    });
    if let (Some(client), Some(server), false) = (of(Side::Client), of(Side::Server), transaction) {
        let help = "make two rules of it, tied by a flowbit, or write `=>` in the header";
        faults.push(Fault::never(format!("{client} is what the client sends and {server} what the server sends"), help));
    }
    let other = match flow {
        Some(Side::Client) => of(Side::Server),
        Some(Side::Server) => of(Side::Client),
        _ => None,
    };
    if let Some(name) = other.filter(|_| !transaction) {
        faults.push(Fault::never(format!("{name} does not go in the direction that `flow` names"), "turn the direction in `flow` round"));
    }
}

fn content(group: &Group, c: &Content) -> Result<(), Fault> {
    let name = group.buffer.row().name;
    let upper = c.bytes.iter().any(u8::is_ascii_uppercase);
    let never = |why: &str, help: &str| {
        Err(Fault::never(format!("{name} holds {why}, the content is \"{}\"", crate::pattern::text(&c.bytes)), help).or_at_keyword(name))
    };
    if !group.transforms.is_empty() {
        let lower = matches!(group.transforms.last(), Some(Transform::ToLowercase));
        let fixed = match group.transforms.last() {
            Some(Transform::ToMd5) => Some(16),
            Some(Transform::ToSha1) => Some(20),
            Some(Transform::ToSha256) => Some(32),
            _ => None,
        };
        return match fixed {
            Some(most) if c.bytes.len() > most && !c.negated => {
                never(&format!("{most} bytes of a digest"), "write the digest in hex between bars")
            }
            _ if lower && upper && !c.nocase && !c.negated => never("no capital letters", "write it in small letters"),
            _ => Ok(()),
        };
    }
    match group.buffer {
        Buffer::HttpMethod if c.bytes.ends_with(b" ") || c.bytes.starts_with(b" ") => never("no blanks at its ends", "leave them out"),
        Buffer::HttpHost if c.nocase => {
            let text = "http.host is in small letters already".to_owned();
            Err(Fault::new(fault::PLACE, text, "leave nocase out, and write the content in small letters").or_at_keyword("nocase"))
        }
        Buffer::HttpHost if upper => never("no capital letters", "write it in small letters"),
        Buffer::Ja3Hash | Buffer::Ja3sHash if c.bytes.len() != MD5_HEX => never("32 hex digits", "write the whole digest"),
        Buffer::HttpUserAgent | Buffer::HttpHostRaw if c.bytes.windows(2).any(|w| w == b"\r\n") && !c.negated => {
            // The peer loads these; they are loaded, and named.
            never("no line ends, so that the rule never matches", "use http.header, or endswith").map_err(Fault::into_warning)
        }
        _ => Ok(()),
    }
}

impl Fault {
    fn into_warning(mut self) -> Self {
        self.severity = words::Severity::Warning;
        self
    }
    fn or_at_keyword(mut self, keyword: &str) -> Self {
        self.keyword.get_or_insert_with(|| keyword.to_owned());
        self
    }
}

/// A content longer than the buffer may be.
fn size(group: &Group, most: Option<u64>, keyword: &str) -> Result<(), Fault> {
    let Some(most) = most else { return Ok(()) };
    let needed = group.tests.iter().filter_map(|t| match t {
        Test::Content(c) if !c.negated => {
            let offset = match c.offset {
                Some(Value::Number(n)) => u64::try_from(n).unwrap_or(0),
                _ => 0,
            };
            Some(offset + c.bytes.len() as u64)
        }
        _ => None,
    });
    match needed.max().filter(|n| *n > most) {
        Some(n) => {
            let help = "mend the size or the content";
            Err(Fault::never(format!("a content needs {n} bytes, and {keyword} allows {most}"), help).or_at_keyword(keyword))
        }
        None => Ok(()),
    }
}

/// A bit that one rule sets and asks for.
fn bits(b: &Build<'_>, faults: &mut Vec<Fault>) {
    let of = |set: bool| -> Vec<&Bit> {
        let pick = |e: &'_ Effect| matches!((e, set), (Effect::Set(..), true) | (Effect::Unset(_), false));
        b.effects
            .iter()
            .filter(|e| pick(e))
            .filter_map(|e| if let Effect::Set(bit, _) | Effect::Unset(bit) = e { Some(bit) } else { None })
            .collect()
    };
    let (set, unset) = (of(true), of(false));
    if let Some(bit) = set.iter().find(|bit| unset.contains(bit)) {
        faults.push(Fault::warning(fault::DOUBT, format!("`{}` is set and unset by the same rule", bit.name), "keep one of them"));
    }
    let asked = |negated: bool| {
        b.checks.iter().filter_map(move |c| if let Check::Bits { any, negated: n } = c { (*n == negated).then_some(any) } else { None })
    };
    for any in asked(false).filter(|any| any.len() == 1) {
        if asked(true).any(|unset| unset == any) {
            faults.push(Fault::never(format!("`{}` is to be set and not set", any[0].name), "keep one of them"));
        }
    }
}

/// Advice where a rule is held against more than it must.
fn cost(b: &Build<'_>, prefilter: Option<&Prefilter>, faults: &mut Vec<Fault>) {
    if b.groups.is_empty() {
        return;
    }
    let established = b.checks.iter().any(|c| matches!(c, Check::Flow(f) if f.state == Some(State::Established)));
    let Some(found) = prefilter else {
        let expression = b.groups.iter().flat_map(|g| &g.tests).find_map(|t| if let Test::Pcre(p) = t { Some(p) } else { None });
        let text = match expression {
            Some(p) if !p.expression.starts_with('^') => {
                "no content: the expression is tried from every byte of every buffer it may be about"
            }
            _ => "no content that could be looked for first: the rule is held against all its protocol's traffic",
        };
        let help =
            if established { "add a content that must be there" } else { "add a content that must be there, and `flow:established`" };
        faults.push(Fault::note(fault::COST, text, help));
        return;
    };
    if found.bytes.len() < 2 {
        let help = "add a longer content, or choose one by fast_pattern";
        faults.push(Fault::note(
            fault::COST,
            format!("the prefilter is {} byte long: it is found nearly everywhere", found.bytes.len()),
            help,
        ));
    }
}
