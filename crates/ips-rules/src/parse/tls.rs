//! TLS beside its buffers: versions, steps of the handshake, dates, and the older keywords that name a content themselves.

use crate::{
    buffer::Buffer,
    build::Build,
    fault::{self, Fault},
    header::App,
    num::Number,
    option::Opt,
    rule::{Check, Content, Effect, Test},
};

type Done = Result<(), Fault>;

const VERSIONS: [&str; 14] =
    ["1.0", "1.1", "1.2", "1.3", "sslv2", "sslv3", "tls1.0", "tls1.1", "tls1.2", "tls1.3", "0x0301", "0x0302", "0x0303", "0x0304"];
const STATES: [&str; 5] = ["client_hello", "server_hello", "client_keyx", "server_keyx", "unknown"];

fn names(o: &Opt<'_>, known: &[&str]) -> Result<Vec<(bool, String)>, Fault> {
    let form = format!("{}:{}", o.name, known.join("|"));
    let name = |part: &str| {
        let part = part.trim();
        let (negated, name) = part.strip_prefix('!').map_or((false, part), |r| (true, r.trim()));
        let name = name.to_ascii_lowercase();
        if known.contains(&name.as_str()) { Ok((negated, name)) } else { Err(Fault::value(format!("`{name}` is not known"), &form)) }
    };
    o.unquoted()?.split([',', '|']).map(name).collect()
}

pub fn version(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    let versions = names(o, &VERSIONS)?;
    b.about(&[App::Tls])?;
    b.checks.push(Check::TlsVersion(versions));
    Ok(())
}

pub fn state(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    let states = names(o, &STATES)?;
    b.about(&[App::Tls])?;
    b.checks.push(Check::TlsState(states));
    Ok(())
}

/// The older form: a content in a buffer of its own, case and place free.
fn older(b: &mut Build<'_>, o: &Opt<'_>, buffer: Buffer) -> Done {
    let (negated, text) = o.quoted()?;
    let bytes = text.as_bytes().to_vec();
    b.test_in(buffer, Test::Content(Content { bytes, negated, ..Content::default() }))
}

pub fn subject(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    older(b, o, Buffer::TlsCertSubject)
}

pub fn issuer(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    older(b, o, Buffer::TlsCertIssuer)
}

pub fn fingerprint(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    older(b, o, Buffer::TlsCertFingerprint)
}

pub fn date(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    let form = format!("{}:[<|>]YYYY[-MM[-DD[ HH:MM:SS]]]` or `{}:DATE<>DATE", o.name, o.name);
    let text = o.unquoted()?;
    let at = |t: &str| seconds(t.trim()).ok_or_else(|| Fault::value(format!("`{t}` is no date"), &form));
    let n = if let Some((a, z)) = text.split_once("<>") {
        let (a, z) = (at(a)?, at(z)?);
        if z <= a {
            return Err(Fault::never("the second date is not after the first", "turn them round"));
        }
        Number::Between(a, z)
    } else if let Some(t) = text.strip_prefix('<') {
        Number::Below(at(t)?)
    } else if let Some(t) = text.strip_prefix('>') {
        Number::Above(at(t)?)
    } else {
        Number::Is(at(text)?)
    };
    b.about(&[App::Tls])?;
    b.checks.push(Check::TlsDate(o.name.trim_start_matches("tls_cert_").to_owned(), n));
    Ok(())
}

/// Seconds since 1970 of a date in UTC, by the calendar's arithmetic (days from civil, Howard Hinnant).
fn seconds(text: &str) -> Option<u64> {
    let (date, time) = text.split_once(['T', ' ']).unwrap_or((text, "00:00:00"));
    let mut parts = date.split('-').map(str::parse::<u64>);
    let year = parts.next()?.ok().filter(|y| (1970..10_000).contains(y))?;
    let month = parts.next().map_or(Some(1), Result::ok).filter(|m| (1..=12).contains(m))?;
    let day = parts.next().map_or(Some(1), Result::ok).filter(|d| (1..=31).contains(d))?;
    let mut clock = time.split(':').map(str::parse::<u64>);
    let mut next = |most| clock.next().map_or(Some(0), Result::ok).filter(|n| *n < most);
    let (h, m, s) = (next(24)?, next(60)?, next(60)?);
    let (y, moved) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = y * 365 + y / 4 - y / 100 + y / 400 + (153 * moved + 2) / 5 + day - 1;
    days.checked_sub(719_468).map(|d| d * 86_400 + h * 3_600 + m * 60 + s)
}

fn in_force(b: &mut Build<'_>, o: &Opt<'_>, valid: bool) -> Done {
    if o.value.is_some() {
        return Err(Fault::new(fault::VALUE, "takes no value", "leave it out"));
    }
    b.about(&[App::Tls])?;
    b.checks.push(Check::TlsInForce(valid));
    Ok(())
}

pub fn expired(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    in_force(b, o, false)
}

pub fn valid(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    in_force(b, o, true)
}

pub fn store(b: &mut Build<'_>, _: &Opt<'_>) -> Done {
    b.about(&[App::Tls])?;
    b.effects.push(Effect::StoreCertificate);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn dates_are_seconds() {
        assert_eq!(seconds("1970"), Some(0));
        assert_eq!(seconds("2015-10-01"), Some(1_443_657_600));
        assert_eq!(seconds("2024-02-29 12:30:01"), Some(1_709_209_801));
        assert_eq!(seconds("2024-13-01"), None);
    }
}
