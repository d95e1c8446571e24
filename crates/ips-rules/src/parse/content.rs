//! Contents and what stands behind them: `nocase`, `depth`, `fast_pattern` and the like, and sizes of buffers.

use crate::{
    buffer::Buffer,
    build::Build,
    fault::{self, Fault},
    num::Number,
    option::Opt,
    pattern,
    rule::{Check, Content, Fast, Quantity, Test, Value},
};

type Done = Result<(), Fault>;

fn read(o: &Opt<'_>) -> Result<Content, Fault> {
    let (negated, text) = o.quoted()?;
    let bytes = pattern::bytes(text).map_err(|e| Fault::new(fault::VALUE, e, "a content is written \"text|20 hex|\""))?;
    Ok(Content { bytes, negated, ..Content::default() })
}

pub fn content(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    let content = read(o)?;
    b.content(content);
    Ok(())
}

/// `uricontent:"x"` is `content:"x"; http_uri;`.
pub fn uricontent(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    let content = read(o)?;
    b.content(content);
    b.moved(Buffer::HttpUri)
}

fn twice() -> Fault {
    Fault::place("the content has this already", "take one of them out")
}

fn mixed() -> Fault {
    Fault::place("depth and offset count from the beginning, distance and within from the last match", "keep one kind for this content")
}

fn chosen_and_negated(c: &Content) -> Done {
    if c.negated && c.fast.is_some() {
        let help = "a negated content can be the prefilter only where its place does not matter: leave fast_pattern out";
        return Err(Fault::place("a negated content with a place is the prefilter", help));
    }
    Ok(())
}

fn plain(o: &Opt<'_>) -> Done {
    match o.value {
        Some(_) => Err(Fault::value("takes no value", &format!("{};", o.name))),
        None => Ok(()),
    }
}

pub fn nocase(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    plain(o)?;
    let c = b.modified()?;
    if std::mem::replace(&mut c.nocase, true) { Err(twice()) } else { Ok(()) }
}

pub fn rawbytes(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    plain(o)?;
    let c = b.modified()?;
    if std::mem::replace(&mut c.rawbytes, true) { Err(twice()) } else { Ok(()) }
}

fn value(b: &Build<'_>, o: &Opt<'_>) -> Result<Value, Fault> {
    b.value(o.unquoted()?)
}

fn not_negative(v: Value) -> Result<Value, Fault> {
    match v {
        Value::Number(n) if !(0..=65_535).contains(&n) => Err(Fault::value(format!("{n} does not do"), "a number from 0 to 65535")),
        v => Ok(v),
    }
}

fn too_short(v: &Value, c: &Content, what: &str) -> Done {
    let needed = i64::try_from(c.bytes.len()).unwrap_or(i64::MAX);
    match v {
        Value::Number(n) if *n < needed => {
            Err(Fault::never(format!("{what} {n} is less than the content's {needed} bytes"), format!("make it {needed} or more")))
        }
        _ => Ok(()),
    }
}

pub fn depth(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    let v = not_negative(value(b, o)?)?;
    let c = b.modified()?;
    if c.depth.is_some() || c.startswith {
        return Err(twice());
    }
    if c.distance.is_some() || c.within.is_some() {
        return Err(mixed());
    }
    too_short(&v, c, "depth")?;
    c.depth = Some(v);
    chosen_and_negated(c)
}

pub fn offset(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    let v = not_negative(value(b, o)?)?;
    let c = b.modified()?;
    if c.offset.is_some() || c.startswith {
        return Err(twice());
    }
    if c.distance.is_some() || c.within.is_some() {
        return Err(mixed());
    }
    c.offset = Some(v);
    chosen_and_negated(c)
}

fn relative(b: &mut Build<'_>) -> Done {
    let before_only = matches!(b.before_modified(), Some(Test::Content(p)) if p.fast == Some(Fast::Only));
    if before_only {
        return Err(Fault::place("the content before is fast_pattern:only and has no place", "leave `:only` out there"));
    }
    let c = b.modified()?;
    if c.depth.is_some() || c.offset.is_some() || c.startswith {
        return Err(mixed());
    }
    if c.fast == Some(Fast::Only) {
        return Err(Fault::place("a content that is fast_pattern:only has no place", "leave `:only` out"));
    }
    Ok(())
}

/// Farthest a relative place may be, in bytes either way: the peer's bound.
const FARTHEST: i64 = 1 << 20;

fn near(v: Value) -> Result<Value, Fault> {
    match v {
        Value::Number(n) if n.abs() > FARTHEST => Err(Fault::value(format!("{n} does not do"), "a number from -1048576 to 1048576")),
        v => Ok(v),
    }
}

pub fn distance(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    let v = near(value(b, o)?)?;
    relative(b)?;
    let c = b.modified()?;
    if c.distance.is_some() {
        return Err(twice());
    }
    c.distance = Some(v);
    chosen_and_negated(c)
}

pub fn within(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    let v = near(value(b, o)?)?;
    relative(b)?;
    let c = b.modified()?;
    if c.within.is_some() {
        return Err(twice());
    }
    too_short(&v, c, "within")?;
    c.within = Some(v);
    chosen_and_negated(c)
}

pub fn startswith(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    plain(o)?;
    let c = b.modified()?;
    if c.startswith || c.depth.is_some() || c.offset.is_some() {
        return Err(Fault::place("startswith is depth and offset in one", "leave depth and offset out, or startswith"));
    }
    if c.distance.is_some() || c.within.is_some() {
        return Err(mixed());
    }
    c.startswith = true;
    chosen_and_negated(c)
}

pub fn endswith(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    plain(o)?;
    let c = b.modified()?;
    if std::mem::replace(&mut c.endswith, true) { Err(twice()) } else { Ok(()) }
}

pub fn fast_pattern(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    let other = b.groups.iter().flat_map(|g| &g.tests).any(|t| matches!(t, Test::Content(c) if c.fast.is_some()));
    let c = b.modified()?;
    if other {
        return Err(Fault::place("fast_pattern stands twice in this rule", "one content is the prefilter: leave it at one"));
    }
    let placed = c.distance.is_some() || c.within.is_some() || c.offset.is_some() || c.depth.is_some() || c.startswith;
    c.fast = Some(match o.value.filter(|v| !v.is_empty()) {
        None => Fast::Whole,
        Some("only") if placed => {
            return Err(Fault::place("a content with a place cannot be fast_pattern:only", "leave `:only` out, or the place"));
        }
        Some("only") => Fast::Only,
        Some(part) => {
            let form = "fast_pattern:OFFSET,LENGTH";
            let read = part.split_once(',').and_then(|(a, l)| Some((a.trim().parse::<u16>().ok()?, l.trim().parse::<u16>().ok()?)));
            let (from, length) = read.filter(|(_, l)| *l > 0).ok_or_else(|| Fault::value(format!("`{part}` does not do"), form))?;
            if usize::from(from) + usize::from(length) > c.bytes.len() {
                return Err(Fault::value(format!("byte {from} and {length} more are beyond the content's {}", c.bytes.len()), form));
            }
            Fast::Part(from, length)
        }
    });
    if c.negated && placed {
        return chosen_and_negated(c);
    }
    if c.negated && matches!(c.fast, Some(Fast::Only)) {
        return Err(Fault::place("a negated content cannot be fast_pattern:only", "leave `:only` out"));
    }
    Ok(())
}

/// A hint to the peer which condition to look at first; the engine here chooses by cost, so that nothing is kept of it.
pub fn prefilter(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    plain(o)?;
    if b.checks.is_empty() && b.groups.is_empty() && b.faults.is_empty() {
        return Err(Fault::place("no condition before it", "put it behind the condition it is about"));
    }
    Ok(())
}

pub fn isdataat(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    let text = o.unquoted()?;
    let (negated, text) = text.strip_prefix('!').map_or((false, text), |r| (true, r));
    let mut parts = text.split(',').map(str::trim);
    let bytes = not_negative(b.value(parts.next().unwrap_or_default())?)?;
    let (mut relative, mut raw) = (false, false);
    for part in parts {
        match part {
            "relative" => relative = true,
            "rawbytes" => raw = true,
            other => return Err(Fault::value(format!("`{other}` does not do"), "isdataat:[!]NUMBER[,relative][,rawbytes]")),
        }
    }
    b.test(Test::DataAt { bytes, relative, negated, rawbytes: raw }, relative);
    Ok(())
}

pub fn bsize(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    let n = Number::read(o.unquoted()?, u64::MAX).map_err(|e| Fault::value(e, "bsize:[<|>|<=|>=|!]NUMBER` or `bsize:LOW<>HIGH"))?;
    b.test(Test::Size(n), false);
    Ok(())
}

pub fn absent(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    let or_else = match o.value {
        None => false,
        Some("or_else") => true,
        Some(other) => return Err(Fault::value(format!("`{other}` does not do"), "absent;` or `absent:or_else")),
    };
    b.test(Test::Absent { or_else }, false);
    Ok(())
}

/// `value >= 6.5`, in bits per byte; kept in thousandths.
pub fn entropy(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    let form = "entropy: value >= BITS (bytes and offset are not taken)";
    let text = o.unquoted()?;
    let rest = text.strip_prefix("value").ok_or_else(|| Fault::value("begins with `value`", form))?.trim();
    let digits = rest.find(|c: char| c.is_ascii_digit()).ok_or_else(|| Fault::value("there is no number", form))?;
    let (operator, number) = rest.split_at(digits);
    let bits: f64 =
        number.trim().parse().ok().filter(|n| (0.0..=8.0).contains(n)).ok_or_else(|| Fault::value("bits per byte are 0 to 8", form))?;
    let thousandths = format!("{}{:.0}", operator.trim(), bits * 1000.0);
    b.test(Test::Entropy(Number::read(&thousandths, 8_001).map_err(|e| Fault::value(e, form))?), false);
    Ok(())
}

pub fn urilen(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    let form = "urilen:[<|>]NUMBER[,norm|raw]` or `urilen:LOW<>HIGH";
    let text = o.unquoted()?;
    let (number, raw) = match text.split_once(',').map(|(n, r)| (n, r.trim())) {
        None => (text, false),
        Some((n, "norm")) => (n, false),
        Some((n, "raw")) => (n, true),
        Some((_, other)) => return Err(Fault::value(format!("`{other}` does not do"), form)),
    };
    let n = Number::read(number, 65_535).map_err(|e| Fault::value(e, form))?;
    b.about(&[crate::header::App::Http, crate::header::App::Http1, crate::header::App::Http2])?;
    b.checks.push(Check::Quantity(if raw { Quantity::HttpRawUriLength } else { Quantity::HttpUriLength }, n));
    Ok(())
}
