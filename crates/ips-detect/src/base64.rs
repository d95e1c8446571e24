//! Base64 (RFC 4648, RFC 2045) of a hostile sender: decodes as far as it goes. Never fails: what is behind the first byte that does not
//! belong is left out.

use ips_proto::base64::value;

/// Appends what the bytes decode to. `skip`: bytes outside of the alphabet are passed over (RFC 2045); else they end it. What is left of
/// a last group of four yields one byte less than it has letters, `=` counted as one; a single letter yields one where something that
/// does not belong follows, and none at the end. As the peer was seen to do.
pub(crate) fn decode(from: &[u8], skip: bool, into: &mut Vec<u8>) {
    let (mut group, mut have, mut padding, mut broken) = (0u32, 0usize, 0usize, false);
    for &byte in from {
        let letter = match value(byte) {
            Some(v) if padding == 0 => u32::from(v),
            None if byte == b'=' && have > 0 => {
                padding += 1;
                0
            }
            None if skip => continue,
            _ => {
                broken = true;
                break;
            }
        };
        group = group << 6 | letter;
        have += 1;
        if have == 4 {
            into.extend_from_slice(&group.to_be_bytes()[1..4 - padding.min(3)]);
            (group, have) = (0, 0);
            if padding > 0 {
                return;
            }
        }
    }
    if have > 0 {
        let bytes = if have == 1 { usize::from(broken) } else { have - 1 };
        let group = group << (6 * (4 - have));
        into.extend_from_slice(&group.to_be_bytes()[1..=bytes]);
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
        assert_eq!(plain("aG==", false), b"h");
        assert_eq!(plain("0", false), b"");
        assert_eq!(plain("0=", false), [0xd0]);
        assert_eq!(plain("0==", false), [0xd0, 0]);
        assert_eq!(plain("aG=", false), [0x68, 0x60]);
        assert_eq!(plain("aGkg0!", false), b"hi \xd0");
        assert_eq!(plain("aGkgaG!", false), b"hi h");
        assert_eq!(plain("aGkga=G=", false), b"hi h");
        assert_eq!(plain("aG\r\nk=", true), b"hi");
        assert_eq!(plain("", true), b"");
        assert_eq!(plain("Zm9vYmFy", false), b"foobar");
    }
}
