//! JSON written piece by piece into a buffer that is used again. In come keys and values, out comes one line. Never: allocates once the
//! buffer has grown, writes anything that is no JSON.

use ips_proto::calendar;
use std::{fmt::Write as _, net::IpAddr};

/// A writer over a buffer.
#[derive(Debug, Default)]
pub struct Json {
    out: Vec<u8>,
    no_zeros: bool,
}

const HEX: &[u8; 16] = b"0123456789abcdef";
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Numbers and addresses by their usual text.
struct Text<'a>(&'a mut Vec<u8>);

impl std::fmt::Write for Text<'_> {
    fn write_str(&mut self, s: &str) -> std::fmt::Result {
        self.0.extend_from_slice(s.as_bytes());
        Ok(())
    }
}

impl Json {
    /// Empty, memory kept.
    pub fn clear(&mut self) {
        self.out.clear();
    }
    /// What was written.
    pub fn bytes(&self) -> &[u8] {
        &self.out
    }
    /// The buffer itself, for whoever writes JSON of its own.
    pub fn raw(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }
    fn comma(&mut self) {
        if !matches!(self.out.last(), None | Some(b'{' | b'[' | b':')) {
            self.out.push(b',');
        }
    }
    /// A key; the value follows.
    pub fn key(&mut self, key: &str) {
        self.comma();
        self.quoted(key.as_bytes());
        self.out.push(b':');
    }
    /// Opens an object.
    pub fn open(&mut self) {
        self.comma();
        self.out.push(b'{');
    }
    /// Closes an object.
    pub fn close(&mut self) {
        self.out.push(b'}');
    }
    /// An object under a key.
    pub fn object(&mut self, key: &str, body: impl FnOnce(&mut Self)) {
        self.key(key);
        self.out.push(b'{');
        body(self);
        self.out.push(b'}');
    }
    /// A list under a key.
    pub fn list(&mut self, key: &str, body: impl FnOnce(&mut Self)) {
        self.key(key);
        self.out.push(b'[');
        body(self);
        self.out.push(b']');
    }
    /// A text under a key.
    pub fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        self.quoted(value.as_bytes());
    }
    /// Bytes under a key: what is no UTF-8 is written `\xNN`, as the peer does.
    pub fn bytes_text(&mut self, key: &str, value: &[u8]) {
        self.key(key);
        self.quoted(value);
    }
    /// A text in a list.
    pub fn item(&mut self, value: &str) {
        self.comma();
        self.quoted(value.as_bytes());
    }
    /// From now on numbers under a key that are 0 are left out, or not.
    pub fn without_zeros(&mut self, yes: bool) {
        self.no_zeros = yes;
    }
    /// A number under a key.
    pub fn number(&mut self, key: &str, value: u64) {
        if self.no_zeros && value == 0 {
            return;
        }
        self.key(key);
        self.digits(value);
    }
    /// A number in a list.
    pub fn item_number(&mut self, value: u64) {
        self.comma();
        self.digits(value);
    }
    /// Yes or no under a key.
    pub fn flag(&mut self, key: &str, value: bool) {
        self.key(key);
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
    }
    /// An address under a key.
    pub fn address(&mut self, key: &str, value: IpAddr) {
        self.key(key);
        self.out.push(b'"');
        // The peer writes all of an IPv6 address out.
        match value {
            IpAddr::V4(a) => {
                let _ = write!(Text(&mut self.out), "{a}");
            }
            IpAddr::V6(a) => {
                for (i, part) in a.segments().iter().enumerate() {
                    let _ = write!(Text(&mut self.out), "{}{part:04x}", if i > 0 { ":" } else { "" });
                }
            }
        }
        self.out.push(b'"');
    }
    /// A time under a key: microseconds since 1970, in UTC.
    pub fn time(&mut self, key: &str, micros: u64) {
        self.key(key);
        self.out.push(b'"');
        let (seconds, rest) = (micros / 1_000_000, micros % 1_000_000);
        let (y, mo, d) = calendar::date((seconds / 86_400).cast_signed());
        let (h, mi, s) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        let _ = write!(Text(&mut self.out), "{y:04}-{mo:02}-{d:02}T{h:02}:{mi:02}:{s:02}.{rest:06}+0000");
        self.out.push(b'"');
    }
    /// Bytes under a key, in base64.
    pub fn base64(&mut self, key: &str, value: &[u8]) {
        self.base64_of(key, value.iter().copied());
    }
    /// The same of bytes that do not stand together.
    pub fn base64_of(&mut self, key: &str, value: impl IntoIterator<Item = u8>) {
        self.key(key);
        self.out.push(b'"');
        let mut value = value.into_iter();
        loop {
            let (mut three, mut count) = ([0u8; 3], 0);
            for (slot, byte) in three.iter_mut().zip(value.by_ref()) {
                *slot = byte;
                count += 1;
            }
            if count == 0 {
                break;
            }
            let word = three.iter().fold(0u32, |w, b| w << 8 | u32::from(*b));
            for i in 0..4 {
                self.out.push(if i <= count { BASE64[(word >> (18 - 6 * i) & 63) as usize] } else { b'=' });
            }
            if count < 3 {
                break;
            }
        }
        self.out.push(b'"');
    }
    /// Bytes under a key: printable ones as they are, others as dots.
    pub fn printable(&mut self, key: &str, value: &[u8]) {
        self.printable_of(key, value.iter().copied());
    }
    /// The same of bytes that do not stand together.
    pub fn printable_of(&mut self, key: &str, value: impl IntoIterator<Item = u8>) {
        self.key(key);
        self.out.push(b'"');
        for b in value {
            match b {
                b'\r' | b'\n' | b'"' | b'\\' => self.escaped(b),
                0x20..=0x7e => self.out.push(b),
                _ => self.out.push(b'.'),
            }
        }
        self.out.push(b'"');
    }
    /// Bytes under a key, in hex.
    pub fn hex(&mut self, key: &str, value: &[u8]) {
        self.key(key);
        self.out.push(b'"');
        for b in value {
            self.out.extend_from_slice(&[HEX[usize::from(b >> 4)], HEX[usize::from(b & 15)]]);
        }
        self.out.push(b'"');
    }
    /// A hardware address under a key.
    pub fn mac(&mut self, key: &str, value: &[u8]) {
        self.key(key);
        self.item_mac(value);
    }
    /// A hardware address, as it stands.
    pub fn item_mac(&mut self, value: &[u8]) {
        self.comma();
        self.out.push(b'"');
        for (i, b) in value.iter().enumerate() {
            let _ = write!(Text(&mut self.out), "{}{b:02x}", if i > 0 { ":" } else { "" });
        }
        self.out.push(b'"');
    }
    fn digits(&mut self, value: u64) {
        let _ = write!(Text(&mut self.out), "{value}");
    }
    fn escaped(&mut self, b: u8) {
        match b {
            b'"' => self.out.extend_from_slice(b"\\\""),
            b'\\' => self.out.extend_from_slice(b"\\\\"),
            b'\n' => self.out.extend_from_slice(b"\\n"),
            b'\r' => self.out.extend_from_slice(b"\\r"),
            b'\t' => self.out.extend_from_slice(b"\\t"),
            b => self.out.extend_from_slice(&[b'\\', b'u', b'0', b'0', HEX[usize::from(b >> 4)], HEX[usize::from(b & 15)]]),
        }
    }
    fn quoted(&mut self, bytes: &[u8]) {
        self.out.push(b'"');
        for chunk in bytes.utf8_chunks() {
            for &b in chunk.valid().as_bytes() {
                if b < 0x20 || matches!(b, b'"' | b'\\' | 0x7f) { self.escaped(b) } else { self.out.push(b) }
            }
            for &b in chunk.invalid() {
                self.out.extend_from_slice(&[
                    b'\\',
                    b'\\',
                    b'x',
                    HEX[usize::from(b >> 4)].to_ascii_uppercase(),
                    HEX[usize::from(b & 15)].to_ascii_uppercase(),
                ]);
            }
        }
        self.out.push(b'"');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(body: impl FnOnce(&mut Json)) -> serde_json::Value {
        let mut j = Json::default();
        j.open();
        body(&mut j);
        j.close();
        serde_json::from_slice(j.bytes()).expect("it is JSON")
    }

    #[test]
    fn values_are_written_as_the_ecosystem_reads_them() {
        let v = written(|j| {
            j.time("t", 951_827_696_000_123);
            j.address("a", "10.1.2.3".parse().expect("it reads"));
            j.address("b", "fe80::1".parse().expect("it reads"));
            j.list("l", |j| {
                j.item_number(1);
                j.item("x");
            });
            j.object("o", |j| j.flag("f", true));
            j.base64("six", b"ab");
            j.printable("p", b"a\0\"\r\n");
            j.mac("m", &[1, 2, 255]);
            j.bytes_text("raw", b"a\xffb");
        });
        assert_eq!(
            v.to_string(),
            r#"{"a":"10.1.2.3","b":"fe80:0000:0000:0000:0000:0000:0000:0001","l":[1,"x"],"m":"01:02:ff","o":{"f":true},"p":"a.\"\r\n","raw":"a\\xFFb","six":"YWI=","t":"2000-02-29T12:34:56.000123+0000"}"#
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_json(bytes in prop::collection::vec(any::<u8>(), 0..60), key in "\\PC{0,9}", n in any::<u64>()) {
            let v = written(|j| { j.bytes_text(&key, &bytes); j.number("n", n); j.printable("p", &bytes); });
            prop_assert_eq!(v["n"].as_u64(), Some(n));
        }

        #[test]
        fn any_text_comes_back(text in "\\PC{0,40}") {
            let v = written(|j| j.text("k", &text));
            prop_assert_eq!(v["k"].as_str(), Some(text.as_str()));
        }
    }
}
