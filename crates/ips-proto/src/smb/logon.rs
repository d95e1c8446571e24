//! NTLMSSP (MS-NLMP 2.2.1.3): who logs on. In comes the security blob of a session set-up, out come the names in it.

use super::bytes::{Le, part, wide};

/// Who logs on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Logon {
    pub domain: String,
    pub user: String,
    pub host: String,
    /// The client's version, where it says one.
    pub version: Option<String>,
}

/// A message that has these names; none where there is none, or it is of another kind.
pub(super) fn read(blob: &[u8]) -> Option<Logon> {
    const MARK: &[u8] = b"NTLMSSP\0";
    let at = memchr::memmem::find(blob, MARK)?;
    let message = &blob[at..];
    let mut b = Le(message.get(MARK.len()..)?);
    if b.u32()? != 3 {
        return None;
    }
    let mut field = || -> Option<&[u8]> {
        let (length, _, from) = (b.u16()?, b.u16()?, b.u32()?);
        Some(part(message, usize::try_from(from).ok()?, usize::from(length)).unwrap_or_default())
    };
    let (_, _) = (field()?, field()?);
    let (domain, user, host, _) = (field()?, field()?, field()?, field()?);
    let flags = b.u32()?;
    let version = if flags & 0x0200_0000 != 0 { b.take(8) } else { None };
    let text = |f: &[u8]| if flags & 1 != 0 { wide(f) } else { String::from_utf8_lossy(f).into_owned() };
    Some(Logon {
        domain: text(domain),
        user: text(user),
        host: text(host),
        version: version.map(|v| format!("{}.{} build {} rev {}", v[0], v[1], u16::from_le_bytes([v[2], v[3]]), v[7])),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_where_their_fields_say() {
        let mut m = b"NTLMSSP\0\x03\0\0\0".to_vec();
        let names: [&[u8]; 6] = [b"", b"", b"D\0O\0", b"u\0", b"h\0", b""];
        let mut at = 72u32;
        for n in names {
            let l = u16::try_from(n.len()).unwrap();
            m.extend([&l.to_le_bytes()[..], &l.to_le_bytes(), &at.to_le_bytes()].concat());
            at += u32::from(l);
        }
        m.extend(0x0200_0001u32.to_le_bytes());
        m.extend([6, 0, 0x71, 0x17, 0, 0, 0, 15]);
        names.iter().for_each(|n| m.extend_from_slice(n));
        let l = read(&[b"xx", &m[..]].concat()).unwrap();
        assert_eq!((l.domain.as_str(), l.user.as_str(), l.host.as_str()), ("DO", "u", "h"));
        assert_eq!(l.version.as_deref(), Some("6.0 build 6001 rev 15"));
        (0..m.len()).for_each(|n| {
            let _ = read(&m[..n]);
        });
    }
}
