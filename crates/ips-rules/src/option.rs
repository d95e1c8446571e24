//! A rule's text cut into header and options, each with its place; values stay text. In comes one logical line, out come a
//! header text and [`Opt`]s. Never: knows a keyword.

use crate::{
    fault::{self, Fault},
    limits::{MAX_OPTIONS, MAX_RULE_BYTES},
};
use std::ops::Range;

/// One option, `name;` or `name:value;`.
#[derive(Debug, Clone)]
pub(crate) struct Opt<'t> {
    pub name: &'t str,
    pub name_at: Range<usize>,
    /// Without blanks at its ends; `None` where there is no colon.
    pub value: Option<&'t str>,
    pub value_at: Range<usize>,
}

/// Where `inner`, a part of `outer`, stands in it.
pub(crate) fn within(outer: &str, inner: &str) -> Range<usize> {
    let start = (inner.as_ptr() as usize).saturating_sub(outer.as_ptr() as usize).min(outer.len());
    start..(start + inner.len()).min(outer.len())
}

/// Header and options.
pub(crate) fn cut(text: &str) -> Result<(&str, Vec<Opt<'_>>), Fault> {
    if text.len() > MAX_RULE_BYTES {
        return Err(Fault::new(fault::LIMIT, format!("{} bytes, a rule has at most {MAX_RULE_BYTES}", text.len()), "make it shorter"));
    }
    let form = "ACTION PROTOCOL SOURCE PORTS -> DESTINATION PORTS (OPTIONS)";
    let open = text.find('(').ok_or_else(|| Fault::new(fault::FORM, "no options: `(` is missing", format!("a rule is {form}")))?;
    let trimmed = text.trim_end();
    let Some(inner) = trimmed.strip_suffix(')').and_then(|t| t.get(open + 1..)) else {
        return Err(Fault::new(fault::FORM, "the options do not end: `)` is missing", format!("a rule is {form}")).at(open..trimmed.len()));
    };
    let mut out = Vec::new();
    let mut rest = inner;
    while !rest.trim().is_empty() {
        let Some(end) = semicolon(rest) else {
            let at = within(text, rest.trim());
            return Err(Fault::new(fault::FORM, "the last option has no `;`", "every option ends in `;`, the last one too").at(at));
        };
        let option = &rest[..end];
        rest = &rest[end + 1..];
        let (name, value) = option.split_once(':').map_or((option, None), |(n, v)| (n, Some(v.trim())));
        let name = name.trim();
        if name.is_empty() {
            return Err(Fault::new(fault::FORM, "an option without a name", "take the stray `;` or `:` out").at(within(text, option)));
        }
        if out.len() == MAX_OPTIONS {
            return Err(
                Fault::new(fault::LIMIT, format!("more than {MAX_OPTIONS} options"), "make two rules of it").at(within(text, option))
            );
        }
        let (name_at, value_at) = (within(text, name), within(text, value.unwrap_or(name)));
        out.push(Opt { name, name_at, value, value_at });
    }
    Ok((&text[..open], out))
}

/// The next `;` without a backslash before it: quotes do not protect it, as with the peer.
fn semicolon(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    bytes.iter().enumerate().find(|(i, b)| **b == b';' && (*i == 0 || bytes[i - 1] != b'\\')).map(|(i, _)| i)
}

impl<'t> Opt<'t> {
    /// The value; a fault where there is none.
    pub fn need(&self) -> Result<&'t str, Fault> {
        self.value
            .filter(|v| !v.is_empty())
            .ok_or_else(|| Fault::new(fault::VALUE, "needs a value", format!("write `{}:VALUE;`", self.name)))
    }
    /// The value without quotes, where it has them.
    pub fn unquoted(&self) -> Result<&'t str, Fault> {
        let v = self.need()?;
        Ok(v.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(v).trim())
    }
    /// The value in quotes that must be there, and whether `!` stands before it.
    pub fn quoted(&self) -> Result<(bool, &'t str), Fault> {
        let v = self.need()?;
        let (negated, v) = v.strip_prefix('!').map_or((false, v), |r| (true, r.trim_start()));
        let help = "write the value in double quotes; `;` and `\"` within are written `\\;` and `\\\"`";
        match v.strip_prefix('"').and_then(|v| v.strip_suffix('"')) {
            Some("") => Err(Fault::new(fault::VALUE, "the value is empty", "take the option out, or say what to look for")),
            Some(inner) => Ok((negated, inner)),
            None => Err(Fault::new(fault::VALUE, "the value is not in double quotes", help)),
        }
    }
    /// The value's parts between commas, blanks away.
    pub fn parts(&self) -> Result<Vec<&'t str>, Fault> {
        Ok(self.need()?.split(',').map(str::trim).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_cut_as_the_peer_cuts_them() {
        let (head, opts) = cut(r#"alert ip a a -> b b (msg:"x\;y" ; content : "(" ; nocase; )"#).map_err(|f| f.text).expect("it reads");
        assert_eq!(head, "alert ip a a -> b b ");
        let got: Vec<_> = opts.iter().map(|o| (o.name, o.value)).collect();
        assert_eq!(got, [("msg", Some(r#""x\;y""#)), ("content", Some("\"(\"")), ("nocase", None)]);
        for wrong in ["alert", "alert (sid:1;", "alert (sid:1)", "alert (;)", "alert )("] {
            assert!(cut(wrong).is_err(), "{wrong}");
        }
    }
}
