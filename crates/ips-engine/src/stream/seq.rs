//! Sequence numbers wrap: comparisons are of distances (RFC 9293, 3.4).

/// `a` before `b`.
pub fn before(a: u32, b: u32) -> bool {
    distance(a, b) < 0
}
/// `a` not behind `b`.
pub fn upto(a: u32, b: u32) -> bool {
    distance(a, b) <= 0
}
/// How far `a` is behind `b`; negative where it is before.
#[allow(clippy::cast_possible_wrap, reason = "the distance is meant to wrap")]
pub fn distance(a: u32, b: u32) -> i32 {
    a.wrapping_sub(b) as i32
}
/// The later one.
pub fn later(a: u32, b: u32) -> u32 {
    if before(a, b) { b } else { a }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_wrap() {
        assert!(before(u32::MAX, 0) && !before(0, u32::MAX) && upto(5, 5) && !before(5, 5));
        assert_eq!((distance(1, u32::MAX), later(u32::MAX, 2)), (2, 2));
    }
}
