//! What the site says about packets of each policy. In comes a file of ours (JSON), out comes a table by the number in the mark. Unsure means:
//! observed, looked at to the end.

use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, str::FromStr};

/// What a rule that drops may do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// It is told and lets on.
    #[default]
    Observe,
    /// It drops.
    Enforce,
}

/// How long a flow is looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Inspect {
    /// To its end, whatever it carries.
    #[default]
    All,
    /// Until nothing is left that rules on streams and applications could see: encrypted, past the depth, let through by a rule.
    UntilOpaque,
    /// As [`Inspect::UntilOpaque`], and no further than so many bytes both ways. What comes later is not seen, a second request of the same
    /// connection among it.
    Bytes(u64),
}

/// The words of [`Inspect`] were not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither `all`, `until-opaque` nor a number of bytes such as 1048576 or 4MiB")]
pub struct NotInspect(String);

impl FromStr for Inspect {
    type Err = NotInspect;
    fn from_str(text: &str) -> Result<Self, NotInspect> {
        let wrong = || NotInspect(text.to_owned());
        match text {
            "all" => Ok(Self::All),
            "until-opaque" => Ok(Self::UntilOpaque),
            _ => {
                let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
                let (number, unit) = text.split_at(digits);
                let shift = match unit.trim() {
                    "" | "B" => 0,
                    "KiB" => 10,
                    "MiB" => 20,
                    "GiB" => 30,
                    _ => return Err(wrong()),
                };
                let number: u64 = number.parse().map_err(|_| wrong())?;
                number.checked_mul(1 << shift).map(Self::Bytes).ok_or_else(wrong)
            }
        }
    }
}

impl fmt::Display for Inspect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::UntilOpaque => f.write_str("until-opaque"),
            Self::Bytes(n) => write!(f, "{n}"),
        }
    }
}

impl Serialize for Inspect {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Inspect {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// One policy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// The pair of zones, for people: `internet/dmz`.
    pub name: String,
    /// Whether rules may drop.
    #[serde(default)]
    pub mode: Mode,
    /// How long flows are looked at.
    #[serde(default)]
    pub inspect: Inspect,
}

/// All policies.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policies {
    /// By the number in the mark.
    #[serde(default)]
    pub by_number: BTreeMap<u8, Policy>,
    /// For numbers that are not there.
    #[serde(default)]
    pub others: Policy,
}

impl Policies {
    /// The same for everything.
    pub fn one(policy: Policy) -> Self {
        Self { by_number: BTreeMap::new(), others: policy }
    }
    /// Of a mark's number.
    pub fn of(&self, number: u8) -> &Policy {
        self.by_number.get(&number).unwrap_or(&self.others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_sizes_are_read() {
        for (text, is) in [
            ("all", Inspect::All),
            ("until-opaque", Inspect::UntilOpaque),
            ("0", Inspect::Bytes(0)),
            ("4MiB", Inspect::Bytes(4 << 20)),
            ("10 KiB", Inspect::Bytes(10 << 10)),
        ] {
            assert_eq!(text.parse(), Ok(is), "{text}");
            assert_eq!(is.to_string().parse(), Ok(is));
        }
        for text in ["", "some", "-1", "4MB", "99999999999GiB", "1 2", "MiB"] {
            assert!(text.parse::<Inspect>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_not_named_is_observed_to_its_end() {
        let text = r#"{"by_number": {"3": {"name": "internet/dmz", "mode": "enforce", "inspect": "until-opaque"}}}"#;
        let p: Policies = serde_json::from_str(text).expect("it reads");
        assert_eq!((p.of(3).mode, p.of(3).inspect), (Mode::Enforce, Inspect::UntilOpaque));
        assert_eq!((p.of(4).mode, p.of(4).inspect), (Mode::Observe, Inspect::All));
        assert_eq!(serde_json::from_str::<Policies>(&serde_json::to_string(&p).expect("it writes")).expect("and back"), p);
        assert!(serde_json::from_str::<Policies>(r#"{"by_numbre": {}}"#).is_err());
    }
}
