//! Reading a default port: a number, a range as text, or a table. In comes any TOML value, out comes a [`PortDefault`] or
//! words that say what would have been one (an untagged enum says only that nothing matched).

use crate::PortDefault;
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Unexpected, Visitor},
};
use std::fmt;

/// What a port may look like, for messages.
const FORMS: &str = "a port such as 1234, a range such as \"6800-7568\", { random = true, suggest = 24001 } or { none = true }";

impl<'de> Deserialize<'de> for PortDefault {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Form)
    }
}

struct Form;

impl<'de> Visitor<'de> for Form {
    type Value = PortDefault;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(FORMS)
    }

    fn visit_i64<E: Error>(self, n: i64) -> Result<PortDefault, E> {
        match u16::try_from(n) {
            Ok(port) => Ok(PortDefault::Fixed(port)),
            Err(_) => Err(E::invalid_value(Unexpected::Signed(n), &self)),
        }
    }

    fn visit_u64<E: Error>(self, n: u64) -> Result<PortDefault, E> {
        match u16::try_from(n) {
            Ok(port) => Ok(PortDefault::Fixed(port)),
            Err(_) => Err(E::invalid_value(Unexpected::Unsigned(n), &self)),
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<PortDefault, E> {
        text.parse().map(PortDefault::Range).map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<PortDefault, A::Error> {
        let (mut random, mut none, mut suggest) = (None, None, None);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "random" => random = Some(map.next_value::<bool>()?),
                "none" => none = Some(map.next_value::<bool>()?),
                "suggest" => suggest = Some(map.next_value::<u16>()?),
                other => return Err(A::Error::unknown_field(other, &["random", "suggest", "none"])),
            }
        }
        match (random, suggest, none) {
            (Some(true), Some(suggest), None) if suggest > 0 => Ok(PortDefault::Random { random: true, suggest }),
            (Some(true), None, None) => {
                Err(A::Error::custom("a random port needs the port to pin it to: { random = true, suggest = 24001 }"))
            }
            (None, None, Some(true)) => Ok(PortDefault::None { none: true }),
            _ => Err(A::Error::custom(format!("expected {FORMS}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, Deserialize, serde::Serialize)]
    struct One {
        port: PortDefault,
    }

    fn read(value: &str) -> Result<PortDefault, String> {
        toml::from_str::<One>(&format!("port = {value}")).map(|o| o.port).map_err(|e| e.message().to_owned())
    }

    #[test]
    fn every_form_is_read() {
        assert_eq!(read("1234"), Ok(PortDefault::Fixed(1234)));
        assert!(matches!(read("\"6800-7568\""), Ok(PortDefault::Range(r)) if r.first() == 6800));
        assert_eq!(read("{ random = true, suggest = 24001 }"), Ok(PortDefault::Random { random: true, suggest: 24001 }));
        assert_eq!(read("{ none = true }"), Ok(PortDefault::None { none: true }));
    }

    #[test]
    fn what_is_none_is_told_what_would_be_one() {
        for wrong in ["70000", "-1", "1.5", "true", "[1]", "{ none = false }", "{ random = true, none = true }"] {
            let e = read(wrong).expect_err(wrong);
            assert!(e.contains("6800-7568"), "{wrong}: {e}");
        }
        assert!(read("\"9-5\"").expect_err("backwards").contains("ends before it begins"));
        assert!(read("{ random = true }").expect_err("no proposal").contains("suggest"));
        assert!(read("{ randm = true }").expect_err("unknown").contains("randm"));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(port in 1u16.., random: bool) {
            let value = if random { PortDefault::Random { random: true, suggest: port } } else { PortDefault::Fixed(port) };
            let text = toml::to_string(&One { port: value.clone() }).expect("writes");
            prop_assert_eq!(toml::from_str::<One>(&text).expect("reads").port, value);
        }
    }
}
