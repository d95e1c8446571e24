//! Base64 (RFC 4648, RFC 2045) of a hostile sender: decodes as far as it goes. Never fails: what is behind the first byte that does not
//! belong is left out.

/// The alphabet's values.
fn value(byte: u8) -> Option<u8> {
    Some(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

/// Appends what the bytes decode to. `skip`: bytes outside of the alphabet are passed over (RFC 2045); else they end it.
pub(crate) fn decode(from: &[u8], skip: bool, into: &mut Vec<u8>) {
    let (mut bits, mut have) = (0u32, 0u32);
    for &byte in from {
        let Some(v) = value(byte) else {
            if byte == b'=' || !skip {
                break;
            }
            continue;
        };
        bits = bits << 6 | u32::from(v);
        have += 6;
        if have >= 8 {
            have -= 8;
            into.push(u8::try_from(bits >> have & 0xff).unwrap_or(0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::decode;

    fn plain(from: &str, skip: bool) -> Vec<u8> {
        let mut out = Vec::new();
        decode(from.as_bytes(), skip, &mut out);
        out
    }

    #[test]
    fn as_far_as_it_goes() {
        assert_eq!(plain("aGk=", false), b"hi");
        assert_eq!(plain("aGk", false), b"hi");
        assert_eq!(plain("aG!k", false), b"h");
        assert_eq!(plain("aG\r\nk=", true), b"hi");
        assert_eq!(plain("", true), b"");
        assert_eq!(plain("Zm9vYmFy", false), b"foobar");
    }
}
