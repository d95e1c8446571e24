//! `asn1`: BER (X.690) with a fault in it. In come bytes, out comes whether one of the faults a rule asks for is there. Bounded in depth
//! and in the number of elements; what does not parse has no fault, as with the peer.

use ips_rules::condition::Asn1;

/// Elements looked at: the peer's bound.
const MAX_ELEMENTS: usize = 256;
/// Nesting.
const MAX_DEPTH: usize = 16;
/// Longest decimal number a double may be written as, in bytes.
const MAX_DOUBLE: usize = 256;

struct Element<'a> {
    constructed: bool,
    universal: bool,
    tag: u32,
    body: &'a [u8],
    rest: &'a [u8],
}

fn element(bytes: &[u8]) -> Option<Element<'_>> {
    let (&first, mut at) = bytes.split_first()?;
    let mut tag = u32::from(first & 0x1f);
    if tag == 0x1f {
        tag = 0;
        loop {
            let (&b, next) = at.split_first()?;
            at = next;
            tag = tag.checked_mul(128)?.checked_add(u32::from(b & 0x7f))?;
            if b & 0x80 == 0 {
                break;
            }
        }
    }
    let (&l, next) = at.split_first()?;
    at = next;
    let mut length = usize::from(l);
    if l & 0x80 != 0 {
        let count = usize::from(l & 0x7f);
        if count == 0 {
            // Without length, which is for what is made of elements only: as far as elements go.
            let constructed = first & 0x20 != 0;
            return constructed.then_some(Element { constructed, universal: first & 0xc0 == 0, tag, body: at, rest: &[] });
        }
        length = 0;
        for _ in 0..count {
            let (&b, next) = at.split_first()?;
            at = next;
            length = length.checked_mul(256)?.checked_add(usize::from(b))?;
        }
    }
    let (body, rest) = at.split_at_checked(length)?;
    Some(Element { constructed: first & 0x20 != 0, universal: first & 0xc0 == 0, tag, body, rest })
}

/// Whether a fault is there.
pub(crate) fn fault(mut bytes: &[u8], ask: &Asn1) -> bool {
    let mut left = MAX_ELEMENTS;
    while let Some(e) = element(bytes) {
        if within(&e, ask, &mut left, 0) {
            return true;
        }
        if left == 0 {
            return false;
        }
        bytes = e.rest;
    }
    false
}

fn within(e: &Element<'_>, ask: &Asn1, left: &mut usize, depth: usize) -> bool {
    if *left == 0 || depth > MAX_DEPTH {
        return false;
    }
    *left -= 1;
    if ask.oversize_length.is_some_and(|most| e.body.len() as u64 > u64::from(most)) {
        return true;
    }
    if e.universal && !e.constructed {
        // More bits unused than there are.
        if ask.bitstring_overflow && e.tag == 3 && e.body.first().is_some_and(|unused| (e.body.len() - 1) * 8 < usize::from(*unused)) {
            return true;
        }
        if ask.double_overflow && e.tag == 9 && e.body.len() > MAX_DOUBLE && e.body.first().is_some_and(|b| b & 0xc0 == 0) {
            return true;
        }
    }
    let mut inner = if e.constructed { e.body } else { &[] };
    while let Some(next) = element(inner) {
        if within(&next, ask, left, depth + 1) {
            return true;
        }
        inner = next.rest;
    }
    false
}
