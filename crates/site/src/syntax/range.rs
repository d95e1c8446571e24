//! Ranges: in comes `worker[01-40]` or `10.20.30.[21-60]`, out come the names or addresses in order. Widths are kept:
//! `[01-40]` gives `01`. Hexadecimal digits are not counted: ranges are decimal, in addresses as well.

/// Most members one range may have: above the largest site the product is made for.
pub(crate) const MAX_MEMBERS: usize = 20_000;

/// Why a text is no range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RangeError {
    #[error("`{0}` has a `[` without `]`, or the other way round")]
    Brackets(String),
    #[error("`{0}` is not a range like 01-40")]
    Range(String),
    #[error("`{0}` ends before it begins")]
    Backwards(String),
    #[error("`{0}` has more than {MAX_MEMBERS} members")]
    Many(String),
}

/// Every member, in order; the text itself where it has no range.
pub(crate) fn expand(text: &str) -> Result<Vec<String>, RangeError> {
    let mut out = vec![String::new()];
    let mut rest = text;
    while let Some(open) = rest.find(['[', ']']) {
        let bad = || RangeError::Brackets(text.to_owned());
        let (head, tail) = rest.split_at(open);
        let tail = tail.strip_prefix('[').ok_or_else(bad)?;
        let (body, after) = tail.split_once(']').ok_or_else(bad)?;
        let words = members(text, body)?;
        if out.len().saturating_mul(words.len()) > MAX_MEMBERS {
            return Err(RangeError::Many(text.to_owned()));
        }
        out = out.iter().flat_map(|o| words.iter().map(move |w| format!("{o}{head}{w}"))).collect();
        rest = after;
    }
    Ok(out.into_iter().map(|o| o + rest).collect())
}

fn members(text: &str, body: &str) -> Result<Vec<String>, RangeError> {
    let mut out = Vec::new();
    for part in body.split(',') {
        let bad = || RangeError::Range(body.to_owned());
        let (a, b) = part.trim().split_once('-').unwrap_or((part.trim(), part.trim()));
        let digits = |t: &str| !t.is_empty() && t.len() <= 9 && t.bytes().all(|c| c.is_ascii_digit());
        if !digits(a) || !digits(b) {
            return Err(bad());
        }
        let (first, last): (usize, usize) = (a.parse().map_err(|_| bad())?, b.parse().map_err(|_| bad())?);
        if last < first {
            return Err(RangeError::Backwards(body.to_owned()));
        }
        if last - first >= MAX_MEMBERS || out.len() + (last - first) >= MAX_MEMBERS {
            return Err(RangeError::Many(text.to_owned()));
        }
        let width = if a.starts_with('0') { a.len() } else { 0 };
        out.extend((first..=last).map(|n| format!("{n:0width$}")));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges_keep_their_width_and_multiply() {
        assert_eq!(expand("w[08-10]"), Ok(vec!["w08".into(), "w09".into(), "w10".into()]));
        assert_eq!(expand("r[1-2]n[1,3]"), Ok(vec!["r1n1".into(), "r1n3".into(), "r2n1".into(), "r2n3".into()]));
        assert_eq!(expand("plain"), Ok(vec!["plain".into()]));
        assert!(expand("w[1-").is_err() && expand("w]").is_err() && expand("w[5-1]").is_err() && expand("w[a-b]").is_err());
        assert!(matches!(expand("w[1-999999999]"), Err(RangeError::Many(_))));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[a-z0-9\\[\\],-]{0,24}") {
            let _ = expand(&text);
        }
        #[test]
        fn as_many_as_the_range_says(a in 0usize..300, n in 0usize..300) {
            prop_assert_eq!(expand(&format!("x[{a}-{}]", a + n)).expect("range").len(), n + 1);
        }
    }
}
