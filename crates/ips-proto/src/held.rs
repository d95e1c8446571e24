//! Bytes of a direction that make no whole message yet. In come what waits and what came, out comes what waits then. Never: copies what is whole
//! already.

/// Hands `read` what waited with what came behind it; what it leaves at the end waits. Out come that and the reader's answer.
pub(crate) fn read<R>(mut held: Vec<u8>, bytes: &[u8], read: impl FnOnce(&mut &[u8]) -> R) -> (Vec<u8>, R) {
    if held.is_empty() {
        let mut rest = bytes;
        let said = read(&mut rest);
        held.extend_from_slice(rest);
        return (held, said);
    }
    held.extend_from_slice(bytes);
    let mut rest = held.as_slice();
    let said = read(&mut rest);
    let left = rest.len();
    held.drain(..held.len() - left);
    (held, said)
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn what_is_left_waits_for_what_comes() {
        let pairs = |rest: &mut &[u8]| {
            let whole = rest.len() / 2 * 2;
            let taken = rest[..whole].to_vec();
            *rest = &rest[whole..];
            taken
        };
        let (held, said) = read(Vec::new(), b"abc", pairs);
        assert_eq!((held.as_slice(), said.as_slice()), (&b"c"[..], &b"ab"[..]));
        let (held, said) = read(held, b"d", pairs);
        assert_eq!((held.as_slice(), said.as_slice()), (&b""[..], &b"cd"[..]));
        assert_eq!(read(held, b"", pairs), (Vec::new(), Vec::new()));
    }
}
