//! Versions of Debian packages and their order (deb-version(7)). In come two texts, out comes which is older. Any text is a
//! version: what is odd about it is compared like everything else.

use std::cmp::Ordering;

/// Whether the first version is older than the second.
pub fn older(a: &str, b: &str) -> bool {
    order(a, b) == Ordering::Less
}

fn order(a: &str, b: &str) -> Ordering {
    let ((ea, ua, ra), (eb, ub, rb)) = (split(a), split(b));
    part(ea, eb).then_with(|| part(ua, ub)).then_with(|| part(ra, rb))
}

/// Epoch, upstream version, revision.
fn split(version: &str) -> (&str, &str, &str) {
    let (epoch, rest) = version.split_once(':').unwrap_or(("0", version));
    let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, "0"));
    (epoch, upstream, revision)
}

/// Texts and numbers by turns; `~` is older than the end.
fn part(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    while !a.is_empty() || !b.is_empty() {
        loop {
            let weigh = |text: &[u8]| match text.first() {
                None => 0,
                Some(c) if c.is_ascii_digit() => 0,
                Some(b'~') => -1,
                Some(c) if c.is_ascii_alphabetic() => i32::from(*c),
                Some(c) => i32::from(*c) + 256,
            };
            let (x, y) = (weigh(a), weigh(b));
            if x != y {
                return x.cmp(&y);
            }
            if x == 0 {
                break;
            }
            (a, b) = (a.get(1..).unwrap_or_default(), b.get(1..).unwrap_or_default());
        }
        let (x, y) = (number(&mut a), number(&mut b));
        let by_length = x.len().cmp(&y.len()).then_with(|| x.cmp(y));
        if by_length != Ordering::Equal {
            return by_length;
        }
    }
    Ordering::Equal
}

/// Takes the digits at the front, leading zeros left out: of any length, so they stay text.
fn number<'a>(text: &mut &'a [u8]) -> &'a [u8] {
    let end = text.iter().position(|c| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    *text = rest;
    let zeros = digits.iter().position(|c| *c != b'0').unwrap_or(digits.len());
    digits.get(zeros..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::process::Command;

    #[test]
    fn the_order_is_debians() {
        let pairs = [
            ("1.0~rc1", "1.0"),
            ("1.0", "1.0-1"),
            ("1.0-1", "1.0-1+deb12u1"),
            ("1.9", "1.10"),
            ("9", "1:1"),
            ("1.0-1~deb12u1", "1.0-1"),
            ("1.0a", "1.0+"),
            ("7.88.1-10+deb12u5", "7.88.1-10+deb12u12"),
        ];
        for (a, b) in pairs {
            assert!(older(a, b) && !older(b, a), "{a} {b}");
        }
        assert!(!older("1.00-01", "1.0-1") && !older("1.0-1", "1.00-01"));
    }

    #[test]
    fn dpkg_says_the_same() {
        if Command::new("dpkg").arg("--version").output().is_err() {
            return;
        }
        let versions =
            ["1", "1.0", "1:0.1", "1.0~~", "1.0~~a", "1.0~", "1.0a", "1.0-1", "1.0-1.1", "1.0+dfsg-1", "01.0", "1.0.0", "2-0", "2"];
        for a in versions {
            for b in versions {
                let told = Command::new("dpkg").args(["--compare-versions", a, "lt", b]).status().expect("dpkg");
                assert_eq!(told.success(), older(a, b), "{a} < {b}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_two_texts_have_an_order(a in "[0-9a-z.~:+-]{0,12}", b in "\\PC{0,12}") {
            prop_assert!(!(older(&a, &b) && older(&b, &a)));
            prop_assert!(!older(&a, &a));
        }
    }
}
