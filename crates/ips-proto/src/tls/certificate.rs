//! A certificate: its bytes in, the fields that rules and events name out, in the peer's text form.

use crate::{calendar, json};
use sha1::{Digest as _, Sha1};
use x509_parser::{
    extensions::{GeneralName, ParsedExtension},
    prelude::{FromDer, X509Certificate},
};

/// Alternative names kept of one certificate; large providers put a few hundred into one.
const NAMES: usize = 1024;

/// What is kept of one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Certificate {
    /// Whose it is.
    pub subject: String,
    /// Who says so.
    pub issuer: String,
    /// Its number: pairs of upper-case digits with colons between.
    pub serial: String,
    /// SHA-1 of its bytes: pairs of lower-case digits with colons between.
    pub fingerprint: String,
    /// In force from, in seconds since 1970.
    pub not_before: i64,
    /// In force until.
    pub not_after: i64,
    /// Other names of the subject.
    pub names: Vec<String>,
}

impl Certificate {
    /// Reads one; none where it is none.
    pub fn read(der: &[u8]) -> Option<Self> {
        let (_, c) = X509Certificate::from_der(der).ok()?;
        let mut names = Vec::new();
        for e in c.extensions() {
            if let ParsedExtension::SubjectAlternativeName(list) = e.parsed_extension() {
                let room = NAMES - names.len();
                names.extend(list.general_names.iter().map(name).take(room));
            }
        }
        Some(Self {
            subject: c.subject().to_string(),
            issuer: c.issuer().to_string(),
            serial: colons(c.raw_serial(), true),
            fingerprint: colons(&Sha1::digest(der), false),
            not_before: c.validity().not_before.timestamp(),
            not_after: c.validity().not_after.timestamp(),
            names,
        })
    }
}

fn name(n: &GeneralName<'_>) -> String {
    match n {
        GeneralName::DNSName(t) | GeneralName::RFC822Name(t) | GeneralName::URI(t) => (*t).to_owned(),
        GeneralName::IPAddress(b) => match (<[u8; 4]>::try_from(*b), <[u8; 16]>::try_from(*b)) {
            (Ok(v4), _) => std::net::Ipv4Addr::from(v4).to_string(),
            (_, Ok(v6)) => std::net::Ipv6Addr::from(v6).to_string(),
            _ => colons(b, false),
        },
        other => other.to_string(),
    }
}

fn colons(bytes: &[u8], upper: bool) -> String {
    let lower = json::hex(bytes, b':');
    if upper { lower.to_uppercase() } else { lower }
}

/// A time as events write it: `2017-03-23T00:00:00`.
pub fn date(seconds: i64) -> String {
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (y, month, day) = calendar::date(days);
    format!("{y:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(date(0), "1970-01-01T00:00:00");
        assert_eq!(date(951_827_696), "2000-02-29T12:34:56");
        assert_eq!(date(-86_400), "1969-12-31T00:00:00");
        assert_eq!(date(4_102_444_799), "2099-12-31T23:59:59");
    }

    #[test]
    fn what_is_no_certificate_is_none() {
        assert_eq!(Certificate::read(b"0\x82\x01\x02"), None);
        assert_eq!(Certificate::read(b""), None);
    }
}
