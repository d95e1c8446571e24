//! A JSON writer for events: appends to a buffer and keeps nothing but whether a comma is due. It writes what it is told, in that order,
//! and never checks that a key is written once.

/// Writes one object or array into a buffer.
pub struct Json<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

impl<'a> Json<'a> {
    /// Appends to `out`; the caller's own brackets stand around what is written.
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, first: true }
    }

    fn comma(&mut self) {
        if !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
    }

    fn key(&mut self, key: &str) {
        self.comma();
        quoted(self.out, key.as_bytes());
        self.out.push(b':');
    }

    /// `"key":"value"`; bytes that are no UTF-8 are written as `\xHH`, as the peer does.
    pub fn text(&mut self, key: &str, value: impl AsRef<[u8]>) -> &mut Self {
        self.key(key);
        quoted(self.out, value.as_ref());
        self
    }

    /// `"key":"value"` where there is one.
    pub fn text_if(&mut self, key: &str, value: Option<impl AsRef<[u8]>>) -> &mut Self {
        if let Some(v) = value {
            self.text(key, v);
        }
        self
    }

    /// `"key":value`.
    pub fn number(&mut self, key: &str, value: impl Into<i128>) -> &mut Self {
        self.key(key);
        digits(self.out, value.into());
        self
    }

    /// `"key":true` or `false`.
    pub fn boolean(&mut self, key: &str, value: bool) -> &mut Self {
        self.key(key);
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
        self
    }

    /// `"key":{...}`, written by `inner`.
    pub fn object(&mut self, key: &str, inner: impl FnOnce(&mut Json<'_>)) -> &mut Self {
        self.key(key);
        nest(self.out, [b'{', b'}'], inner);
        self
    }

    /// `"key":[...]`, written by `inner` with the `item` calls.
    pub fn array(&mut self, key: &str, inner: impl FnOnce(&mut Json<'_>)) -> &mut Self {
        self.key(key);
        nest(self.out, [b'[', b']'], inner);
        self
    }

    /// A text in an array.
    pub fn item_text(&mut self, value: impl AsRef<[u8]>) -> &mut Self {
        self.comma();
        quoted(self.out, value.as_ref());
        self
    }

    /// A number in an array.
    pub fn item_number(&mut self, value: impl Into<i128>) -> &mut Self {
        self.comma();
        digits(self.out, value.into());
        self
    }

    /// An object in an array.
    pub fn item_object(&mut self, inner: impl FnOnce(&mut Json<'_>)) -> &mut Self {
        self.comma();
        nest(self.out, [b'{', b'}'], inner);
        self
    }
}

/// Appends `{...}`.
pub fn object(out: &mut Vec<u8>, inner: impl FnOnce(&mut Json<'_>)) {
    nest(out, [b'{', b'}'], inner);
}

fn nest(out: &mut Vec<u8>, [open, close]: [u8; 2], inner: impl FnOnce(&mut Json<'_>)) {
    out.push(open);
    inner(&mut Json::new(out));
    out.push(close);
}

fn digits(out: &mut Vec<u8>, value: i128) {
    use std::io::Write as _;
    // A vector takes all that is written.
    let _ = write!(out, "{value}");
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Appends the bytes as a JSON string.
pub fn quoted(out: &mut Vec<u8>, value: &[u8]) {
    out.push(b'"');
    let unicode = std::str::from_utf8(value).is_ok();
    for &b in value {
        match b {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            0..0x20 => out.extend_from_slice(&[b'\\', b'u', b'0', b'0', HEX[usize::from(b >> 4)], HEX[usize::from(b & 15)]]),
            0x80.. if !unicode => out.extend_from_slice(&[b'\\', b'\\', b'x', HEX[usize::from(b >> 4)], HEX[usize::from(b & 15)]]),
            _ => out.push(b),
        }
    }
    out.push(b'"');
}

/// Lower-case hexadecimal digits, with `between` between bytes where it is not 0.
pub fn hex(bytes: &[u8], between: u8) -> String {
    let mut out = String::with_capacity(bytes.len() * 3);
    for (i, b) in bytes.iter().enumerate() {
        if i > 0 && between != 0 {
            out.push(char::from(between));
        }
        out.extend([HEX[usize::from(b >> 4)], HEX[usize::from(b & 15)]].map(char::from));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn commas_stand_between_and_nothing_else() {
        let mut out = Vec::new();
        object(&mut out, |j| {
            j.text("a", "x").number("b", -3).boolean("c", false).object("d", |_| {}).array("e", |j| {
                j.item_text("y").item_number(2).item_object(|j| {
                    j.text_if("n", None::<&str>).text_if("f", Some("z"));
                });
            });
        });
        assert_eq!(String::from_utf8_lossy(&out), r#"{"a":"x","b":-3,"c":false,"d":{},"e":["y",2,{"f":"z"}]}"#);
    }

    #[test]
    fn bytes_that_are_no_unicode_are_named() {
        let mut out = Vec::new();
        quoted(&mut out, b"a\xff\x00\"");
        assert_eq!(out, br#""a\\xff\u0000\"""#);
    }

    proptest! {
        #[test]
        fn a_string_is_json_and_means_itself(s in ".*") {
            let mut out = Vec::new();
            quoted(&mut out, s.as_bytes());
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), s);
        }

        #[test]
        fn any_bytes_are_json(b in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut out = Vec::new();
            quoted(&mut out, &b);
            prop_assert!(serde_json::from_slice::<String>(&out).is_ok());
        }
    }
}
