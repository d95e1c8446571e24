//! Comparisons of whole numbers, the one grammar of `dsize`, `ttl`, `bsize`, `urilen` and the like. In comes the text
//! after the colon, out comes a [`Number`]. Never: accepts a comparison nothing or everything could pass.

use serde::Serialize;

/// A comparison of a number on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Number {
    /// Equal.
    Is(u64),
    /// Not equal.
    Not(u64),
    /// Smaller.
    Below(u64),
    /// Smaller or equal.
    AtMost(u64),
    /// Larger.
    Above(u64),
    /// Larger or equal.
    AtLeast(u64),
    /// Larger than the first and smaller than the second: both ends are outside.
    Between(u64, u64),
    /// Outside of [`Number::Between`].
    NotBetween(u64, u64),
    /// The bits of the mask have this value.
    Mask {
        /// Bits looked at.
        mask: u64,
        /// What they must be.
        value: u64,
        /// Turned round.
        negated: bool,
    },
}

impl Number {
    /// Whether `n` passes.
    pub fn holds(self, n: u64) -> bool {
        match self {
            Self::Is(v) => n == v,
            Self::Not(v) => n != v,
            Self::Below(v) => n < v,
            Self::AtMost(v) => n <= v,
            Self::Above(v) => n > v,
            Self::AtLeast(v) => n >= v,
            Self::Between(a, b) => n > a && n < b,
            Self::NotBetween(a, b) => n <= a || n >= b,
            Self::Mask { mask, value, negated } => (n & mask == value) != negated,
        }
    }

    /// The largest number that passes, where there is an end.
    pub fn largest(self) -> Option<u64> {
        match self {
            Self::Is(v) | Self::AtMost(v) => Some(v),
            Self::Below(v) => Some(v.saturating_sub(1)),
            Self::Between(_, b) => Some(b.saturating_sub(1)),
            _ => None,
        }
    }

    /// Reads a comparison of numbers from 0 to `max`.
    pub fn read(text: &str, max: u64) -> Result<Self, String> {
        Self::read_named(text, max, &[])
    }

    /// As [`Number::read`], where `names` may stand for numbers (case ignored).
    pub fn read_named(text: &str, max: u64, names: &[(&str, u64)]) -> Result<Self, String> {
        let text = text.trim();
        let value = |t: &str| {
            let t = t.trim();
            let named = names.iter().find(|(n, _)| n.eq_ignore_ascii_case(t)).map(|(_, v)| *v);
            let v = named.or_else(|| whole(t)).ok_or_else(|| format!("`{t}` is no number"))?;
            if v > max { Err(format!("{v} is more than {max}, the largest there is")) } else { Ok(v) }
        };
        let one = |prefix: &str| text.strip_prefix(prefix).map(value);
        let read = if let Some(rest) = text.strip_prefix('&') {
            let (mask, value_text, negated) = match (rest.split_once("!="), rest.split_once('=')) {
                (Some((m, v)), _) => (m, v, true),
                (None, Some((m, v))) => (m, v, false),
                (None, None) => return Err("a mask is written `&MASK=VALUE`".to_owned()),
            };
            Self::Mask { mask: value(mask)?, value: value(value_text)?, negated }
        } else if let Some(v) = one(">=") {
            Self::AtLeast(v?)
        } else if let Some(v) = one("<=") {
            Self::AtMost(v?)
        } else if let Some(v) = one(">") {
            Self::Above(v?)
        } else if let Some(v) = one("<").filter(|_| !text.starts_with("<>")) {
            Self::Below(v?)
        } else if let Some(v) = one("!=").or_else(|| one("==")).or_else(|| one("=")) {
            if text.starts_with('!') { Self::Not(v?) } else { Self::Is(v?) }
        } else {
            let (negated, rest) = text.strip_prefix('!').map_or((false, text), |r| (true, r));
            match rest.split_once("<>").or_else(|| rest.split_once('-').filter(|(a, _)| whole(a.trim()).is_some())) {
                Some((a, b)) => {
                    let (a, b) = (value(a)?, value(b)?);
                    if b <= a || b - a < 2 {
                        return Err(format!("no number is larger than {a} and smaller than {b}"));
                    }
                    if negated { Self::NotBetween(a, b) } else { Self::Between(a, b) }
                }
                None if negated => Self::Not(value(rest)?),
                None => Self::Is(value(rest)?),
            }
        };
        match read {
            Self::Below(0) => Err("no number is smaller than 0".to_owned()),
            Self::Above(v) if v == max => Err(format!("no number here is larger than {max}")),
            Self::Mask { mask, value, .. } if value & !mask != 0 => Err("the value has bits outside of the mask".to_owned()),
            other => Ok(other),
        }
    }
}

/// A whole number: decimal, or hexadecimal after `0x`; `kb`, `mb`, `gb` (or `kib` ...) multiply by 1024 as the peer does.
pub fn whole(text: &str) -> Option<u64> {
    if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return u64::from_str_radix(hex, 16).ok().filter(|_| !hex.starts_with('+'));
    }
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text.get(..digits)?.parse().ok()?;
    let factor = match text.get(digits..)?.to_ascii_lowercase().as_str() {
        "" => 1,
        "kb" | "kib" => 1 << 10,
        "mb" | "mib" => 1 << 20,
        "gb" | "gib" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(factor)
}

/// A whole number with a sign.
pub fn signed(text: &str) -> Option<i64> {
    match text.strip_prefix('-') {
        Some(rest) => i64::try_from(whole(rest)?).ok().map(|v| -v),
        None => i64::try_from(whole(text)?).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read() {
        for (text, want) in [
            ("5", Number::Is(5)),
            ("=5", Number::Is(5)),
            ("!5", Number::Not(5)),
            ("!=5", Number::Not(5)),
            (">5", Number::Above(5)),
            (">= 5", Number::AtLeast(5)),
            ("<5", Number::Below(5)),
            ("<=0x10", Number::AtMost(16)),
            ("10<>100", Number::Between(10, 100)),
            ("5-10", Number::Between(5, 10)),
            ("&0xff=0x10", Number::Mask { mask: 255, value: 16, negated: false }),
        ] {
            assert_eq!(Number::read(text, 65535), Ok(want), "{text}");
        }
    }

    #[test]
    fn what_nothing_passes_is_refused() {
        for text in ["", "x", "<0", ">255", "5<>6", "9-2", "300", "-1", "<>3", "5x", "&1=2"] {
            assert!(Number::read(text, 255).is_err(), "{text}");
        }
    }
}
