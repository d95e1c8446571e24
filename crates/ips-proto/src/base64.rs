//! The alphabet of Base64 (RFC 4648). What is done with a byte outside of it, with padding and with a last group differs from place to place.

/// The six bits a letter stands for.
pub fn value(letter: u8) -> Option<u8> {
    Some(match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}
