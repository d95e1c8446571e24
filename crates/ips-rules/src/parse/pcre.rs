//! Regular expressions: `pcre:"/EXPRESSION/FLAGS"`. Each is compiled once by the library whose meaning it has, so that a rule
//! with one that does not compile is refused here and not while packets wait. The same expression is compiled once only.

use crate::{
    buffer::Buffer,
    build::Build,
    fault::{self, Fault},
    option::Opt,
    rule::{Capture, Pcre, Test},
};
use pcre2::bytes::RegexBuilder;

/// Flags that name a buffer.
const BUFFERS: [(char, Buffer); 13] = [
    ('U', Buffer::HttpUri),
    ('I', Buffer::HttpUriRaw),
    ('P', Buffer::HttpRequestBody),
    ('Q', Buffer::HttpResponseBody),
    ('H', Buffer::HttpHeader),
    ('D', Buffer::HttpHeaderRaw),
    ('M', Buffer::HttpMethod),
    ('C', Buffer::HttpCookie),
    ('S', Buffer::HttpStatusCode),
    ('Y', Buffer::HttpStatusMessage),
    ('V', Buffer::HttpUserAgent),
    ('W', Buffer::HttpHost),
    ('Z', Buffer::HttpHostRaw),
];

const FORM: &str = "pcre:[!]\"/EXPRESSION/FLAGS[, flow:NAME][, pkt:NAME]\"";

pub fn pcre(b: &mut Build<'_>, o: &Opt<'_>) -> Result<(), Fault> {
    let v = o.need()?;
    let (negated, v) = v.strip_prefix('!').map_or((false, v), |r| (true, r.trim_start()));
    let text = v.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(v).trim();
    let body = text.strip_prefix('/').ok_or_else(|| Fault::value("the expression begins with a slash", FORM))?;
    let end = body.rfind('/').ok_or_else(|| Fault::value("the expression ends with a slash", FORM))?;
    let (expression, tail) = (&body[..end], &body[end + 1..]);
    let mut parts = tail.split(',').map(str::trim);
    let mut read = Pcre { expression: expression.to_owned(), negated, relative: false, flags: String::new(), captures: Vec::new() };
    let mut buffer = None;
    for flag in parts.next().unwrap_or_default().chars() {
        match flag {
            'R' => read.relative = true,
            'B' | 'O' => {}
            'i' | 'm' | 's' | 'x' | 'A' | 'E' | 'G' => read.flags.push(flag),
            _ => {
                let named = BUFFERS.iter().find(|(f, _)| *f == flag).map(|(_, b)| *b);
                let named = named.ok_or_else(|| Fault::value(format!("there is no flag `{flag}`"), FORM))?;
                if buffer.replace(named).is_some_and(|other| other != named) {
                    return Err(Fault::place("two flags name two buffers", "leave one of them out"));
                }
            }
        }
    }
    let mut flags: Vec<char> = read.flags.chars().collect();
    flags.sort_unstable();
    flags.dedup();
    read.flags = flags.into_iter().collect();
    for name in parts {
        let (scope, name) = name.split_once(':').ok_or_else(|| Fault::value(format!("`{name}` does not do"), FORM))?;
        let flow = match scope.trim() {
            "flow" => true,
            "pkt" => false,
            // An alert's own variable: kept with the packet, and told with it.
            "alert" => false,
            other => return Err(Fault::value(format!("`{other}` keeps nothing"), FORM)),
        };
        crate::build::check_name(name.trim())?;
        read.captures.push(Capture { flow, name: name.trim().to_owned() });
    }
    let groups = b.tables.compiled.check(expression, &read.flags)?;
    if read.captures.len() > groups {
        let help = "put the parts to be kept in parentheses";
        return Err(Fault::place(format!("{} names, and the expression has {groups} groups", read.captures.len()), help));
    }
    match buffer {
        Some(buffer) => b.test_in(buffer, Test::Pcre(read)),
        None if read.relative && b.first() => Err(Fault::place(
            "there is no match before it in the same buffer, to be relative to",
            "leave the flag R out, or name the buffer by its flag",
        )),
        None => {
            if read.relative && b.fresh() {
                let text = "there is no match before it in this buffer: it is tried from the buffer's beginning";
                b.faults.push(Fault::warning(fault::DOUBT, text, "leave the flag R out, and begin with ^").or_at(&o.value_at, o.name));
            }
            // A relative expression without flag is about the payload, as with the peer.
            b.test(Test::Pcre(read), false);
            Ok(())
        }
    }
}

/// Compiles; the number of groups, or why not.
pub(crate) fn compile(expression: &str, flags: &str) -> Result<usize, Fault> {
    let has = |f| flags.contains(f);
    // What the builder has no switch for is written into the expression: it changes meaning, not whether it compiles.
    let mut written = String::from(if has('G') { "(?U)" } else { "" });
    written += expression;
    let built = RegexBuilder::new().caseless(has('i')).multi_line(has('m')).dotall(has('s')).extended(has('x')).build(&written);
    match built {
        Ok(regex) => Ok(regex.captures_len().saturating_sub(1)),
        Err(e) => Err(Fault::new(fault::PCRE, format!("the expression does not compile: {e}"), "mend it; `;` within is written \\x3b")),
    }
}
