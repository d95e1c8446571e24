//! Transforms that take a value.

use crate::{build::Build, fault::Fault, num::whole, option::Opt, rule::Transform};

type Done = Result<(), Fault>;

/// Longest key of `xor` in bytes: the peer's bound.
const MAX_KEY: usize = 255;

pub fn xor(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    let form = "xor:\"HEX\"";
    let text = o.unquoted()?;
    let pair = |c: &[u8]| std::str::from_utf8(c).ok().and_then(|t| u8::from_str_radix(t, 16).ok());
    let hex = text.bytes().all(|c| c.is_ascii_hexdigit()) && text.len().is_multiple_of(2);
    let key: Option<Vec<u8>> = text.as_bytes().chunks(2).map(pair).collect();
    match key.filter(|k| hex && !k.is_empty() && k.len() <= MAX_KEY) {
        Some(key) => b.transform(Transform::Xor(key), &o.name_at),
        None => Err(Fault::value("the key is pairs of hex digits, at most 255 of them", form)),
    }
}

pub fn pcrexform(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    let (negated, text) = o.quoted()?;
    let groups = b.tables.compiled.check(text, "")?;
    if negated || groups == 0 {
        return Err(Fault::value("the expression needs one group, whose bytes are what is looked at", "pcrexform:\"a(b)\""));
    }
    b.transform(Transform::Pcre(text.to_owned()), &o.name_at)
}

pub fn from_base64(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    let form = "from_base64[: bytes N, offset N, mode rfc4648|rfc2045]";
    let (mut bytes, mut offset, mut strict) = (None, 0, true);
    for part in o.value.unwrap_or_default().split(',').map(str::trim).filter(|p| !p.is_empty()) {
        let (what, value) = part.split_once(char::is_whitespace).ok_or_else(|| Fault::value(format!("`{part}` does not do"), form))?;
        let number =
            || whole(value.trim()).and_then(|n| u32::try_from(n).ok()).ok_or_else(|| Fault::value(format!("`{value}` is no number"), form));
        match (what, value.trim()) {
            ("bytes", _) => bytes = Some(number()?),
            ("offset", _) => offset = number()?,
            ("mode", "rfc4648") => strict = true,
            ("mode", "rfc2045") => strict = false,
            _ => return Err(Fault::value(format!("`{part}` does not do"), form)),
        }
    }
    b.transform(Transform::FromBase64 { bytes, offset, strict }, &o.name_at)
}

pub fn subslice(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    let form = "subslice: OFFSET[, BYTES[, truncate]]";
    let parts = o.parts()?;
    let number = |t: &str| t.parse::<i32>().map_err(|_| Fault::value(format!("`{t}` is no number"), form));
    let (offset, bytes, truncate) = match parts.as_slice() {
        [a] => (number(a)?, None, false),
        [a, n] => (number(a)?, Some(number(n)?), false),
        [a, n, "truncate"] => (number(a)?, Some(number(n)?), true),
        _ => return Err(Fault::value("does not do", form)),
    };
    b.transform(Transform::Subslice { offset, bytes, truncate }, &o.name_at)
}
