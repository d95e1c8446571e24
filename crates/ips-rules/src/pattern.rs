//! Contents between text and bytes: `"GET |20|\;"`. In comes the text within the quotes, out come bytes, and back again.

use crate::limits::MAX_CONTENT;
use serde::Serializer;

/// The bytes of a content.
///
/// # Errors
/// What is wrong, for people.
pub fn bytes(text: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(text.len());
    let (mut hex, mut half, mut escaped) = (false, None::<u8>, false);
    for b in text.bytes() {
        match b {
            // The peer parts hex from text before it looks at backslashes, so a bar cannot be escaped.
            b'|' if escaped => return Err("a bar cannot be escaped: write it as |7C|".to_owned()),
            b'|' => {
                if half.take().is_some() {
                    return Err("half a byte between the bars: each byte has two hex digits".to_owned());
                }
                hex = !hex;
            }
            _ if hex => match (char::from(b).to_digit(16), half) {
                _ if b == b' ' => {}
                (Some(d), None) => half = u8::try_from(d).ok(),
                (Some(d), Some(high)) => {
                    out.push(high << 4 | u8::try_from(d).unwrap_or_default());
                    half = None;
                }
                (None, _) => {
                    return Err(format!("`{}` is no hex digit: between bars stand bytes such as |0D 0A|", char::from(b).escape_default()));
                }
            },
            b'\\' | b'"' | b';' | b':' if escaped => {
                out.push(b);
                escaped = false;
            }
            _ if escaped => return Err(format!("`\\{}` is no escape: write \\\\ for a backslash", char::from(b).escape_default())),
            b'\\' => escaped = true,
            b'"' => return Err("a double quote within: write \\\" or |22|".to_owned()),
            _ => out.push(b),
        }
    }
    match (hex, escaped) {
        (true, _) => Err("a bar is missing: hex stands between two bars".to_owned()),
        (_, true) => Err("a backslash at the end: write \\\\".to_owned()),
        _ if out.is_empty() => Err("there are no bytes".to_owned()),
        _ if out.len() > MAX_CONTENT => Err(format!("{} bytes, a content has at most {MAX_CONTENT}", out.len())),
        _ => Ok(out),
    }
}

/// Bytes as a content's text: printable ASCII as it is, the rest as hex.
pub fn text(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    let mut hex = false;
    for b in bytes {
        let plain = (b' '..=b'~').contains(b) && !matches!(b, b'"' | b';' | b':' | b'\\' | b'|');
        match (plain, hex) {
            (true, true) => out.push('|'),
            (false, false) => out.push('|'),
            (false, true) => out.push(' '),
            (true, false) => {}
        }
        hex = !plain;
        if plain { out.push(char::from(*b)) } else { out += &format!("{b:02x}") }
    }
    if hex {
        out.push('|');
    }
    out
}

pub(crate) fn as_text<S: Serializer>(bytes: &[u8], s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(&text(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bars_and_escapes() {
        assert_eq!(bytes(r#"a|20 0D|b\;\"\\\:"#).expect("it reads"), b"a \x0Db;\"\\:");
        for wrong in ["", "a|2|", "a|20", "a|zz|", r"a\q", "a\"b", r"a\", r"a\|b"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn there_and_back(b in proptest::collection::vec(any::<u8>(), 1..40)) {
            prop_assert_eq!(bytes(&text(&b)).expect("it reads"), b);
        }
        #[test]
        fn no_text_makes_it_panic(t in "\\PC{0,40}") {
            let _ = bytes(&t);
        }
    }
}
